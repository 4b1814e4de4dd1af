"""The site's leaderboard: every ledger in results/, and how each of its rows was verified."""

import json
import re
from collections.abc import Iterator
from functools import cache
from html import escape
from itertools import groupby
from pathlib import Path
from typing import Any

from dexbench.bench.ledger.real import read_real
from dexbench.bench.ledger.rows import HIDDEN
from dexbench.bench.run.runner import agent_folder
from dexbench.bench.scores.leaderboard import derive
from dexbench.bench.scores.real import score_real
from dexbench.bench.submit.accept import RECORD
from dexbench.utils.pages import render

HERE = Path(__file__).parent
RESULTS = HERE.parent / "results"
SOLVED = (
    ("solved", "trials solved, of those played"),
    ("95% interval", "Wilson's, of the rate"),
)
DECIDES = (
    ("s/decision", "mean seconds a decision"),
    ("planner", "what searches"),
    ("cost", "what it minimises"),
    ("pre-training", "data that do not show the benchmark's own robot"),
)
COLUMNS = (
    ("rank", "one more than the number of agents that are significantly better"),
    ("agent", "italics: it is given the simulator's state"),
    *SOLVED,
    ("cm left", "median final distance"),
    *DECIDES,
    ("verified", "how, and whose rows they are"),
)
REAL_COLUMNS = (
    ("driver", "what drives the robot"),
    ("agent", "what plays"),
    ("task", "what it is told to do"),
    *SOLVED,
    ("ended early", "trials that ended early; they count as not solved"),
    *DECIDES,
    ("calibration", "the first 12 digits of its sha256"),
    ("judged by", "who said whether a trial was a success"),
)
REAL = (
    "Trials of robots, which nobody can simulate again. A person beside the robot judged them, or "
    "a driver that can tell, as those of simulated robots. So they have no ranks, and count "
    "nowhere above. [A real robot](real_robot.md#the-record) says what is kept of each."
)
OWN = "rows-of-this-repository"
"""Anchor of the page's section on them."""


def leaderboard(results: Path = RESULTS) -> str:
    """Return the page's tables, and what is known of submissions, as Markdown with raw HTML.

    Args:
        results: Folder of ledgers; its folder ``submissions`` holds those from outside.
    """
    parts: list[str] = []
    records: dict[str, tuple[str, dict[str, Any]]] = {}
    for suite, of_suite in groupby(derive(results), key=lambda line: line["suite"]):
        parts.append(f"## Suite {suite}")
        for task, of_task in groupby(of_suite, key=lambda line: line["task"]):
            lines = sorted(of_task, key=lambda line: line["rank"] or 99)
            for line, group in zip(lines, _groups(lines), strict=True):
                line["group"] = group
                line["anchor"], line["verified"] = OWN, "own rows, by verify"
                if record := _record(results, suite.removesuffix(HIDDEN), line["agent"]):
                    anchor = "submission-" + re.sub(r"\W+", "-", f"{suite}-{line['agent']}")
                    line["anchor"], line["verified"] = anchor, "from outside, by check"
                    records[anchor] = f"{line['agent']} on {suite}", record
            parts.append(f"### {task.capitalize()}\n\n{_table(COLUMNS, lines, 'simulated')}")
    if records:
        parts.append("## Rows from outside")
        parts += [_raw(_submission(anchor, *records[anchor])) for anchor in sorted(records)]
    if real := score_real(read_real([results])):
        parts += ["## Real robots", REAL, _table(REAL_COLUMNS, real, "real")]
    return "\n\n".join(parts)


def _table(columns: tuple[tuple[str, str], ...], lines: list[dict[str, Any]], row: str) -> str:
    """Return a table; `row` names the template of its rows."""
    page = render(HERE / "_leaderboard", columns=columns, lines=lines, row=f"{row}.html")
    return _raw(page)


def _groups(lines: list[dict[str, Any]]) -> Iterator[str]:
    """Yield a class for each line; those of one rank look alike, and unlike their neighbours."""
    ranks = sorted({line["rank"] for line in lines if line["rank"]})
    for line in lines:
        number = ranks.index(line["rank"]) if line["rank"] else None
        yield "unranked" if number is None else ("even", "odd")[number % 2]


@cache
def _record(results: Path, suite: str, agent: str) -> dict[str, Any] | None:
    """Return what `dexbench check --accept` wrote of a submission; None if it is not from there."""
    path = agent_folder(results / "submissions", suite, agent) / RECORD
    found: dict[str, Any] | None = (
        json.loads(path.read_text(encoding="utf-8")) if path.exists() else None
    )
    return found


def _submission(anchor: str, title: str, record: dict[str, Any]) -> str:
    """Return who sent a submission, what they say, and how it was checked."""
    versions = ", ".join(f"{name} {version}" for name, version in record["versions"].items())
    facts = {
        "authors": ", ".join(record["authors"]),
        "trained on": record["training_data"],
        "played on": record["hardware"],
        **{f"check: {what}": found for what, found in record["checked"].items()},
        "checked on": f"{record['on']}, with {versions}",
        "sha256": record["sha256"],
    }
    rows = "\n".join(
        f"<tr><th>{escape(name)}</th><td>{escape(value)}</td></tr>" for name, value in facts.items()
    )
    return f'<h3 id="{anchor}">{escape(title)}</h3>\n<table class="docutils">\n{rows}\n</table>'


def _raw(html: str) -> str:
    """Return a block of HTML, which no run of backticks in it can end."""
    fence = "`" * (3 + max(map(len, re.findall("`+", html)), default=0))
    return f"{fence}{{raw}} html\n{html.strip()}\n{fence}"
