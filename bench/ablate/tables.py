"""The tables of an ablation as Markdown."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from dexbench.bench.openloop.shown import MEAN, WINDOWS

COLUMNS = [(measure, when) for measure, times in WINDOWS.items() for when in times]
"""Measures of the tables and their times."""
FLOORS = ("copy", "shuffled", "no action", "truth")
"""Sources that are shown beside the first model of each encoder."""

Row = Mapping[str, Any]


@dataclass(frozen=True)
class Trained:
    """One training of a cell."""

    name: str
    """Of its file: cell and seed."""
    seed: int
    text: str
    """What the cell is."""
    parameters: float
    """Of the predictor, in millions."""
    minutes: float
    """Of training."""


def markdown(header: Sequence[str], lines: Sequence[Sequence[str]]) -> str:
    """Return a table; the first column is aligned left, the others right."""
    rows = [header, ["---", *["---:"] * (len(header) - 1)], *lines]
    return "\n".join(f"| {' | '.join(row)} |" for row in rows)


def open_loop(evaluation: Mapping[str, Any], cells: Sequence[Trained]) -> str:
    """Return a table for each set, and the paired differences from the first cell.

    Args:
        evaluation: What ``openloop.json`` holds.
        cells: In the order of the table; the first cell's, of all seeds, come first.
    """
    parts = []
    for facts in evaluation["sets"]:
        rows = [row for row in evaluation["rows"] if row["set"] == facts["set"]]
        parts.append(f"{facts['set']}, {len(facts['windows'])} windows:")
        parts.append(_values(rows, evaluation["models"], cells))
        if differences := _differences(rows, cells):
            parts += ["Difference from the first cell, same seed; bold where it excludes 0:"]
            parts.append(differences)
    return "\n\n".join(parts)


def closed_loop(scores: Sequence[tuple[str, Mapping[str, Row]]]) -> str:
    """Return a table of success.

    Args:
        scores: A cell's description and seed, and by task what ``summarise`` returns.
    """
    tasks = list(scores[0][1])
    lines = []
    for text, found in scores:
        cells = [
            f"{row['successes']}/{row['trials']} ({row['ci_low']:.0%}..{row['ci_high']:.0%})"
            for row in (found[task] for task in tasks)
        ]
        lines.append([text, *cells])
    return markdown(["cell", *tasks], lines)


def _values(rows: Sequence[Row], models: Sequence[Row], cells: Sequence[Trained]) -> str:
    """Return the measures of every cell, and of the floors of every encoder."""
    encoder = {facts["model"]: facts["encoder_sha256"] for facts in models}
    columns = [column for column in COLUMNS if any(row["measure"] == column[0] for row in rows)]
    lines, seen = [], set()
    for cell in cells:
        head = [f"{cell.text}, seed {cell.seed}", f"{cell.parameters:.1f}", f"{cell.minutes:.1f}"]
        lines.append(head + [_cell(rows, cell.name, "model", *column) for column in columns])
        if encoder[cell.name] not in seen:
            seen.add(encoder[cell.name])
            for source in FLOORS:
                values = [_cell(rows, cell.name, source, *column) for column in columns]
                lines.append([f"*{source}*", "", "", *values])
    return markdown(["cell", "M", "minutes", *_header(columns)], lines)


def _differences(rows: Sequence[Row], cells: Sequence[Trained]) -> str:
    """Return each cell less the first of the same seed; empty if there is one cell."""
    first = {cell.seed: cell for cell in cells if cell.text == cells[0].text}
    columns = [column for column in COLUMNS if any(row["measure"] == column[0] for row in rows)]
    lines = []
    for cell in cells:
        if cell.text != cells[0].text:
            pair = f"{first[cell.seed].name} - {cell.name}"
            values = [_cell(rows, pair, "model", *column, turned=True) for column in columns]
            lines.append([f"{cell.text}, seed {cell.seed}", *values])
    return markdown(["cell", *_header(columns)], lines) if lines else ""


def _header(columns: Sequence[tuple[str, str]]) -> list[str]:
    return [f"{measure} {when}{'' if when == MEAN else ' s'}" for measure, when in columns]


def _cell(
    rows: Sequence[Row], model: str, source: str, measure: str, when: str, turned: bool = False
) -> str:
    """Return a value and its interval; of a difference the other way round if ``turned``."""
    for row in rows:
        key = row["model"], row["source"], row["measure"], str(row["seconds"])
        if key == (model, source, measure, when) and row["value"] is not None:
            value, low, high = row["value"], row["low"], row["high"]
            if not turned:
                return f"{value:.3g} ({low:.3g}..{high:.3g})"
            text = f"{0.0 - value:+.3g} ({0.0 - high:.3g}..{0.0 - low:.3g})"
            return f"**{text}**" if low > 0 or high < 0 else text
    return "-"
