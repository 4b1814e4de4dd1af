"""The graspable objects of the ``generated`` asset pack: six household meshes, six instances each.

The meshes are those that robosuite ships. Their masses there are toys' (a lemon of 3 g) and their
sizes small, so both are mended here; instances of a category differ in size, colour and mass.
Every instance belongs to one split, so that a suite shows objects that training never showed.
"""

from dataclasses import dataclass
from typing import Literal

from .seeding import rng

Split = Literal["train", "suite"]

FRICTION = (1.0, 0.01, 0.002)
"""Sliding (1), torsional (m) and rolling (m) friction of objects."""
SOLREF = (0.004, 1.0)
"""Time constant (s) and damping ratio of object contacts."""
SOLIMP = (0.95, 0.99, 0.001)
"""Impedance of object contacts."""


@dataclass(frozen=True)
class Category:
    """One mesh and how its instances may look.

    Attributes:
        name: RoboCasa's name of the category.
        title: The plain word for it.
        mesh: File below robosuite's ``objects/meshes``.
        texture: File below robosuite's ``textures``, or None for a plain colour.
        scale: Scale of the mesh in x, y and z at instance scale 1.
        footprint: Half-width of the shipped mesh in x and y, in m.
        mass: Lightest and heaviest instance, in kg.
        colours: RGB, 0..255, of each instance: the plain colour, or for a textured mesh the tint
            that its texture is multiplied with.
        hues: Rotation of the texture's hue for each instance, in sixths of a turn.
        texrepeat: Repetitions of the texture over its coordinates.
        condim: Dimension of its contacts: 4 (no rolling friction) or 6.
        shine: Specular and shininess of the material, 0..1.
    """

    name: str
    title: str
    mesh: str
    texture: str | None
    scale: tuple[float, float, float]
    footprint: tuple[float, float]
    mass: tuple[float, float]
    colours: tuple[tuple[int, int, int], ...]
    hues: tuple[int, ...] = (0,) * 6
    texrepeat: tuple[float, float] = (1, 1)
    shine: tuple[float, float] = (0.3, 0.3)
    condim: int = 4


_PLAIN = (
    (255, 255, 255),
    (255, 236, 214),
    (226, 240, 255),
    (240, 255, 228),
    (255, 226, 226),
    (232, 232, 232),
)

CATEGORIES: dict[str, Category] = {
    category.name: category
    for category in (
        Category(
            "bottled_drink", "bottle", "bottle.stl", None,
            (1.0, 1.0, 1.0), (0.028, 0.030), (0.20, 0.30),
            ((38, 132, 48), (118, 66, 30), (30, 96, 140),
             (150, 150, 40), (120, 24, 36), (20, 120, 110)),
            shine=(0.9, 0.8),
        ),
        Category(
            "can", "can", "can.msh", "soda.png",
            (1.15, 1.15, 1.15), (0.025, 0.026), (0.18, 0.28), _PLAIN,
            hues=(0, 4, 2, 1, 3, 5), texrepeat=(5, 5), shine=(0.7, 0.6),
        ),
        Category(
            "milk", "milk carton", "milk.msh", "ceramic.png",
            (1.0, 1.0, 1.0), (0.0222, 0.0222), (0.20, 0.30),
            ((250, 250, 250), (176, 206, 240), (246, 214, 214),
             (206, 236, 200), (250, 238, 180), (214, 200, 240)),
        ),
        Category(
            "cereal", "cereal box", "cereal.msh", "cereal.png",
            (1.0, 1.0, 1.0), (0.050, 0.015), (0.15, 0.25), _PLAIN, hues=(0, 2, 4, 1, 5, 3),
        ),
        Category(
            "bread", "bread", "bread.stl", "bread.png",
            (1.04, 1.04, 1.04), (0.030, 0.025), (0.10, 0.16),
            ((255, 255, 255), (255, 226, 190), (222, 190, 150),
             (255, 240, 214), (236, 206, 170), (206, 170, 130)),
            texrepeat=(15, 15), shine=(0.1, 0.1),
        ),
        Category(
            "lemon", "lemon", "lemon.msh", "lemon.png",
            (1.8, 1.2, 1.2), (0.023, 0.020), (0.10, 0.16),
            ((255, 255, 255), (255, 226, 160), (236, 255, 170),
             (255, 206, 140), (220, 240, 140), (255, 190, 120)),
            texrepeat=(60, 50), condim=6,
        ),
    )
}  # fmt: skip
"""The categories, by RoboCasa's name."""

# Of a category's six instances the last two are kept for suites.
_SCALES = (0.96, 1.00, 1.05, 1.10, 0.93, 1.07)
_N_TRAIN = 4


@dataclass(frozen=True)
class Instance:
    """One object: a category in one size, colour and mass.

    Attributes:
        name: ``<category>_<index>``, also the folder of its ``model.xml``.
        category: Key of :data:`CATEGORIES`.
        index: 0 to 5.
        split: "train" or "suite".
        scale: Scale of the mesh in x, y and z, against robosuite's file.
        mass: In kg.
        colour: RGB, 0..255; see :class:`Category`.
        hue: Rotation of the texture's hue, in sixths of a turn.
    """

    name: str
    category: str
    index: int
    split: Split
    scale: tuple[float, float, float]
    mass: float
    colour: tuple[int, int, int]
    hue: int

    @property
    def path(self) -> str:
        """Its model file, relative to the asset root."""
        return f"objects/objaverse/{self.category}/{self.name}/model.xml"


def _instance(category: Category, index: int) -> Instance:
    name = f"{category.name}_{index}"
    factor = _SCALES[index]
    low, high = category.mass
    grams = int(rng("object", name).integers(round(low * 1000), round(high * 1000) + 1))
    return Instance(
        name=name,
        category=category.name,
        index=index,
        split="train" if index < _N_TRAIN else "suite",
        scale=tuple(round(value * factor, 4) for value in category.scale),  # type: ignore[arg-type]
        mass=grams / 1000,
        colour=category.colours[index],
        hue=category.hues[index],
    )


INSTANCES: dict[str, Instance] = {
    instance.name: instance
    for category in CATEGORIES.values()
    for instance in (_instance(category, index) for index in range(len(_SCALES)))
}
"""Every instance, by name."""


def instances(split: Split, category: str | None = None) -> list[Instance]:
    """The instances of a split, of one category or of all, in a fixed order.

    Raises:
        ValueError: If the split or the category does not exist.
    """
    if split not in ("train", "suite"):
        raise ValueError(f"unknown split {split!r}; expected 'train' or 'suite'")
    if category is not None and category not in CATEGORIES:
        raise ValueError(f"unknown category {category!r}; expected one of {sorted(CATEGORIES)}")
    return [
        item
        for item in INSTANCES.values()
        if item.split == split and category in (None, item.category)
    ]
