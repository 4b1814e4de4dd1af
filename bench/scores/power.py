"""How small a gap between two agents a number of trials can show.

Printed under every comparison, so that nobody takes "not separated" for "equal".
"""

from collections.abc import Callable


def smallest_difference(
    trials: int, power: float = 0.8, alpha: float = 0.05, only_worse: float = 0.0
) -> float | None:
    """Return the smallest gap in success rate that the exact McNemar test shows on paired trials.

    The gap alone does not fix the answer: what the worse agent solves alone counts against it.
    The assumption is that trials are independent and that the worse agent alone solves a share
    ``only_worse`` of them, so that the better alone solves that share plus the gap. At 0, what
    the worse agent solves the better one solves too, and the result is the best that pairing
    can do: no smaller gap can be relied on.

    Args:
        trials: Number of trials that both agents play.
        power: Probability with which the test is to find the better agent ahead.
        alpha: Two-sided level of the test.
        only_worse: Share of trials that only the worse agent solves, at least 0, below 1/2.

    Returns:
        The gap between the two success rates in (0, 1]; None if no gap can be shown.
    """
    from scipy.stats import binom

    counts = range(trials + 1)

    def shown_rate(gap: float) -> float:
        # Of m discordant trials the better agent must win more than the critical number.
        discordant = min(gap + 2 * only_worse, 1.0)
        share = min((gap + only_worse) / discordant, 1.0)
        wins = binom.sf(binom.isf(alpha / 2, counts, 0.5), counts, share)
        return float((binom.pmf(counts, trials, discordant) * wins).sum())

    return _least_gap(shown_rate, power, 1 - 2 * only_worse)


def smallest_unpaired_difference(
    trials: int, power: float = 0.8, alpha: float = 0.05
) -> float | None:
    """Return the smallest gap in success rate that Fisher's exact test shows without pairing.

    Here the agents play different trials, as many each, and the gap lies evenly about a rate of
    1/2, where it is hardest to see.

    Args:
        trials: Number of trials of each agent.
        power: Probability with which the test is to find the better agent ahead.
        alpha: Two-sided level of the test.

    Returns:
        The gap between the two success rates in (0, 1]; None if no gap can be shown.
    """
    import numpy as np
    from scipy.stats import binom, hypergeom

    better, worse = np.ogrid[: trials + 1, : trials + 1]
    # With equal numbers of trials Fisher's two-sided p-value is twice that of one side, which is
    # summed here at once for all wins (rows) and totals (columns).
    share = hypergeom.pmf(better, 2 * trials, trials, np.arange(2 * trials + 1))
    tail = share[::-1].cumsum(axis=0)[::-1]
    shown = (2 * tail[better, better + worse] <= alpha) & (better > worse)

    def shown_rate(gap: float) -> float:
        ahead = binom.pmf(better, trials, (1 + gap) / 2) * binom.pmf(worse, trials, (1 - gap) / 2)
        return float(ahead[shown].sum())

    return _least_gap(shown_rate, power, 1.0)


def _least_gap(shown_rate: Callable[[float], float], power: float, largest: float) -> float | None:
    """Return where the ``shown_rate``, which grows with the gap, reaches ``power``.

    None if it reaches it nowhere.
    """
    from scipy.optimize import brentq

    if shown_rate(largest) < power:
        return None
    # A gap of 0 is shown so rarely, at most at the level, that the root lies in between.
    return float(brentq(lambda gap: shown_rate(gap) - power, 1e-9, largest, xtol=1e-6))
