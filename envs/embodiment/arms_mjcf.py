"""MJCF of torso, head camera and two arms; their kinematics come from ``robot.py``.

The arms wear the Panda meshes of robosuite, decimated once into the asset cache. The torso is made
of primitives.
"""

import xml.etree.ElementTree as ET
from pathlib import Path

from .camera import FOVY, HEAD_POS, HEAD_QUAT
from .kinematics import rotation
from .mjcf import add, add_box
from .robot import (
    ARM,
    LINK0_LENGTH,
    SHOULDER_POS,
    SHOULDER_QUAT,
    WRIST_POS,
    Vec,
    mirror_pos,
    mirror_quat,
)

SIDES = ("right", "left")
LINK_INERTIA = ((3, 0.3), (3, 0.3), (2, 0.2), (2, 0.2), (2, 0.2), (1.5, 0.1), (0.5, 0.05))
LINK_COM: tuple[Vec, ...] = (
    (0, 0, -0.07), (0, -0.1, 0), (0.04, 0, -0.05), (-0.04, 0.05, 0), (0, 0, -0.15), (0.06, 0, 0),
    (0, 0, 0.08),
)  # fmt: skip
ARM_TORQUE = (87, 87, 87, 87, 12, 12, 12)
"""Torque limits of the Franka's joints, in N m."""


def arms_mjcf(panda: Path) -> str:
    """MJCF of torso, head camera and two arms as a robosuite manipulator.

    Args:
        panda: Folder with robosuite's Panda: ``robot.xml`` (materials and which mesh belongs to
            which link), ``obj_meshes/*.obj`` (visual) and ``meshes/link*.stl`` (collision).
    """
    source = ET.parse(panda / "robot.xml").getroot()
    root = ET.Element("mujoco", model="franka_tmr")
    actuator, asset = add(root, "actuator"), add(root, "asset")
    for item in source.iterfind("asset/*"):
        if item.tag == "material":
            asset.append(item)
        elif not item.attrib["file"].startswith("meshes/"):
            add(asset, "mesh", name=item.attrib["name"], file=str(panda / item.attrib["file"]))
    for i in range(8):
        add(asset, "mesh", name=f"link{i}", file=str(panda / "meshes" / f"link{i}.stl"))
    add(asset, "material", name="tmr_white", rgba="0.88 0.89 0.9 1", specular=0.4, shininess=0.4)
    add(asset, "material", name="tmr_dark", rgba="0.16 0.17 0.18 1", specular=0.2, shininess=0.2)
    world = add(root, "worldbody")
    base = add(world, "body", name="base")
    _torso(base)
    contact = add(root, "contact")
    for side in SIDES:
        _arm(base, source, side)
        add(
            contact,
            "exclude",
            name=f"{side}_wrist",
            body1=f"{side}_fr3_link5",
            body2=f"{side}_fr3_link7",
        )
        for i, torque in enumerate(ARM_TORQUE, start=1):
            add(
                actuator,
                "motor",
                name=f"{side}_torq_j{i}",
                joint=f"{side}_fr3_joint{i}",
                ctrllimited="true",
                ctrlrange=(-torque, torque),
            )
    return ET.tostring(root, encoding="unicode")


def _torso(base: ET.Element) -> None:
    """Torso, head mast and the head camera, on the base frame."""
    add(base, "inertial", pos=(0, 0, 0.5), mass=20, diaginertia=(1, 1, 1))
    add_box(base, "torso", (0, 0, 0.562), (0.3, 0.2, 0.268), "tmr_white")
    add_box(base, "torso_panel", (0.3, 0, 0.58), (0.004, 0.13, 0.19), "tmr_dark")
    add_box(base, "mast", (0.1, 0, 1.2), (0.035, 0.05, 0.37), "tmr_dark")
    add_box(base, "head", (0.15, 0, 1.63), (0.045, 0.09, 0.03), "tmr_white")
    add(
        base,
        "geom",
        name="torso_collision",
        type="box",
        pos=(-0.05, 0, 0.56),
        size=(0.25, 0.12, 0.26),
        group=0,
    )
    for name in ("center", "right_center", "left_center"):
        add(base, "site", name=name, pos=(0, 0, 0), size=(0.01,), rgba="0 0 0 0", group=2)
    add(
        base,
        "camera",
        name="robotview",
        mode="fixed",
        pos=(0.212, 0, 1.014),
        quat=(-0.5, -0.5, 0.5, 0.5),
        fovy=80,
    )
    add(base, "camera", name="head", mode="fixed", pos=HEAD_POS, quat=HEAD_QUAT, fovy=FOVY)


def _arm(base: ET.Element, source: ET.Element, side: str) -> None:
    """Seven links and the wrist of one arm; the left arm's shoulder mirrors the right's."""
    flip = side == "left"
    length = rotation(SHOULDER_QUAT) @ rotation(SHOULDER_QUAT).new_tensor([0, 0, LINK0_LENGTH])
    foot: Vec = tuple(a - float(b) for a, b in zip(SHOULDER_POS, length, strict=True))
    pos, quat = (mirror_pos(foot), mirror_quat(SHOULDER_QUAT)) if flip else (foot, SHOULDER_QUAT)
    link = add(base, "body", name=f"{side}_fr3_link0", pos=pos, quat=quat)
    add(link, "inertial", pos=(0, 0, 0.05), mass=4, diaginertia=(0.4, 0.4, 0.4))
    _clothe(link, source, side, 0)
    for i, part in enumerate(ARM, start=1):
        # Both arms are the same Panda: only the shoulder is mirrored, so link 1 sits on link 0.
        place = {"pos": (0, 0, LINK0_LENGTH)} if i == 1 else {"pos": part.pos, "quat": part.quat}
        link = add(link, "body", name=f"{side}_fr3_link{i}", **place)
        mass, inertia = LINK_INERTIA[i - 1]
        add(link, "inertial", pos=LINK_COM[i - 1], mass=mass, diaginertia=(inertia,) * 3)
        add(
            link,
            "joint",
            name=f"{side}_fr3_joint{i}",
            type="hinge",
            axis=part.axis,
            limited="true",
            range=part.limits,
            damping=0.1,
            armature=0.1,
            frictionloss=0.2,
        )
        _clothe(link, source, side, i)
    wrist = add(link, "body", name=f"{side}_hand", pos=WRIST_POS)
    add(wrist, "inertial", pos=(0, 0, 0), mass=0.1, diaginertia=(1e-3, 1e-3, 1e-3))


def _clothe(link: ET.Element, source: ET.Element, side: str, index: int) -> None:
    """Give a link the meshes that robosuite's Panda shows and collides with."""
    for geom in source.iterfind(f".//body[@name='link{index}']/geom"):
        if geom.get("contype") == "0":
            mesh, material = geom.attrib["mesh"], geom.attrib["material"]
            keep = {k: geom.attrib[k] for k in ("pos", "quat") if geom.get(k)}
            add(
                link,
                "geom",
                name=f"{side}_{mesh}",
                type="mesh",
                mesh=mesh,
                material=material,
                group=1,
                contype=0,
                conaffinity=0,
                mass=0,
                **keep,
            )
    # The shoulder (links 0-2) hangs over the counter's edge, where a hull would always touch it.
    solid = {} if index > 2 else {"contype": 0, "conaffinity": 0}
    add(
        link,
        "geom",
        name=f"{side}_link{index}_collision",
        type="mesh",
        mesh=f"link{index}",
        group=0,
        mass=0,
        **solid,
    )
