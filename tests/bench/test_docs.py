import importlib
import re
import shlex
from pathlib import Path
from typing import Any, get_type_hints

import pytest
import tyro

from dexbench.bench import cli

ROOT = Path(__file__).parents[2]
PAGES = sorted(
    str(path.relative_to(ROOT))
    for pattern in ("README.md", "docs/**/*.md", "agents/*/weights/README.md")
    for path in ROOT.glob(pattern)
)


def commands(page: str) -> list[str]:
    """The dexbench commands in a page's shell blocks, but for those with an ellipsis."""
    blocks = re.findall(r"```sh\n(.*?)```", (ROOT / page).read_text(), re.DOTALL)
    lines = [line.strip() for block in blocks for line in block.splitlines()]
    lines = [line.removeprefix(".venv/bin/") for line in lines if "..." not in line]
    return [line for line in lines if line.startswith("dexbench ")]


@pytest.mark.parametrize("page", [page for page in PAGES if commands(page)])
def test_commands_in_the_documents_parse(page: str) -> None:
    for command in commands(page):
        words = shlex.split(command, comments=True)[1:]
        name = cli.find_command(words)
        module, _, function = cli.COMMANDS[name][0].partition(":")
        hints = get_type_hints(getattr(importlib.import_module(module), function))
        config_type = hints["config"]
        tyro.cli(config_type, args=words[len(name.split()) :])  # exits where it does not parse


def test_where_commands_are_looked_for() -> None:
    pages = {page for page in PAGES if commands(page)}
    assert {"README.md", "docs/planners.md", "docs/reproduce.md", "docs/speed.md"} <= pages
    assert {page for page in PAGES if page.endswith("weights/README.md")} <= pages


def anchors(page: Path) -> set[str]:
    """What a link may name after a page's `#`, as GitHub makes it of the headings."""
    text = re.sub(r"^```.*?^```", "", page.read_text(), flags=re.DOTALL | re.MULTILINE)
    titles = re.findall(r"^#+ (.+)$", text, re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", title.lower()).replace(" ", "-") for title in titles}


@pytest.mark.parametrize("page", PAGES)
def test_links_lead_somewhere(page: str) -> None:
    path = ROOT / page
    for target, anchor in re.findall(r"\]\(([^)#]*)#?([^)]*)\)", path.read_text()):
        if not re.match(r"https?:", target):
            linked = path.parent / target if target else path
            assert linked.exists(), target
            assert not anchor or anchor in anchors(linked), f"{target}#{anchor}"


def test_the_version_is_the_same_everywhere(capsys: Any) -> None:
    cli.main(["--version"])
    version = capsys.readouterr().out.split()[1]
    assert f"\nversion: {version}\n" in (ROOT / "CITATION.cff").read_text()
