"""Trials that random plays solve do not enter a suite."""

from dataclasses import replace

import numpy as np
import pytest

from dexbench.agents.reference.kinematic import Kinematic
from dexbench.agents.reference.random import Random
from dexbench.bench.suites import chance
from dexbench.bench.suites.chance import solved_by_chance, solved_by_geometry
from dexbench.bench.suites.misreading import Misreading
from dexbench.envs.simulation import Simulation
from dexbench.envs.suite import Suite
from dexbench.envs.tasks import Playback, find_task
from dexbench.envs.trial import STEPS
from dexbench.utils.seeding import seed_for


@pytest.fixture(scope="module")
def trial():
    return Suite.load("v1").trial("reach", 0)


def playback(trial):
    return Playback(find_task(trial.task), trial, Simulation(trial.xml, trial.objects))


def test_a_shipped_trial_is_not_solved_by_chance(trial):
    assert not solved_by_chance(trial)


def test_a_goal_where_a_random_play_halts_is_found(trial):
    agent = Random()
    agent.reset("reach", seed_for("chance", trial.seed, 0))
    game = playback(trial)
    target = game.simulation.joint_targets.astype(np.float32)
    for row in agent.act({"agent_target": target, "steps_left": np.array([STEPS])}):
        game.step(row)
    easy = replace(trial, goal_state=game.simulation.get_state())
    assert solved_by_chance(easy, plays=1)


def test_geometry_of_the_hand_solves_a_reach(trial):
    assert solved_by_geometry(trial, plays=1)


def test_geometry_of_the_hand_moves_no_object():
    trial = Suite.load("v1").trial("place", 0)
    assert solved_by_geometry(trial, plays=1), "the goal's hand tells where to carry"
    game = playback(trial)
    hand = game.simulation.get_state()
    game.simulation.set_state(trial.goal_state)
    place = game.simulation.object_position(trial.target)
    game.simulation.set_state(hand)
    game.simulation.place_object(trial.target, place, 0.0)
    moved = replace(trial, goal_state=game.simulation.get_state())
    assert not solved_by_geometry(moved, plays=1, misread=0)


def test_a_trial_that_a_misread_hand_solves_is_found(trial, monkeypatch):
    plays = []

    def solves(agent, trial, stream, count):
        plays.append((type(agent).__name__, count))
        return isinstance(agent, Misreading)

    monkeypatch.setattr(chance, "_solves", solves)
    assert solved_by_geometry(trial, plays=3, misread=5)
    assert plays == [("Kinematic", 3), ("Misreading", 5)]


def test_a_misread_hand_is_some_way_off_another_in_each_play(trial):
    exact, agent = Kinematic(), Misreading(0.03)
    for each in (exact, agent):
        each.bind(playback(trial))
    offsets = []
    for seed in range(200):
        agent.reset("reach", seed)
        shift = (agent.goal_keypoints({}) - exact.goal_keypoints({})).numpy()
        assert np.abs(shift - shift[0]).max() < 1e-6, "the hand keeps its form"
        offsets.append(shift[0])
    assert np.abs(np.std(offsets, axis=0) - 0.03).max() < 0.006
    assert np.abs(np.mean(offsets, axis=0)).max() < 0.008


@pytest.mark.parametrize(
    ("agent", "solved", "plays"),
    [
        (Random, solved_by_chance, chance.PLAYS),
        (Kinematic, solved_by_geometry, chance.GEOMETRY_PLAYS + chance.MISREAD_PLAYS),
    ],
)
def test_the_seeds_are_none_that_a_run_gives(trial, monkeypatch, agent, solved, plays):
    seeds = []
    reset = agent.reset
    monkeypatch.setattr(
        agent, "reset", lambda self, task, seed: (seeds.append(seed), reset(self, task, seed))[1]
    )
    monkeypatch.setattr(Playback, "solves", lambda *_: False)
    solved(trial)
    assert len(set(seeds)) == plays
    assert trial.seed not in seeds
    assert not {seed_for(trial.seed, "repeat", r) for r in range(1, 10)} & set(seeds)


def test_a_playback_judges_as_the_expert_was_judged(trial):
    game = playback(trial)
    start = game.outcome
    assert not start.holds and start.distance > 0.3
    assert not game.held
    assert game.solves(trial.expert_actions)
    assert game.held, "the expert ends at the goal"
    game.restart()
    assert game.outcome == start
    assert not game.held
    assert not game.solves(np.tile(game.simulation.joint_targets, (STEPS, 1)))
