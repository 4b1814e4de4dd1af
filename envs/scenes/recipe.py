"""What a scene is made of: a JSON-able recipe, drawn from a random stream.

A recipe names a layout, a style with its surfaces, a light and the objects with their poses.
Building it (see :mod:`dexbench.envs.robocasa.kitchen`) draws nothing, so a recipe is the whole
scene.

Positions are in the robot's base frame: x forward, y left, z up, in m.
"""

import math
from typing import Any

import numpy as np

from . import objects
from .layouts import COUNTER_DEPTH, COUNTER_HEIGHT, LAYOUTS
from .lighting import draw_light
from .objects import Split
from .styles import STYLES, SURFACES, draw_surfaces

Recipe = dict[str, Any]
Config = dict[str, Any]

BASE_HEIGHT = 0.10
"""Height of the robot's base frame above the floor, in m; the counter's top is 0.82 m above it."""
COUNTER_FRONT = 0.45
"""Distance along x from the base frame to the counter's front, in m; the base ends at 0.40."""

OBJECT_X = (0.57, 0.80)
"""Range of the target's centre along x, in m: nearer ones leave the head camera's picture below."""
OBJECT_Y = (-0.45, 0.05)
"""Range of the target's centre along y, in m: what the right arm reaches well."""
OTHER_X, OTHER_Y = (0.57, 0.86), (-0.58, 0.26)
"""Ranges of the other objects' centres, in m."""
N_OTHERS = (2, 4)
"""Fewest and most objects beside the target."""
HAND_GAP, GAP = 0.06, 0.03
"""Least distance, in m, of an object's bounding circle from the target's, and from another's."""


def base_position() -> tuple[float, float, float]:
    """Return the base frame's origin in RoboCasa's world, in m.

    The back wall is at y = 0 and the counter lies along x.
    """
    return (0.0, -(COUNTER_DEPTH + COUNTER_FRONT), BASE_HEIGHT)


def _pool(table: dict[str, Any], split: Split) -> list[str]:
    """Training draws from its own; a suite also from what training never shows."""
    return [name for name, item in table.items() if split == "suite" or item.split == "train"]


def _radius(instance: objects.Instance) -> float:
    """Return radius in m of a circle around the instance's footprint at any yaw."""
    return math.hypot(*instance.footprint)


def _positions(rng: np.random.Generator, radii: list[float]) -> list[tuple[float, float]]:
    """Return centres, (x, y) in m, of the target and the others, whose circles are apart."""
    while True:
        placed: list[tuple[float, float]] = []
        for index, radius in enumerate(radii):
            x, y = (OTHER_X, OTHER_Y) if index else (OBJECT_X, OBJECT_Y)
            for _ in range(50):
                spot = (float(rng.uniform(*x)), float(rng.uniform(*y)))
                if all(
                    math.dist(spot, other) > radius + radii[i] + (GAP if i else HAND_GAP)
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

    The first object is the target; two to four others stand about it, with room for the hand.

    Args:
        rng: The stream to draw from.
        split: "train" draws only training layouts, styles and object instances; "suite" draws
            object instances that training never shows, some of them of categories that it never
            shows, in any layout and style.
        target: Category of the first object, the target; any if None.

    Returns:
        A JSON-able recipe for :func:`dexbench.envs.build_scene`.

    Raises:
        ValueError: If the split or the category does not exist.
    """
    items = objects.instances(split, target)
    first = items[int(rng.integers(len(items)))]
    chosen = [first]
    others = [name for name in objects.categories(split) if name != first.category]
    count = int(rng.integers(N_OTHERS[0], N_OTHERS[1] + 1))
    for name in rng.permutation(others)[:count]:
        items = objects.instances(split, str(name))
        chosen.append(items[int(rng.integers(len(items)))])
    spots = _positions(rng, [_radius(item) for item in chosen])
    layouts, styles = _pool(LAYOUTS, split), _pool(STYLES, split)
    style = styles[int(rng.integers(len(styles)))]
    return {
        "version": 2,
        "split": split,
        "layout": layouts[int(rng.integers(len(layouts)))],
        "style": style,
        "surfaces": draw_surfaces(rng, style),
        "light": draw_light(rng),
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
    for name in SURFACES:
        choices = getattr(STYLES[recipe["style"]], name)
        if recipe.get("surfaces", {}).get(name) not in choices:
            raise ValueError(
                f"recipe surface {name} {recipe.get('surfaces', {}).get(name)!r} is not one of "
                f"style {recipe['style']}: {sorted(choices)}"
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
