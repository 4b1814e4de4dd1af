"""Intervals of ratios of sums over clips, by the percentile bootstrap.

A mean is such a ratio, and so is a share of keypoints, of which each clip has its own number.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from dexbench.utils.seeding import rng

DRAWS = 2000
"""Resamples of the clips."""
LEVELS = (0.025, 0.975)
"""Of the interval's ends."""

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Estimate:
    """A number and its 95% interval; all are not a number where there is nothing to count."""

    value: float
    low: float
    high: float


def resamples(clips: int, draws: int = DRAWS) -> Floats:
    """Return how often each resample draws each clip, ``(draws, clips)``; a pure function."""
    odds = np.full(clips, 1 / clips)
    counts = rng("bootstrap", clips).multinomial(clips, odds, size=draws)
    return counts.astype(np.float64)


def ratio(top: Floats, bottom: Floats, drawn: Floats) -> Estimate:
    """Return the sum of ``top`` over that of ``bottom``, both ``(clips,)``.

    Args:
        top: What is counted, by clip.
        bottom: Of how many.
        drawn: From ``resamples``.
    """
    return _estimate(_over(top.sum(), bottom.sum()), _over(drawn @ top, drawn @ bottom))


def difference(
    first: tuple[Floats, Floats], second: tuple[Floats, Floats], drawn: Floats
) -> Estimate:
    """Return the first ratio minus the second, of the same clips in the same order.

    Each resample draws the same clips for both, so that what makes a clip hard for both cancels.
    """
    values = [_over(top.sum(), bottom.sum()) for top, bottom in (first, second)]
    spread = [_over(drawn @ top, drawn @ bottom) for top, bottom in (first, second)]
    return _estimate(values[0] - values[1], spread[0] - spread[1])


def _over(top: Floats, bottom: Floats) -> Floats:
    """Divide; not a number where there is nothing to divide by."""
    known = np.where(bottom == 0, np.nan, bottom)
    quotient: Floats = top / known
    return quotient


def _estimate(value: Floats, spread: Floats) -> Estimate:
    known = spread[~np.isnan(spread)]
    ends = np.quantile(known, LEVELS) if len(known) and not np.isnan(value) else [np.nan] * 2
    return Estimate(float(value), float(ends[0]), float(ends[1]))
