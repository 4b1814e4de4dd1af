"""Rollouts: the environment's own steps on several threads."""

import os

import numpy as np
import pytest

from dexbench.envs.embodiment.robot import HIGHEST, LOWEST
from dexbench.envs.rollouts import Rollouts
from dexbench.envs.simulation import Simulation
from dexbench.envs.task_envs import make_env
from dexbench.utils.seeding import rng

STEPS = 6


@pytest.fixture(scope="module")
def started(trials):
    """An environment a few steps into a trial whose hand holds the object, and joint targets."""
    env = make_env("place")
    trial = trials["place"]
    env.begin(trial)
    env.render_observations = False
    for action in trial.expert_actions[:5]:
        env.step(action)
    noise = rng("test", "rollouts").normal(0, 0.02, (5, STEPS, 23))
    rows = np.clip(trial.expert_actions[5 : 5 + STEPS] + noise, LOWEST, HIGHEST).astype(np.float32)
    yield env, env.simulation.get_state(), rows
    env.close()


def everything(states):
    """State, contacts and keypoints after each step."""
    return [
        (s.get_state(), np.sort(s.data.contact.dist), s.keypoints, s.hand_touches()) for s in states
    ]


def equal(one, other):
    return len(one) == len(other) and all(
        np.array_equal(a, b)
        for x, y in zip(one, other, strict=True)
        for a, b in zip(x, y, strict=True)
    )


def test_a_rollout_is_what_the_environment_does_bit_for_bit(started):
    env, state, rows = started
    rehearsed = Rollouts(env.simulation, threads=2).play(state, rows, everything)
    assert np.array_equal(env.simulation.get_state(), state), "the environment stays as it is"
    played = []
    for action in rows[3]:
        env.step(action)
        played += everything([env.simulation])
    env.simulation.set_state(state)
    assert equal(rehearsed[3], played)
    assert not equal(rehearsed[2], played)
    assert played[-1][3], "without contact this would say little"


def test_results_depend_neither_on_the_threads_nor_on_the_order(started):
    env, state, rows = started
    several, single = Rollouts(env.simulation, threads=3), Rollouts(env.simulation, threads=1)
    first = several.play(state, rows, everything)
    assert all(map(equal, first, single.play(state, rows, everything)))
    assert all(map(equal, first[::-1], several.play(state, rows[::-1], everything)))


def test_what_diverges_is_none_and_spoils_nothing(started):
    env, state, rows = started

    def pushed(states):
        """Blows the simulation up where all targets are at their limits."""
        seen = []
        for simulation in states:
            seen += everything([simulation])
            if np.allclose(simulation.joint_targets, HIGHEST, atol=1e-5):
                simulation.data.qvel[:] = np.nan
        return seen

    sequences = np.insert(rows, 1, HIGHEST, axis=0)
    for threads in (1, 2):
        rollouts = Rollouts(env.simulation, threads)
        good = rollouts.play(state, rows, everything)
        results = rollouts.play(state, sequences, pushed)
        assert results.pop(1) is None
        assert all(map(equal, results, good))
    assert not env.simulation.data.warning.number.any()


def test_a_judge_may_stop_early_and_its_errors_end_the_call(started):
    env, state, rows = started
    rollouts, steps = Rollouts(env.simulation, threads=2), []

    def brief(states):
        return next(steps.append(1) or s.data.time for s in states)

    times = rollouts.play(state, rows, brief)
    assert len(steps) == len(rows) and len(set(times)) == 1

    def broken(states):
        raise LookupError("of the judge")

    with pytest.raises(LookupError, match="of the judge"):
        rollouts.play(state, rows, broken)
    assert rollouts.play(state, rows, brief) == times, "and the copies are back"


@pytest.mark.skipif(not hasattr(os, "sched_setaffinity"), reason="Linux only")
def test_there_are_as_many_threads_as_usable_cores(trials, monkeypatch):
    trial = trials["place"]
    simulation = Simulation(trial.xml, trial.objects)
    allowed = os.sched_getaffinity(0)
    os.sched_setaffinity(0, {min(allowed)})
    try:
        assert Rollouts(simulation).threads == 1
    finally:
        os.sched_setaffinity(0, allowed)
    monkeypatch.setattr("dexbench.envs.rollouts.usable_cores", lambda: 7)
    assert Rollouts(simulation).threads == 7
