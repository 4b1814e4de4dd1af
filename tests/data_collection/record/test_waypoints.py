"""Exploration that moves as a planner does."""

from itertools import pairwise

import numpy as np
import pytest

from dexbench.data_collection.record import collect, strategies, waypoints
from dexbench.data_collection.record.clips import ARM_STRAY
from dexbench.data_collection.record.config import CollectConfig
from dexbench.data_collection.record.fill import Recording
from dexbench.data_collection.record.scene import record_scene
from dexbench.data_collection.sets.info import MOVED
from dexbench.data_collection.store.store import EpisodeStore
from dexbench.envs.embodiment.keypoints import ARM_JOINTS
from dexbench.envs.motion.waypoints import follow
from dexbench.envs.robocasa.build import build_scene
from dexbench.envs.scenes.recipe import draw_recipe
from dexbench.envs.simulation import Simulation
from dexbench.envs.tasks.base import Rejected
from dexbench.utils.seeding import rng


def test_a_frame_follows_from_the_last_as_a_planners_waypoint_does(scene, simulation, monkeypatch):
    # Where a hand presses on an object the last digits grow.
    monkeypatch.setattr(waypoints, "AIM", 0.35)
    episode = waypoints.waypoint_clip(simulation, scene, rng("test", "a"), {"kind": "waypoints"})
    assert len(episode.state) == waypoints.WAYPOINTS + 1
    simulation.set_state(episode.state[0])
    targets = simulation.joint_targets
    for state, waypoint in zip(episode.state[1:], episode.action, strict=False):
        for row in follow(targets, waypoint[None]):
            simulation.step(row)
        # The last digits hang on whether a waypoint that is too far for 2 s is known as a whole.
        assert np.abs(simulation.get_state() - state).max() < 1e-3
        targets = waypoint


def test_a_clip_is_a_function_of_state_and_stream(scene, simulation):
    state, episodes = simulation.get_state(), []
    for key in ("a", "a", "b"):
        simulation.set_state(state)
        episodes.append(waypoints.waypoint_clip(simulation, scene, rng("test", key), {}))
    first, again, other = episodes
    assert np.array_equal(first.state, again.state) and np.array_equal(first.action, again.action)
    assert not np.array_equal(first.action[0], other.action[0])


def test_pushes_and_grasps_are_planned_and_leave_the_simulation_as_it_was(simulation):
    state, lengths = simulation.get_state(), set()
    for draw in range(8):
        lengths.add(len(waypoints._interaction(simulation, rng("test", "plans", draw))))
        # The last digits hang on whether a waypoint that is too far for 2 s is known as a whole.
        assert np.abs(simulation.get_state() - state).max() < 1e-3
    assert lengths == {3, 7}, "pushes, and grasps"


def test_waypoints_are_aimed_astray_and_back(simulation, monkeypatch):
    start = simulation.joint_targets
    limits, planned = (waypoints.LOWER, waypoints.UPPER), []

    def interaction(*_):
        planned.append([np.clip(start + 0.001 * (9 * len(planned) + k), *limits) for k in range(3)])
        return planned[-1]

    monkeypatch.setattr(waypoints, "_interaction", interaction)
    monkeypatch.setattr(waypoints, "AIM", 0.0)
    drawn = waypoints._waypoints(simulation, start, interaction(), rng("test", "ways"))
    steps = [start, *(next(drawn) for _ in range(900))]
    there = {row.tobytes() for rows in planned for row in rows}
    kinds = [
        "held"
        if np.array_equal(step, last)
        else "back"
        if np.array_equal(step, np.clip(start, *limits))
        else "there"
        if step.tobytes() in there
        else "astray"
        for last, step in pairwise(steps)
    ]
    far = [
        np.sqrt(np.square((step - last)[ARM_JOINTS] / ARM_STRAY).mean())
        for kind, (last, step) in zip(kinds, pairwise(steps), strict=True)
        if kind == "astray"
    ]
    assert np.mean(np.array(far) > 1.5) > 0.2, "as far as a planner's later candidates"
    assert np.median(far) < 1.6 and max(far) < 2 * waypoints.FAR
    share = {kind: kinds.count(kind) / len(kinds) for kind in set(kinds)}
    # Of three waypoints 2.2 are gone to; each interaction is followed by another waypoint or none.
    assert 0.02 < share["held"] < 0.06 and 0.03 < share["back"] < 0.08
    assert 0.17 < share["astray"] < 0.28
    assert 0.6 < share["there"] < 0.8


def test_a_clip_ends_where_an_object_falls_off_the_counter(scene, simulation, monkeypatch):
    monkeypatch.setattr(waypoints, "_interaction", lambda *_: [simulation.joint_targets])
    monkeypatch.setattr(waypoints, "stray", lambda *_: simulation.joint_targets)
    top = simulation.object_position(scene.objects[0])[2]
    simulation.place_object(scene.objects[0], np.array([0.2, 1.2, top + 0.3]), yaw=0.0)
    with pytest.raises(Rejected, match="falls off"):
        waypoints.waypoint_clip(simulation, scene, rng("test", "fall"), {})


def test_a_set_says_how_often_it_has_a_picture_and_counts_hours_by_it(tmp_path, monkeypatch):
    asked = []
    monkeypatch.setattr(collect, "fill_set", lambda config, store, goal, *_: asked.append(goal))
    for strategy, frames in (("waypoints", 1800), ("play", 36000)):
        out = tmp_path / strategy
        collect.main(CollectConfig(out, strategy, hours=1.0), Recording(record_scene, None))
        assert asked.pop() == frames
        assert EpisodeStore(out).info["control_hz"] == frames / 3600


@pytest.mark.slow
def test_objects_move_between_many_frames(monkeypatch):
    monkeypatch.setattr(Simulation, "render", lambda self: np.zeros((1, 1, 3), np.uint8))
    moves, lifted = [], []
    for index in range(6):
        stream = rng("test", "waypoints", index)
        scene = build_scene(draw_recipe(stream, "train"))
        for episode in strategies.waypoints(Simulation(scene.xml, scene.objects), scene, stream):
            moves.append(np.linalg.norm(np.diff(episode.object_pos, axis=0), axis=-1).max(1))
            lifted.append(episode.meta["lifted"])
    assert (np.concatenate(moves) >= MOVED).mean() >= 0.15
    assert np.mean(lifted) >= 0.15
