"""MJCF of the mobile base, made of primitives."""

import xml.etree.ElementTree as ET

from .mjcf import add, add_box


def base_mjcf() -> str:
    """MJCF of the mobile base, with the planar joints that RoboCasa moves a robot by."""
    root = ET.Element("mujoco", model="tmr_base")
    actuator, asset = add(root, "actuator"), add(root, "asset")
    add(asset, "material", name="base_white", rgba="0.88 0.89 0.9 1", specular=0.4, shininess=0.4)
    add(asset, "material", name="base_dark", rgba="0.16 0.17 0.18 1", specular=0.2, shininess=0.2)
    world = add(root, "worldbody")
    outer = add(world, "body", name="base")
    add(outer, "inertial", pos=(0, 0, 0.17), mass=75, diaginertia=(5, 5, 5))
    add(outer, "site", name="center", pos=(0, 0, 0), size=(0.01,), rgba="0 0 0 0", group=2)
    forward, side, yaw = (0, 1, 0), (1, 0, 0), (0, 0, 1)
    for name, axis, limit in (("forward", forward, 1), ("side", side, 1), ("yaw", yaw, 1.5)):
        kind = "hinge" if name == "yaw" else "slide"
        place = {"pos": (-0.21, 0, 0)} if name == "yaw" else {}
        add(
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
        add(
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
    add_box(outer, "chassis", (0, 0, 0.167), (0.4, 0.287, 0.127), "base_white")
    add_box(outer, "bumper", (0, 0, 0.09), (0.405, 0.292, 0.03), "base_dark")
    for i, (x, y) in enumerate(((0.28, 0.2), (0.28, -0.2), (-0.28, 0.2), (-0.28, -0.2))):
        add(
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
    add(
        outer,
        "geom",
        name="chassis_collision",
        type="box",
        pos=(0, 0, 0.167),
        size=(0.4, 0.287, 0.127),
        group=0,
    )
    add(outer, "body", name="support")
    return ET.tostring(root, encoding="unicode")
