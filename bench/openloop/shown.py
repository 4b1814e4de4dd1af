"""Which numbers of an open-loop evaluation are shown, on the terminal and in a report."""

from collections.abc import Mapping, Sequence
from typing import Any

Row = dict[str, Any]

MEAN = "mean"
"""What stands in the column ``seconds`` for all steps together."""
PAIRS = "pairs"
"""What stands in the column ``future`` where every two of a window's futures are compared."""
WINDOWS = {
    "latent_l2": ("4.0", MEAN),
    "pck20": ("4.0", MEAN),
    "hand_cm": ("4.0", MEAN),
    "object_skill": ("2.0", "4.0", MEAN),
    "contact_f1": (MEAN,),
}
"""Measures that are shown of recorded windows, and at which times; the files have all."""
DIFFERENCES = dict.fromkeys(
    ("hand_cosine", "hand_slope", "object_cosine", "object_slope"), ("4.0", MEAN)
)
"""The same of every two futures."""
FUTURES = dict.fromkeys(
    ("way_slope", "way_cosine", "pck20", "hand_cm", "grip_cm", "object_error", "contact_error"),
    ("4.0",),
)
"""The same of each kind of future by itself."""
TRANSFERS = {
    **dict.fromkeys(("pck20", "hand_cm", "grip_cm"), ("4.0", MEAN)),
    "object_skill": (MEAN,),
}
"""The same of actions in another kitchen."""

Table = tuple[list[str], list[list[str]], int]
"""A header, lines of as many cells, and how many columns at the left are names."""


def tables(
    rows: Sequence[Row], futures: Sequence[Row] = (), transfers: Sequence[Row] = ()
) -> dict[str, Table]:
    """Return a set's tables by their captions; what was not measured has none.

    Args:
        rows: Of its windows.
        futures: Of their futures.
        transfers: Of their actions in other kitchens.
    """
    pairs = [row for row in futures if row["future"] == PAIRS]
    kinds = [row for row in futures if row["future"] != PAIRS]
    made = {
        "recorded clips": _table(rows, WINDOWS, ("model", "source")),
        "differences of futures": _table(pairs, DIFFERENCES, ("model", "source")),
        "each kind of future": _table(kinds, FUTURES, ("future", "model", "source")),
        "actions in another kitchen": _table(transfers, TRANSFERS, ("model", "source")),
    }
    return {caption: table for caption, table in made.items() if table[1]}


def _table(rows: Sequence[Row], shown: Mapping[str, Sequence[str]], keys: Sequence[str]) -> Table:
    """Lay out rows that differ in some keys, a line each, and their measures in columns."""
    values = {
        (*(row[key] for key in keys), row["measure"], str(row["seconds"])): row for row in rows
    }
    there = {(row["measure"], str(row["seconds"])) for row in rows}
    wanted = [(measure, when) for measure, times in shown.items() for when in times]
    columns = [column for column in wanted if column in there]
    header = [f"{measure} {when}{'' if when == MEAN else ' s'}" for measure, when in columns]
    lines = []
    for names in dict.fromkeys(tuple(row[key] for key in keys) for row in rows):
        lines.append([*names, *(_cell(values.get((*names, *column))) for column in columns)])
    return [*keys, *header], lines, len(keys)


def _cell(row: Row | None) -> str:
    if row is None or row["value"] is None:
        return "-"
    return f"{row['value']:.3g} ({row['low']:.3g}..{row['high']:.3g})"
