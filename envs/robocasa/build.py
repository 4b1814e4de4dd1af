"""A scene ready to simulate: a recipe's kitchen, frozen into MJCF."""

from dataclasses import dataclass

from dexbench.envs.assets.cache import asset_root
from dexbench.envs.assets.download import robocasa_root
from dexbench.envs.embodiment.robot import INIT_LEFT_ARM, OPEN_HAND
from dexbench.envs.freeze import freeze
from dexbench.envs.scenes.recipe import Recipe


@dataclass(frozen=True)
class Scene:
    """What the simulation needs of a kitchen."""

    xml: str
    """Frozen MJCF, asset paths relative to the asset cache or the user's RoboCasa assets."""
    objects: tuple[str, ...]
    """Body names of the movable objects."""
    instances: tuple[str, ...]
    """Which instance each object is, in the same order."""
    recipe: Recipe
    """What the scene was built from."""


def build_scene(recipe: Recipe) -> Scene:
    """Build a recipe's kitchen with RoboCasa and freeze it; a pure function of the recipe.

    Raises:
        ValueError: The recipe names something that does not exist.
        UserError: It needs RoboCasa's own assets, and they are not all there.
        NoRoom: No counter of one of RoboCasa's own kitchens has room for robot and objects.
    """
    # This imports robosuite and RoboCasa, which running a scene does not need.
    from .kitchen import build_kitchen

    built = build_kitchen(recipe)
    still = {f"robot0_left_fr3_joint{i}": float(q) for i, q in enumerate(INIT_LEFT_ARM, start=1)}
    still |= {f"gripper0_left_joint_{i}.0": float(q) for i, q in enumerate(OPEN_HAND)}
    real = robocasa_root() if recipe.get("assets") == "robocasa" else None
    return Scene(
        xml=freeze(built.xml, still, asset_root(), real),
        objects=tuple(item.body for item in built.objects),
        instances=tuple(item.instance for item in built.objects),
        recipe=built.recipe,
    )
