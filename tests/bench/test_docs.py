import importlib
import re
import shlex
from pathlib import Path
from typing import Any, get_type_hints

import pytest
import tyro

from dexbench.bench import cli

ROOT = Path(__file__).parents[2]
PAGES = (
    "README.md",
    "docs/protocol.md",
    "docs/reproduce.md",
    "docs/data.md",
    "docs/your_own_agent.md",
    "docs/your_own_task.md",
    "docs/your_own_hand.md",
    "docs/models.md",
    "docs/planners.md",
    "docs/reliability.md",
    "docs/robocasa_assets.md",
    "agents/dexwm/weights/README.md",
    "agents/diffusion_policy/weights/README.md",
)


def commands(page: str) -> list[str]:
    """The dexbench commands in a page's shell blocks."""
    blocks = re.findall(r"```sh\n(.*?)```", (ROOT / page).read_text(), re.DOTALL)
    lines = [line.strip() for block in blocks for line in block.splitlines()]
    return [line.removeprefix(".venv/bin/") for line in lines if re.match(r"\S*dexbench ", line)]


@pytest.mark.parametrize(
    "page",
    [
        "README.md",
        "docs/reproduce.md",
        "docs/data.md",
        "docs/your_own_agent.md",
        "docs/your_own_task.md",
        "docs/planners.md",
        "agents/dexwm/weights/README.md",
        "agents/diffusion_policy/weights/README.md",
    ],
)
def test_commands_in_the_documents_parse(page: str) -> None:
    assert commands(page)
    for command in commands(page):
        words = shlex.split(command, comments=True)[1:]
        name = cli._command(words)
        module, _, function = cli.COMMANDS[name][0].partition(":")
        hints = get_type_hints(getattr(importlib.import_module(module), function))
        (config_type,) = [hint for key, hint in hints.items() if key != "return"]
        tyro.cli(config_type, args=words[len(name.split()) :])  # exits where it does not parse


def test_the_readme_names_every_command() -> None:
    named = set(re.findall(r"^\| `dexbench ([a-z -]+)` \|", (ROOT / "README.md").read_text(), re.M))
    assert named == set(cli.COMMANDS)


@pytest.mark.parametrize("page", PAGES)
def test_links_lead_somewhere(page: str) -> None:
    path = ROOT / page
    for target in re.findall(r"\]\(([^)#]+)\)", path.read_text()):
        if not re.match(r"https?:", target):
            assert (path.parent / target).exists(), target


def test_the_version_is_the_same_everywhere(capsys: Any) -> None:
    cli.main(["--version"])
    version = capsys.readouterr().out.split()[1]
    assert f"\nversion: {version}\n" in (ROOT / "CITATION.cff").read_text()
