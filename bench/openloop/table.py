"""The numbers of an open-loop evaluation with their intervals, as rows."""

import itertools
import math
from collections.abc import Mapping, Sequence

import numpy as np

from dexbench.bench.scores.bootstrap import Estimate, Floats, difference, ratio, resamples

from .measures import Measured
from .shown import MEAN, Row

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
