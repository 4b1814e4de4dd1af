"""A frozen trial's kitchen to record in, which loads at once."""

import numpy as np
import pytest

from dexbench.data_collection.record.clips import settle
from dexbench.envs.scenes.scene import Scene
from dexbench.envs.simulation import Simulation
from dexbench.envs.suite import Suite


@pytest.fixture
def scene():
    trial = Suite.load("v1").trial("grasp", 48)
    return Scene(trial.xml, trial.objects, trial.instances, trial.recipe)


@pytest.fixture
def simulation(scene, monkeypatch):
    """A kitchen at rest whose pictures cost nothing."""
    monkeypatch.setattr(Simulation, "render", lambda self: np.zeros((1, 1, 3), np.uint8))
    simulation = Simulation(scene.xml, scene.objects)
    settle(simulation)
    return simulation
