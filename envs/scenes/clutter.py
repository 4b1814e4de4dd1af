"""Things that stand about in a kitchen and are never moved.

Each is a list of parts in a frame of its own: origin below its middle on the counter or shelf, the
wall at positive y, z up, in m.
"""

from collections.abc import Callable

from .parts import Part, ball, box, rod


def _up(material: str, radius: float, low: float, high: float, x: float = 0, y: float = 0) -> Part:
    """Return an upright cylinder."""
    return rod(material, radius, (x, y, low), (x, y, high))


def _kettle() -> list[Part]:
    return [
        _up("black", 0.085, 0, 0.02), _up("steel", 0.078, 0.02, 0.15),
        _up("steel", 0.066, 0.15, 0.19), _up("black", 0.050, 0.19, 0.205),
        _up("black", 0.012, 0.205, 0.225),
        rod("steel", 0.016, (-0.06, -0.02, 0.14), (-0.105, -0.03, 0.175)),
        rod("black", 0.013, (0.06, 0.02, 0.185), (0.125, 0.03, 0.175)),
        rod("black", 0.013, (0.125, 0.03, 0.175), (0.115, 0.028, 0.06)),
    ]  # fmt: skip


def _toaster() -> list[Part]:
    return [
        box("red", (-0.14, 0.14), (-0.08, 0.08), (0.015, 0.185)),
        box("black", (-0.145, 0.145), (-0.085, 0.085), (0.0, 0.018)),
        box("steel", (-0.12, 0.12), (-0.065, 0.065), (0.185, 0.189)),
        box("black", (-0.10, 0.10), (-0.045, -0.020), (0.186, 0.191)),
        box("black", (-0.10, 0.10), (0.020, 0.045), (0.186, 0.191)),
        box("black", (0.14, 0.165), (-0.02, 0.02), (0.12, 0.145)),
    ]  # fmt: skip


def _microwave() -> list[Part]:
    return [
        box("appliance", (-0.25, 0.25), (-0.18, 0.18), (0.01, 0.29)),
        box("panel", (-0.25, 0.25), (-0.192, -0.18), (0.01, 0.29)),
        box("dark_glass", (-0.225, 0.11), (-0.197, -0.192), (0.045, 0.255)),
        rod("steel", 0.009, (0.135, -0.215, 0.05), (0.135, -0.215, 0.25)),
        box("ring", (0.165, 0.235), (-0.196, -0.192), (0.20, 0.25)),
        box("ring", (0.165, 0.235), (-0.196, -0.192), (0.05, 0.17)),
    ]  # fmt: skip


def _knives() -> list[Part]:
    parts = [box("dark_wood", (-0.055, 0.055), (-0.06, 0.06), (0, 0.20))]
    for x in (-0.035, 0.0, 0.035):
        for y, top in ((-0.035, 0.26), (0.0, 0.28), (0.035, 0.30)):
            parts.append(box("black", (x - 0.008, x + 0.008), (y - 0.007, y + 0.007), (0.20, top)))
    return parts


def _utensils() -> list[Part]:
    parts = [_up("china", 0.058, 0, 0.15), _up("black", 0.052, 0.146, 0.152)]
    for x, y, tip, material in (
        (-0.03, 0.01, 0.30, "wood"), (0.02, 0.03, 0.32, "wood"), (0.0, -0.03, 0.28, "black"),
        (0.03, -0.01, 0.31, "steel"),
    ):  # fmt: skip
        parts.append(rod(material, 0.006, (x, y, 0.14), (2 * x, 2 * y, tip)))
        parts.append(ball(material, (0.025, 0.008, 0.032), (2 * x, 2 * y, tip)))
    return parts


def _plant() -> list[Part]:
    parts = [_up("clay", 0.055, 0, 0.09), _up("clay", 0.062, 0.085, 0.105)]
    for index, (x, y, z) in enumerate((
        (0, 0, 0.17), (0.045, 0.01, 0.15), (-0.045, 0.0, 0.15), (0.01, -0.045, 0.14),
        (0.0, 0.04, 0.16), (0.03, -0.03, 0.20), (-0.03, 0.03, 0.21), (-0.035, -0.035, 0.19),
        (0.0, 0.0, 0.24),
    )):  # fmt: skip
        parts.append(ball(("leaf", "light_leaf")[index % 2], (0.042, 0.040, 0.030), (x, y, z)))
    return parts


def _board() -> list[Part]:
    return [
        box("board", (-0.14, 0.14), (0.0, 0.018), (0.0, 0.36)),
        box("wood", (-0.10, 0.10), (-0.022, -0.004), (0.0, 0.26)),
    ]


def _canisters() -> list[Part]:
    parts = []
    for x, radius, height in ((-0.13, 0.065, 0.20), (0.0, 0.058, 0.16), (0.115, 0.05, 0.125)):
        parts += [_up("cream", radius, 0, height, x), _up("wood", radius * 0.96, height,
                                                           height + 0.018, x)]  # fmt: skip
    return parts


def _rack() -> list[Part]:
    """Return a dish rack with plates on edge and a cup."""
    parts = [box("steel", (-0.17, 0.17), (-0.14, 0.14), (0.0, 0.012))]
    for x in (-0.165, 0.165):
        for y in (-0.135, 0.135):
            parts.append(_up("steel", 0.005, 0, 0.11, x, y))
    for y in (-0.135, 0.135):
        parts.append(rod("steel", 0.005, (-0.165, y, 0.11), (0.165, y, 0.11)))
    for x in (-0.13, -0.09, -0.05, -0.01):
        parts.append(rod("china", 0.105, (x, 0, 0.117), (x + 0.012, 0, 0.117)))
    return [*parts, _up("blue_china", 0.042, 0.012, 0.10, 0.10, -0.05)]


def _plates() -> list[Part]:
    return [_up("china", 0.085, 0.002 + 0.012 * i, 0.009 + 0.012 * i) for i in range(5)]


def _bowls() -> list[Part]:
    return [
        _up("blue_china", 0.035, 0, 0.02), _up("blue_china", 0.062, 0.02, 0.05),
        _up("china", 0.066, 0.05, 0.07), _up("ring", 0.056, 0.07, 0.071),
    ]  # fmt: skip


def _jar() -> list[Part]:
    return [_up("pasta", 0.045, 0, 0.15), _up("wood", 0.042, 0.15, 0.172)]


def _cups() -> list[Part]:
    return [
        *(_up("china", 0.038, z, z + 0.085, x) for x in (-0.045, 0.045) for z in (0,)),
        *(_up("ring", 0.033, 0.085, 0.0855, x) for x in (-0.045, 0.045)),
    ]


CLUTTER: dict[str, Callable[[], list[Part]]] = {
    "kettle": _kettle, "toaster": _toaster, "microwave": _microwave, "knives": _knives,
    "utensils": _utensils, "plant": _plant, "board": _board, "canisters": _canisters,
    "rack": _rack, "plates": _plates, "bowls": _bowls, "jar": _jar, "cups": _cups,
}  # fmt: skip
"""Parts of everything that stands about, by kind."""
