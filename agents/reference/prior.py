"""``prior``: plays CEM's initial mean; a planner that does not beat it has added nothing."""

from typing import Any

from numpy.typing import NDArray
from torch import Tensor

from dexbench.agents.planning.waypoint_agent import WaypointAgent


class Prior(WaypointAgent):
    """Holds the target; in grasp it plays the fixed dummy sequence."""

    @property
    def planner_name(self) -> None:
        """None: it plans nothing."""
        return None

    def plan(self, obs: dict[str, NDArray[Any]], mean: Tensor, std: Tensor) -> Tensor:
        """Return the initial mean ``(T, 23)`` in rad."""
        return mean
