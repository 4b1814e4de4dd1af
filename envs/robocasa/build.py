"""From a recipe to a scene: RoboCasa builds the kitchen, which is then frozen."""

from copy import deepcopy

from dexbench.envs.assets.cache import asset_root
from dexbench.envs.assets.download import robocasa_root
from dexbench.envs.embodiment.robot import INIT_LEFT_ARM, OPEN_HAND
from dexbench.envs.freeze import freeze
from dexbench.envs.scenes.recipe import Recipe
from dexbench.envs.scenes.scene import Scene


def build_scene(recipe: Recipe) -> Scene:
    """Build a recipe's kitchen with RoboCasa and freeze it; a pure function of the recipe.

    Args:
        recipe: From :func:`dexbench.envs.draw_recipe`, by hand, or from
            :class:`dexbench.envs.RoboCasa`, whose kitchens are of RoboCasa's own assets.

    Raises:
        ValueError: The recipe names something that does not exist.
        UserError: It needs RoboCasa's own assets, and they are not all there.
        NoRoom: No counter of one of RoboCasa's own kitchens has room for robot and objects.
    """
    # Either import brings robosuite and RoboCasa, which running a scene does not need.
    downloaded = recipe.get("assets") == "robocasa"
    if downloaded:
        from .downloaded import kitchen_xml
    else:
        from .kitchen import kitchen_xml

    still = {f"robot0_left_fr3_joint{i}": float(q) for i, q in enumerate(INIT_LEFT_ARM, start=1)}
    still |= {f"gripper0_left_joint_{i}.0": float(q) for i, q in enumerate(OPEN_HAND)}
    user_assets = robocasa_root() if downloaded else None
    return Scene(
        xml=freeze(kitchen_xml(recipe), still, asset_root(), user_assets),
        objects=tuple(f"{entry['name']}_main" for entry in recipe["objects"]),
        instances=tuple(entry["instance"] for entry in recipe["objects"]),
        recipe=deepcopy(recipe),
    )
