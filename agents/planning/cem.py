"""The cross-entropy method over joint sequences (paper App. B)."""

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

from dexbench.utils.seeding import rng

from .optimiser import Cost, Plan, Population, Problem, cheapest

Refit = Callable[[Tensor, Tensor], tuple[Tensor, Tensor]]
"""Elites and their costs to the next mean and standard deviation."""


@dataclass(frozen=True)
class CEMConfig:
    """Budget of one optimisation, in the paper's letters."""

    samples: int = 64
    """N, candidates per iteration."""
    elites: int = 10
    """K, candidates that form the next distribution."""
    iterations: int = 6
    """L, refinements of the distribution."""

    def __post_init__(self) -> None:
        if not 1 <= self.elites <= self.samples or self.iterations < 1:
            raise ValueError(
                "the planner needs 1 <= elites <= samples and at least one iteration, got elites "
                f"{self.elites}, samples {self.samples}, iterations {self.iterations}"
            )


def noise(shape: tuple[int, ...], seed: int, replan: int, iteration: int) -> Tensor:
    """Draw standard normal noise, by numpy, so that it is the same on every device.

    Args:
        shape: Of the noise, such as ``(N, T, 23)``.
        seed: The trial's.
        replan: Which planning step of the trial.
        iteration: Which iteration of the optimiser.

    Returns:
        ``shape`` float32, in standard deviations.
    """
    return torch.from_numpy(
        rng(seed, "cem", replan, iteration).standard_normal(shape, dtype="float32")
    )


def cem(problem: Problem, config: CEMConfig) -> Plan:
    """Minimise the cost over joint sequences.

    Each iteration draws N candidates from the Gaussian, clips them to the joint limits, evaluates
    them, and refits mean and population standard deviation to the K cheapest.

    Args:
        problem: Cost, initial distribution and limits.
        config: The budget.

    Returns:
        The plan; ``mean`` is that of the last elites.
    """
    return refine(problem, config, lambda elites, _: (elites.mean(0), elites.std(0, correction=0)))


def refine(problem: Problem, budget: CEMConfig, refit: Refit) -> Plan:
    """Sample, evaluate and refit, again and again.

    Args:
        problem: Cost, initial distribution and limits.
        budget: Samples, elites and iterations.
        refit: Makes mean and standard deviation of the elites ``(K, T, 23)``, cheapest first, and
            their costs ``(K,)``.

    Returns:
        The plan; ``mean`` and ``std`` are those of the last refit.
    """
    mean, std = problem.mean, problem.std
    best, best_cost, populations = mean, float("inf"), []
    for iteration in range(budget.iterations):
        draws = noise((budget.samples, *mean.shape), problem.seed, problem.replan, iteration)
        candidates = problem.clip(mean + std * draws.to(mean))
        costs = problem.evaluate(candidates)
        order = cheapest(costs, budget.elites)
        elites, lowest = candidates[order], costs[order]
        mean, std = refit(elites, lowest)
        if float(lowest[0]) < best_cost:
            best, best_cost = elites[0], float(lowest[0])
        populations.append(Population(candidates, costs, order))
    elite_costs = tuple(float(tried.costs[tried.elites].mean()) for tried in populations)
    return Plan(mean, std, best, best_cost, elite_costs, tuple(populations))


def in_tiles(function: Cost, sequences: Tensor, tile: int) -> Tensor:
    """Apply ``function`` to tiles of exactly ``tile`` candidates and join the answers.

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
