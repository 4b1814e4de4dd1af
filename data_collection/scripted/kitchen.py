"""A kitchen of training without robot and objects, in which others act."""

from xml.etree import ElementTree

import numpy as np

from dexbench.envs.assets.cache import asset_root
from dexbench.envs.freeze import ASSETS
from dexbench.envs.robocasa.build import build_scene
from dexbench.envs.scenes.recipe import draw_recipe

_ROBOT = ("robot0_", "left_eef", "right_eef", "gripper0_")


def draw_kitchen(rng: np.random.Generator) -> tuple[ElementTree.Element, str]:
    """Return the MJCF of a kitchen of training without robot and objects, and what it is called."""
    recipe = draw_recipe(rng, "train")
    recipe["objects"] = []
    root = ElementTree.fromstring(build_scene(recipe).xml.replace(ASSETS, str(asset_root())))
    _remove_robot(root)
    return root, f"{recipe['layout']} {recipe['style']}"


def _remove_robot(root: ElementTree.Element) -> None:
    """Take the robot out, and all that refers to it."""
    for section in ("actuator", "equality", "sensor", "tendon", "contact", "keyframe"):
        for element in root.findall(section):
            root.remove(element)
    world, asset = root.find("worldbody"), root.find("asset")
    assert world is not None and asset is not None
    for body in world.findall("body"):
        if body.get("name", "").startswith(_ROBOT):
            world.remove(body)
    for tag in ("material", "mesh", "texture"):
        used = {element.get(tag) for element in root.iter() if element.get(tag)}
        for element in asset.findall(tag):
            if element.get("type") != "skybox" and element.get("name") not in used:
                asset.remove(element)
