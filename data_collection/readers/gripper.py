"""A hand in place of a parallel-jaw gripper: keypoints on circles (paper C.2 and Figure 11)."""

import numpy as np
from numpy.typing import NDArray
from scipy.spatial.transform import Rotation

from .sample import RIGHT

OPEN_RADII = (0.03, 0.04, 0.05, 0.06)
"""Radii in m of the circles of an open gripper, from a finger's first joint to its tip."""
CLOSED_RADII = (0.03, 0.04, 0.035, 0.03)
"""Radii in m of a closed one: the fingers bend back."""
HALF_CLOSED = 0.5
"""Gripper positions below it are open ones; 0 is wide open, 1 closed."""


def gripper_hands(
    effector: NDArray[np.float64], gripper: NDArray[np.float64]
) -> NDArray[np.float32]:
    """Return two hands of which the right one stands for a gripper.

    The wrist is the end effector. Five fingers point away from it, evenly around its own z axis, so
    that they turn with it. The release leaves them in the robot's plane, where a turning hand has
    no action.

    Args:
        effector: Poses ``(n, 4, 4)`` of the end effector in the world.
        gripper: Positions ``(n,)``, 0 open to 1 closed.

    Returns:
        ``(n, 2, 21, 3)`` in m in the world frame; the left hand is absent, its keypoints zeros.
    """
    angles = 2 * np.pi * np.arange(5) / 5
    spokes = np.stack([np.cos(angles), np.sin(angles), np.zeros(5)], 1)
    radii = np.where(gripper[:, None] < HALF_CLOSED, OPEN_RADII, CLOSED_RADII)
    points = (spokes[:, None] * radii[:, None, :, None]).reshape(-1, 20, 3)
    hands = np.zeros((len(effector), 2, 21, 3))
    hands[:, RIGHT, 0] = effector[:, :3, 3]
    hands[:, RIGHT, 1:] = points @ effector[:, :3, :3].swapaxes(1, 2) + effector[:, None, :3, 3]
    return hands.astype(np.float32)


def poses_of(numbers: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return poses ``(n, 4, 4)`` of DROID's six numbers ``(n, 6)``.

    The numbers are a position in m, and Euler angles about the fixed axes x, y, z in rad.
    """
    poses = np.tile(np.eye(4), (len(numbers), 1, 1))
    poses[:, :3, :3] = Rotation.from_euler("xyz", numbers[:, 3:]).as_matrix()
    poses[:, :3, 3] = numbers[:, :3]
    return poses
