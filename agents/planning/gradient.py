"""Gradient descent over joint sequences, through forward kinematics and the world model."""

from dataclasses import dataclass

import torch

from dexbench.utils.errors import UserError

from .cem import noise
from .optimiser import Plan, Population, Problem, cheapest


@dataclass(frozen=True)
class GradientConfig:
    """Budget of one optimisation."""

    samples: int = 64
    """Draws from the initial distribution, the mean among them, that are tried once."""
    restarts: int = 8
    """The cheapest so many of them are descended from."""
    steps: int = 12
    """Steps of Adam."""
    rate: float = 0.2
    """Adam's learning rate in initial standard deviations, so that a joint that was not to
    stray far (the fingers that hold an object) moves as little as it would in CEM."""

    def __post_init__(self) -> None:
        if not 1 <= self.restarts <= self.samples or self.steps < 1 or self.rate <= 0:
            raise ValueError(
                f"the gradient planner needs 1 <= restarts <= samples, at least one step and a "
                f"rate above 0, got restarts {self.restarts}, samples {self.samples}, steps "
                f"{self.steps}, rate {self.rate}"
            )


def gradient(problem: Problem, config: GradientConfig) -> Plan:
    """Minimise the cost by Adam from several starts, all descended at once.

    After each step the joints are put back within their limits.

    Args:
        problem: Cost, initial distribution and limits.
        config: The budget.

    Returns:
        The plan; ``mean`` and ``best`` are both the cheapest sequence that was met.

    Raises:
        UserError: The cost has no gradient.
    """
    mean, std = problem.mean, problem.std
    draws = noise((config.samples, *mean.shape), problem.seed, problem.replan, 0).to(mean)
    draws[0] = 0.0
    candidates = problem.clip(mean + std * draws)
    costs = problem.evaluate(candidates)
    order = cheapest(costs, config.restarts)
    starts = Population(candidates, costs, order)
    unit = std.clamp(min=1e-6)  # a joint of no deviation stays where it is
    low, high = (problem.lower - mean) / unit, (problem.upper - mean) / unit
    offsets = ((candidates[order] - mean) / unit).requires_grad_()
    adam = torch.optim.Adam([offsets], lr=config.rate)
    elites, lowest = candidates[order], torch.full((config.restarts,), torch.inf).to(mean)
    progress = []
    for step in range(config.steps + 1):
        with torch.enable_grad():
            sequences = mean + std * offsets
            costs = problem.evaluate(sequences)
            # A candidate's cost depends on no other's, so the sum's slope is each one's own.
            total = costs.sum()
        better = costs.detach() < lowest
        lowest = torch.where(better, costs.detach(), lowest)
        elites = torch.where(better[:, None, None], sequences.detach(), elites)
        progress.append(float(lowest.mean()))
        if step == config.steps:
            break
        if not total.requires_grad:
            raise UserError(
                "this agent's cost has no gradient, so --planner gradient cannot plan with it; "
                "choose another planner"
            )
        (slope,) = torch.autograd.grad(total, offsets)
        offsets.grad = slope.nan_to_num(0.0, 0.0, 0.0)
        adam.step()
        with torch.no_grad():
            offsets.clamp_(low, high)
    order = cheapest(lowest, config.restarts)
    ends = Population(problem.clip(elites), lowest, order)
    elites = ends.candidates[order]
    spread = elites.std(0, correction=0)
    best, cost = elites[0], float(lowest.min())
    return Plan(best, spread, best, cost, tuple(progress), (starts, ends))
