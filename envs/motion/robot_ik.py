"""Inverse kinematics of the right arm from the robot's own table of links, without a scene."""

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.spatial.transform import Rotation

from dexbench.envs.embodiment.keypoints import ARM_JOINTS, N_ARM_JOINTS
from dexbench.envs.embodiment.kinematics import HandKinematics
from dexbench.envs.embodiment.robot import INIT_ARM, LOWER, UPPER

from .ik import IK, ITERATIONS, MARGIN, POSITION_TOLERANCE, ROTATION_TOLERANCE

NUDGE = 1e-6
"""Step of the differences that make the Jacobian, in rad."""
DAMPING = 1e-4
"""Damping of the least squares."""


class RobotIK(IK):
    """Finds arm joints that put the wrist at a pose; knows nothing but the robot."""

    def __init__(self) -> None:
        self._kinematics = HandKinematics(dtype=torch.float64)

    def wrist(self, arm: NDArray[np.float64]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Positions (..., 3) in m and rotations (..., 3, 3) of the wrist at arm joints (..., 7)."""
        pos, turn = self._kinematics.wrist(torch.from_numpy(arm))
        return pos.numpy(), turn.numpy()

    def solve(
        self, pos: NDArray[np.float64], turn: NDArray[np.float64], start: NDArray[np.float64]
    ) -> NDArray[np.float64] | None:
        """Arm joints (7,) in rad, or None where none was found."""
        low, high = LOWER[ARM_JOINTS] + MARGIN, UPPER[ARM_JOINTS] - MARGIN
        q = np.clip(start, low, high).astype(np.float64)
        for _ in range(ITERATIONS):
            batch = q + np.concatenate([np.zeros((1, N_ARM_JOINTS)), NUDGE * np.eye(N_ARM_JOINTS)])
            errors = _errors(*self.wrist(batch), pos, turn)
            error, jac = errors[0], (errors[0] - errors[1:]).T / NUDGE
            if (
                np.linalg.norm(error[:3]) < POSITION_TOLERANCE
                and np.linalg.norm(error[3:]) < ROTATION_TOLERANCE
            ):
                return q
            # The seventh joint is free to keep the posture near the robot's rest pose.
            rest = 0.05 * (INIT_ARM - q)
            damped = jac @ jac.T + DAMPING * np.eye(6)
            step = rest + jac.T @ np.linalg.solve(damped, error - jac @ rest)
            q = np.clip(q + np.clip(step, -0.3, 0.3), low, high)
        return None


def _errors(
    at: NDArray[np.float64],
    turned: NDArray[np.float64],
    pos: NDArray[np.float64],
    turn: NDArray[np.float64],
) -> NDArray[np.float64]:
    """Position (m) and rotation (rad) still to go, (n, 6), in the base frame."""
    rotation = Rotation.from_matrix(turn @ np.swapaxes(turned, -1, -2)).as_rotvec()
    return np.concatenate([pos - at, rotation], axis=-1)
