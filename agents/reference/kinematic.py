"""``kinematic``: DexWM's planner with perfect hand kinematics and the goal state's true hand.

It is the ceiling that perfect perception and prediction of the hand would give, and so it tells
whether the trials themselves are sound.
"""

from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from dexbench.agents.planning.waypoint_agent import WaypointAgent

from .goal import goal_of, hand_of


class KeypointPlanner(WaypointAgent):
    """Moves the hand's keypoints onto goal keypoints, by forward kinematics alone.

    The cost is the mean distance in metres of the 17 distinct keypoints to the goal's, in three
    dimensions, summed over the steps with the planner's step weights.
    """

    def goal_keypoints(self, obs: dict[str, NDArray[Any]]) -> Tensor | None:
        """Return the goal's keypoints ``(17, 3)`` in metres, camera frame, if they are known."""
        raise NotImplementedError

    def observe(self, obs: dict[str, NDArray[Any]]) -> Tensor | None:
        """Return the goal's keypoints ``(17, 3)``."""
        return self.goal_keypoints(obs)

    def plan(self, obs: dict[str, NDArray[Any]], mean: Tensor, std: Tensor) -> Tensor:
        """Optimise the waypoints ``(T, 23)`` in rad; without a goal hand hold the last target."""
        if self.goal_keypoints(obs) is None:
            return torch.as_tensor(np.asarray(obs["agent_target"], np.float32)).expand(
                len(mean), -1
            )
        return super().plan(obs, mean, std)

    def cost(self, sequences: Tensor, context: Tensor) -> Tensor:
        """Weighted distances ``(N,)`` of candidates ``(N, T, 23)`` to the goal."""
        return self.hand_distance(sequences, context)

    def goal_hand(self, context: Tensor) -> Tensor:
        """Return the goal's keypoints ``(17, 3)``."""
        return context


class Kinematic(KeypointPlanner):
    """Privileged: is told the goal state's true keypoints."""

    privileged = True

    def bind(self, env: Any) -> None:
        """Take the goal's true keypoints from the environment.

        Args:
            env: The unwrapped environment, after its reset.

        Raises:
            ValueError: As ``goal_of``.
        """
        self._goal = hand_of(goal_of(env))

    def goal_keypoints(self, obs: dict[str, NDArray[Any]]) -> Tensor:
        """Return the goal state's true keypoints ``(17, 3)``."""
        return self._goal
