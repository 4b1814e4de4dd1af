"""``kinematic``: DexWM's planner with perfect hand kinematics and the goal state's true hand.

It is the ceiling that perfect perception and prediction of the hand would give, and so it tells
whether the trials themselves are sound.
"""

import math
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from dexbench.agents.planning.optimiser import Plan
from dexbench.agents.planning.planner_config import PlannerConfig
from dexbench.agents.planning.waypoint_agent import WaypointAgent

from .goal import goal_of, hand_of


class KeypointPlanner(WaypointAgent):
    """Moves the hand's keypoints onto goal keypoints, by forward kinematics alone.

    The cost is the mean distance in metres of the 17 distinct keypoints to the goal's, in three
    dimensions, summed over the steps with the planner's step weights. Without goal keypoints it
    holds.
    """

    def goal_keypoints(self, obs: dict[str, NDArray[Any]]) -> Tensor | None:
        """Return the goal's keypoints ``(17, 3)`` in m, camera frame; None if it knows none."""
        raise NotImplementedError

    def plan(self, obs: dict[str, NDArray[Any]], mean: Tensor, std: Tensor) -> Tensor:
        """As ``WaypointAgent``'s; without goal keypoints repeat the commanded targets."""
        if self.goal_keypoints(obs) is not None:
            return super().plan(obs, mean, std)
        target = torch.as_tensor(np.asarray(obs["agent_target"], np.float32))
        held = target.expand(len(mean), -1)
        self.last_plan = Plan(held, torch.zeros_like(held), held, math.nan, ())
        self.last_context = None
        return held

    def observe(self, obs: dict[str, NDArray[Any]]) -> Tensor | None:
        """Return the goal's keypoints ``(17, 3)``; None if it knows none."""
        return self.goal_keypoints(obs)

    def cost(self, sequences: Tensor, context: Tensor | None) -> Tensor:
        """Weighted distances ``(N,)`` of candidates ``(N, T, 23)`` to the goal.

        Without goal keypoints they are not a number.
        """
        if context is None:
            return torch.full((len(sequences),), math.nan)
        return self.hand_distance(sequences, context)

    def goal_hand(self, context: Tensor | None) -> Tensor | None:
        """Return the goal's keypoints ``(17, 3)``; None if it knows none."""
        return context


class Kinematic(KeypointPlanner):
    """Privileged: is told the goal state's true keypoints.

    Args:
        planner: As ``WaypointAgent``; "warm" if left out.
        overrides: As ``WaypointAgent``.
    """

    privileged = True

    def __init__(self, planner: str | PlannerConfig = "warm", **overrides: Any):
        super().__init__(planner, **overrides)

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
