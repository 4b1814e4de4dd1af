"""A kitchen that is ready to simulate, as data."""

from dataclasses import dataclass

from .recipe import Recipe


@dataclass(frozen=True)
class Scene:
    """What the simulation needs of a kitchen; `build_scene` makes one of a recipe."""

    xml: str
    """Frozen MJCF, asset paths relative to the asset cache or the user's RoboCasa assets."""
    objects: tuple[str, ...]
    """Body names of the movable objects, the target first."""
    instances: tuple[str, ...]
    """Which instance each object is, in the same order."""
    recipe: Recipe
    """What the scene was built from."""
