"""The expert replays what every frozen trial carries."""

from types import SimpleNamespace

import numpy as np
import pytest

from dexbench.agents.reference.expert import Expert
from dexbench.envs.suite import Suite


@pytest.mark.parametrize("steps_left", [60, 40, 1])
def test_the_expert_plays_what_is_left_of_the_recorded_targets(steps_left):
    trial = Suite.load("mini").trial("grasp", 0)
    agent = Expert()
    agent.bind(SimpleNamespace(trial=trial))
    agent.reset("grasp", 0)
    chunk = agent.act({"steps_left": np.array([steps_left])})
    assert chunk.shape == (steps_left, 23)
    assert np.array_equal(chunk, trial.expert_actions[60 - steps_left :])
