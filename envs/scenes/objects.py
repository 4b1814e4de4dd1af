"""The graspable objects of the ``generated`` asset pack: six instances of every category.

Instances of a category differ in size, colour and mass. Every instance belongs to one split, so
that a suite shows objects that training never showed; some categories are kept for suites whole.
"""

from dataclasses import dataclass
from typing import Literal

from dexbench.utils.seeding import rng

from .catalogue import CATEGORIES, Category, Colour

__all__ = ["CATEGORIES", "INSTANCES", "Category", "Instance", "Split", "categories", "instances"]

Split = Literal["train", "suite"]

FRICTION = (1.0, 0.01, 0.002)
"""Sliding (1), torsional (m) and rolling (m) friction of objects."""
SOLREF = (0.004, 1.0)
"""Time constant (s) and damping ratio of object contacts."""
SOLIMP = (0.95, 0.99, 0.001)
"""Impedance of object contacts."""

# Of a category's six instances the last two are kept for suites.
_SCALES = (0.96, 1.00, 1.05, 1.10, 0.93, 1.07)
_N_TRAIN = 4


@dataclass(frozen=True)
class Instance:
    """One object: a category in one size, colour and mass."""

    name: str
    """``<category>_<index>``, also the folder of its ``model.xml``."""
    category: str
    """Key of :data:`CATEGORIES`."""
    index: int
    """0 to 5."""
    split: Split
    """Either "train" or "suite"."""
    scale: tuple[float, float, float]
    """Scale of the mesh in x, y and z, against the category's."""
    mass: float
    """In kg."""
    colour: Colour
    """RGB, 0..255; see :class:`Category`."""
    accent: Colour
    """RGB, 0..255; see :class:`Category`."""
    hue: int
    """Rotation of the texture's hue, in sixths of a turn."""

    @property
    def path(self) -> str:
        """Its model file, relative to the asset root."""
        return f"objects/objaverse/{self.category}/{self.name}/model.xml"

    @property
    def footprint(self) -> tuple[float, float]:
        """Largest distance in m from the middle along x and y."""
        x, y = CATEGORIES[self.category].footprint
        return x * self.scale[0], y * self.scale[1]


def _instance(category: Category, index: int) -> Instance:
    name = f"{category.name}_{index}"
    factor = _SCALES[index]
    low, high = category.mass
    grams = int(rng("object", name).integers(round(low * 1000), round(high * 1000) + 1))
    colour = category.colours[index]
    return Instance(
        name=name,
        category=category.name,
        index=index,
        split="suite" if category.held_out or index >= _N_TRAIN else "train",
        scale=tuple(round(value * factor, 4) for value in category.scale),  # type: ignore[arg-type]
        mass=grams / 1000,
        colour=colour,
        accent=category.accents[index] if category.accents else colour,
        hue=category.hues[index],
    )


INSTANCES: dict[str, Instance] = {
    instance.name: instance
    for category in CATEGORIES.values()
    for instance in (_instance(category, index) for index in range(len(_SCALES)))
}
"""Every instance, by name."""


def category_of(instance: str) -> str:
    """Return the category in an instance's name: ``mug_3``, or RoboCasa's ``objaverse/mug/mug_3``.

    Args:
        instance: The name, as recipes have it.
    """
    return instance.split("/")[1] if "/" in instance else instance.rpartition("_")[0]


def categories(split: Split) -> list[str]:
    """Return names of the categories that have instances in a split, in a fixed order.

    Raises:
        ValueError: If the split does not exist.
    """
    return list(dict.fromkeys(item.category for item in instances(split)))


def instances(split: Split, category: str | None = None) -> list[Instance]:
    """Return the instances of a split, of one category or of all, in a fixed order.

    Raises:
        ValueError: If the split or the category does not exist, or the split has none of it.
    """
    if split not in ("train", "suite"):
        raise ValueError(f"unknown split {split!r}; expected 'train' or 'suite'")
    if category is not None and category not in CATEGORIES:
        raise ValueError(f"unknown category {category!r}; expected one of {sorted(CATEGORIES)}")
    chosen = [
        item
        for item in INSTANCES.values()
        if item.split == split and category in (None, item.category)
    ]
    if not chosen:
        raise ValueError(f"category {category!r} is kept for suites; split 'train' has none of it")
    return chosen
