"""What every optimiser of waypoints is given, and what it gives back."""

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

Cost = Callable[[Tensor], Tensor]
"""Maps candidate sequences (N, T, 23) in rad to costs (N,)."""


@dataclass(frozen=True)
class Problem:
    """One optimisation over joint sequences."""

    cost: Cost
    """What to minimise; it is given many candidates at once."""
    mean: Tensor
    """``(T, 23)`` initial mean in rad."""
    std: Tensor
    """``(T, 23)`` initial standard deviation in rad."""
    lower: Tensor
    """``(23,)`` lower joint limits in rad."""
    upper: Tensor
    """``(23,)`` upper joint limits in rad."""
    seed: int
    """The trial's seed."""
    replan: int = 0
    """Which planning step of the trial this is; each has its own noise."""

    def evaluate(self, candidates: Tensor) -> Tensor:
        """Return costs ``(N,)`` of candidates ``(N, T, 23)``.

        One that is not a number is infinite.
        """
        costs = self.cost(candidates).to(self.mean)
        return torch.where(costs.isnan(), torch.inf, costs)

    def clip(self, candidates: Tensor) -> Tensor:
        """Return the candidates ``(..., 23)`` within the joint limits."""
        return candidates.clamp(self.lower, self.upper)


@dataclass(frozen=True)
class Population:
    """Candidates that were tried together."""

    candidates: Tensor
    """``(N, T, 23)`` within the joint limits."""
    costs: Tensor
    """``(N,)`` what they cost."""
    elites: Tensor
    """``(K,)`` indices of those that the search went on with, cheapest first."""


@dataclass(frozen=True)
class Plan:
    """What an optimisation found; all sequences are within the joint limits."""

    mean: Tensor
    """``(T, 23)`` mean of the last elites."""
    std: Tensor
    """``(T, 23)`` their population standard deviation."""
    best: Tensor
    """``(T, 23)`` the cheapest candidate of all iterations."""
    best_cost: float
    """Its cost."""
    elite_costs: tuple[float, ...]
    """Mean cost of the elites in each iteration."""
    populations: tuple[Population, ...] = ()
    """What each iteration tried; of a descent its starts and its ends."""


def cheapest(costs: Tensor, count: int) -> Tensor:
    """Return indices of the ``count`` lowest of ``(N,)`` costs, cheapest first.

    The sort is stable: among equal costs the earlier candidate wins, on every device.
    """
    return costs.argsort(stable=True)[:count]
