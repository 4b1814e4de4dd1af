"""Recipes of RoboCasa's own kitchens: its layouts and styles by id, its objects by category.

Such a recipe names ids, object files and a seed; RoboCasa's placement, seeded by it, finds the
counter and puts the objects there while the kitchen is built.
"""

import functools
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import numpy as np

from dexbench.envs.assets.download import missing, robocasa_root
from dexbench.envs.scenes.lighting import draw_light
from dexbench.envs.scenes.objects import Split
from dexbench.envs.scenes.recipe import N_OTHERS, Recipe
from dexbench.utils.errors import UserError

IDS: dict[Split, range] = {"train": range(11, 61), "suite": range(1, 11)}
"""RoboCasa's ids of layouts, and of styles: those it trains on, and those it keeps for tests."""
REGISTRIES = ("objaverse", "lightwheel")
"""RoboCasa's sources of objects, also the names of their folders."""
NARROWEST, WIDEST = 0.10, 0.20
"""Largest horizontal sides, in m, of an object: the lesser must fit between fingers and thumb."""


class NoRoom(Exception):  # noqa: N818 - a verdict on a draw, not a fault
    """A kitchen in which no counter has room for the robot and the objects; its text says why."""


@dataclass(frozen=True)
class RoboCasa:
    """Draws scenes of RoboCasa's own assets: ``gym.make(id, kitchen=RoboCasa(layouts=(1, 2)))``.

    Raises:
        UserError: An id is not between 1 and 60, or something is not a tuple.
    """

    layouts: tuple[int, ...] = ()
    """RoboCasa's layout ids, 1 to 60; all of the split (:data:`IDS`) if empty."""
    styles: tuple[int, ...] = ()
    """RoboCasa's style ids, 1 to 60; all of the split if empty."""
    categories: tuple[str, ...] = ()
    """RoboCasa's categories of the target; every graspable one if empty."""

    def __post_init__(self) -> None:
        for name in ("layouts", "styles", "categories"):
            if not isinstance(getattr(self, name), tuple):
                value = getattr(self, name)
                raise UserError(f"{name} is {value!r}, expected a tuple such as ({value!r},)")
        for kind, chosen in (("layout", self.layouts), ("style", self.styles)):
            for number in chosen:
                _check_id(kind, number)

    def __call__(self, rng: np.random.Generator, split: Split = "train") -> Recipe:
        """Draw a scene: a target and two to four objects of other categories.

        Args:
            rng: The stream to draw from.
            split: "train" draws from the layouts, styles and object instances that RoboCasa trains
                on, "suite" from those that it keeps for tests.

        Returns:
            A JSON-able recipe for :func:`dexbench.envs.build_scene`.

        Raises:
            UserError: The assets are not there, or hold nothing of the categories.
        """
        root = robocasa_root()
        everything = _instances(root, split)
        targets = {name: everything.get(name, []) for name in self.categories} or everything
        absent = sorted(name for name, items in targets.items() if not items)
        if absent or not targets:
            raise UserError(
                f"RoboCasa's assets in {root} hold no graspable object of "
                f"{', '.join(absent) or 'any category'} in its split {split!r}; "
                f"there are: {', '.join(sorted(everything)) or 'none'}"
            )
        first = str(rng.choice(sorted(targets)))
        others = rng.permutation(sorted(set(everything) - {first}))
        count = int(rng.integers(N_OTHERS[0], N_OTHERS[1] + 1))
        chosen = [
            (targets if i == 0 else everything)[str(name)]
            for i, name in enumerate([first, *others[:count]])
        ]
        return {
            "version": 2,
            "assets": "robocasa",
            "split": split,
            "layout": int(rng.choice(self.layouts or IDS[split])),
            "style": int(rng.choice(self.styles or IDS[split])),
            "light": draw_light(rng),
            "seed": int(rng.integers(2**31)),
            "objects": [
                {"name": f"object_{index}", "instance": str(rng.choice(items))}
                for index, items in enumerate(chosen)
            ],
        }


def check_robocasa_recipe(recipe: Recipe) -> None:
    """Raise UserError, naming the entry, if a recipe names what RoboCasa's assets do not have."""
    _check_id("layout", recipe.get("layout"))
    _check_id("style", recipe.get("style"))
    for entry in recipe["objects"]:
        object_file(entry["instance"])
        object_arguments(entry["instance"])


def object_file(instance: str) -> Path:
    """Return the model file of ``<registry>/<category>/<name>``.

    Raises:
        UserError: There is none.
    """
    root, name = robocasa_root(), f"objects/{instance}/model.xml"
    if not (root / name).is_file():
        raise missing(root, name)
    return root / name


def object_arguments(instance: str) -> dict[str, Any]:
    """RoboCasa's arguments of an object's category: scale, density, friction and so on.

    Raises:
        UserError: RoboCasa has no such category.
    """
    registry, category, _ = instance.split("/")
    try:
        return dict(_categories()[category][registry].get_mjcf_kwargs())
    except KeyError:
        raise UserError(
            f"recipe object {instance!r} is unknown; expected <registry>/<category>/<name> with a "
            f"registry of {REGISTRIES} and a category of RoboCasa's"
        ) from None


def _check_id(kind: str, number: object) -> None:
    if type(number) is not int or not 1 <= number <= 60:
        raise UserError(f"RoboCasa {kind} {number!r} is unknown; expected an id from 1 to 60")


def _categories() -> dict[str, dict[str, Any]]:
    """RoboCasa's categories: by name and registry, also those without a file."""
    from .patches import CATEGORIES, import_robocasa

    import_robocasa()
    return CATEGORIES


@functools.cache  # it reads every object's file
def _instances(root: Path, split: Split) -> dict[str, list[str]]:
    """Graspable instances that fit the hand, ``<registry>/<category>/<name>``, by category.

    Of each category RoboCasa keeps the last five, or half if there are fewer than ten, for tests.
    """
    instances: dict[str, list[str]] = {}
    for category, registries in sorted(_categories().items()):
        for registry in REGISTRIES:
            kind = registries.get(registry)
            if kind is None or not kind.graspable or kind.is_auxiliary_obj:
                continue
            files = sorted((root / "objects" / registry / category).glob("*/model.xml"))
            files = [path for path in files if path.parent.name not in kind.exclude]
            kept = max(len(files) - 5, (len(files) + 1) // 2)
            chosen = files[:kept] if split == "train" else files[kept:]
            names = [
                f"{registry}/{category}/{path.parent.name}"
                for path in chosen
                if _fits(path, kind.scale)
            ]
            if names:
                instances.setdefault(category, []).extend(names)
    return instances


def _fits(path: Path, scale: float | list[float]) -> bool:
    """Return whether an object is of a size that the hand can grasp."""
    box = ElementTree.parse(path).getroot().find(".//geom[@name='reg_bbox']")
    if box is None:
        return False
    sides = 2 * np.array(box.get("size", "").split(), float) * scale
    return bool(sides[:2].min() <= NARROWEST and sides[:2].max() <= WIDEST)
