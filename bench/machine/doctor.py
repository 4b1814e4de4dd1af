"""``dexbench doctor``: checks the machine and the installation, and says how to mend what fails.

Every check stands by itself, so that one cause shows as one failure.
"""

import importlib.metadata
import os
import platform
import shutil
import sys
import warnings
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from dexbench.envs.assets import cache
from dexbench.envs.assets import download as robocasa
from dexbench.utils.errors import UserError, describe

from . import opengl

PACKAGES = ("mujoco", "numpy", "torch", "robosuite", "rlinf-robocasa365")
"""Whose versions are checked: trajectories depend on them, or they contradict each other."""
LEAST_DISK, LITTLE_DISK = 0.1e9, 1e9
"""Free bytes at the cache: with less the asset pack may not fit; with less it may soon not."""
REINSTALL = "reinstall dexbench: `make setup` in a clone, or pip install --force-reinstall"


@dataclass(frozen=True)
class DoctorConfig:
    """Checks this machine and the installation; exits with code 1 if something fails."""

    timeout: float = 60.0
    """Longest time for rendering a first picture in seconds; more is a hang."""


@dataclass(frozen=True)
class Finding:
    """What a check found."""

    status: Literal["ok", "note", "fail"]
    """A note is worth knowing; only a failure keeps dexbench from working."""
    name: str
    text: str
    mend: str = ""
    """What to do about it."""

    def __str__(self) -> str:
        line = f"{self.status:<4}  {self.name:<17}  {' '.join(self.text.split())}"
        return f"{line}\n{'':<25}mend: {self.mend}" if self.mend else line


def check_python(config: DoctorConfig) -> Iterator[Finding]:
    """Python's version against what setup.cfg allows."""
    from packaging.specifiers import SpecifierSet

    allowed = importlib.metadata.metadata("dexbench")["Requires-Python"]
    version = platform.python_version()
    good = SpecifierSet(allowed).contains(version, prereleases=True)
    yield Finding(
        "ok" if good else "fail",
        "python",
        f"{version}, {allowed} is allowed",
        "" if good else "install dexbench with another one: `make setup PYTHON=python3.11`",
    )


def check_packages(config: DoctorConfig) -> Iterator[Finding]:
    """Check versions of `PACKAGES` against what setup.cfg allows."""
    from packaging.requirements import Requirement

    required = map(Requirement, importlib.metadata.requires("dexbench") or [])
    allowed = {item.name: item.specifier for item in required if item.marker is None}
    for name in PACKAGES:
        mend = f"pip install '{name}{allowed[name]}'"
        try:
            version = importlib.metadata.version(name)
        except importlib.metadata.PackageNotFoundError:
            yield Finding("fail", name, "not installed", mend)
            continue
        good = allowed[name].contains(version, prereleases=True)
        text = f"{version}, {allowed[name]} is allowed"
        yield Finding("ok" if good else "fail", name, text, "" if good else mend)


def check_opengl(config: DoctorConfig) -> Iterator[Finding]:
    """Check whether a picture can be rendered, by what, and how fast."""
    backend = os.environ.get("MUJOCO_GL") or "glfw"
    tried = opengl.attempt(backend, config.timeout)
    if isinstance(tried, str):
        mend = opengl.mend(backend, config.timeout)
        yield Finding("fail", "opengl", f"{tried} (MUJOCO_GL={backend})", mend)
        return
    text = (
        f"{tried.renderer}, {'software' if tried.software else 'hardware'}, by {tried.vendor}, "
        f"{tried.seconds:.4f} s for a frame of a box (MUJOCO_GL={backend})"
    )
    if tried.software and gpu_devices():
        text += ", though there is a GPU"
        yield Finding("note", "opengl", text, opengl.mend_software(backend))
    else:
        yield Finding("ok", "opengl", text)


def gpu_devices() -> list[Path]:
    """Device files of NVIDIA GPUs."""
    return sorted(Path("/dev").glob("nvidia[0-9]*"))


def check_gpu(config: DoctorConfig) -> Iterator[Finding]:
    """Check whether PyTorch computes on a GPU."""
    import torch

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # What it warns of is what is reported here.
        available = torch.cuda.is_available()
    if available:
        memory = torch.cuda.get_device_properties(0).total_memory
        yield Finding("ok", "gpu", f"{torch.cuda.get_device_name(0)}, {memory / 1e9:.0f} GB")
    elif gpu_devices():
        yield Finding(
            "note",
            "gpu",
            f"there is one, but PyTorch {torch.__version__} does not see it",
            "install PyTorch's CUDA build, and a driver (nvidia-smi) that is new enough for it",
        )
    else:
        yield Finding("ok", "gpu", "none; PyTorch computes on the CPU")


def check_assets(config: DoctorConfig) -> Iterator[Finding]:
    """Check whether the asset pack is there, or can be built."""
    root = cache.cache_folder() / f"assets-{cache.PACK_VERSION}"
    folder = _existing(root)
    if (root / cache.DONE).exists():
        # Much of the pack are links to what robosuite ships.
        size = sum(path.lstat().st_size for path in root.rglob("*"))
        yield Finding("ok", "assets", f"{size / 1e6:.0f} MB in {root}")
    elif folder.is_dir() and os.access(folder, os.W_OK):
        text = f"not there yet; built at first use (about half a minute) in {root}"
        yield Finding("note", "assets", text)
    else:
        yield Finding(
            "fail",
            "assets",
            f"not there, and {folder} cannot be written",
            "`export DEXBENCH_CACHE=FOLDER` with a folder that can be written",
        )


def check_robocasa(config: DoctorConfig) -> Iterator[Finding]:
    """Check whether RoboCasa's own assets are there; no suite needs them."""
    name, optional = "robocasa", "no suite needs them"
    try:
        yield Finding("ok", name, f"its own assets are in {robocasa.robocasa_root()}")
    except UserError as error:
        if robocasa.task_root() is None:
            yield Finding("ok", name, f"without its own assets; {optional}")
        else:
            text, _, mend = str(error).partition("; ")
            yield Finding("note", name, f"{text}; {optional}", mend)


def check_disk(config: DoctorConfig) -> Iterator[Finding]:
    """Free space where the cache is."""
    folder = _existing(cache.cache_folder())
    free = shutil.disk_usage(folder).free
    text = f"{free / 1e9:.1f} GB free at {folder}"
    if free >= LITTLE_DISK:
        yield Finding("ok", "disk", text)
    else:
        mend = "free some, or `export DEXBENCH_CACHE=FOLDER` with a folder on another disk"
        yield Finding("note" if free >= LEAST_DISK else "fail", "disk", text, mend)


def check_weights(config: DoctorConfig) -> Iterator[Finding]:
    """Check whether the packaged weights load."""
    from dexbench.agents.dexwm.model import checkpoint as dexwm
    from dexbench.agents.diffusion_policy import checkpoint as policies

    packaged: list[tuple[Callable[[Path], tuple[Any, str]], Path]] = [
        *((dexwm.load_model, path) for path in dexwm.PACKAGED.values()),
        *((policies.load_policy, path) for path in policies.PACKAGED.values()),
    ]
    for load, path in packaged:
        try:
            _, digest = load(path)
        except UserError as error:
            yield Finding("fail", "weights", str(error).rpartition("; ")[0], REINSTALL)
        else:
            name = f"{path.parent.parent.name} {path.name}"
            yield Finding("ok", "weights", f"{name}, sha256 {digest[:16]}")


def check_suites(config: DoctorConfig) -> Iterator[Finding]:
    """Check whether every trial of every suite is there and the one that the suite records."""
    from dexbench.envs.suite import SUITES, Suite

    names = Suite.names()
    if not names:
        yield Finding("fail", "suites", f"none in {SUITES}", REINSTALL)
    for name in names:
        try:
            suite = Suite.load(name)
            trials = [
                suite.trial(task, i) for task in suite.tasks for i in range(suite.trials(task))
            ]
        except UserError as error:
            yield Finding("fail", f"suite {name}", str(error).rpartition("; ")[0], REINSTALL)
        else:
            text = f"{len(trials)} trials as recorded, hash {suite.hash[:16]}"
            yield Finding("ok", f"suite {name}", text)


def check_cores(config: DoctorConfig) -> Iterator[Finding]:
    """Processor cores that can be used, and threads set for libraries."""
    cores = len(os.sched_getaffinity(0)) if sys.platform == "linux" else os.cpu_count() or 1
    quota = cpu_quota()
    threads = os.environ.get("OMP_NUM_THREADS", "")
    text = f"{cores} of {os.cpu_count()}, OMP_NUM_THREADS {threads or 'unset'}"
    if quota is not None and quota < cores:
        mend = f"give --workers {max(1, int(quota))} at most: more would only wait for each other"
        yield Finding("note", "cores", f"{text}; the container may use {quota:g} of them", mend)
    elif threads.isdigit() and int(threads) > cores:
        yield Finding("note", "cores", text, "`unset OMP_NUM_THREADS`: it is more than the cores")
    else:
        yield Finding("ok", "cores", text)


def cpu_quota() -> float | None:
    """Cores' worth of time that the control group allows, if it limits it."""
    try:
        quota, period = Path("/sys/fs/cgroup/cpu.max").read_text(encoding="utf-8").split()
        return None if quota == "max" else int(quota) / int(period)
    except (OSError, ValueError):
        return None


def _existing(path: Path) -> Path:
    """Return the path or the nearest of its parents that exists."""
    return next(parent for parent in (path, *path.parents) if parent.exists())


CHECKS: tuple[Callable[[DoctorConfig], Iterator[Finding]], ...] = (
    check_python,
    check_packages,
    check_cores,
    check_disk,
    check_assets,
    check_robocasa,
    check_opengl,
    check_gpu,
    check_weights,
    check_suites,
)


def examine(config: DoctorConfig) -> Iterator[Finding]:
    """Run all checks; one that cannot be made is a failure and does not stop the others."""
    for check in CHECKS:
        try:
            yield from check(config)
        except Exception as error:
            name = check.__name__.removeprefix("check_")
            yield Finding("fail", name, describe(error), REINSTALL)


def main(config: DoctorConfig) -> None:
    """Print a line for each finding as soon as it is known.

    Raises:
        UserError: The timeout is not a time.
        SystemExit: With code 1 if something fails.
    """
    if not 0 < config.timeout < float("inf"):
        raise UserError(f"--timeout is {config.timeout:g}, expected seconds, more than 0")
    failed = False
    for finding in examine(config):
        print(finding, flush=True)
        failed |= finding.status == "fail"
    if failed:
        raise SystemExit(1)
