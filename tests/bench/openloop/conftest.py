"""A real set of two clips of 4 s, recorded in frozen trials' scenes, which load at once."""

import pytest

from dexbench.data_collection.record.recorder import Recorder
from dexbench.data_collection.store.store import EpisodeStore
from dexbench.envs.scenes.scene import Scene
from dexbench.envs.simulation import Simulation
from dexbench.envs.suite import Suite

FRAMES = 42


@pytest.fixture(scope="session")
def real_clips(tmp_path_factory):
    """The expert's grasp, and a hand that holds still; tests that change it copy it first."""
    store = EpisodeStore(
        tmp_path_factory.mktemp("real") / "set", {"strategy": "programmatic", "seed": 0}
    )
    rows = []
    for number, (index, moves) in enumerate(((48, True), (49, False))):
        trial = Suite.load("v1").trial("grasp", index)
        simulation = Simulation(trial.xml, trial.objects)
        simulation.set_state(trial.start_state)
        hold = simulation.joint_targets
        recorder = Recorder(simulation)
        recorder.observe()
        for action in trial.expert_actions[: FRAMES - 1]:
            simulation.step(action if moves else hold)
            recorder.observe()
        simulation.close()
        scene = Scene(trial.xml, trial.objects, trial.instances, trial.recipe)
        episode = recorder.episode(scene, {"kind": "expert"})
        rows.append(store.write(number, episode) | {"scene": number})
    store.commit(rows)
    return store.root
