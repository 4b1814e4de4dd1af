"""The cross-entropy method over joint sequences (paper App. B)."""

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

from ...envs.seeding import rng

Cost = Callable[[Tensor], Tensor]
"""Maps candidate sequences (N, T, 23) in rad to costs (N,)."""


@dataclass(frozen=True)
class CEMConfig:
    """Budget of one optimisation, in the paper's letters.

    Attributes:
        samples: N, candidates per iteration.
        elites: K, candidates that form the next distribution.
        iterations: L, refinements of the distribution.
    """

    samples: int = 64
    elites: int = 10
    iterations: int = 6

    def __post_init__(self) -> None:
        if not 1 <= self.elites <= self.samples or self.iterations < 1:
            raise ValueError(
                f"CEM needs 1 <= elites <= samples and at least one iteration, got elites "
                f"{self.elites}, samples {self.samples}, iterations {self.iterations}"
            )


@dataclass(frozen=True)
class CEMResult:
    """What an optimisation found.

    Attributes:
        mean: ``(T, 23)`` mean of the last elites.
        std: ``(T, 23)`` their population standard deviation.
        best: ``(T, 23)`` the cheapest candidate of all iterations.
        best_cost: Its cost.
        elite_costs: Mean cost of the elites in each iteration.
    """

    mean: Tensor
    std: Tensor
    best: Tensor
    best_cost: float
    elite_costs: tuple[float, ...]


def noise(shape: tuple[int, ...], seed: int, replan: int, iteration: int) -> Tensor:
    """Standard normal float32 noise; drawn by numpy, so it is the same on every device."""
    return torch.from_numpy(
        rng(seed, "cem", replan, iteration).standard_normal(shape, dtype="float32")
    )


def cem(
    cost: Cost,
    mean: Tensor,
    std: Tensor,
    lower: Tensor,
    upper: Tensor,
    seed: int,
    replan: int = 0,
    config: CEMConfig | None = None,
) -> CEMResult:
    """Minimises ``cost`` over joint sequences.

    Each iteration draws N candidates from the Gaussian, clips them to the joint limits, evaluates
    them, and refits mean and population standard deviation to the K cheapest.

    Args:
        cost: Evaluates the whole population; a cost that is not a number counts as infinite.
        mean: ``(T, 23)`` initial mean in rad.
        std: ``(T, 23)`` initial standard deviation in rad.
        lower: ``(23,)`` lower joint limits in rad.
        upper: ``(23,)`` upper joint limits in rad.
        seed: The trial's seed.
        replan: Which planning step of the trial this is; each has its own noise.
        config: The budget.

    Returns:
        Mean and best sequence, both within the limits.
    """
    config = config or CEMConfig()
    best, best_cost, elite_costs = mean, float("inf"), []
    for iteration in range(config.iterations):
        draws = noise((config.samples, *mean.shape), seed, replan, iteration).to(mean)
        candidates = (mean + std * draws).clamp(lower, upper)
        costs = cost(candidates).to(mean)
        costs = torch.where(costs.isnan(), torch.inf, costs)
        # A stable sort: among equal costs the earlier candidate wins, on every device.
        order = costs.argsort(stable=True)[: config.elites]
        elites = candidates[order]
        mean, std = elites.mean(0), elites.std(0, correction=0)
        if float(costs[order[0]]) < best_cost:
            best, best_cost = candidates[order[0]], float(costs[order[0]])
        elite_costs.append(float(costs[order].mean()))
    return CEMResult(mean, std, best, best_cost, tuple(elite_costs))


def in_tiles(function: Cost, sequences: Tensor, tile: int) -> Tensor:
    """Applies ``function`` to tiles of exactly ``tile`` candidates and joins the answers.

    One shape means one code path in the matrix kernels, whatever the population; a tile of about
    64 also keeps activations in the cache. The last tile is filled by repeating its last candidate.

    Args:
        function: Maps ``(tile, ...)`` to ``(tile, ...)``.
        sequences: ``(N, ...)``.
        tile: Candidates per call.

    Returns:
        ``(N, ...)``.
    """
    count = len(sequences)
    missing = -count % tile
    padded = torch.cat([sequences, sequences[-1:].expand(missing, *sequences.shape[1:])])
    return torch.cat([function(part) for part in padded.split(tile)])[:count]
