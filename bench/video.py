"""Videos of trials."""

import numpy as np

from ..envs.video import write_video

__all__ = ["beside_goal", "write_video"]


def beside_goal(obs: dict[str, np.ndarray]) -> np.ndarray:
    """(224, 784, 3) uint8: what the robot sees, left, and the goal, right."""
    return np.concatenate([obs["pixels"], obs["goal"]], axis=1)
