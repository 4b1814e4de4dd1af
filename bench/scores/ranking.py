"""Ranks of agents, by the trials that they share."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations

from .statistics import McNemar, mcnemar

Successes = Mapping[int, bool]
"""Success by trial number."""


@dataclass(frozen=True)
class Pair:
    """Two agents compared on the trials that both played."""

    better: str
    """The agent with the higher success rate, or the first by name."""
    worse: str
    test: McNemar
    """Exact McNemar test; ``better`` comes first."""
    holm: float
    """The test's p-value, corrected by Holm for the number of pairs."""

    def separated(self, alpha: float = 0.05) -> bool:
        """Return whether the better agent is ahead beyond chance."""
        return self.holm <= alpha and self.test.only_first > self.test.only_second


def holm(p_values: Sequence[float]) -> list[float]:
    """Correct p-values so that, with all together, one false alarm stays as rare as the level.

    Args:
        p_values: Of all tests that are made.

    Returns:
        The corrected p-values in the same order, at most 1 (Holm's step-down method).
    """
    corrected = [0.0] * len(p_values)
    largest = 0.0
    for step, index in enumerate(sorted(range(len(p_values)), key=p_values.__getitem__)):
        largest = max(largest, min(1.0, (len(p_values) - step) * p_values[index]))
        corrected[index] = largest
    return corrected


def by_rate(agents: Mapping[str, Successes]) -> list[str]:
    """Return the agents' names, highest success rate first, then by name."""
    rates = {name: sum(solved.values()) / len(solved) for name, solved in agents.items()}
    return sorted(agents, key=lambda name: (-rates[name], name))


def compare_pairs(agents: Mapping[str, Successes]) -> list[Pair]:
    """Compare every two agents.

    Args:
        agents: Successes of each agent.

    Returns:
        All pairs, in the order of `by_rate`.

    Raises:
        ValueError: Two of them share no trial.
    """
    names = list(combinations(by_rate(agents), 2))
    tests = [mcnemar(agents[better], agents[worse]) for better, worse in names]
    corrected = holm([test.p_value for test in tests])
    return [
        Pair(better, worse, test, p_value)
        for (better, worse), test, p_value in zip(names, tests, corrected, strict=True)
    ]


def ranks(agents: Mapping[str, Successes], alpha: float = 0.05) -> dict[str, int]:
    """Rank agents: one more than there are agents that are significantly better.

    "Not separated" does not carry over. Of A, B, C the test may separate A from C, but B from
    neither. Then A and B have rank 1, and C has rank 2: only A is ahead of it.

    Args:
        agents: Successes of each agent.
        alpha: Level of all pairs together.

    Returns:
        The rank of each agent; by rank, then in the order of `by_rate`.

    Raises:
        ValueError: Two agents share no trial.
    """
    rank = dict.fromkeys(by_rate(agents), 1)
    for pair in compare_pairs(agents):
        rank[pair.worse] += pair.separated(alpha)
    return dict(sorted(rank.items(), key=lambda item: item[1]))
