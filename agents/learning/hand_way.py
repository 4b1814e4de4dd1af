"""The way of a hand within an action: what a world model is told of it."""

import torch
from torch import Tensor

from dexbench.envs.embodiment import camera
from dexbench.envs.embodiment.kinematics import HandKinematics

ASKED = 6
"""Moments of the way that a hand is asked to go, the first and the last among them."""
MOMENTS = 1 + ASKED
"""Moments of a way: where the hand is, then those of the way that it is asked to go. A hand that
presses on something is not where it was asked to be, and what it presses on goes another way."""


def straight(before: Tensor, after: Tensor) -> Tensor:
    """Return the straight way from keypoints to keypoints, ``(..., MOMENTS, 21, 3)``.

    Args:
        before: ``(..., 21, 3)``.
        after: The same, later.
    """
    asked = torch.lerp(before.unsqueeze(-3), after.unsqueeze(-3), _shares(before)[:, None, None])
    return torch.cat([before.unsqueeze(-3), asked], -3)


def commanded(kinematics: HandKinematics, hand: Tensor, before: Tensor, after: Tensor) -> Tensor:
    """Return the way that joint targets ask for, straight in joint space.

    It is another than the straight one: a wrist that turns goes on an arc.

    Args:
        kinematics: On the targets' device.
        hand: Where the hand is at first: keypoints ``(..., 21, 3)`` in m, camera frame.
        before: Joint targets ``(..., 23)`` in rad that led there.
        after: The next ones.

    Returns:
        Keypoints ``(..., MOMENTS, 21, 3)`` in m, camera frame.
    """
    joints = torch.lerp(before.unsqueeze(-2), after.unsqueeze(-2), _shares(before)[:, None])
    asked = camera.base_to_camera(kinematics.keypoints(joints))
    return torch.cat([hand.unsqueeze(-3), asked], -3)


def _shares(like: Tensor) -> Tensor:
    return torch.linspace(0, 1, ASKED, device=like.device, dtype=like.dtype)
