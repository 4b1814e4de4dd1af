import pytest

from dexbench.data_collection.scripted import kitchen
from dexbench.envs.scenes.layouts import LAYOUTS
from dexbench.envs.scenes.recipe import draw_recipe
from dexbench.envs.scenes.styles import STYLES
from dexbench.utils.seeding import rng


class Seen(Exception):  # noqa: N818 - not a fault
    """Ends the drawing before the kitchen is built, which takes seconds."""


def test_kitchens_are_of_training_and_without_objects(monkeypatch):
    recipes = []

    def build(recipe):
        recipes.append(recipe)
        raise Seen

    monkeypatch.setattr(kitchen, "build_scene", build)
    for seed in range(30):
        with pytest.raises(Seen):
            kitchen.draw_kitchen(rng("test", "kitchen", seed))
    assert {LAYOUTS[recipe["layout"]].split for recipe in recipes} == {"train"}
    assert {STYLES[recipe["style"]].split for recipe in recipes} == {"train"}
    assert all(not recipe["objects"] for recipe in recipes)
    assert {draw_recipe(rng("test", s), "suite")["layout"] for s in range(20)} - {
        recipe["layout"] for recipe in recipes
    }, "suites have layouts that are not among them"
