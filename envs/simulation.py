"""The simulation of one scene: MuJoCo's model and data, 10 Hz joint targets in, state out.

Positions are given in the robot's base frame (x forward, y left, z up) in m, unless a name says
``camera`` (the head camera's optical frame). The simulation knows nothing of tasks.
"""

from collections.abc import Sequence
from typing import Any

import mujoco
import numpy as np
from numpy.typing import NDArray

from dexbench.envs.assets.cache import asset_root
from dexbench.envs.embodiment.camera import HEIGHT, WIDTH, base_to_camera
from dexbench.envs.embodiment.robot import (
    CONTROL_HZ,
    FINGERS,
    HAND,
    LOWER,
    MUJOCO_JOINTS,
    N_JOINTS,
    UPPER,
)

from .freeze import load
from .rendering import HeadCamera

PHYSICS_STEPS = 500 // CONTROL_HZ
"""Physics steps of 2 ms in one control step of 0.1 s."""

STATE = mujoco.mjtState.mjSTATE_INTEGRATION
_BAD = mujoco.mjtWarning
DIVERGED = [int(w) for w in (_BAD.mjWARN_BADQPOS, _BAD.mjWARN_BADQVEL, _BAD.mjWARN_BADQACC)]
"""Warnings after which MuJoCo puts the scene back to where its file has it, and goes on."""
HAND_PREFIX = "gripper0_right_"
ROBOT_PREFIXES = ("robot0_", "gripper0_")
WRIST_BODY = "robot0_right_hand"


class Simulation:
    """Runs one frozen scene.

    Args:
        xml: Frozen MJCF (``freeze.freeze``).
        objects: Body names of the movable objects.
        size: Height and width in px of the pictures.
    """

    def __init__(self, xml: str, objects: Sequence[str], size: tuple[int, int] = (HEIGHT, WIDTH)):
        self.xml = xml
        self.objects = tuple(objects)
        self.size = size
        self.model = load(xml, asset_root())
        self.data = mujoco.MjData(self.model)
        self._camera: HeadCamera | None = None
        joints = [self.model.joint(name) for name in MUJOCO_JOINTS]
        self.qpos_addresses = np.array([joint.qposadr[0] for joint in joints])
        """Addresses of the 23 joints in ``qpos``."""
        self.dofs = np.array([joint.dofadr[0] for joint in joints])
        """Addresses of the 23 joints in ``qvel``."""
        order = ("thumb", *(f for f in FINGERS if f != "thumb"), "ring")
        names = [WRIST_BODY, *(HAND_PREFIX + link.body for f in order for link in HAND[f])]
        self._keypoints = np.array([self.model.body(name).id for name in names])
        self._base = self.model.body("robot0_base").id
        bodies = [self.model.body(i).name for i in range(self.model.nbody)]
        hand = [i for i, name in enumerate(bodies) if name.startswith(HAND_PREFIX)]
        self.hand_geoms = np.isin(self.model.geom_bodyid, hand)
        """Mask (ngeom,) of the right hand's geoms."""
        robot = [i for i, name in enumerate(bodies) if name.startswith(ROBOT_PREFIXES)]
        self.robot_geoms = np.isin(self.model.geom_bodyid, robot)
        """Mask (ngeom,) of the whole robot's geoms, both hands among them."""
        mujoco.mj_forward(self.model, self.data)

    def step(self, target: NDArray[Any], physics_steps: int = PHYSICS_STEPS) -> None:
        """Hold the joint targets (23,) in rad for one control step of 0.1 s.

        Args:
            target: Joint targets.
            physics_steps: For how many steps of 2 ms instead.

        Raises:
            FloatingPointError: The simulation diverged; only ``set_state`` helps then.
        """
        self.data.ctrl[:] = np.clip(target, LOWER, UPPER)
        mujoco.mj_step(self.model, self.data, physics_steps)
        if self.data.warning.number[DIVERGED].any():
            raise FloatingPointError("the simulation diverged: a number is not finite, or huge")
        # MuJoCo leaves positions as they were before the last 2 ms; this changes no later step.
        mujoco.mj_kinematics(self.model, self.data)

    def render(self, robot: bool = True) -> NDArray[np.uint8]:
        """Return the head camera's view, (height, width, 3) uint8 RGB, upright.

        Args:
            robot: Whether it shows the robot.
        """
        if self._camera is None:
            self._camera = HeadCamera(self.model, *self.size)
        return self._camera.render(self.data, None if robot else self.robot_geoms)

    def segment(self, robot: bool = True) -> dict[str, int]:
        """Visible pixels in the head camera's view of ``"hand"`` and of each object.

        Args:
            robot: Whether the view shows the robot.
        """
        if self._camera is None:
            self._camera = HeadCamera(self.model, *self.size)
        geoms = self._camera.segment(self.data, None if robot else self.robot_geoms)
        geoms = geoms[geoms >= 0]
        counts = {"hand": int(self.hand_geoms[geoms].sum())}
        for name in self.objects:
            counts[name] = int((self.model.geom_bodyid[geoms] == self.model.body(name).id).sum())
        return counts

    @property
    def gl_renderer(self) -> str:
        """What OpenGL calls the renderer, such as ``llvmpipe (LLVM 15.0.6, 256 bits)``."""
        if self._camera is None:
            self._camera = HeadCamera(self.model, *self.size)
        return self._camera.gl_renderer

    @property
    def joint_positions(self) -> NDArray[np.float64]:
        """Achieved joint angles (23,) in rad, in action order."""
        return np.array(self.data.qpos[self.qpos_addresses])

    @property
    def joint_targets(self) -> NDArray[np.float64]:
        """Last commanded joint angles (23,) in rad, in action order."""
        return np.array(self.data.ctrl[:N_JOINTS])

    @property
    def keypoints(self) -> NDArray[np.float64]:
        """The hand's 21 keypoints (21, 3) in the base frame (order of ``keypoints.KEYPOINTS``)."""
        return self.to_base(self.data.xpos[self._keypoints])

    @property
    def keypoints_camera(self) -> NDArray[np.float64]:
        """The hand's 21 keypoints (21, 3) in the camera frame."""
        return base_to_camera(self.keypoints)

    def to_base(self, points: NDArray[np.float64]) -> NDArray[np.float64]:
        """World points (..., 3) in the base frame."""
        origin, turn = self._base_pose()
        return (points - origin) @ turn

    def to_world(self, points: NDArray[np.float64]) -> NDArray[np.float64]:
        """Base-frame points (..., 3) in the world frame."""
        origin, turn = self._base_pose()
        return points @ turn.T + origin

    def base_turn(self) -> NDArray[np.float64]:
        """Rotation (3, 3) of the base frame in the world."""
        return self._base_pose()[1].copy()

    def wrist_turn(self) -> NDArray[np.float64]:
        """Rotation (3, 3) of the wrist in the base frame."""
        turn: NDArray[np.float64] = self.base_turn().T @ self.data.body(WRIST_BODY).xmat.reshape(
            3, 3
        )
        return turn

    def _base_pose(self) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Position (3,) in m and rotation (3, 3) of the base frame in the world."""
        return self.data.xpos[self._base], self.data.xmat[self._base].reshape(3, 3)

    def object_position(self, name: str) -> NDArray[np.float64]:
        """Centre of mass (3,) of an object in the base frame."""
        return self.to_base(self.data.xipos[self.model.body(name).id])

    def hand_touches(self, name: str | None = None) -> bool:
        """Return whether the right hand touches an object (any, if no name is given)."""
        names = self.objects if name is None else (name,)
        bodies = [self.model.body(n).id for n in names]
        pairs = self.data.contact.geom
        touching = self.data.contact.dist < 0
        of_object = np.isin(self.model.geom_bodyid[pairs], bodies)
        of_hand = self.hand_geoms[pairs]
        return bool((touching & (of_hand.any(axis=1)) & (of_object.any(axis=1))).any())

    def robot_touches(self, objects: bool = True) -> bool:
        """Return whether any part of the robot touches anything else.

        Args:
            objects: Whether touching a movable object counts.
        """
        pairs = self.data.contact.geom[self.data.contact.dist < 0]
        if not objects:
            bodies = [self.model.body(name).id for name in self.objects]
            pairs = pairs[~np.isin(self.model.geom_bodyid[pairs], bodies).any(axis=1)]
        return bool((self.robot_geoms[pairs].sum(axis=1) == 1).any())

    def get_state(self) -> NDArray[np.float64]:
        """Return the full integration state: time, qpos, qvel, controls, solver warm start."""
        state = np.empty(mujoco.mj_stateSize(self.model, STATE))
        mujoco.mj_getState(self.model, self.data, state, STATE)
        return state

    def set_state(self, state: NDArray[np.float64]) -> None:
        """Restore a state from ``get_state``; the same state and targets give the same future."""
        self.data.warning.number[DIVERGED] = 0
        mujoco.mj_setState(self.model, self.data, state, STATE)
        mujoco.mj_forward(self.model, self.data)
        # Computing forces has replaced the solver's warm start, on which the next step depends.
        mujoco.mj_setState(self.model, self.data, state, STATE)

    def set_joints(self, joints: NDArray[np.float64]) -> None:
        """Put the robot at rest at joint angles (23,) in rad, with the targets there as well."""
        self.data.qpos[self.qpos_addresses] = joints
        self.data.qvel[self.dofs] = 0
        self.data.ctrl[:] = joints
        mujoco.mj_forward(self.model, self.data)

    def place_object(self, name: str, pos: NDArray[np.float64], yaw: float) -> None:
        """Put an object at rest with its centre at (3,) in the base frame, turned by yaw in rad."""
        body = self.model.body(name)
        joint = body.jntadr[0]
        address, dof = self.model.jnt_qposadr[joint], self.model.jnt_dofadr[joint]
        turn, quat = np.zeros(4), np.zeros(4)
        mujoco.mju_axisAngle2Quat(turn, np.array([0.0, 0.0, 1.0]), yaw)
        mujoco.mju_mulQuat(quat, turn, self.data.qpos[address + 3 : address + 7].copy())
        self.data.qpos[address + 3 : address + 7] = quat
        self.data.qvel[dof : dof + 6] = 0
        mujoco.mj_forward(self.model, self.data)
        self.data.qpos[address : address + 3] += self.to_world(pos) - self.data.xipos[body.id]
        mujoco.mj_forward(self.model, self.data)

    def __getstate__(self) -> dict[str, Any]:
        """Return all but the renderer, which a copy opens anew; MuJoCo's data hold the model."""
        return {key: value for key, value in vars(self).items() if key not in ("model", "_camera")}

    def __setstate__(self, state: dict[str, Any]) -> None:
        """Continue exactly where a copied or unpickled simulation stood."""
        vars(self).update(state)
        self.model = self.data.model
        self._camera = None

    def close(self) -> None:
        """Free the renderer; the simulation may still be stepped."""
        if self._camera is not None:
            self._camera.close()
            self._camera = None
