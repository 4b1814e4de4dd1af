"""Rank order of agents, as far as trials that they share support one."""

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


def rank_groups(agents: Mapping[str, Successes], alpha: float = 0.05) -> list[list[str]]:
    """Group agents by rank, in an order that the data support.

    Agents are sorted by success rate, and the list is cut only where everyone above the cut is
    separated from everyone below it. So agents that are not separated share a group, and whoever
    is in an earlier group is ahead of all in later ones. "Not separated" does not carry over: of
    A, B, C the test may separate A from C, but B from neither. Then there is no place to cut,
    and all three share a group; that A is ahead of C is in `compare_pairs`.

    Args:
        agents: Successes of each agent.
        alpha: Level of all pairs together.

    Returns:
        Groups of names, the best first; within a group by success rate.

    Raises:
        ValueError: Two agents share no trial.
    """
    names = by_rate(agents)
    place = {name: index for index, name in enumerate(names)}
    groups: list[list[str]] = []
    start = 0
    open_pairs = [pair for pair in compare_pairs(agents) if not pair.separated(alpha)]
    for cut in range(1, len(names) + 1):
        if not any(place[pair.better] < cut <= place[pair.worse] for pair in open_pairs):
            groups.append(names[start:cut])
            start = cut
    return groups


def ranks(groups: Sequence[Sequence[str]]) -> dict[str, int]:
    """Return each agent's rank: one more than there are agents in the groups before its own."""
    rank_of: dict[str, int] = {}
    for group in groups:
        rank_of |= dict.fromkeys(group, len(rank_of) + 1)
    return rank_of
