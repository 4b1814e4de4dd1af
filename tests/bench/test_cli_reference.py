from pathlib import Path

from dexbench.bench import cli
from dexbench.bench.cli_reference import Box, parse, reference

PAGE = Path(__file__).parents[2] / "docs/cli.md"
HELP = """usage: dexbench fly [-h] PATH
                    [--height FLOAT]

Fly somewhere.

╭─ positional arguments ───────────────╮
│ PATH             The way. (required) │
╰──────────────────────────────────────╯
╭─ options ────────────────────────────╮
│ -h, --help       show this help      │
│ --height {None}|FLOAT                │
│                  Metres above        │
│                  ground.             │
╰──────────────────────────────────────╯
╭─ wing options ───────────────────────╮
│ Sizes of the wing.                   │
│ ──────────────────────────────────── │
│ --wing.span INT  Span. (default: 3)  │
╰──────────────────────────────────────╯
"""


def test_a_help_is_read_box_by_box() -> None:
    about, boxes = parse(HELP)
    assert about == "Fly somewhere."
    assert boxes == [
        Box("positional arguments", "", [("PATH", "The way. (required)")]),
        Box("options", "", [("--height {None}|FLOAT", "Metres above ground.")]),
        Box("wing options", "Sizes of the wing.", [("--wing.span INT", "Span. (default: 3)")]),
    ]


def test_the_page_is_up_to_date() -> None:
    assert PAGE.read_text() == reference(), "docs/cli.md is old; `make docs` writes it anew"


def test_the_page_has_every_command_with_its_options() -> None:
    text = PAGE.read_text()
    sections = {part.partition("\n")[0]: part for part in text.split("\n## dexbench ")[1:]}
    assert list(sections) == list(cli.COMMANDS)
    for name in set(sections) - {"list"}:  # which takes no options
        assert "\n|---|---|\n| `" in sections[name], name
    assert "| `--model.head-blocks` `INT` |" in sections["train dexwm"]
    assert "| `--video`, `--no-video` |" in sections["run"]
    assert "| `--trials` `INT` |" in sections["run"], "without the None of what may be left out"
    assert "Short for `--agent-args` planner=NAME. |" in sections["run"], "options are code"
    assert "`--model.*` changes" in sections["train dexwm"]
