"""Intervals and tests for success counts.

scipy.stats takes over a second to import, so it is imported when a number is asked for.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import sqrt


def wilson(successes: int, trials: int, confidence: float = 0.95) -> tuple[float, float]:
    """Return the Wilson score interval of a success rate.

    At 50 trials and rates of 2, 3, ... 98% its coverage is 0.951 on average and at least 0.922,
    where the normal approximation's falls to 0.64. Next to 0 and 100% it dips to 0.84.

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

    @property
    def gap(self) -> float:
        """The first agent's success rate less the second's, over the shared trials."""
        return (self.only_first - self.only_second) / self.shared

    def interval(self, confidence: float = 0.95) -> tuple[float, float]:
        """Return the interval of the difference between the two success rates, paired.

        It is Wald's after a discordant trial more on either side (Bonett and Price, 2012). At 20
        trials its coverage is 0.960 on average and at least 0.928; the plain one's is 0 where no
        trial separates the agents. It is no inversion of the test, so near the level one may
        separate agents and the other not.

        Args:
            confidence: Nominal coverage.

        Returns:
            (low, high) about the `gap`, shrunk a little towards 0; each in [-1, 1].
        """
        same = self.shared - self.only_first - self.only_second
        differences = [1.0] * self.only_first + [-1.0] * self.only_second + [0.0] * same
        return paired_interval(differences, confidence)


def paired_interval(differences: Sequence[float], confidence: float = 0.95) -> tuple[float, float]:
    """Return the interval of a mean difference of paired trials.

    It is Wald's after one trial more that differs by 1 on either side (Bonett and Price, 2012),
    which keeps it from shrinking to a point where no trial differs. Of trials that were played
    several times the differences are between means: at 20 trials of 3 plays its coverage is 0.98
    to 0.99, so it is wider then than need be.

    Args:
        differences: Of each trial the first agent's success less the second's, in [-1, 1].
        confidence: Nominal coverage.

    Returns:
        (low, high) about the mean, shrunk a little towards 0; each in [-1, 1].
    """
    from scipy.stats import norm

    count = len(differences) + 2
    middle = sum(differences) / count
    spread = (sum(value**2 for value in differences) + 2) / count - middle**2
    half = norm.ppf((1 + confidence) / 2) * sqrt(spread / count)
    return max(-1.0, float(middle - half)), min(1.0, float(middle + half))


def mcnemar(first: Mapping[int, bool], second: Mapping[int, bool]) -> McNemar:
    """Compare two agents on the same trials.

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


@dataclass(frozen=True)
class SuccessCurve:
    """Success rate against the threshold of the criterion."""

    thresholds: tuple[float, ...]
    """In metres."""
    rate: tuple[float, ...]
    """Share of trials that succeed against each threshold."""
    low: tuple[float, ...]
    """Lower end of the 95% Wilson interval at each threshold; a band of single intervals."""
    high: tuple[float, ...]
    """Upper end."""


def success_curve(
    held_distances: Sequence[float | None], thresholds: Sequence[float]
) -> SuccessCurve:
    """Return the share of trials that would have succeeded, had the threshold been another.

    Args:
        held_distances: Of each trial, the smallest distance kept within for long enough to
            count [m]; None where no threshold would have made it a success.
        thresholds: In metres.

    Returns:
        The curve: a trial succeeds against every threshold above its held distance.

    Raises:
        ValueError: There is no trial.
    """
    trials = len(held_distances)
    kept = [distance for distance in held_distances if distance is not None]
    counts = [sum(distance < threshold for distance in kept) for threshold in thresholds]
    bands = {count: wilson(count, trials) for count in set(counts)}
    return SuccessCurve(
        tuple(thresholds),
        tuple(count / trials for count in counts),
        tuple(bands[count][0] for count in counts),
        tuple(bands[count][1] for count in counts),
    )
