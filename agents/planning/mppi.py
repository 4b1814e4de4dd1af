"""Model predictive path integral control (MPPI) over joint sequences, iterated as CEM is.

It differs from CEM in the refit alone: the cheaper an elite, the more it weighs.
"""

from dataclasses import dataclass

from torch import Tensor

from .cem import CEMConfig, refine
from .optimiser import Plan, Problem


@dataclass(frozen=True)
class MPPIConfig(CEMConfig):
    """CEM's budget, and how sharply the elites weigh."""

    elites: int = 20
    """K, candidates that form the next distribution."""
    temperature: float = 1.0
    """An elite weighs exp(-cost / temperature); in standard deviations of the elites' costs, so
    that it does not depend on the cost's unit."""

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.temperature <= 0:
            raise ValueError(f"MPPI needs a temperature above 0, got {self.temperature}")


def mppi(problem: Problem, config: MPPIConfig) -> Plan:
    """Minimise the cost over joint sequences.

    Args:
        problem: Cost, initial distribution and limits.
        config: Budget and temperature.

    Returns:
        The plan; ``mean`` and ``std`` are weighted as the refit is.
    """

    def refit(elites: Tensor, costs: Tensor) -> tuple[Tensor, Tensor]:
        """Weigh elites ``(K, T, 23)`` in rad by their costs ``(K,)``."""
        finite = costs[costs.isfinite()]
        # Costs that are all equal, or infinite, have no spread; any will do.
        spread = float(finite.std(correction=0)) if len(finite) else 0.0
        scale = config.temperature * (spread or 1.0)
        # Where no cost is finite their difference is no number, and all weigh the same.
        excess = (costs - costs[0]).nan_to_num(0.0, posinf=float("inf"))
        weights = (-excess / scale).softmax(0)[:, None, None]
        mean = (weights * elites).sum(0)
        return mean, (weights * (elites - mean).square()).sum(0).sqrt()

    return refine(problem, config, refit)
