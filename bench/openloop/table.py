"""The numbers of an open-loop evaluation with their intervals, as rows and as text."""

import itertools
import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from dexbench.bench.scores.bootstrap import Estimate, Floats, difference, ratio, resamples
from dexbench.bench.scores.summary import text_table

from .measures import Measured

Row = dict[str, Any]

MEAN = "mean"
"""What stands in the column ``seconds`` for all steps together."""
SHOWN = {
    "latent_l2": ("4.0", MEAN),
    "pck20": ("4.0", MEAN),
    "hand_cm": ("4.0", MEAN),
    "object_skill": ("2.0", "4.0", MEAN),
    "contact_f1": (MEAN,),
}
"""Measures that are printed, and at which times; the files have all."""
LATENT = ("latent_l2", "latent_l1")
"""Measures that only models of one encoder can be compared by."""


def rows_of(name: str, measured: Mapping[str, Measured], seconds: Sequence[float]) -> list[Row]:
    """Return a row for every source, measure and time.

    Args:
        name: Of the model.
        measured: Every source's measures.
        seconds: When each step is.

    Returns:
        ``model``, ``source``, ``measure``, ``seconds`` (or ``mean``: over all steps), ``value``,
        ``low`` and ``high`` (95%, bootstrap over clips), and ``clips``, in which there was
        something to count.
    """
    rows = []
    for source, found in measured.items():
        for measure, (top, bottom) in found.items():
            drawn = resamples(len(top))
            for when, column in _times(top, seconds):
                tops, bottoms = top[:, column].sum(1), bottom[:, column].sum(1)
                head = {"model": name, "source": source, "measure": measure, "seconds": when}
                rows.append(head | _numbers(ratio(tops, bottoms, drawn), bottoms))
    return rows


def differences(
    measured: Mapping[str, Measured], encoders: Mapping[str, str], seconds: Sequence[float]
) -> list[Row]:
    """Return the paired differences of every two models, as rows of the source ``model``.

    Args:
        measured: The measures of each model's own predictions, by its name, of the same windows.
        encoders: sha256 of each model's encoder. Latents of two encoders are not compared.
        seconds: When each step is.

    Returns:
        Rows as those of ``rows_of``, ``model`` being ``FIRST - SECOND``.
    """
    rows = []
    for first, second in itertools.combinations(measured, 2):
        shared = [measure for measure in measured[first] if measure in measured[second]]
        if encoders[first] != encoders[second]:
            shared = [measure for measure in shared if measure not in LATENT]
        for measure in shared:
            pairs = measured[first][measure], measured[second][measure]
            drawn = resamples(len(pairs[0][0]))
            for when, column in _times(pairs[0][0], seconds):
                sums = [(top[:, column].sum(1), of[:, column].sum(1)) for top, of in pairs]
                counted = np.minimum(sums[0][1], sums[1][1])
                names = {"model": f"{first} - {second}", "source": "model"}
                head = names | {"measure": measure, "seconds": when}
                rows.append(head | _numbers(difference(sums[0], sums[1], drawn), counted))
    return rows


def text(rows: Sequence[Row]) -> str:
    """Return the measures in ``SHOWN`` as aligned lines, one for each model and source."""
    values = {
        (row["model"], row["source"], row["measure"], str(row["seconds"])): row for row in rows
    }
    measures = {row["measure"] for row in rows}
    columns = [(m, when) for m, times in SHOWN.items() if m in measures for when in times]
    header = [f"{measure} {when}{'' if when == MEAN else ' s'}" for measure, when in columns]
    lines: list[Sequence[str]] = []
    for model, source in dict.fromkeys((row["model"], row["source"]) for row in rows):
        cells = [_cell(values.get((model, source, *column))) for column in columns]
        lines.append([model, source, *cells])
    return text_table(["model", "source", *header], lines, left=2)


def _times(top: Floats, seconds: Sequence[float]) -> list[tuple[str, slice]]:
    """Return the times of a measure and which of its steps each sums over."""
    whole = [(MEAN, slice(None))]
    if top.shape[1] != len(seconds):
        return whole
    return [(f"{second:.1f}", slice(step, step + 1)) for step, second in enumerate(seconds)] + whole


def _numbers(estimate: Estimate, bottoms: Floats) -> Row:
    numbers = {"value": estimate.value, "low": estimate.low, "high": estimate.high}
    known = {key: None if math.isnan(value) else value for key, value in numbers.items()}
    return {**known, "clips": int((bottoms > 0).sum())}


def _cell(row: Row | None) -> str:
    if row is None or row["value"] is None:
        return "-"
    return f"{row['value']:.3g} ({row['low']:.3g}..{row['high']:.3g})"
