"""MJCF of the robot's three parts as robosuite wants them: mobile base, two arms, hands.

Kinematics come from ``robot.py``. The arms wear the Panda meshes of robosuite, decimated once into
the asset cache; base, torso and hands are primitives of our own. Collision geoms are in group 0,
visible ones in group 1, as everywhere in robosuite. Nested default classes are avoided, because
robosuite's XML merging cannot resolve them.
"""

import xml.etree.ElementTree as ET
from pathlib import Path

from .camera import FOVY, HEAD_POS, HEAD_QUAT
from .kinematics import rotation
from .robot import (
    ARM,
    FINGERS,
    HAND,
    LINK0_LENGTH,
    PALM_POS,
    PALM_QUAT,
    SHOULDER_POS,
    SHOULDER_QUAT,
    TIP_LENGTH,
    WRIST_POS,
    Link,
    Vec,
    mirror_axis,
    mirror_pos,
    mirror_quat,
)

SIDES = ("right", "left")
LINK_INERTIA = ((3, 0.3), (3, 0.3), (2, 0.2), (2, 0.2), (2, 0.2), (1.5, 0.1), (0.5, 0.05))
LINK_COM: tuple[Vec, ...] = (
    (0, 0, -0.07), (0, -0.1, 0), (0.04, 0, -0.05), (-0.04, 0.05, 0), (0, 0, -0.15), (0.06, 0, 0),
    (0, 0, 0.08),
)  # fmt: skip
LINK_MASS = {"index": (0.0119, 0.065, 0.0355, 0.0264), "thumb": (0.0176, 0.0119, 0.038, 0.0556)}
PALM_MASS = 0.4154
ARM_TORQUE = (87, 87, 87, 87, 12, 12, 12)
"""Torque limits of the Franka's joints, in N m."""
FINGER_TORQUE = 0.7
"""Torque limit of an Allegro joint, in N m."""
FINGER_KP, FINGER_DAMPING, FINGER_ARMATURE = 3.0, 0.1, 8e-4
PHALANX_RADIUS = 0.0125

# Fingers must win the choice of contact parameters over any object (priority 1); values after
# trying: soft contacts sink visibly, friction below 0.3 loses objects (docs/protocol.md).
HAND_CONTACT = {
    "condim": "4", "friction": "1 0.01 0.0002", "solref": "0.004 1", "solimp": "0.95 0.99 0.001",
    "priority": "1",
}  # fmt: skip

HAND_SITES: dict[str, Vec] = {
    "ft_frame": (0, 0, 0), "grip_site": (0, 0, 0.145), "ee": (0, 0, 0), "ee_x": (0.1, 0, 0),
    "ee_y": (0, 0.1, 0), "ee_z": (0, 0, 0.1), "grip_site_cylinder": (0, 0, 0.145),
}  # fmt: skip
"""The sites on a hand that robosuite looks for, with their positions in the palm frame in m."""


def _text(values: Vec) -> str:
    return " ".join(f"{value:.9g}" for value in values)


def _sub(parent: ET.Element, tag: str, **attributes: str | float | Vec) -> ET.Element:
    """Return a child element; tuples become space-separated text."""
    texts = {k: _text(v) if isinstance(v, tuple) else str(v) for k, v in attributes.items()}
    return ET.SubElement(parent, tag, texts)


def _box(body: ET.Element, name: str, pos: Vec, size: Vec, material: str) -> None:
    """Add a visible box, of half-sizes ``size`` in m."""
    _sub(
        body,
        "geom",
        name=f"{name}_visual",
        type="box",
        pos=pos,
        size=size,
        material=material,
        group=1,
        contype=0,
        conaffinity=0,
        mass=0,
    )


def _hull(body: ET.Element, name: str, kind: str, **attributes: str | float | Vec) -> None:
    """Add a collision geom of the hand, without mass (the links state their inertia)."""
    geom = _sub(body, "geom", name=f"{name}_collision", type=kind, group=0, mass=0, **attributes)
    geom.attrib.update(HAND_CONTACT)


def hand(side: str) -> str:
    """MJCF of one Allegro hand as a robosuite gripper; its root hangs on the wrist body."""
    flip = side == "left"
    root = ET.Element("mujoco", model=f"allegro_{side}")
    asset = _sub(root, "asset")
    shell, metal, pad = "0.11 0.11 0.12 1", "0.45 0.46 0.48 1", "0.82 0.83 0.84 1"
    for name, rgba in (("shell", shell), ("metal", metal), ("pad", pad)):
        _sub(asset, "material", name=f"allegro_{name}", rgba=rgba, specular=0.35, shininess=0.4)
    actuator, sensor = _sub(root, "actuator"), _sub(root, "sensor")
    world = _sub(root, "worldbody")
    palm = _sub(
        world,
        "body",
        name="allegro_hand",
        pos=PALM_POS,
        quat=mirror_quat(PALM_QUAT) if flip else PALM_QUAT,
    )
    _sub(palm, "inertial", pos=(0, 0, -0.0475), mass=PALM_MASS, diaginertia=(4e-4, 4e-4, 4e-4))
    _box(palm, "palm", (-0.0075, 0, -0.0475), (0.0135, 0.0545, 0.0465), "allegro_shell")
    _box(palm, "palm_face", (0.0065, 0, -0.042), (0.0015, 0.048, 0.036), "allegro_metal")
    _box(palm, "wrist_plate", (-0.0075, 0, -0.0975), (0.03, 0.03, 0.004), "allegro_metal")
    _hull(palm, "palm", "box", pos=(-0.0065, 0, -0.0475), size=(0.0145, 0.0545, 0.0465))
    for name, pos in HAND_SITES.items():
        _sub(palm, "site", name=name, pos=pos, size=0.002, rgba="0 0 0 0", group=1)
    _sub(palm, "body", name="eef", pos=(0.04, 0, 0.03))
    _sub(sensor, "force", name="force_ee", site="ft_frame")
    _sub(sensor, "torque", name="torque_ee", site="ft_frame")
    contact = _sub(root, "contact")
    for finger in FINGERS:
        body = palm
        for i, link in enumerate(HAND[finger]):
            body = _phalanx(body, link, finger, i, flip)
            _sub(
                actuator,
                "position",
                name=f"act_{link.joint}",
                joint=link.joint,
                kp=FINGER_KP,
                ctrllimited="true",
                ctrlrange=link.limits,
                forcelimited="true",
                forcerange=(-FINGER_TORQUE, FINGER_TORQUE),
            )
            if i == 1:
                _sub(
                    contact, "exclude", name=f"palm_{finger}", body1="allegro_hand", body2=link.body
                )
    return ET.tostring(root, encoding="unicode")


def _phalanx(parent: ET.Element, link: Link, finger: str, index: int, flip: bool) -> ET.Element:
    """Return one finger link with its hinge, a capsule to touch with and a box to look at."""
    thumb = finger == "thumb"
    body = _sub(
        parent,
        "body",
        name=link.body,
        pos=mirror_pos(link.pos) if flip else link.pos,
        quat=mirror_quat(link.quat) if flip else link.quat,
    )
    mass = LINK_MASS["thumb" if thumb else "index"][index]
    chain = HAND[finger]
    last = index == 3
    length = TIP_LENGTH[finger] if last else chain[index + 1].pos[2]
    _sub(body, "inertial", pos=(0, 0, length / 2), mass=mass, diaginertia=(2e-5, 2e-5, 5e-6))
    axis = mirror_axis(link.axis) if flip else link.axis
    _sub(
        body,
        "joint",
        name=link.joint,
        type="hinge",
        axis=axis,
        limited="true",
        range=link.limits,
        damping=FINGER_DAMPING,
        armature=FINGER_ARMATURE,
        frictionloss=0.0,
    )
    if thumb and index == 0:
        side = mirror_pos((-0.0145, 0.005, 0.02)) if flip else (-0.0145, 0.005, 0.02)
        _box(body, link.body, side, (0.016, 0.013, 0.02), "allegro_shell")
        return body
    radius = PHALANX_RADIUS
    if last:
        pad = length - 0.03
        _box(body, link.body, (0, 0, pad / 2), (0.0098, 0.0125, pad / 2), "allegro_shell")
        _sub(
            body,
            "geom",
            name=f"{link.body}_tip_visual",
            type="capsule",
            size=(radius - 5e-4,),
            fromto=(0, 0, pad, 0, 0, length - radius),
            material="allegro_pad",
            group=1,
            contype=0,
            conaffinity=0,
            mass=0,
        )
        _hull(
            body, link.body, "capsule", size=(radius,), fromto=(0, 0, 0.01, 0, 0, length - radius)
        )
        return body
    _box(body, link.body, (0, 0, length / 2), (0.0098, 0.0135, length / 2 - 0.001), "allegro_shell")
    _sub(
        body,
        "geom",
        name=f"{link.body}_knuckle_visual",
        type="cylinder",
        size=(0.0092,),
        fromto=(0, -0.0142, 0, 0, 0.0142, 0),
        material="allegro_metal",
        group=1,
        contype=0,
        conaffinity=0,
        mass=0,
    )
    if length > 2 * radius:
        _hull(
            body, link.body, "capsule", size=(radius,), fromto=(0, 0, radius, 0, 0, length - radius)
        )
    return body


def arms(panda: Path) -> str:
    """MJCF of torso, head camera and two arms as a robosuite manipulator.

    Args:
        panda: Folder with robosuite's Panda: ``robot.xml`` (materials and which mesh belongs to
            which link), ``obj_meshes/*.obj`` (visual) and ``meshes/link*.stl`` (collision).
    """
    source = ET.parse(panda / "robot.xml").getroot()
    root = ET.Element("mujoco", model="franka_tmr")
    actuator, asset = _sub(root, "actuator"), _sub(root, "asset")
    for item in source.iterfind("asset/*"):
        if item.tag == "material":
            asset.append(item)
        elif not item.attrib["file"].startswith("meshes/"):
            _sub(asset, "mesh", name=item.attrib["name"], file=str(panda / item.attrib["file"]))
    for i in range(8):
        _sub(asset, "mesh", name=f"link{i}", file=str(panda / "meshes" / f"link{i}.stl"))
    _sub(asset, "material", name="tmr_white", rgba="0.88 0.89 0.9 1", specular=0.4, shininess=0.4)
    _sub(asset, "material", name="tmr_dark", rgba="0.16 0.17 0.18 1", specular=0.2, shininess=0.2)
    world = _sub(root, "worldbody")
    base = _sub(world, "body", name="base")
    _torso(base)
    contact = _sub(root, "contact")
    for side in SIDES:
        _arm(base, source, side)
        _sub(
            contact,
            "exclude",
            name=f"{side}_wrist",
            body1=f"{side}_fr3_link5",
            body2=f"{side}_fr3_link7",
        )
        for i, torque in enumerate(ARM_TORQUE, start=1):
            _sub(
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
    _sub(base, "inertial", pos=(0, 0, 0.5), mass=20, diaginertia=(1, 1, 1))
    _box(base, "torso", (0, 0, 0.562), (0.3, 0.2, 0.268), "tmr_white")
    _box(base, "torso_panel", (0.3, 0, 0.58), (0.004, 0.13, 0.19), "tmr_dark")
    _box(base, "mast", (0.1, 0, 1.2), (0.035, 0.05, 0.37), "tmr_dark")
    _box(base, "head", (0.15, 0, 1.63), (0.045, 0.09, 0.03), "tmr_white")
    _sub(
        base,
        "geom",
        name="torso_collision",
        type="box",
        pos=(-0.05, 0, 0.56),
        size=(0.25, 0.12, 0.26),
        group=0,
    )
    for name in ("center", "right_center", "left_center"):
        _sub(base, "site", name=name, pos=(0, 0, 0), size=(0.01,), rgba="0 0 0 0", group=2)
    _sub(
        base,
        "camera",
        name="robotview",
        mode="fixed",
        pos=(0.212, 0, 1.014),
        quat=(-0.5, -0.5, 0.5, 0.5),
        fovy=80,
    )
    _sub(base, "camera", name="head", mode="fixed", pos=HEAD_POS, quat=HEAD_QUAT, fovy=FOVY)


def _arm(base: ET.Element, source: ET.Element, side: str) -> None:
    """Seven links and the wrist of one arm; the left arm's shoulder mirrors the right's."""
    flip = side == "left"
    length = rotation(SHOULDER_QUAT) @ rotation(SHOULDER_QUAT).new_tensor([0, 0, LINK0_LENGTH])
    foot: Vec = tuple(a - float(b) for a, b in zip(SHOULDER_POS, length, strict=True))
    pos, quat = (mirror_pos(foot), mirror_quat(SHOULDER_QUAT)) if flip else (foot, SHOULDER_QUAT)
    link = _sub(base, "body", name=f"{side}_fr3_link0", pos=pos, quat=quat)
    _sub(link, "inertial", pos=(0, 0, 0.05), mass=4, diaginertia=(0.4, 0.4, 0.4))
    _clothe(link, source, side, 0)
    for i, part in enumerate(ARM, start=1):
        # Both arms are the same Panda: only the shoulder is mirrored, so link 1 sits on link 0.
        place = {"pos": (0, 0, LINK0_LENGTH)} if i == 1 else {"pos": part.pos, "quat": part.quat}
        link = _sub(link, "body", name=f"{side}_fr3_link{i}", **place)
        mass, inertia = LINK_INERTIA[i - 1]
        _sub(link, "inertial", pos=LINK_COM[i - 1], mass=mass, diaginertia=(inertia,) * 3)
        _sub(
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
    wrist = _sub(link, "body", name=f"{side}_hand", pos=WRIST_POS)
    _sub(wrist, "inertial", pos=(0, 0, 0), mass=0.1, diaginertia=(1e-3, 1e-3, 1e-3))


def _clothe(link: ET.Element, source: ET.Element, side: str, index: int) -> None:
    """Give a link the meshes that robosuite's Panda shows and collides with."""
    for geom in source.iterfind(f".//body[@name='link{index}']/geom"):
        if geom.get("contype") == "0":
            mesh, material = geom.attrib["mesh"], geom.attrib["material"]
            keep = {k: geom.attrib[k] for k in ("pos", "quat") if geom.get(k)}
            _sub(
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
    _sub(
        link,
        "geom",
        name=f"{side}_link{index}_collision",
        type="mesh",
        mesh=f"link{index}",
        group=0,
        mass=0,
        **solid,
    )


def base() -> str:
    """MJCF of the mobile base, with the planar joints that RoboCasa moves a robot by."""
    root = ET.Element("mujoco", model="tmr_base")
    actuator, asset = _sub(root, "actuator"), _sub(root, "asset")
    _sub(asset, "material", name="base_white", rgba="0.88 0.89 0.9 1", specular=0.4, shininess=0.4)
    _sub(asset, "material", name="base_dark", rgba="0.16 0.17 0.18 1", specular=0.2, shininess=0.2)
    world = _sub(root, "worldbody")
    outer = _sub(world, "body", name="base")
    _sub(outer, "inertial", pos=(0, 0, 0.17), mass=75, diaginertia=(5, 5, 5))
    _sub(outer, "site", name="center", pos=(0, 0, 0), size=(0.01,), rgba="0 0 0 0", group=2)
    forward, side, yaw = (0, 1, 0), (1, 0, 0), (0, 0, 1)
    for name, axis, limit in (("forward", forward, 1), ("side", side, 1), ("yaw", yaw, 1.5)):
        kind = "hinge" if name == "yaw" else "slide"
        place = {"pos": (-0.21, 0, 0)} if name == "yaw" else {}
        _sub(
            outer,
            "joint",
            name=f"joint_mobile_{name}",
            type=kind,
            axis=axis,
            limited="false",
            damping=0,
            armature=0,
            frictionloss=250,
            **place,
        )
        _sub(
            actuator,
            "velocity",
            name=f"actuator_mobile_{name}",
            joint=f"joint_mobile_{name}",
            kv=1000,
            ctrllimited="true",
            ctrlrange=(-limit, limit),
            forcelimited="true",
            forcerange=(-600, 600),
        )
    _box(outer, "chassis", (0, 0, 0.167), (0.4, 0.287, 0.127), "base_white")
    _box(outer, "bumper", (0, 0, 0.09), (0.405, 0.292, 0.03), "base_dark")
    for i, (x, y) in enumerate(((0.28, 0.2), (0.28, -0.2), (-0.28, 0.2), (-0.28, -0.2))):
        _sub(
            outer,
            "geom",
            name=f"wheel{i}_visual",
            type="cylinder",
            size=(0.07, 0.03),
            pos=(x, y, -0.03),
            euler=(1.5708, 0, 0),
            material="base_dark",
            group=1,
            contype=0,
            conaffinity=0,
            mass=0,
        )
    _sub(
        outer,
        "geom",
        name="chassis_collision",
        type="box",
        pos=(0, 0, 0.167),
        size=(0.4, 0.287, 0.127),
        group=0,
    )
    _sub(outer, "body", name="support")
    return ET.tostring(root, encoding="unicode")
