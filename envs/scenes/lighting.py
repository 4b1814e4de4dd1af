"""The light of a kitchen: drawn from a random stream, then written into MJCF."""

from typing import Any
from xml.etree.ElementTree import Element, SubElement

import numpy as np

Light = dict[str, Any]


def draw_light(rng: np.random.Generator) -> Light:
    """Draw the time of day: where the window's light comes from, how strong and how warm it is.

    ``ambient``, ``diffuse`` and ``room`` are intensities (1 is full white), ``warmth`` the share by
    which red exceeds and blue falls short of green, ``direction`` (3,) that of the window's light
    in RoboCasa's world.
    """
    return {
        "ambient": round(float(rng.uniform(0.36, 0.46)), 4),
        "diffuse": round(float(rng.uniform(0.28, 0.42)), 4),
        "room": round(float(rng.uniform(0.14, 0.26)), 4),
        "direction": [
            round(float(rng.uniform(-0.8, 0.8)), 4), round(float(rng.uniform(0.1, 0.8)), 4), -1.0
        ],
        "warmth": round(float(rng.uniform(-0.06, 0.08)), 4),
    }  # fmt: skip


def set_light(root: Element, light: Light) -> None:
    """Give a scene one sun through the window behind the robot and one lamp above.

    Neither has a shadow. The lights that are there go.

    Args:
        root: The scene's MJCF.
        light: From `draw_light`.
    """
    world = root.find("worldbody")
    assert world is not None
    for old in world.findall("light"):
        world.remove(old)
    warm, diffuse = light["warmth"], light["diffuse"]

    def colour(strength: float) -> str:
        return f"{strength * (1 + warm):.4f} {strength:.4f} {strength * (1 - warm):.4f}"

    for name, direction, strength in (
        ("window", light["direction"], diffuse),
        ("room", (0.0, 0.8, -0.6), light["room"]),
    ):
        SubElement(
            world,
            "light",
            name=name,
            directional="true",
            castshadow="false",
            pos="0 -2 2.4",
            dir=" ".join(str(value) for value in direction),
            diffuse=colour(strength),
            specular=colour(0.25 * strength),
            ambient="0 0 0",
        )
    visual = root.find("visual")
    if visual is None:
        visual = SubElement(root, "visual")
    for tag, attributes in (
        (
            "headlight",
            {"ambient": colour(light["ambient"]), "diffuse": "0.15 0.15 0.15", "specular": "0 0 0"},
        ),
        # Flat faces need no subdivision under light from afar, and clutter no fine rounding.
        (
            "quality",
            {
                "offsamples": "0",
                "shadowsize": "0",
                "numquads": "1",
                "numslices": "20",
                "numstacks": "10",
            },
        ),
    ):
        element = visual.find(tag)
        if element is None:
            element = SubElement(visual, tag)
        element.attrib.update(attributes)
