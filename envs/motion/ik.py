"""Inverse kinematics of the right arm by damped least squares on MuJoCo's Jacobian."""

from abc import ABC, abstractmethod

import mujoco
import numpy as np
from numpy.typing import NDArray

from dexbench.envs.embodiment.keypoints import ARM_JOINTS
from dexbench.envs.embodiment.robot import INIT_ARM, LOWER, UPPER
from dexbench.envs.simulation import WRIST_BODY, Simulation

from .linear import solve

POSITION_TOLERANCE = 2e-3
"""Largest wrist position error in m of a solution."""
ROTATION_TOLERANCE = 0.02
"""Largest wrist rotation error in rad of a solution."""
MARGIN = 0.03
"""Solutions keep this far from the joint limits, in rad."""
ITERATIONS = 60
"""Steps after which a pose is given up."""


class IK(ABC):
    """Finds arm joints that put the wrist body at poses in the base frame."""

    @abstractmethod
    def solve(
        self, pos: NDArray[np.float64], turn: NDArray[np.float64], start: NDArray[np.float64]
    ) -> NDArray[np.float64] | None:
        """Arm joints (7,) in rad, or None where none was found.

        Args:
            pos: Wrist position (3,) in the base frame, in m.
            turn: Wrist rotation (3, 3) in the base frame.
            start: Arm joints (7,) to start from; the solution found is one near them.
        """

    def line(
        self,
        points: NDArray[np.float64],
        turn: NDArray[np.float64],
        start: NDArray[np.float64],
        jump: float = 0.5,
    ) -> NDArray[np.float64] | None:
        """Arm joints (n, 7) that take the wrist through points (n, 3) at one rotation.

        None if a point cannot be reached or two neighbours differ by over ``jump`` rad in a joint.
        """
        path: list[NDArray[np.float64]] = []
        for point in points:
            q = self.solve(point, turn, path[-1] if path else start)
            if q is None or (path and np.abs(q - path[-1]).max() > jump):
                return None
            path.append(q)
        return np.array(path)


class ArmIK(IK):
    """Finds them in a scene.

    Args:
        simulation: The scene; its state is not touched.
    """

    def __init__(self, simulation: Simulation):
        self._sim = simulation
        self._data = mujoco.MjData(simulation.model)
        self._data.qpos[:] = simulation.data.qpos
        self._body = simulation.model.body(WRIST_BODY).id
        self._dofs = simulation.dofs[ARM_JOINTS]
        self._jacobian = np.zeros((6, simulation.model.nv))
        mujoco.mj_kinematics(simulation.model, self._data)
        self._turn = simulation.base_turn()

    def solve(
        self, pos: NDArray[np.float64], turn: NDArray[np.float64], start: NDArray[np.float64]
    ) -> NDArray[np.float64] | None:
        """Arm joints (7,) in rad, or None where none was found."""
        low, high = LOWER[ARM_JOINTS] + MARGIN, UPPER[ARM_JOINTS] - MARGIN
        goal_pos = self._sim.to_world(pos)
        goal_quat = np.zeros(4)
        mujoco.mju_mat2Quat(goal_quat, (self._turn @ turn).ravel())
        q = np.clip(start, low, high)
        for _ in range(ITERATIONS):
            error = self._error(q, goal_pos, goal_quat)
            if (
                np.linalg.norm(error[:3]) < POSITION_TOLERANCE / 4
                and np.linalg.norm(error[3:]) < ROTATION_TOLERANCE / 4
            ):
                break
            mujoco.mj_jacBody(
                self._sim.model, self._data, self._jacobian[:3], self._jacobian[3:], self._body
            )
            jac = self._jacobian[:, self._dofs]
            # The seventh joint is free to keep the posture near the robot's rest pose.
            rest = 0.05 * (INIT_ARM - q)
            step = rest + jac.T @ solve(jac @ jac.T + 1e-4 * np.eye(6), error - jac @ rest)
            q = np.clip(q + np.clip(step, -0.3, 0.3), low, high)
        error = self._error(q, goal_pos, goal_quat)
        reached = (
            np.linalg.norm(error[:3]) < POSITION_TOLERANCE
            and np.linalg.norm(error[3:]) < ROTATION_TOLERANCE
        )
        return q if reached else None

    def _error(
        self, q: NDArray[np.float64], pos: NDArray[np.float64], quat: NDArray[np.float64]
    ) -> NDArray[np.float64]:
        """Position (m) and rotation (rad) still to go, (6,), in the world frame."""
        self._data.qpos[self._sim.qpos_addresses[ARM_JOINTS]] = q
        mujoco.mj_kinematics(self._sim.model, self._data)
        mujoco.mj_comPos(self._sim.model, self._data)
        error = np.zeros(6)
        error[:3] = pos - self._data.xpos[self._body]
        inverse, delta = np.zeros(4), np.zeros(4)
        mujoco.mju_negQuat(inverse, self._data.xquat[self._body])
        mujoco.mju_mulQuat(delta, quat, inverse)
        mujoco.mju_quat2Vel(error[3:], delta, 1.0)
        return error
