"""What a scene is made of: a JSON-able recipe, drawn from a random stream.

A recipe names a layout, a style, a light and the objects with their poses. Building it (see
:mod:`dexbench.envs.kitchen`) draws nothing, so a recipe is the whole scene.

Positions are in the robot's base frame: x forward, y left, z up, in m.
"""

import math
from typing import Any

import numpy as np

from . import objects
from .objects import Split

Recipe = dict[str, Any]
Config = dict[str, Any]

COUNTER_HEIGHT = 0.92
"""Height of the counter's top above the floor, in m."""
BASE_HEIGHT = 0.10
"""Height of the robot's base frame above the floor, in m; the counter's top is 0.82 m above it."""
COUNTER_FRONT = 0.45
"""Distance along x from the base frame to the counter's front, in m; the base ends at 0.40."""
COUNTER_SIZE = (3.0, 0.65)
"""Width and depth of the counter, in m."""

OBJECT_X = (0.57, 0.80)
"""Range of object centres along x, in m: nearer ones leave the head camera's picture below."""
OBJECT_Y = (-0.45, 0.05)
"""Range of object centres along y, in m: what the right arm reaches well."""
N_OBJECTS = 3
"""The target and two distractors."""
GAP = 0.03
"""Least distance between the bounding circles of two objects, in m."""

STYLES: dict[str, tuple[Split, Config]] = {
    "oak_marble": ("train", {
        "cabinet": {"default": ["warm_wood_parquet", "shaker", "handle_bar"]},
        "counter": "warm_wood_base_marble_top", "floor": "gray_wood", "wall": "white_tiles",
    }),
    "grey_stone": ("train", {
        "cabinet": {"default": ["gray", "shaker", "handle_bar"]},
        "counter": "wood_base_dark_marble_top", "floor": "concrete_tiles", "wall": "white_bricks",
    }),
    "walnut_brick": ("train", {
        "cabinet": {"default": ["walnut_wood_grain", "slab", "handle_bar"]},
        "counter": "warm_wood_base_granite_top", "floor": "light_wood_2", "wall": "red_bricks",
    }),
    "white_wood": ("train", {
        "cabinet": {"default": ["warm_white", "shaker", "handle_bar", "handle_black"]},
        "counter": "green_base_wood_top", "floor": "wood", "wall": "white_plaster",
    }),
    "blue_terracotta": ("suite", {
        "cabinet": {"default": ["dark_blue", "shaker", "handle_bar", "handle_brass"]},
        "counter": "cream_base_wood_parquet_top", "floor": "orange_tiles", "wall": "diamond_tiles",
    }),
    "cherry_grey": ("suite", {
        "cabinet": {"default": ["warm_wood_grain", "raised", "handle_bar"]},
        "counter": "gray_wood_base_marble_top", "floor": "dark_wood_planks",
        "wall": "white_square_tiles",
    }),
}  # fmt: skip
"""RoboCasa style dictionaries, each with its split."""

LAYOUTS: dict[str, tuple[Split, tuple[tuple[str, float], ...]]] = {
    "straight": ("train", (("hinge_cabinet", 1.0), ("hinge_cabinet", 1.0), ("hinge_cabinet", 1.0))),
    "straight_shelves": (
        "suite",
        (("hinge_cabinet", 1.1), ("open_cabinet", 0.8), ("hinge_cabinet", 1.1)),
    ),
}
"""Wall units of every layout from left to right (RoboCasa type, width in m), with its split."""

_UPPER_BOTTOM, _UPPER_HEIGHT, _UPPER_DEPTH = 1.50, 0.80, 0.34
_ROOM_HEIGHT, _ROOM_DEPTH, _ROOM_HALF_WIDTH = 2.6, 3.6, 2.4


def base_position() -> tuple[float, float, float]:
    """The base frame's origin in RoboCasa's world (back wall at y = 0, counter along x), in m."""
    return (0.0, -(COUNTER_SIZE[1] + COUNTER_FRONT), BASE_HEIGHT)


def layout_config(layout: str) -> Config:
    """The RoboCasa layout dictionary of a straight kitchen, fresh at every call.

    RoboCasa changes the dictionary it is given, so it must not be used twice.
    """
    half, height, depth = _ROOM_HALF_WIDTH, _ROOM_HEIGHT / 2, _ROOM_DEPTH / 2
    sides: list[tuple[str, list[float], list[float]]] = [
        ("", [half, height], [0.0, 0.0, height]),
        ("_left", [depth, height], [-half, -depth, height]),
        ("_right", [depth, height], [half, -depth, height]),
    ]
    walls: list[Config] = []
    for suffix, size, pos in sides:
        wall: Config = {
            "name": f"wall{suffix}",
            "type": "wall",
            "size": [*size, 0.02],
            "pos": [*pos],
        }
        if suffix:
            wall["wall_side"] = suffix[1:]
        walls.append(wall)
    floor = {
        "name": "floor", "type": "floor",
        "size": [half, depth, 0.02], "pos": [0.0, -depth, 0.0],
    }  # fmt: skip

    width, counter_depth = COUNTER_SIZE
    counter = {
        "name": "counter", "type": "counter",
        "size": [width, counter_depth, COUNTER_HEIGHT],
        "pos": [0.0, -counter_depth / 2, COUNTER_HEIGHT / 2],
    }  # fmt: skip
    upper, lower, left = [], [], -width / 2
    for index, (kind, unit) in enumerate(LAYOUTS[layout][1]):
        centre = left + unit / 2
        left += unit
        upper.append({
            "name": f"wall_unit_{index}", "type": kind, "size": [unit, _UPPER_DEPTH, _UPPER_HEIGHT],
            "pos": [centre, -_UPPER_DEPTH / 2, _UPPER_BOTTOM + _UPPER_HEIGHT / 2],
        })  # fmt: skip
        lower.append({
            "name": f"base_unit_{index}", "type": "stack", "levels": ["hinge_cabinet", "drawer"],
            "percentages": [0.75, 0.25], "size": [unit, 0.60, 0.84],
            "pos": [centre, -0.30, 0.47],
        })  # fmt: skip
    return {
        "room": {"walls": walls, "floor": [floor]},
        "main_group": {"counters": [counter], "upper": upper, "lower": lower},
    }


def _pool(table: dict[str, tuple[Split, Any]], split: Split) -> list[str]:
    """Training draws from its own; a suite also from what training never shows."""
    return [name for name, (owner, _) in table.items() if split == "suite" or owner == "train"]


def _radius(instance: objects.Instance) -> float:
    """Radius in m of a circle around the instance's footprint at any yaw."""
    x, y = objects.CATEGORIES[instance.category].footprint
    return math.hypot(x * instance.scale[0], y * instance.scale[1])


def _positions(rng: np.random.Generator, radii: list[float]) -> list[tuple[float, float]]:
    """Centres, (x, y) in m, whose circles keep :data:`GAP` from one another."""
    while True:
        placed: list[tuple[float, float]] = []
        for radius in radii:
            for _ in range(50):
                spot = (float(rng.uniform(*OBJECT_X)), float(rng.uniform(*OBJECT_Y)))
                if all(
                    math.dist(spot, other) > radius + radii[i] + GAP
                    for i, other in enumerate(placed)
                ):
                    placed.append(spot)
                    break
        if len(placed) == len(radii):
            return placed


def draw_recipe(
    rng: np.random.Generator, split: Split = "train", target: str | None = None
) -> Recipe:
    """Draw a scene: layout, style, light, and objects of distinct categories on the counter.

    Args:
        rng: The stream to draw from.
        split: "train" draws only training layouts, styles and object instances; "suite" draws
            object instances that training never shows, in any layout and style.
        target: Category of the first object, the target; any if None.

    Returns:
        A JSON-able recipe for :func:`dexbench.envs.kitchen.build_kitchen`.

    Raises:
        ValueError: If the split or the category does not exist.
    """
    items = objects.instances(split, target)
    first = items[int(rng.integers(len(items)))]
    chosen = [first]
    others = [name for name in objects.CATEGORIES if name != first.category]
    for name in rng.permutation(others)[: N_OBJECTS - 1]:
        items = objects.instances(split, str(name))
        chosen.append(items[int(rng.integers(len(items)))])
    spots = _positions(rng, [_radius(item) for item in chosen])
    layouts, styles = _pool(LAYOUTS, split), _pool(STYLES, split)
    return {
        "version": 1,
        "split": split,
        "layout": layouts[int(rng.integers(len(layouts)))],
        "style": styles[int(rng.integers(len(styles)))],
        "light": {
            "ambient": round(float(rng.uniform(0.36, 0.46)), 4),
            "diffuse": round(float(rng.uniform(0.36, 0.48)), 4),
            "direction": [round(float(value), 4) for value in (*rng.uniform(-0.5, 0.5, 2), -1.0)],
            "warmth": round(float(rng.uniform(-0.05, 0.05)), 4),
        },
        "objects": [
            {
                "name": f"object_{index}",
                "instance": item.name,
                "pos": [round(value, 4) for value in spot],
                "yaw": round(float(rng.uniform(-math.pi, math.pi)), 4),
            }
            for index, (item, spot) in enumerate(zip(chosen, spots, strict=True))
        ],
    }


def check_recipe(recipe: Recipe) -> None:
    """Raise ValueError, naming the entry, if a recipe names something that does not exist."""
    for key, table in (("layout", LAYOUTS), ("style", STYLES)):
        if recipe.get(key) not in table:
            raise ValueError(
                f"recipe {key} {recipe.get(key)!r} is unknown; expected one of {sorted(table)}"
            )
    for entry in recipe.get("objects", []):
        if entry.get("instance") not in objects.INSTANCES:
            raise ValueError(
                f"recipe object {entry.get('instance')!r} is unknown; "
                f"expected <category>_<0-5> with a category of {sorted(objects.CATEGORIES)}"
            )


def object_pose(entry: Config, bottom: float) -> tuple[tuple[float, ...], tuple[float, ...]]:
    """World pose of a recipe's object standing on the counter.

    Args:
        entry: One of the recipe's ``objects``.
        bottom: Height of the object's lowest point in its own frame, in m.

    Returns:
        Position (3,) in m and orientation (w, x, y, z) in RoboCasa's world.
    """
    base = base_position()
    forward, left = entry["pos"]
    # The base frame is turned by 90 degrees: forward is world y, left is world -x.
    yaw = entry["yaw"] + math.pi / 2
    position = (base[0] - left, base[1] + forward, COUNTER_HEIGHT - bottom + _DROP)
    return position, (math.cos(yaw / 2), 0.0, 0.0, math.sin(yaw / 2))


_DROP = 0.001
"""Objects start 1 mm above the counter, in m: no contact is active before the first step."""
