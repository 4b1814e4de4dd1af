"""MJCF of one Allegro hand, made of primitives; its kinematics come from ``robot.py``."""

import xml.etree.ElementTree as ET

from .mjcf import add, add_box
from .robot import (
    FINGERS,
    HAND,
    PALM_POS,
    PALM_QUAT,
    TIP_LENGTH,
    Link,
    Vec,
    mirror_axis,
    mirror_pos,
    mirror_quat,
)

LINK_MASS = {"index": (0.0119, 0.065, 0.0355, 0.0264), "thumb": (0.0176, 0.0119, 0.038, 0.0556)}
PALM_MASS = 0.4154
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


def _hull(body: ET.Element, name: str, kind: str, **attributes: str | float | Vec) -> None:
    """Add a collision geom of the hand, without mass (the links state their inertia)."""
    geom = add(body, "geom", name=f"{name}_collision", type=kind, group=0, mass=0, **attributes)
    geom.attrib.update(HAND_CONTACT)


def hand_mjcf(side: str) -> str:
    """MJCF of one Allegro hand as a robosuite gripper; its root hangs on the wrist body."""
    flip = side == "left"
    root = ET.Element("mujoco", model=f"allegro_{side}")
    asset = add(root, "asset")
    shell, metal, pad = "0.11 0.11 0.12 1", "0.45 0.46 0.48 1", "0.82 0.83 0.84 1"
    for name, rgba in (("shell", shell), ("metal", metal), ("pad", pad)):
        add(asset, "material", name=f"allegro_{name}", rgba=rgba, specular=0.35, shininess=0.4)
    actuator, sensor = add(root, "actuator"), add(root, "sensor")
    world = add(root, "worldbody")
    palm = add(
        world,
        "body",
        name="allegro_hand",
        pos=PALM_POS,
        quat=mirror_quat(PALM_QUAT) if flip else PALM_QUAT,
    )
    add(palm, "inertial", pos=(0, 0, -0.0475), mass=PALM_MASS, diaginertia=(4e-4, 4e-4, 4e-4))
    add_box(palm, "palm", (-0.0075, 0, -0.0475), (0.0135, 0.0545, 0.0465), "allegro_shell")
    add_box(palm, "palm_face", (0.0065, 0, -0.042), (0.0015, 0.048, 0.036), "allegro_metal")
    add_box(palm, "wrist_plate", (-0.0075, 0, -0.0975), (0.03, 0.03, 0.004), "allegro_metal")
    _hull(palm, "palm", "box", pos=(-0.0065, 0, -0.0475), size=(0.0145, 0.0545, 0.0465))
    for name, pos in HAND_SITES.items():
        add(palm, "site", name=name, pos=pos, size=0.002, rgba="0 0 0 0", group=1)
    add(palm, "body", name="eef", pos=(0.04, 0, 0.03))
    add(sensor, "force", name="force_ee", site="ft_frame")
    add(sensor, "torque", name="torque_ee", site="ft_frame")
    contact = add(root, "contact")
    for finger in FINGERS:
        body = palm
        for i, link in enumerate(HAND[finger]):
            body = _phalanx(body, link, finger, i, flip)
            add(
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
                add(
                    contact, "exclude", name=f"palm_{finger}", body1="allegro_hand", body2=link.body
                )
    return ET.tostring(root, encoding="unicode")


def _phalanx(parent: ET.Element, link: Link, finger: str, index: int, flip: bool) -> ET.Element:
    """Return one finger link with its hinge, a capsule to touch with and a box to look at."""
    thumb = finger == "thumb"
    body = add(
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
    add(body, "inertial", pos=(0, 0, length / 2), mass=mass, diaginertia=(2e-5, 2e-5, 5e-6))
    axis = mirror_axis(link.axis) if flip else link.axis
    add(
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
        add_box(body, link.body, side, (0.016, 0.013, 0.02), "allegro_shell")
        return body
    radius = PHALANX_RADIUS
    if last:
        pad = length - 0.03
        add_box(body, link.body, (0, 0, pad / 2), (0.0098, 0.0125, pad / 2), "allegro_shell")
        add(
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
    add_box(
        body, link.body, (0, 0, length / 2), (0.0098, 0.0135, length / 2 - 0.001), "allegro_shell"
    )
    add(
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
