"""Drawing trials from seeds: a kitchen, and a start and goal of the task in it."""

from collections.abc import Callable

import numpy as np

from dexbench.envs.robocasa.build import build_scene
from dexbench.envs.robocasa.recipe import NoRoom, RoboCasa
from dexbench.envs.scenes.objects import Split
from dexbench.envs.scenes.recipe import Recipe, draw_recipe
from dexbench.envs.trial import Trial
from dexbench.utils.seeding import rng

from .bank import Bank
from .base import Rejected, Task

Kitchens = Callable[[np.random.Generator, Split], Recipe]
"""Draws a recipe of a split from a random stream."""
KITCHENS: dict[str, Kitchens] = {"generated": draw_recipe, "robocasa": RoboCasa()}
"""Every source of kitchens by the name that ``--kitchen`` takes."""
DRAWS = 40
"""Scenes tried before a training seed is given up."""


def training_trial(
    task: Task, seed: int, kitchen: Kitchens | None = None, fresh: bool = False
) -> Trial:
    """Return the training trial of a seed; a pure function of its arguments.

    It is one of the bank, redrawn, or drawn in a kitchen of its own.

    Args:
        task: What the trial is of.
        seed: Names the random streams.
        kitchen: Draws the recipe of a kitchen of its own.
        fresh: Whether to draw a kitchen of its own also where there is none given. Tasks without
            trials in the bank always do.

    Raises:
        RuntimeError: As `draw_trial`.
        UserError: As `draw_trial`, or the bank is damaged.
    """
    bank = Bank.packaged()
    if fresh or kitchen is not None or not bank.numbers(task.name):
        return draw_trial(task, ("train", seed), "train", kitchen or draw_recipe)
    return bank.draw(task, seed)


def draw_trial(
    task: Task, key: tuple[int | str, ...], split: Split, kitchen: Kitchens = draw_recipe
) -> Trial:
    """Draw a trial; a pure function of its arguments.

    Args:
        task: What the trial is of.
        key: Names the random stream.
        split: `train` or `suite`: whose layouts, styles and object instances to use.
        kitchen: Draws the scenes' recipes.

    Raises:
        RuntimeError: No trial was found in many scenes.
        UserError: The kitchens need RoboCasa's own assets, and they are not all there.
    """
    reasons = []
    for attempt in range(DRAWS):
        stream = rng("trial", task.name, *key, attempt)
        try:
            scene = build_scene(kitchen(stream, split))
        except NoRoom as reason:
            reasons.append(str(reason))
            continue
        # A kitchen takes about as long to build as a start and goal to draw, so try two in each.
        for _ in range(2):
            try:
                return task.draw(scene, stream, (task.name, *key))
            except (Rejected, FloatingPointError) as reason:
                reasons.append(str(reason))
    raise RuntimeError(f"no {task.name} trial found for {key}: {sorted(set(reasons))}")
