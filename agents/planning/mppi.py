"""Model predictive path integral control (MPPI) over joint sequences, iterated as CEM is.

It differs from CEM in the refit alone: the cheaper an elite, the more it weighs.
"""

from dataclasses import dataclass

from .cem import noise
from .optimiser import Plan, Problem, cheapest


@dataclass(frozen=True)
class MPPIConfig:
    """Budget of one optimisation, and how sharply it weighs.

    Attributes:
        samples: Candidates per iteration.
        elites: The cheapest of them, which form the next distribution.
        iterations: Refinements of the distribution.
        temperature: An elite weighs exp(-cost / temperature); in standard deviations of the
            elites' costs, so that it does not depend on the cost's unit.
    """

    samples: int = 64
    elites: int = 20
    iterations: int = 6
    temperature: float = 1.0

    def __post_init__(self) -> None:
        if not 1 <= self.elites <= self.samples or self.iterations < 1 or self.temperature <= 0:
            raise ValueError(
                f"MPPI needs 1 <= elites <= samples, at least one iteration and a temperature "
                f"above 0, got elites {self.elites}, samples {self.samples}, iterations "
                f"{self.iterations}, temperature {self.temperature}"
            )


def mppi(problem: Problem, config: MPPIConfig) -> Plan:
    """Minimises the cost over joint sequences.

    Args:
        problem: Cost, initial distribution and limits.
        config: Budget and temperature.

    Returns:
        The plan; ``mean`` and ``std`` are weighted as the refit is.
    """
    mean, std = problem.mean, problem.std
    best, best_cost, elite_costs = mean, float("inf"), []
    for iteration in range(config.iterations):
        draws = noise((config.samples, *mean.shape), problem.seed, problem.replan, iteration)
        candidates = problem.clip(mean + std * draws.to(mean))
        costs = problem.evaluate(candidates)
        order = cheapest(costs, config.elites)
        elites, lowest = candidates[order], costs[order]
        finite = lowest[lowest.isfinite()]
        # Costs that are all equal, or infinite, have no spread; any will do.
        spread = float(finite.std(correction=0)) if len(finite) else 0.0
        scale = config.temperature * (spread or 1.0)
        # Where no cost is finite their difference is no number, and all weigh the same.
        excess = (lowest - lowest[0]).nan_to_num(0.0, posinf=float("inf"))
        weights = (-excess / scale).softmax(0)[:, None, None]
        mean = (weights * elites).sum(0)
        std = (weights * (elites - mean).square()).sum(0).sqrt()
        if float(lowest[0]) < best_cost:
            best, best_cost = elites[0], float(lowest[0])
        elite_costs.append(float(lowest.mean()))
    return Plan(mean, std, best, best_cost, tuple(elite_costs))
