"""Scenes and trials take seconds to make, so one of each is made for all tests of a run."""

from types import MappingProxyType

import pytest

from dexbench.envs.robocasa.build import build_scene
from dexbench.envs.scenes.recipe import draw_recipe
from dexbench.envs.simulation import Simulation
from dexbench.envs.suite import Suite, write_index
from dexbench.utils.seeding import rng


@pytest.fixture(scope="session")
def scene():
    """A training kitchen with a carton, which every test may load and none changes."""
    return build_scene(draw_recipe(rng("test", "scene", 5), "train", target="milk"))


@pytest.fixture(scope="session")
def loaded(scene):
    """One simulation of the scene and its first state; use ``sim``."""
    simulation = Simulation(scene.xml, scene.objects)
    yield simulation, simulation.get_state()
    simulation.close()


@pytest.fixture
def sim(loaded):
    """The scene's simulation in its first state."""
    simulation, state = loaded
    simulation.set_state(state)
    return simulation


@pytest.fixture(scope="session")
def trials():
    """The shipped suite's last trial of each task, by name."""
    shipped = Suite.load("v1")
    return MappingProxyType({task: shipped.trial(task, 49) for task in shipped.tasks})


@pytest.fixture(scope="session")
def suite_folder(trials, tmp_path_factory):
    """A suite of one trial a task; tests that damage it copy it first."""
    root = tmp_path_factory.mktemp("suites") / "tiny"
    for task, trial in trials.items():
        trial.save(root / task / "000.npz")
    write_index(root, {task: [trial.hash] for task, trial in trials.items()}, {})
    return root


@pytest.fixture(scope="session")
def suite(suite_folder):
    return Suite(suite_folder)
