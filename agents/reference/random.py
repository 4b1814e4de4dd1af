"""``random``: plays one draw from CEM's initial distribution; the planner without its planning."""

from typing import Any

from numpy.typing import NDArray
from torch import Tensor

from dexbench.agents.planning.cem import noise
from dexbench.agents.planning.waypoint_agent import WaypointAgent


class Random(WaypointAgent):
    """One draw per planning step, clipped to the joint limits."""

    @property
    def planner_name(self) -> None:
        """None: it plans nothing."""
        return None

    def plan(self, obs: dict[str, NDArray[Any]], mean: Tensor, std: Tensor) -> Tensor:
        """Draw the waypoints ``(T, 23)`` in rad."""
        draws = noise(tuple(mean.shape), self.seed, self.replan, 0)
        return (mean + std * draws).clamp(self.lower, self.upper)
