"""The way of a hand within an action: what a world model is told of it."""

import torch
from torch import Tensor

from dexbench.envs.embodiment import camera
from dexbench.envs.embodiment.kinematics import HandKinematics

MOMENTS = 6
"""Moments of a way, the first and the last among them."""


def straight(before: Tensor, after: Tensor) -> Tensor:
    """Return the straight way from keypoints to keypoints, ``(..., MOMENTS, 21, 3)``.

    Args:
        before: ``(..., 21, 3)``.
        after: The same, later.
    """
    shares = torch.linspace(0, 1, MOMENTS, device=before.device, dtype=before.dtype)
    return torch.lerp(before.unsqueeze(-3), after.unsqueeze(-3), shares[:, None, None])


def commanded(kinematics: HandKinematics, before: Tensor, after: Tensor) -> Tensor:
    """Return the way that joint targets ask for, straight in joint space.

    It is another than the straight one: a wrist that turns goes on an arc.

    Args:
        kinematics: On the targets' device.
        before: Joint targets ``(..., 23)`` in rad.
        after: The same, later.

    Returns:
        Keypoints ``(..., MOMENTS, 21, 3)`` in m, camera frame.
    """
    shares = torch.linspace(0, 1, MOMENTS, device=before.device, dtype=before.dtype)
    joints = torch.lerp(before.unsqueeze(-2), after.unsqueeze(-2), shares[:, None])
    return camera.base_to_camera(kinematics.keypoints(joints))
