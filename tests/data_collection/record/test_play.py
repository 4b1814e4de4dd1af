import subprocess
import sys

import numpy as np
import pytest

from dexbench.data_collection.record import play, strategies
from dexbench.data_collection.record.config import CollectConfig
from dexbench.data_collection.record.scene import record_scene
from dexbench.data_collection.sets.info import MOVED, displacement
from dexbench.data_collection.store.store import EpisodeStore
from dexbench.envs.robocasa.build import build_scene
from dexbench.envs.scenes.recipe import draw_recipe
from dexbench.envs.simulation import Simulation
from dexbench.envs.tasks.base import Rejected
from dexbench.utils.seeding import rng


def test_a_clip_is_a_function_of_state_and_stream(scene, simulation):
    state, episodes = simulation.get_state(), []
    for key in ("a", "a", "b"):
        simulation.set_state(state)
        episodes.append(play.play_clip(simulation, scene, rng("test", key), {"kind": "play"}))
    first, again, other = episodes
    assert np.array_equal(first.state, again.state) and np.array_equal(first.action, again.action)
    assert not np.array_equal(first.action[0], other.action[0])
    assert len(first.state) == play.PLAY_STEPS + 1
    assert np.isfinite(first.state).all()


def test_planning_leaves_the_simulation_as_it_was(simulation, monkeypatch):
    """A miss, too: the object is only aside while the hand's way is planned."""
    monkeypatch.setattr(play, "MISSES", 1.0)
    state, kinds = simulation.get_state(), set()
    for draw in range(8):
        waypoints = play._interaction(simulation, rng("test", "plans", draw))
        assert np.array_equal(simulation.get_state(), state)
        hands = {tuple(goal[7:].round(3)) for goal, _ in waypoints}
        kinds.add("push" if len(hands) == 1 else "grasp")
    assert kinds == {"push", "grasp"}


def test_noise_is_on_every_target(scene, simulation, monkeypatch):
    posture = np.concatenate([play.READY_ARM, play.OPEN_HAND])
    monkeypatch.setattr(play, "_interaction", lambda *_: [(posture, 5)])
    monkeypatch.setattr(play, "stray", lambda *_: posture)
    episode = play.play_clip(simulation, scene, rng("test", "noise"), {})
    off = episode.action[:-1] - posture
    arm, hand = off[:, :7].std(), off[:, 7:].std()
    assert play.ARM_NOISE[0] / 2 < arm < 1.5 * play.ARM_NOISE[1]
    assert play.HAND_NOISE[0] / 2 < hand < 1.5 * play.HAND_NOISE[1]
    steps = np.diff(off, axis=0)
    assert steps.std() < 0.6 * off.std(), "it drifts"


def test_a_clip_ends_where_an_object_falls_off_the_counter(scene, simulation, monkeypatch):
    monkeypatch.setattr(play, "_interaction", lambda *_: [(simulation.joint_targets, 1)])
    monkeypatch.setattr(play, "stray", lambda *_: simulation.joint_targets)
    top = simulation.object_position(scene.objects[0])[2]
    floor = min(play.object_points(simulation, name)[:, 2].min() for name in scene.objects)
    simulation.place_object(scene.objects[0], np.array([0.2, 1.2, top + 0.3]), yaw=0.0)
    state = simulation.get_state()
    with pytest.raises(Rejected, match="falls off"):
        play.play_clip(simulation, scene, rng("test", "fall"), {})
    monkeypatch.setattr(play, "LEAST_STEPS", 1)
    simulation.set_state(state)
    episode = play.play_clip(simulation, scene, rng("test", "fall"), {})
    assert 2 < len(episode.state) < 10
    assert episode.object_pos[:, :, 2].min() >= floor
    assert simulation.object_position(scene.objects[0])[2] < floor


def test_with_nothing_to_plan_the_hand_goes_elsewhere(simulation, monkeypatch):
    for way in ("_push", "_grasp"):
        monkeypatch.setattr(play, way, lambda *_: None)
    ((goal, _),) = play._interaction(simulation, rng("test", "elsewhere"))
    assert np.abs(goal - simulation.joint_positions).max() > 0.1


def test_a_scene_is_a_function_of_its_place_in_the_set(tmp_path, monkeypatch):
    monkeypatch.setattr(strategies, "CLIPS", 1)
    monkeypatch.setattr(play, "PLAY_STEPS", 24)
    made = []
    for name, order in (("one", (3, 4)), ("two", (4, 3))):
        config = CollectConfig(out=tmp_path / name, strategy="play", size="56x98")
        EpisodeStore(config.out, {"strategy": "play", "seed": 0})
        made.append({index: record_scene(config, index) for index in order})
    assert made[0] == made[1], "checksums and all"


@pytest.mark.slow
def test_the_hand_is_in_contact_and_objects_move(monkeypatch):
    monkeypatch.setattr(Simulation, "render", lambda self: np.zeros((1, 1, 3), np.uint8))
    episodes = []
    for index in range(6):
        stream = rng("test", "play", index)
        scene = build_scene(draw_recipe(stream, "train"))
        episodes += strategies.play(Simulation(scene.xml, scene.objects), scene, stream)
    assert np.concatenate([episode.contact for episode in episodes]).mean() >= 0.25
    moved = [displacement(episode.object_pos) >= MOVED for episode in episodes]
    assert np.mean(moved) >= 0.6
    assert any(episode.meta["lifted"] for episode in episodes)
    touched = [
        {
            int(index)
            for index in np.flatnonzero(
                np.linalg.norm(np.ptp(episode.object_pos, axis=0), axis=-1) > MOVED
            )
        }
        for episode in episodes
    ]
    assert any(len(objects) > 1 for objects in touched), "several objects in a clip"


@pytest.mark.slow
def test_a_set_does_not_depend_on_workers(tmp_path):
    for workers in ("1", "2"):
        out = str(tmp_path / workers)
        command = ["collect", "--strategy", "play", "--episodes", "8", "--workers", workers]
        subprocess.run(
            [sys.executable, "-m", "dexbench.bench.cli", *command, "--out", out], check=True
        )
    one, two = ((tmp_path / workers / "manifest.jsonl").read_bytes() for workers in "12")
    assert one == two and len(one.splitlines()) == 8
