"""Turns a scene that robosuite built into plain MJCF that MuJoCo runs alone.

What is baked in: the mobile base and the left arm stand still (their joints are removed where they
are), the right arm's motors become joint-position servos, the right arm and hand are free of
gravity (MuJoCo honours ``gravcomp`` only when it is in the XML), and asset files are named relative
to dexbench's asset cache, so that the text is the same on every machine.
"""

import copy
import xml.etree.ElementTree as ET
from functools import lru_cache
from pathlib import Path

import mujoco
import numpy as np
from numpy.typing import NDArray

from dexbench.envs.assets.download import robocasa_root
from dexbench.envs.embodiment.arms_mjcf import ARM_TORQUE
from dexbench.envs.embodiment.keypoints import N_ARM_JOINTS
from dexbench.envs.embodiment.robot import MUJOCO_JOINTS

ASSETS = "@assets"
"""Stands for the asset cache's root in frozen MJCF."""
ROBOCASA = "@robocasa"
"""Stands for the root of the user's RoboCasa assets."""

ARM_KP = (600.0, 600.0, 500.0, 500.0, 300.0, 200.0, 150.0)
ARM_KD = (50.0, 50.0, 40.0, 40.0, 24.0, 12.0, 8.0)
"""Servo gains in N m/rad and N m s/rad; kd/kp of 0.08 s leaves the arm 0.04 rad behind a ramp."""

MOVING = ("robot0_right_", "gripper0_right_")
KEPT_CAMERAS = ("robot0_head", "robot0_robotview")
COMPILED = 4
"""Compiled scenes that a process keeps; each takes about 26 MB."""


def freeze(xml: str, qpos: dict[str, float], assets: Path, robocasa: Path | None = None) -> str:
    """Freeze a robosuite scene.

    Args:
        xml: MJCF of the whole scene with absolute asset paths, as robosuite compiled it.
        qpos: Angles in rad (m for slides) of scalar joints by name; those of the base and the left
            arm say where they are frozen. Joints not named stay at their reference.
        assets: Root of the asset cache.
        robocasa: Root of the user's RoboCasa assets, if the scene may use them.

    Returns:
        MJCF with `@assets/` and `@robocasa/` paths, 23 actuators in action order and no other
        actuated joint.

    Raises:
        ValueError: An asset file lies outside ``assets`` and ``robocasa``.
    """
    root = ET.fromstring(xml)
    _weld(root, xml, qpos)
    _servos(root)
    _option(root)
    for body in root.iter("body"):
        if body.get("name", "").startswith(MOVING):
            body.set("gravcomp", "1")
    for parent in root.iter():
        for camera in parent.findall("camera"):
            if camera.get("name") not in KEPT_CAMERAS:
                parent.remove(camera)
    _relative_assets(root, {ASSETS: assets} | ({ROBOCASA: robocasa} if robocasa else {}))
    return ET.tostring(root, encoding="unicode")


def load(xml: str, assets: Path) -> mujoco.MjModel:
    """Compile frozen MJCF against an asset cache, and RoboCasa's assets if it uses them.

    The last scenes are kept compiled. Each caller gets a copy, which it may change.

    Raises:
        UserError: It uses RoboCasa's assets, and there are none.
    """
    if ROBOCASA in xml:
        xml = xml.replace(ROBOCASA, str(robocasa_root()))
    return copy.copy(_compiled(xml.replace(ASSETS, str(assets))))


@lru_cache(COMPILED)
def _compiled(xml: str) -> mujoco.MjModel:
    return mujoco.MjModel.from_xml_string(xml)


def _weld(root: ET.Element, xml: str, qpos: dict[str, float]) -> None:
    """Remove every hinge and slide but the right arm's and hand's, keeping all bodies in place."""
    model = mujoco.MjModel.from_xml_string(xml)
    data = mujoco.MjData(model)
    for name, value in qpos.items():
        data.joint(name).qpos = value
    mujoco.mj_kinematics(model, data)
    removed = set()
    for body in root.iter("body"):
        joints = [j for j in body.findall("joint") if j.get("type", "hinge") in ("hinge", "slide")]
        fixed = [j for j in joints if j.get("name") not in MUJOCO_JOINTS]
        if not fixed:
            continue
        for joint in fixed:
            removed.add(joint.get("name"))
            body.remove(joint)
        pos, quat = _local_pose(model, data, body.attrib["name"])
        body.set("pos", " ".join(f"{v:.12g}" for v in pos))
        body.set("quat", " ".join(f"{v:.12g}" for v in quat))
        for other in ("euler", "axisangle", "xyaxes", "zaxis"):
            body.attrib.pop(other, None)
    for section in root.findall("equality"):
        for item in list(section):
            if {item.get("joint1"), item.get("joint2")} & removed:
                section.remove(item)


def _local_pose(
    model: mujoco.MjModel, data: mujoco.MjData, name: str
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Pose of a body in its parent's frame at the data's configuration."""
    body = data.body(name)
    parent = data.body(int(model.body(name).parentid[0]))
    inverse, pos, quat = np.zeros(4), np.zeros(3), np.zeros(4)
    mujoco.mju_negQuat(inverse, parent.xquat)
    mujoco.mju_rotVecQuat(pos, body.xpos - parent.xpos, inverse)
    mujoco.mju_mulQuat(quat, inverse, body.xquat)
    return pos, quat


def _servos(root: ET.Element) -> None:
    """Add the 23 actuators in action order; the arm's are servos with the Franka's torques."""
    section = root.find("actuator")
    assert section is not None, "the robot's own XML has actuators"
    by_joint = {item.get("joint"): item for item in section}
    limits = {j.get("name"): j.get("range", "") for j in root.iter("joint")}
    section.clear()
    for i, joint in enumerate(MUJOCO_JOINTS):
        if i >= N_ARM_JOINTS:
            section.append(by_joint[joint])
            continue
        ET.SubElement(
            section,
            "general",
            name=f"servo_{joint}",
            joint=joint,
            biastype="affine",
            gainprm=f"{ARM_KP[i]:g}",
            biasprm=f"0 {-ARM_KP[i]:g} {-ARM_KD[i]:g}",
            ctrllimited="true",
            ctrlrange=limits[joint],
            forcelimited="true",
            forcerange=f"{-ARM_TORQUE[i]} {ARM_TORQUE[i]}",
        )


def _option(root: ET.Element) -> None:
    """Solver settings: 2 ms, elliptic friction cones, several contacts per pair of meshes."""
    for old in root.findall("option"):
        root.remove(old)
    option = ET.SubElement(
        root, "option", timestep="0.002", integrator="implicitfast", cone="elliptic", impratio="10"
    )
    # Without multiccd a mesh rests on a single contact point and jitters or sinks.
    ET.SubElement(option, "flag", multiccd="enable")
    for keyframe in root.findall("keyframe"):
        root.remove(keyframe)


def _relative_assets(root: ET.Element, roots: dict[str, Path]) -> None:
    for compiler in root.findall("compiler"):
        for name in ("meshdir", "texturedir", "assetdir"):
            compiler.attrib.pop(name, None)
    for item in root.iter():
        for key, value in item.attrib.items():
            if key.startswith("file") and value:
                item.set(key, _relative(Path(value), roots))


def _relative(path: Path, roots: dict[str, Path]) -> str:
    for name, folder in roots.items():
        if path.is_relative_to(folder):
            return f"{name}/{path.relative_to(folder)}"
    raise ValueError(
        f"asset {path} is outside the asset cache {roots[ASSETS]}; "
        "scenes may only use files of the cache"
    )
