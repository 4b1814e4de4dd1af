import os
import sys

# A thread a test process: threads of several that share the cores mostly wait for one another.
os.environ.setdefault("OMP_NUM_THREADS", "1")

import pytest

import dexbench  # noqa: F401 - chooses MuJoCo's rendering backend before any test imports mujoco
from dexbench.envs import gym_env
from dexbench.envs.simulation import Simulation


@pytest.fixture(autouse=True)
def one_thread():
    """Commands that train or time set PyTorch's threads for the whole process."""
    yield
    if "torch" in sys.modules:
        sys.modules["torch"].set_num_threads(1)


class Reused(Simulation):
    def close(self):
        """Stays open for the next reset."""


@pytest.fixture(scope="module")
def reused_simulations():
    """Compiling a scene and opening its renderer takes seconds, so a module's resets share them."""
    made = {}

    def load(xml, objects):
        if xml not in made:
            made[xml] = Reused(xml, objects)
        return made[xml]

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(gym_env, "Simulation", load)
        yield
    for simulation in made.values():
        Simulation.close(simulation)
