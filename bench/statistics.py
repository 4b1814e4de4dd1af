"""Intervals and tests for success counts.

scipy.stats takes over a second to import, so it is imported when a number is asked for.
"""

from collections.abc import Mapping
from dataclasses import dataclass


def wilson(successes: int, trials: int, confidence: float = 0.95) -> tuple[float, float]:
    """The Wilson score interval of a success rate.

    At 50 trials its coverage stays near the nominal one over all rates, where the normal
    approximation's falls to 0.64.

    Args:
        successes: Number of successes.
        trials: Number of trials, at least 1.
        confidence: Nominal coverage.

    Returns:
        (low, high), each in [0, 1].

    Raises:
        ValueError: Not 0 <= successes <= trials with trials >= 1.
    """
    from scipy.stats import binomtest

    interval = binomtest(successes, trials).proportion_ci(confidence, method="wilson")
    return float(interval.low), float(interval.high)


@dataclass(frozen=True)
class McNemar:
    """The exact McNemar test of two agents on the trials that both played."""

    shared: int
    """Number of shared trials."""
    only_first: int
    """Trials that only the first agent solved."""
    only_second: int
    """Trials that only the second agent solved."""
    p_value: float
    """Two-sided: how often a fair coin would split the discordant trials at least so unevenly."""


def mcnemar(first: Mapping[int, bool], second: Mapping[int, bool]) -> McNemar:
    """Compares two agents on the same trials.

    Args:
        first: Success of the first agent by trial number.
        second: Success of the second agent by trial number.

    Returns:
        Counts and p-value over the trials in both; 1.0 where no shared trial separates them.

    Raises:
        ValueError: The agents share no trial.
    """
    from scipy.stats import binomtest

    shared = first.keys() & second.keys()
    if not shared:
        raise ValueError("the agents share no trial: run both on the same suite and task")
    only_first = sum(bool(first[trial]) and not second[trial] for trial in shared)
    only_second = sum(bool(second[trial]) and not first[trial] for trial in shared)
    discordant = only_first + only_second
    p_value = float(binomtest(only_first, discordant).pvalue) if discordant else 1.0
    return McNemar(len(shared), only_first, only_second, p_value)
