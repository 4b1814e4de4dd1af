"""Another look for a frozen scene: tints and light; nothing that physics depends on."""

import xml.etree.ElementTree as ET

import numpy as np
from numpy.typing import NDArray

from .lighting import draw_light, set_light

TINT = (0.8, 1.1)
"""Range that each of red, green and blue of a material is multiplied with."""
ROBOT = ("robot0_", "gripper0_", "mobilebase0_")
"""How names of the robot's materials begin; it looks the same everywhere."""


def redraw_look(xml: str, rng: np.random.Generator) -> str:
    """Return frozen MJCF with another tint of every surface and object, and another light.

    Materials that share a texture file keep looking alike, such as a kitchen's cabinet fronts.

    Args:
        xml: Frozen MJCF.
        rng: The stream to draw from.
    """
    root = ET.fromstring(xml)
    files = {texture.get("name"): texture.get("file") for texture in root.iter("texture")}
    tints: dict[str, NDArray[np.float64]] = {}
    for material in root.iter("material"):
        name = material.get("name", "")
        if name.startswith(ROBOT):
            continue
        surface = files.get(material.get("texture")) or name
        if surface not in tints:
            tints[surface] = rng.uniform(*TINT, 3)
        red, green, blue, alpha = map(float, material.get("rgba", "1 1 1 1").split())
        tinted = np.clip(np.array([red, green, blue]) * tints[surface], 0, 1)
        material.set("rgba", " ".join(f"{value:.3f}" for value in (*tinted, alpha)))
    set_light(root, draw_light(rng))
    return ET.tostring(root, encoding="unicode")
