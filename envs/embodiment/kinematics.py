"""Batched, differentiable forward kinematics of the right arm and hand, in torch.

The planner turns thousands of candidate joint vectors into hand keypoints (paper Eq. 2, App. B), so
the chain is evaluated for all of them, and for the four fingers, at once: 11 small steps instead of
23. MuJoCo is the oracle in the tests.
"""

from typing import Any

import torch
from torch import Tensor

from .keypoints import ARM_JOINTS, HAND_JOINTS, N_ARM_JOINTS
from .robot import ARM, FINGERS, HAND, PALM_POS, PALM_QUAT, TIP_LENGTH, WRIST_POS, Link, Vec


def rotation(quat: Vec) -> Tensor:
    """Return the 3x3 rotation matrix (float64) of a quaternion (w, x, y, z) of any length."""
    unit = torch.tensor(quat, dtype=torch.float64)
    w, x, y, z = unit / unit.norm()
    return torch.stack(
        [
            torch.stack([1 - 2 * (y * y + z * z), 2 * (x * y - w * z), 2 * (x * z + w * y)]),
            torch.stack([2 * (x * y + w * z), 1 - 2 * (x * x + z * z), 2 * (y * z - w * x)]),
            torch.stack([2 * (x * z - w * y), 2 * (y * z + w * x), 1 - 2 * (x * x + y * y)]),
        ]
    )


def _hinge(link: Link) -> Tensor:
    """Return matrices (3, 3, 3): the link's rotation at angle q is M0 + sin(q) M1 + cos(q) M2."""
    x, y, z = (float(v) for v in link.axis)
    cross = torch.tensor([[0, -z, y], [z, 0, -x], [-y, x, 0]], dtype=torch.float64)
    fixed = rotation(link.quat)  # Rodrigues' formula, after the body's fixed turn
    square = cross @ cross
    return torch.stack([fixed @ (torch.eye(3).double() + square), fixed @ cross, -fixed @ square])


class HandKinematics:
    """Joint angles to hand keypoints in the base frame.

    Args:
        device: Where the tables live; inputs must be on the same device.
        dtype: float32 agrees with MuJoCo within 1e-6 m, float64 within 1e-9 m.
    """

    def __init__(self, device: torch.device | str = "cpu", dtype: torch.dtype = torch.float32):
        fingers = [HAND[name] for name in FINGERS]

        def table(rows: list[Any]) -> Tensor:
            return torch.tensor(rows, dtype=torch.float64).to(device, dtype)

        self._arm_turn = torch.stack([_hinge(link) for link in ARM]).to(device, dtype)
        self._arm_pos = table([link.pos for link in ARM])
        self._turn = torch.stack([torch.stack([_hinge(link) for link in f]) for f in fingers])
        self._turn = self._turn.to(device, dtype)
        self._pos = table([[link.pos for link in f] for f in fingers])
        self._tips = table([[0, 0, TIP_LENGTH[name]] for name in FINGERS])
        self._wrist_pos = table(list(WRIST_POS))
        self._palm_pos = table(list(PALM_POS))
        self._palm_turn = rotation(PALM_QUAT).to(device, dtype)

    def wrist(self, q: Tensor) -> tuple[Tensor, Tensor]:
        """Position (..., 3) in m and rotation (..., 3, 3) of the wrist body in the base frame."""
        origins, frame = self._arm(q)
        return origins[-1], frame

    def keypoints(self, q: Tensor) -> Tensor:
        """Return the 21 hand keypoints, in the order of ``keypoints.KEYPOINTS``.

        Args:
            q: Joint angles (..., 23) in rad, in action order.

        Returns:
            Positions (..., 21, 3) in the base frame, in m.
        """
        wrist, frame = self.wrist(q)
        points, _ = self._fingers(q, wrist, frame)
        index, middle, ring, thumb = torch.stack(points, dim=-2).unbind(-3)
        return torch.cat([wrist[..., None, :], thumb, index, middle, ring, ring], dim=-2)

    def bones(self, q: Tensor) -> tuple[Tensor, Tensor]:
        """Return the straight lines along the arm, and along palm and fingers up to their tips.

        Args:
            q: Joint angles (..., 23) in rad, in action order.

        Returns:
            Ends in the base frame, in m: (..., 7, 2, 3) of the arm's from its first link to the
            wrist, and (..., 20, 2, 3) of the hand's, five of each finger, the first from the wrist.
        """
        origins, frame = self._arm(q)
        points, frames = self._fingers(q, origins[-1], frame)
        tips = points[-1] + (frames @ self._tips[..., None]).squeeze(-1)
        wrist = origins[-1][..., None, :].expand(tips.shape)
        arm, hand = torch.stack(origins, dim=-2), torch.stack([wrist, *points, tips], dim=-2)
        arm_bones, hand_bones = (
            torch.stack([line[..., :-1, :], line[..., 1:, :]], dim=-2) for line in (arm, hand)
        )
        return arm_bones, hand_bones.flatten(-4, -3)

    def _arm(self, q: Tensor) -> tuple[list[Tensor], Tensor]:
        """Origins (..., 3) of the arm's seven links and the wrist, and the wrist's rotation."""
        angles = q[..., ARM_JOINTS, None, None]
        sin, cos = angles.sin(), angles.cos()
        turns = self._arm_turn[:, 0] + sin * self._arm_turn[:, 1] + cos * self._arm_turn[:, 2]
        frame = turns[..., 0, :, :]
        origins = [self._arm_pos[0].expand(frame.shape[:-1])]
        for i in range(1, N_ARM_JOINTS):
            origins.append(origins[-1] + frame @ self._arm_pos[i])
            frame = frame @ turns[..., i, :, :]
        return [*origins, origins[-1] + frame @ self._wrist_pos], frame

    def _fingers(self, q: Tensor, wrist: Tensor, frame: Tensor) -> tuple[list[Tensor], Tensor]:
        """Origins (..., 4, 3) of the fingers' first to last links, and the last ones' rotations."""
        pos = (wrist + frame @ self._palm_pos)[..., None, :]
        frame = (frame @ self._palm_turn)[..., None, :, :]
        angles = q[..., HAND_JOINTS].unflatten(-1, (4, 4))[..., None, None]
        turns = (
            self._turn[:, :, 0]
            + angles.sin() * self._turn[:, :, 1]
            + angles.cos() * self._turn[:, :, 2]
        )
        points = []
        for i in range(4):
            pos = pos + (frame @ self._pos[:, i, :, None]).squeeze(-1)
            frame = frame @ turns[..., i, :, :]
            points.append(pos)
        return points, frame
