"""What a privileged agent is told of a trial's goal."""

from typing import Any

import numpy as np
import torch
from torch import Tensor

from dexbench.envs.embodiment import camera
from dexbench.envs.embodiment.keypoints import DISTINCT
from dexbench.envs.tasks import Goal


def goal_of(env: Any) -> Goal:
    """Return the goal of an environment's present trial.

    Args:
        env: The unwrapped environment, after its reset.

    Raises:
        ValueError: The environment has no goal yet.
    """
    if env.goal is None:
        raise ValueError("the environment has no goal yet: call its reset before bind")
    goal: Goal = env.goal
    return goal


def hand_of(goal: Goal) -> Tensor:
    """Return the goal's true keypoints ``(17, 3)`` float32 in m, camera frame."""
    points = camera.base_to_camera(np.asarray(goal.keypoints, np.float32))
    return torch.from_numpy(points[list(DISTINCT)])
