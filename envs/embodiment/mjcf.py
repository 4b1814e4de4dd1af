"""MJCF of the robot's parts as robosuite wants them: what hand, arms and base share.

Collision geoms are in group 0, visible ones in group 1, as everywhere in robosuite. Nested default
classes are avoided, because robosuite's XML merging cannot resolve them.
"""

import xml.etree.ElementTree as ET

from .robot import Vec


def text(values: Vec) -> str:
    """Return numbers as MJCF has them, apart by spaces."""
    return " ".join(f"{value:.9g}" for value in values)


def add(parent: ET.Element, tag: str, **attributes: str | float | Vec) -> ET.Element:
    """Return a child element; tuples become space-separated text."""
    texts = {k: text(v) if isinstance(v, tuple) else str(v) for k, v in attributes.items()}
    return ET.SubElement(parent, tag, texts)


def add_box(body: ET.Element, name: str, pos: Vec, size: Vec, material: str) -> None:
    """Add a visible box, of half-sizes ``size`` in m."""
    add(
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
