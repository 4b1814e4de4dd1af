"""``prior``: plays CEM's initial mean; a planner that does not beat it has added nothing."""

import numpy as np
from torch import Tensor

from dexbench.agents.planning.waypoint_agent import WaypointAgent


class Prior(WaypointAgent):
    """Holds the target in reach and place, play the fixed dummy sequence in grasp."""

    def plan(self, obs: dict[str, np.ndarray], mean: Tensor, std: Tensor) -> Tensor:
        """Return the initial mean ``(T, 23)`` in rad."""
        return mean
