"""Where things stand in a kitchen: walls, counters, cabinets, appliances, clutter.

A layout is a few runs of units along walls. RoboCasa makes walls, floor, counters, cabinets and
drawers; what its package has no assets for is made by :mod:`dexbench.envs.scenes.fixtures`. The
robot always stands before the same counter, the main run's.

Lengths are in m, in RoboCasa's world: the main run's wall is y = 0, the room lies at negative y, x
points to the robot's right and z up.
"""

import math
from dataclasses import dataclass
from typing import Any

from .objects import Split
from .styles import STYLES, Surfaces, repeat, texture_file

Config = dict[str, Any]
Units = tuple[tuple[str, float], ...]
"""Kind and width in m of units side by side, from left to right as one faces the wall."""

COUNTER_HEIGHT = 0.92
"""Height of the counter's top above the floor."""
COUNTER_DEPTH = 0.65
"""Depth of every counter."""
UPPER_BOTTOM, UPPER_HEIGHT, UPPER_DEPTH = 1.50, 0.80, 0.34
"""Lower edge, height and depth of wall units."""
ROOM_HEIGHT = 2.6

BASE_UNITS = {
    "cupboard": (("hinge_cabinet", "drawer"), (0.75, 0.25)),
    "drawers": (("drawer", "drawer", "drawer"), (0.36, 0.36, 0.28)),
    "single": (("single_cabinet", "drawer"), (0.75, 0.25)),
}
"""RoboCasa's levels of a base unit, from below, and their shares of its height."""
WALL_UNITS = {"cupboard": "hinge_cabinet", "single": "single_cabinet", "open": "open_cabinet"}
"""RoboCasa's names of wall units. Other kinds are made by us, or nothing ("gap")."""
WITHOUT_TOP = ("fridge", "tower", "sink", "gap")
"""Base units that interrupt the counter's top."""


@dataclass(frozen=True)
class Run:
    """Units along one wall."""

    lower: Units
    """Base units and tall ones; "corner" is a counter over a closed corner."""
    upper: Units
    """What hangs on the wall above."""
    start: float
    """Left end of both along the wall."""
    clutter: tuple[tuple[str, float, float], ...] = ()
    """Things on the counter: kind, position along the wall, distance from the wall."""
    place: tuple[float, float] = (0.0, 0.0)
    """Where the wall's zero lies in the world (x, y)."""
    turn: int = 0
    """By how many quarter turns the run is turned, seen from above, against the main run."""


@dataclass(frozen=True)
class Layout:
    """A kitchen's plan; the first run is the main one."""

    split: Split
    """Whether training has it, or only suites."""
    runs: dict[str, Run]
    """By name."""
    left: float = -2.4
    """Where the left wall stands (x)."""
    right: float = 2.4
    """Where the right wall stands (x)."""
    depth: float = 3.6
    """How far the room reaches from the main wall."""


_SIDE_LEFT = Run(
    (("drawers", 0.55), ("stove", 0.6), ("cupboard", 0.6)),
    (("gap", 0.55), ("hood", 0.6), ("cupboard", 0.85)), -2.40,
    (("canisters", -0.40, 0.20), ("utensils", -0.80, 0.14)), (-1.5, 0.0), 1,
)  # fmt: skip
_SIDE_RIGHT = Run(
    (("cupboard", 0.8), ("drawers", 0.6), ("fridge", 0.72)), (("cupboard", 0.8), ("gap", 0.6)),
    0.65, (("toaster", 0.50, 0.22), ("plant", 0.25, 0.2)), (1.6, 0.0), 3,
)  # fmt: skip

LAYOUTS: dict[str, Layout] = {
    "straight": Layout("train", {"main": Run(
        (("drawers", 0.6), ("stove", 0.6), ("cupboard", 0.9), ("sink", 0.6), ("single", 0.3)),
        (("cupboard", 0.6), ("hood", 0.6), ("cupboard", 0.9), ("single", 0.45), ("single", 0.45)),
        -1.5, (("utensils", -1.05, 0.14), ("knives", -1.22, 0.16), ("rack", 1.35, 0.25)),
    )}),
    "straight_window": Layout("train", {"main": Run(
        (("cupboard", 0.6), ("sink", 0.6), ("drawers", 0.6), ("cupboard", 0.6), ("stove", 0.6)),
        (("single", 0.55), ("gap", 0.30), ("window", 1.1), ("gap", 0.45), ("hood", 0.6)),
        -1.5, (("plant", -0.22, 0.11), ("board", 0.84, 0.04), ("kettle", 1.32, 0.2)),
    )}),
    "straight_shelves": Layout("suite", {"main": Run(
        (("cupboard", 0.6), ("dishwasher", 0.6), ("cupboard", 0.6), ("drawers", 0.6),
         ("cupboard", 0.6)),
        (("cupboard", 0.75), ("shelves", 1.5), ("cupboard", 0.75)), -1.5,
        (("microwave", -0.85, 0.25), ("canisters", 0.85, 0.14), ("rack", 1.25, 0.3)),
    )}),
    "straight_tall": Layout("suite", {"main": Run(
        (("fridge", 0.72), ("stove", 0.6), ("cupboard", 0.7), ("drawers", 0.6), ("tower", 0.6)),
        (("gap", 0.72), ("hood", 0.6), ("open", 0.7), ("single", 0.6), ("gap", 0.6)), -1.67,
        (("knives", -0.22, 0.12), ("kettle", 0.74, 0.18)),
    )}),
    "l_left": Layout("train", {
        "main": Run(
            (("corner", 0.65), ("drawers", 0.55), ("cupboard", 0.95), ("sink", 0.6),
             ("single", 0.45)),
            (("gap", 0.35), ("single", 0.45), ("cupboard", 1.1), ("window", 1.1), ("gap", 0.2)),
            -1.5, (("canisters", -1.2, 0.2), ("rack", 1.45, 0.3)),
        ),
        "left": _SIDE_LEFT,
    }, left=-1.5),
    "l_right": Layout("train", {
        "main": Run(
            (("cupboard", 0.6), ("stove", 0.6), ("cupboard", 0.8), ("drawers", 0.45),
             ("corner", 0.65)),
            (("shelves", 0.6), ("hood", 0.6), ("cupboard", 0.8), ("single", 0.45)), -1.5,
            (("knives", -1.25, 0.14), ("microwave", 1.2, 0.27)),
        ),
        "right": _SIDE_RIGHT,
    }, right=1.6),
    "u_shape": Layout("suite", {
        "main": Run(
            (("corner", 0.65), ("drawers", 0.6), ("cupboard", 0.8), ("cupboard", 0.4),
             ("corner", 0.65)),
            (("gap", 0.35), ("gap", 0.55), ("window", 1.4), ("gap", 0.8)), -1.5,
            (("plant", -1.25, 0.25), ("microwave", 1.22, 0.27), ("utensils", -0.75, 0.12)),
        ),
        "left": _SIDE_LEFT,
        "right": _SIDE_RIGHT,
    }, left=-1.5, right=1.6),
    "galley": Layout("train", {
        "main": Run(
            (("cupboard", 0.75), ("dishwasher", 0.6), ("cupboard", 0.9), ("drawers", 0.75)),
            (("open", 0.75), ("cupboard", 0.75), ("open", 0.75), ("cupboard", 0.75)), -1.5,
            (("kettle", -0.95, 0.2), ("toaster", -0.55, 0.16), ("board", 0.95, 0.04)),
        ),
        "back": Run(
            (("fridge", 0.72), ("cupboard", 0.7), ("sink", 0.6), ("stove", 0.6), ("tower", 0.6)),
            (("gap", 0.72), ("gap", 0.1), ("window", 1.1), ("hood", 0.6), ("gap", 0.6)), -1.61,
            (), (0.0, -2.9), 2,
        ),
    }, left=-1.75, right=1.75, depth=2.9),
}  # fmt: skip
"""Every layout by name."""


def units(run: Run, row: Units) -> list[tuple[str, float, float]]:
    """Kind, centre along the wall and width of each of a run's units."""
    result, left = [], run.start
    for kind, width in row:
        result.append((kind, left + width / 2, width))
        left += width
    return result


def layout_config(layout: str, style: str, surfaces: Surfaces) -> Config:
    """Return the RoboCasa layout dictionary of a kitchen, fresh at every call.

    RoboCasa changes the dictionary it is given, so it must not be used twice.
    """
    plan = LAYOUTS[layout]
    config: Config = {"room": _room(plan, surfaces)}
    for name, run in plan.runs.items():
        group: Config = {
            "counters": _counters(run, surfaces, STYLES[style].front),
            "upper": _upper(run),
            "lower": _lower(run),
        }
        if run.turn:
            group |= {
                "group_origin": [0.0, 0.0],
                "group_pos": [*run.place],
                "group_z_rot": run.turn * math.pi / 2,
            }
        config[f"{name}_group"] = group
    return config


def _look(texture: str) -> Config:
    return {
        "texture": texture_file(texture),
        "mat_attrib": {
            "texrepeat": repeat(texture), "texuniform": "true", "shininess": "0.05",
            "reflectance": "0",
        },
    }  # fmt: skip


def _room(plan: Layout, surfaces: Surfaces) -> Config:
    """Return walls and floor; the wall behind the robot is left open unless a run stands at it."""
    width, middle = plan.right - plan.left, (plan.right + plan.left) / 2
    height, depth = ROOM_HEIGHT / 2, plan.depth / 2
    walls: list[Config] = []
    sides = [
        ("", width / 2, [middle, 0.0, height]),
        ("_left", depth, [plan.left, -depth, height]),
        ("_right", depth, [plan.right, -depth, height]),
    ]
    if any(run.turn == 2 for run in plan.runs.values()):
        sides.append(("_front", width / 2, [middle, -plan.depth, height]))
    for suffix, half, pos in sides:
        wall: Config = {
            "name": f"wall{suffix}", "type": "wall", "size": [half, height, 0.02], "pos": pos,
            **_look(surfaces["wall"]),
        }  # fmt: skip
        if suffix:
            wall["wall_side"] = suffix[1:]
        walls.append(wall)
    floor = {
        "name": "floor", "type": "floor", "size": [width / 2, depth, 0.02],
        "pos": [middle, -depth, 0.0], **_look(surfaces["floor"]),
    }  # fmt: skip
    return {"walls": walls, "floor": [floor]}


def stretches(run: Run, without: tuple[str, ...]) -> list[tuple[float, float]]:
    """From where to where a run's base units go on without a unit of some kinds, in m."""
    spans: list[tuple[float, float]] = []
    for kind, centre, width in units(run, run.lower):
        left, right = centre - width / 2, centre + width / 2
        if kind in without:
            continue
        if spans and abs(spans[-1][1] - left) < 1e-6:
            spans[-1] = (spans[-1][0], right)
        else:
            spans.append((left, right))
    return spans


def _counters(run: Run, surfaces: Surfaces, front: str) -> list[Config]:
    """Return a counter over each stretch of base units; the robot's is called "counter"."""
    return [
        {
            "name": "counter" if left < 0 < right else f"counter_{index}",
            "type": "counter",
            "size": [right - left, COUNTER_DEPTH, COUNTER_HEIGHT],
            "pos": [(left + right) / 2, -COUNTER_DEPTH / 2, COUNTER_HEIGHT / 2],
            "top_texture": texture_file(surfaces["top"]),
            "base_texture": texture_file(front),
        }
        for index, (left, right) in enumerate(stretches(run, WITHOUT_TOP))
    ]


def _upper(run: Run) -> list[Config]:
    return [
        {
            "name": f"wall_unit_{index}", "type": WALL_UNITS[kind],
            "size": [width, UPPER_DEPTH, UPPER_HEIGHT],
            "pos": [centre, -UPPER_DEPTH / 2, UPPER_BOTTOM + UPPER_HEIGHT / 2],
        }
        for index, (kind, centre, width) in enumerate(units(run, run.upper))
        if kind in WALL_UNITS
    ]  # fmt: skip


def _lower(run: Run) -> list[Config]:
    return [
        {
            "name": f"base_unit_{index}", "type": "stack", "levels": [*BASE_UNITS[kind][0]],
            "percentages": [*BASE_UNITS[kind][1]], "size": [width, 0.60, 0.84],
            "pos": [centre, -0.30, 0.47],
        }
        for index, (kind, centre, width) in enumerate(units(run, run.lower))
        if kind in BASE_UNITS
    ]  # fmt: skip
