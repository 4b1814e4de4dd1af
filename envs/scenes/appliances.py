"""Static look-alikes of what RoboCasa's package has no assets for: appliances, sink, window.

Each is a list of boxes and rods in the frame of its run: x along the wall, 0 at the unit's centre,
y = 0 at the wall and negative into the room, z up from the floor, in m.
"""

from collections.abc import Callable

from .clutter import CLUTTER
from .layouts import COUNTER_DEPTH, COUNTER_HEIGHT, UPPER_BOTTOM, UPPER_HEIGHT
from .parts import Part, box, rod

TOE, FRONT = 0.10, -0.60
"""Height of the toe-kick, and where the fronts of base units are along y."""
SINK_HALF, SINK_DEPTH = 0.25, 0.17


def _bar(material: str, radius: float, half: float, y: float, z: float) -> Part:
    """Return a horizontal handle along the front."""
    return rod(material, radius, (-half, y, z), (half, y, z))


def _stove(width: float) -> list[Part]:
    """Return an oven below the counter and a glass hob on it."""
    half, top = width / 2 - 0.004, COUNTER_HEIGHT
    parts = [
        box("plinth", (-half, half), (FRONT + 0.06, 0), (0, TOE)),
        box("appliance", (-half, half), (FRONT, 0), (TOE, top - 0.03)),
        box("dark_glass", (-half + 0.05, half - 0.05), (FRONT - 0.012, FRONT), (0.22, 0.62)),
        box("panel", (-half, half), (FRONT - 0.008, FRONT), (0.74, top - 0.035)),
        _bar("steel", 0.011, half - 0.06, FRONT - 0.045, 0.68),
        box("dark_glass", (-half + 0.02, half - 0.02), (-0.56, -0.07), (top, top + 0.006)),
    ]
    for x in (-0.20, -0.10, 0.10, 0.20):
        parts.append(rod("steel", 0.016, (x, FRONT - 0.008, 0.81), (x, FRONT - 0.030, 0.81)))
    for x, y, radius in ((-0.14, -0.20, 0.075), (0.13, -0.20, 0.095), (-0.14, -0.43, 0.095),
                         (0.13, -0.43, 0.075)):  # fmt: skip
        parts.append(rod("ring", radius, (x, y, top), (x, y, top + 0.007)))
        parts.append(rod("dark_glass", radius - 0.008, (x, y, top), (x, y, top + 0.0078)))
    return parts


def _sink(width: float) -> list[Part]:
    """Return a steel basin let into the counter, with a tap, over a cupboard."""
    half, top, low = width / 2, COUNTER_HEIGHT, COUNTER_HEIGHT - SINK_DEPTH
    front, back, deep = -0.53, -0.13, COUNTER_DEPTH
    hole, thick = min(SINK_HALF, half - 0.03), 0.012
    under = top - 0.03
    return [
        box("plinth", (-half, half), (FRONT + 0.06, 0), (0, TOE)),
        box("front", (-half, half), (FRONT + 0.02, 0), (TOE, low - 0.02)),
        box("front", (-half + 0.003, -0.002), (FRONT - 0.02, FRONT), (TOE, under - 0.01)),
        box("front", (0.002, half - 0.003), (FRONT - 0.02, FRONT), (TOE, under - 0.01)),
        rod("handle", 0.007, (-0.045, FRONT - 0.045, 0.60), (-0.045, FRONT - 0.045, 0.80)),
        rod("handle", 0.007, (0.045, FRONT - 0.045, 0.60), (0.045, FRONT - 0.045, 0.80)),
        box("top", (-half, half), (-deep, front), (under, top)),
        box("top", (-half, half), (back, 0), (under, top)),
        box("top", (-half, -hole), (front, back), (under, top)),
        box("top", (hole, half), (front, back), (under, top)),
        box("basin", (-hole, hole), (front, back), (low, low + 0.008)),
        box("steel", (-hole, -hole + thick), (front, back), (low, top + 0.003)),
        box("steel", (hole - thick, hole), (front, back), (low, top + 0.003)),
        box("steel", (-hole, hole), (front, front + thick), (low, top + 0.003)),
        box("steel", (-hole, hole), (back - thick, back), (low, top + 0.003)),
        rod("ring", 0.035, (0, -0.33, low), (0, -0.33, low + 0.010)),
        rod("chrome", 0.024, (0, -0.075, top), (0, -0.075, top + 0.02)),
        rod("chrome", 0.012, (0, -0.075, top), (0, -0.075, top + 0.30)),
        rod("chrome", 0.012, (0, -0.075, top + 0.30), (0, -0.26, top + 0.30)),
        rod("chrome", 0.012, (0, -0.26, top + 0.312), (0, -0.26, top + 0.25)),
        rod("chrome", 0.007, (0, -0.075, top + 0.08), (0.07, -0.085, top + 0.10)),
    ]


def _dishwasher(width: float) -> list[Part]:
    half, top = width / 2 - 0.004, COUNTER_HEIGHT - 0.03
    return [
        box("plinth", (-half, half), (FRONT + 0.06, 0), (0, TOE)),
        box("appliance", (-half, half), (FRONT - 0.02, 0), (TOE, top - 0.12)),
        box("panel", (-half, half), (FRONT - 0.02, 0), (top - 0.117, top)),
        _bar("steel", 0.010, half - 0.08, FRONT - 0.055, 0.70),
    ]


def _fridge(width: float) -> list[Part]:
    half, front, top, split = width / 2 - 0.005, -0.66, 1.86, 0.72
    parts = [
        box("plinth", (-half, half), (front + 0.05, -0.02), (0, 0.06)),
        box("appliance", (-half, half), (front, -0.02), (0.06, top)),
    ]
    for low, high in ((0.07, split - 0.006), (split + 0.006, top - 0.004)):
        parts.append(box("appliance", (-half, half), (front - 0.05, front - 0.006), (low, high)))
    for low, high in ((0.42, 0.66), (0.80, 1.25)):
        parts.append(rod("steel", 0.012, (half - 0.07, front - 0.09, low),
                         (half - 0.07, front - 0.09, high)))  # fmt: skip
    return parts


def _tower(width: float) -> list[Part]:
    """Return a tall cabinet with an oven and a microwave built in at chest height."""
    half, top = width / 2 - 0.003, UPPER_BOTTOM + UPPER_HEIGHT
    parts = [
        box("plinth", (-half, half), (FRONT + 0.06, 0), (0, TOE)),
        box("front", (-half, half), (FRONT, 0), (TOE, top)),
        box("front", (-half, half), (FRONT - 0.02, FRONT), (TOE, 0.60)),
        box("front", (-half, half), (FRONT - 0.02, FRONT), (1.64, top)),
        _bar("handle", 0.007, 0.1, FRONT - 0.045, 0.55),
        _bar("handle", 0.007, 0.1, FRONT - 0.045, 1.70),
    ]
    for low, high in ((0.61, 1.19), (1.20, 1.63)):
        parts += [
            box("appliance", (-half, half), (FRONT - 0.022, FRONT), (low, high)),
            box("dark_glass", (-half + 0.04, half - 0.04), (FRONT - 0.03, FRONT - 0.02),
                (low + 0.05, high - 0.16)),
            _bar("steel", 0.010, half - 0.05, FRONT - 0.06, high - 0.11),
            box("dark_glass", (-0.09, 0.09), (FRONT - 0.024, FRONT - 0.02),
                (high - 0.07, high - 0.03)),
        ]  # fmt: skip
    return parts


def _hood(width: float) -> list[Part]:
    half, low = width / 2 - 0.005, UPPER_BOTTOM + 0.06
    parts = [
        box("steel", (-half, half), (-0.48, 0), (low, low + 0.055)),
        box("ring", (-half + 0.05, half - 0.05), (-0.43, -0.05), (low - 0.004, low)),
        box("steel", (-half + 0.08, half - 0.08), (-0.40, 0), (low + 0.055, low + 0.075)),
        box("steel", (-0.15, 0.15), (-0.28, 0), (low + 0.075, UPPER_BOTTOM + UPPER_HEIGHT)),
    ]
    for x in (-0.03, 0.0, 0.03):
        parts.append(box("ring", (x - 0.008, x + 0.008), (-0.483, -0.48), (low + 0.02, low + 0.04)))
    return parts


def _window(width: float) -> list[Part]:
    """Return a two-part window with a view of the garden, a frame and a sill."""
    half, low, high, frame = width / 2 - 0.02, 1.10, 2.12, 0.05
    parts = [
        box("view", (-half, half), (-0.012, 0), (low, high)),
        box("sill", (-half - 0.03, half + 0.03), (-0.10, 0), (low - 0.03, low)),
        box("frame", (-half, half), (-0.045, 0), (high - frame, high)),
        box("frame", (-half, half), (-0.045, 0), (low, low + frame)),
    ]
    for x in (-half + frame / 2, 0, half - frame / 2):
        parts.append(box("frame", (x - frame / 2, x + frame / 2), (-0.04, 0),
                         (low + frame, high - frame)))  # fmt: skip
    parts.append(box("frame", (-half + frame, half - frame), (-0.03, 0), (1.64, 1.665)))
    return parts


def _shelves(width: float) -> list[Part]:
    """Two boards on brackets with crockery on them."""
    half, parts = width / 2 - 0.03, []
    for z in (UPPER_BOTTOM, UPPER_BOTTOM + 0.34):
        parts.append(box("board", (-half, half), (-0.24, 0), (z - 0.025, z)))
        for x in (-half + 0.12, half - 0.12):
            parts.append(box("handle", (x - 0.008, x + 0.008), (-0.20, 0), (z - 0.045, z - 0.025)))
            parts.append(box("handle", (x - 0.008, x + 0.008), (-0.016, 0), (z - 0.16, z - 0.045)))
    for index, x in enumerate(range(round(-half * 100) + 12, round(half * 100) - 8, 17)):
        kind = ("plates", "bowls", "jar", "cups")[index % 4]
        for part in CLUTTER[kind]():
            parts.append(part.moved((x / 100, -0.12, UPPER_BOTTOM)))
        for part in CLUTTER[("jar", "cups", "plates", "jar")[index % 4]]():
            parts.append(part.moved((x / 100, -0.12, UPPER_BOTTOM + 0.34)))
    return parts


APPLIANCES: dict[str, Callable[[float], list[Part]]] = {
    "stove": _stove, "sink": _sink, "dishwasher": _dishwasher, "fridge": _fridge,
    "tower": _tower, "hood": _hood, "window": _window, "shelves": _shelves,
}  # fmt: skip
"""Parts of every look-alike, by kind, from its width in m."""
