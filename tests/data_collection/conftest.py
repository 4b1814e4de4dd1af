"""A real set of two short clips, recorded in a frozen trial's scene, which loads at once."""

import numpy as np
import pytest

from dexbench.data_collection.record.recorder import Recorder
from dexbench.data_collection.store.store import EpisodeStore
from dexbench.envs.scenes.scene import Scene
from dexbench.envs.simulation import Simulation
from dexbench.envs.suite import Suite


@pytest.fixture(scope="session")
def real_set(tmp_path_factory):
    """Tests that change it copy it first."""
    store = EpisodeStore(
        tmp_path_factory.mktemp("real") / "set", {"strategy": "programmatic", "seed": 0}
    )
    rows = []
    for number, index in enumerate((48, 49)):
        trial = Suite.load("v1").trial("grasp", index)
        simulation = Simulation(trial.xml, trial.objects)
        simulation.set_state(trial.start_state)
        recorder = Recorder(simulation)
        recorder.observe()
        for action in trial.expert_actions[: 10 * number + 10 : 10]:
            for _ in range(3):
                simulation.step(action)
            recorder.observe()
        simulation.close()
        scene = Scene(trial.xml, trial.objects, trial.instances, trial.recipe)
        episode = recorder.episode(scene, {"kind": "expert"})
        assert np.ptp(episode.agent_pos, axis=0).max() > 0.01
        rows.append(store.write(number, episode) | {"scene": number})
    store.commit(rows)
    return store.root
