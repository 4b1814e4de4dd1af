"""Writes docs/cli.md, the help of every command as Markdown.

``make docs`` calls it: ``python -m dexbench.bench.cli_reference docs/cli.md``.
"""

import contextlib
import io
import os
import re
import sys
from dataclasses import dataclass, field
from pathlib import Path

from . import cli

HEAD = """# Commands

<!-- Written by `python -m dexbench.bench.cli_reference docs/cli.md`; `make docs` runs it. -->

`dexbench COMMAND --help` prints what this page holds. A command that cannot do what it is asked
ends with exit code 2 and one line that says why.
"""
WIDTH = 100
"""Columns of the terminal that the help is formatted for: too few for boxes side by side."""


@dataclass
class Box:
    """One framed group of options in a command's help."""

    title: str
    about: str = ""
    rows: list[tuple[str, str]] = field(default_factory=list)
    """Each option as it is typed, and its help."""


def reference() -> str:
    """Return the page: every command with its description and a table of its options."""
    groups = "\n".join(
        f"| [`dexbench {name}`](#dexbench-{name.replace(' ', '-')}) | {summary} |"
        for name, (_, summary) in cli.COMMANDS.items()
    )
    parts = [HEAD, f"| command | what it does |\n|---|---|\n{groups}\n"]
    parts += [_section(name) for name in cli.COMMANDS]
    return "\n".join(parts)


def _section(name: str) -> str:
    about, boxes = parse(_help(name))
    lines = [f"## dexbench {name}", "", _prose(about), ""]
    for box in boxes:
        if box.title not in ("options", "positional arguments"):
            lines += [f"**{box.title}.** {_prose(box.about)}", ""]
        first = "argument" if box.title == "positional arguments" else "option"
        lines += [f"| {first} | what it does |", "|---|---|"]
        lines += [f"| {_option(option)} | {_cell(text)} |" for option, text in box.rows]
        lines.append("")
    return "\n".join(lines)


def _help(name: str) -> str:
    """Return what ``dexbench NAME --help`` prints on a terminal `WIDTH` columns wide."""
    # tyro draws boxes of ASCII where the encoding is unknown.
    printed = io.TextIOWrapper(io.BytesIO(), encoding="utf-8")
    before = os.environ.get("COLUMNS")
    os.environ["COLUMNS"] = str(WIDTH)
    try:
        with contextlib.redirect_stdout(printed), contextlib.suppress(SystemExit):
            cli.main([*name.split(), "--help"])
    finally:
        os.environ.pop("COLUMNS")
        if before is not None:
            os.environ["COLUMNS"] = before
    printed.seek(0)
    return printed.read()


def parse(text: str) -> tuple[str, list[Box]]:
    """Read a command's help.

    Args:
        text: The help as tyro prints it: usage, description, and a box for each group.

    Returns:
        The description, and the boxes without the option ``--help``.
    """
    before, _, framed = text.partition("╭")
    about = re.sub(r"\Ausage: .*?\n\n", "", before, flags=re.DOTALL).strip()
    boxes = []
    for part in framed.split("╭"):
        title, *lines = part.splitlines()
        box = Box(title.strip(" ─╮"))
        for line in (line[2:-2].rstrip() for line in lines if line.startswith("│")):
            if line.startswith("──"):
                # What stands above a rule is the group's description, not an option.
                box.about, box.rows = " ".join(" ".join(row) for row in box.rows).strip(), []
            elif line.startswith(" "):
                option, help_text = box.rows[-1]
                box.rows[-1] = option, f"{help_text} {line.strip()}".strip()
            else:
                option, _, help_text = line.partition("  ")
                box.rows.append((option, help_text.strip()))
        box.rows = [row for row in box.rows if not row[0].startswith("-h, ")]
        if box.rows:
            boxes.append(box)
    return about, boxes


def _option(text: str) -> str:
    """Write an option as a table's cell, its value apart so that lines break before it."""
    text = cli.plain_values(text.replace("{None}|", "")).replace("|", r"\|")
    if not text.startswith("-"):
        return f"`{text}`"
    names, _, value = text.partition(" ")
    if names.endswith(","):
        names, value = f"{names} {value}", ""
    cell = ", ".join(f"`{name}`" for name in names.split(", "))
    return f"{cell} `{value}`" if value else cell


def _cell(text: str) -> str:
    """Write help as a table's cell, without the default of an option that has none."""
    text = text.removesuffix(" (default: None)").removesuffix(" (default: )")
    return _prose(text).replace("|", r"\|")


def _prose(text: str) -> str:
    """Write plain text as Markdown: options become code, and what is code already stays."""
    parts = re.split(r"(`+[^`]*`+)", text)
    parts[::2] = [re.sub(r"(?<!\S)(\(?)(--[\w.*-]*[\w*])", r"\1`\2`", part) for part in parts[::2]]
    return "".join(parts)


if __name__ == "__main__":
    Path(sys.argv[1]).write_text(reference(), encoding="utf-8")
