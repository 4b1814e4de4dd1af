# From a fresh clone to a scored agent (`make run`), to passed tests (`make test`), to weights trained
# from scratch (`make weights`), to the site (`make docs`). All set up first: system packages
# (installed when root, else named), .venv, the package.
SHELL := /bin/bash
.SHELLFLAGS := -euo pipefail -c
.ONESHELL:
.PHONY: run test weights docs setup packages

AGENT ?= dexwm
TASK ?= grasp
TRIALS ?= 50
SEED ?= 0
# Rows do not depend on the number of workers; each takes a core and about 1 GB.
WORKERS ?= $(shell cores=$$(nproc); echo $$((cores < 8 ? cores : 8)))
PYTHON ?=
VENV ?= .venv

# EGL and OpenGL by software, what OpenCV's wheel links to, and what it takes to compile evdev,
# a dependency of robosuite without wheels. Empty it (PACKAGES=) where they go by other names.
PACKAGES ?= libegl1 libegl-mesa0 libgl1 libgl1-mesa-dri libglib2.0-0 \
	gcc libc6-dev python3-dev python3-venv

run: setup
	$(VENV)/bin/dexbench run --agent $(AGENT) --task $(TASK) --trials $(TRIALS) --workers $(WORKERS)

test: setup
	$(VENV)/bin/python -m pytest -n $(WORKERS) --dist worksteal

# Four hours of exploration, and a compact DexWM of them: a little over an hour on two cores. Either
# continues where it was stopped.
weights: setup
	$(VENV)/bin/dexbench collect --strategy lift-noise --hours 4 --workers $(WORKERS) --out runs/data/lift-noise
	$(VENV)/bin/dexbench train dexwm --data runs/data/lift-noise --out runs/seed-$(SEED).safetensors \
	  --seed $(SEED) --steps 1000 640 1100 --threads 2 --validation-windows 384

# The site, into docs/_build; a warning or a link that leads nowhere is an error.
docs: setup
	@$(VENV)/bin/python -m pip install --disable-pip-version-check --quiet -c constraints.txt -e '.[docs]'
	$(VENV)/bin/python -m dexbench.bench.cli_reference docs/cli.md
	rm -rf docs/_build
	$(VENV)/bin/python -m sphinx -W --keep-going --quiet docs docs/_build
	$(VENV)/bin/python docs/check_links.py docs/_build
	@echo "docs/_build/index.html"

setup: $(VENV)/.complete

# A target of its own, so that another clone's or an interrupted set-up is not taken for done.
$(VENV)/.complete: setup.cfg pyproject.toml constraints.txt | packages
	@python=
	for name in $(PYTHON) python3.11 python3.12 python3; do
	  if $$name -c 'import sys; sys.exit(not (3, 11) <= sys.version_info < (3, 13))' 2>/dev/null; then
	    python=$$name
	    break
	  fi
	done
	if [ -z "$$python" ]; then
	  echo "dexbench needs Python 3.11 or 3.12; name one with make PYTHON=/path/to/python3.11" >&2
	  exit 1
	fi
	"$$python" -m venv $(VENV)
	# PyTorch by itself first: the rest of the set then resolves against the build that is there.
	$(VENV)/bin/python -m pip install --disable-pip-version-check -c constraints.txt "$$(grep '^torch==' constraints.txt)"
	$(VENV)/bin/python -m pip install --disable-pip-version-check -c constraints.txt -e '.[test]'
	touch $@

packages:
	@command -v dpkg-query >/dev/null || exit 0
	missing=
	for name in $(PACKAGES); do
	  state=$$(dpkg-query -W -f '$${db:Status-Status}' "$$name" 2>/dev/null || true)
	  [ "$$state" = installed ] || missing+=" $$name"
	done
	[ -n "$$missing" ] || exit 0
	if [ "$$(id -u)" = 0 ]; then
	  apt-get update
	  DEBIAN_FRONTEND=noninteractive apt-get install -y --no-install-recommends $$missing
	else
	  echo "These system packages are missing:$$missing" >&2
	  echo "Install them (apt-get install$$missing), or go on without: make PACKAGES= ..." >&2
	  exit 1
	fi
