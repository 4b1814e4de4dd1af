"""A Panda with robosuite's parallel gripper: its MJCF, and its joints for poses of the tool."""

from pathlib import Path
from xml.etree import ElementTree
from xml.etree.ElementTree import Element, SubElement

import mujoco
import numpy as np
from scipy.spatial.transform import Rotation

from dexbench.data_collection.scripted.poses import Array, pose
from dexbench.utils.packages import package_folder

SITE = "grip_site"
"""Between the fingertips: z points out of the gripper."""
CLOSING = 0
"""Axis of the site's frame along which the fingers move."""
READY = np.array([0.0, -0.5, 0.0, -2.3, 0.0, 1.9, 0.785])
"""Joints (7,) in rad of an arm that waits, with the gripper down."""
OPEN = 0.04
"""Way of a finger in m from closed to wide open."""
_JOINTS = tuple(f"joint{i}" for i in range(1, 8))
_ROUNDS, _DAMPING = 12, 1e-4


def add_panda(root: Element, base: Array) -> None:
    """Add the robot on a pedestal to a scene.

    Args:
        root: The scene's MJCF.
        base: Where its base stands in the world (3,), in m.
    """
    assets = package_folder("robosuite") / "models" / "assets"
    arm = _parse(assets / "robots" / "panda" / "robot.xml")
    gripper = _parse(assets / "grippers" / "panda_gripper.xml")
    asset, world = root.find("asset"), root.find("worldbody")
    assert asset is not None and world is not None
    for part in (arm, gripper):
        asset.extend(part.find("asset") or ())
    (hand,) = (body for body in arm.iter("body") if body.get("name") == "right_hand")
    hand.extend((gripper.find("worldbody") or Element("none")).findall("body"))
    (body,) = (arm.find("worldbody") or Element("none")).findall("body")
    x, y, z = base
    body.set("pos", f"{x:.6g} {y:.6g} {z:.6g}")
    # Ahead, the robot's x, is the counter's direction, the world's y.
    body.set("quat", f"{np.sqrt(0.5):.12g} 0 0 {np.sqrt(0.5):.12g}")
    world.append(body)
    SubElement(
        world, "geom", name="pedestal", type="box", size=f"0.16 0.16 {z / 2:.5g}",
        pos=f"{x:.5g} {y:.5g} {z / 2:.5g}", rgba="0.22 0.23 0.25 1", group="1",
    )  # fmt: skip


def _parse(path: Path) -> Element:
    """Return a model's MJCF with absolute paths, without collision geoms."""
    root = ElementTree.parse(path).getroot()
    for item in root.iter():
        if "file" in item.attrib:
            item.set("file", str(path.parent / item.attrib["file"]))
    for parent in root.iter():
        for geom in parent.findall("geom"):
            if geom.get("group") == "0":
                parent.remove(geom)
    return root


class Arm:
    """The robot in a compiled scene.

    Args:
        model: The scene.
        data: Its state, which the arm moves in.
        base: Transform (4, 4) of the robot's base in the world.
    """

    def __init__(self, model: mujoco.MjModel, data: mujoco.MjData, base: Array):
        self._model, self._data = model, data
        self.base = base
        """Transform (4, 4) of the base in the world."""
        joints = [model.joint(name) for name in _JOINTS]
        self._qpos = np.array([joint.qposadr[0] for joint in joints])
        self._dofs = np.array([joint.dofadr[0] for joint in joints])
        self._range = np.array([joint.range for joint in joints])
        self._fingers = [model.joint(f"finger_joint{i}").qposadr[0] for i in (1, 2)]
        self._site = model.site(SITE).id

    def set(self, joints: Array, opening: float) -> None:
        """Put the arm at joints (7,) in rad, with the fingers ``opening`` m from the middle."""
        self._data.qpos[self._qpos] = joints
        self._data.qpos[self._fingers] = opening, -opening

    def tool(self) -> Array:
        """Return the transform (4, 4) of the point between the fingers in the world."""
        mujoco.mj_kinematics(self._model, self._data)
        turn = self._data.site_xmat[self._site].reshape(3, 3)
        return pose(turn, self._data.site_xpos[self._site])

    def follow(self, goals: Array) -> tuple[Array, Array]:
        """Return joints (n, 7) in rad that follow tool transforms (n, 4, 4), and where they lead.

        Damped least squares, each frame from the one before. Where the arm cannot reach, the
        transforms that are returned say where it is.
        """
        joints, places, now = [], [], READY.copy()
        for number, goal in enumerate(goals):
            now = self._solve(now, goal, _ROUNDS * (8 if number == 0 else 1))
            joints.append(now)
            places.append(self.tool())
        return np.array(joints), np.array(places)

    def _solve(self, joints: Array, goal: Array, rounds: int) -> Array:
        jacobian = np.zeros((2, 3, self._model.nv))
        for _ in range(rounds):
            self._data.qpos[self._qpos] = joints
            here = self.tool()
            turn = Rotation.from_matrix(goal[:3, :3] @ here[:3, :3].T).as_rotvec()
            error = np.concatenate([goal[:3, 3] - here[:3, 3], 0.3 * turn])
            if np.abs(error).max() < 2e-4:
                break
            mujoco.mj_comPos(self._model, self._data)
            mujoco.mj_jacSite(self._model, self._data, jacobian[0], jacobian[1], self._site)
            slope = np.concatenate([jacobian[0], 0.3 * jacobian[1]])[:, self._dofs]
            inverse = slope.T @ np.linalg.inv(slope @ slope.T + _DAMPING * np.eye(6))
            # Of all arms that hold the tool so, one near the ready posture.
            ease = (np.eye(7) - inverse @ slope) @ (READY - joints)
            joints = joints + np.clip(inverse @ error + 0.1 * ease, -0.2, 0.2)
            joints = np.clip(joints, *self._range.T)
        self._data.qpos[self._qpos] = joints
        return joints
