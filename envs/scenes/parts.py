"""Boxes and rods that static fixtures and clutter are made of, and their materials."""

import math
from dataclasses import dataclass, replace
from xml.etree.ElementTree import Element

Vector = tuple[float, float, float]
Range = tuple[float, float]

LOOKS: dict[str, dict[str, str]] = {
    "steel": {"texture": "metals/bright_metal", "specular": "0.6", "shininess": "0.5"},
    "basin": {"texture": "metals/bright_metal", "rgba": "0.72 0.73 0.75 1", "specular": "0.4"},
    "chrome": {"rgba": "0.80 0.82 0.84 1", "specular": "0.9", "shininess": "0.8"},
    "handle": {"specular": "0.6", "shininess": "0.5"},
    "appliance": {"specular": "0.4", "shininess": "0.4"},
    "dark_glass": {"rgba": "0.07 0.075 0.08 1", "specular": "0.8", "shininess": "0.8"},
    "ring": {"rgba": "0.30 0.30 0.32 1", "specular": "0.3"},
    "panel": {"rgba": "0.16 0.16 0.17 1", "specular": "0.5"},
    "plinth": {"rgba": "0.12 0.12 0.12 1"},
    "frame": {"rgba": "0.93 0.93 0.91 1", "specular": "0.2"},
    "sill": {"rgba": "0.86 0.85 0.82 1", "specular": "0.2"},
    "view": {"texture": "others/garden", "emission": "0.45", "texrepeat": "1 1"},
    "board": {"texture": "wood/wood_grain_3"},
    "wood": {"rgba": "0.62 0.44 0.27 1", "specular": "0.2"},
    "dark_wood": {"rgba": "0.33 0.22 0.15 1", "specular": "0.2"},
    "china": {"rgba": "0.90 0.89 0.86 1", "specular": "0.6", "shininess": "0.6"},
    "blue_china": {"rgba": "0.30 0.42 0.55 1", "specular": "0.6", "shininess": "0.6"},
    "clay": {"rgba": "0.68 0.38 0.26 1"},
    "leaf": {"rgba": "0.24 0.42 0.18 1", "specular": "0.2"},
    "light_leaf": {"rgba": "0.38 0.55 0.24 1", "specular": "0.2"},
    "red": {"rgba": "0.62 0.13 0.11 1", "specular": "0.6", "shininess": "0.6"},
    "cream": {"rgba": "0.88 0.82 0.68 1", "specular": "0.4"},
    "black": {"rgba": "0.10 0.10 0.11 1", "specular": "0.4"},
    "pasta": {"rgba": "0.84 0.68 0.38 1"},
}
"""Materials by name; those of surfaces get the style's texture (``top``, ``splash``, ...)."""

SOLID = 0.014
"""Parts that are thinner than twice this, in m, are seen only: the hand passes through."""


@dataclass(frozen=True)
class Part:
    """One geom.

    Attributes:
        kind: MuJoCo's type: box, cylinder or ellipsoid.
        material: Key of :data:`LOOKS`, or a surface of the style.
        size: Half-sizes, or radius and half-length.
        pos: Centre.
        quat: Orientation (w, x, y, z).
    """

    kind: str
    material: str
    size: tuple[float, ...]
    pos: Vector
    quat: tuple[float, float, float, float] = (1.0, 0.0, 0.0, 0.0)

    def moved(self, by: Vector) -> "Part":
        """Return the same part elsewhere."""
        x, y, z = (a + b for a, b in zip(self.pos, by, strict=True))
        return replace(self, pos=(x, y, z))

    def geom(self, name: str) -> Element:
        """Its MJCF element: drawn, and felt where it is thick."""

        def text(values: tuple[float, ...]) -> str:
            return " ".join(f"{value:.5g}" for value in values)

        solid = "1" if min(self.size) >= SOLID else "0"
        return Element(
            "geom",
            name=name,
            type=self.kind,
            material=f"look_{self.material}",
            group="1",
            size=text(self.size),
            pos=text(self.pos),
            quat=text(self.quat),
            mass="0",
            contype=solid,
            conaffinity=solid,
        )


_TURNS = {
    2: (1.0, 0.0, 0.0, 0.0),
    1: (math.sqrt(0.5), math.sqrt(0.5), 0.0, 0.0),
    0: (0.5, 0.5, 0.5, 0.5),
}
"""Orientations that turn a box's own z to the axis z, y or x, keeping its edges parallel."""
_ORDER = {2: (0, 1, 2), 1: (0, 2, 1), 0: (1, 2, 0)}
"""Which of the world's axes the box's own x, y and z then lie along."""


def box(material: str, x: Range, y: Range, z: Range) -> Part:
    """Return a box between two coordinates along each axis.

    A flat texture lies in a box's own x-y plane, so own z is laid along the thinnest side.
    """
    spans = [high - low for low, high in (x, y, z)]
    thin = spans.index(min(spans))
    size = tuple(spans[axis] / 2 for axis in _ORDER[thin])
    centre = (sum(x) / 2, sum(y) / 2, sum(z) / 2)
    return Part("box", material, size, centre, _TURNS[thin])


def rod(material: str, radius: float, start: Vector, end: Vector) -> Part:
    """Return a cylinder from one point to another."""
    along = [b - a for a, b in zip(start, end, strict=True)]
    length = math.sqrt(sum(value * value for value in along))
    ux, uy, uz = (value / length for value in along)
    # The shortest turn from z to the rod: half-way quaternion of the two directions.
    w = math.sqrt((1 + uz) / 2)
    quat = (w, -uy / (2 * w), ux / (2 * w), 0.0) if w > 1e-6 else (0.0, 1.0, 0.0, 0.0)
    x, y, z = ((a + b) / 2 for a, b in zip(start, end, strict=True))
    return Part("cylinder", material, (radius, length / 2), (x, y, z), quat)


def ball(material: str, size: Vector, pos: Vector) -> Part:
    """Return an ellipsoid of three half-axes."""
    return Part("ellipsoid", material, size, pos)
