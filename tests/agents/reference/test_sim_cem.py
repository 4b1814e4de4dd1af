"""The planner that rehearses in the simulator."""

import hashlib
from types import SimpleNamespace

import mujoco
import numpy as np
import pytest
import torch

from dexbench.agents.planning.cem import CEMConfig
from dexbench.agents.reference.kinematic import Kinematic
from dexbench.agents.reference.sim_cem import BUDGET, SimCEM
from dexbench.envs.embodiment.robot import HIGHEST, LOWEST
from dexbench.envs.motion.waypoints import ramp
from dexbench.envs.task_envs import make_env

QUICK = CEMConfig(samples=3, elites=2, iterations=1)


@pytest.fixture(scope="module")
def place():
    env = make_env("place")
    obs, _ = env.reset(options={"trial": 0, "suite": "v1"})
    yield env, obs, env.simulation.get_state()
    env.close()


@pytest.fixture
def started(place):
    """An environment at the start of a trial in which the hand holds the object."""
    env, obs, state = place
    env.simulation.set_state(state)
    return env, obs


def digest(data):
    """Of everything that MuJoCo's data holds, contacts and caches included."""
    arrays = [getattr(data, name) for name in dir(data) if not name.startswith("_")]
    parts = [a.tobytes() for a in arrays if isinstance(a, np.ndarray)]
    assert len(parts) > 100
    return hashlib.sha256(b"".join([*parts, data.contact.dist.tobytes()])).hexdigest()


def bound(env, **overrides):
    agent = SimCEM(**overrides)
    agent.bind(env)
    agent.reset("place", 1)
    return agent


def test_the_budget_is_96_rollouts():
    assert BUDGET.cem.samples * BUDGET.cem.iterations == 96 and BUDGET.optimiser == "cem"


def test_a_plan_leaves_no_trace_in_the_environment(started):
    env, obs = started
    env.simulation.step(env.simulation.joint_targets + 0.01)
    before, state = digest(env.simulation.data), env.simulation.get_state()
    agent = bound(env, cem=QUICK)
    agent.act(obs)
    assert digest(env.simulation.data) == before
    assert np.array_equal(env.simulation.get_state(), state)
    # The hash sees what a rollout in the environment's own data would leave behind.
    mujoco.mj_step(env.simulation.model, env.simulation.data)
    assert digest(env.simulation.data) != before


def test_what_it_expects_is_what_happens(started):
    env, obs = started
    agent = bound(env, cem=QUICK)
    chunk = agent.act(obs)
    plan = agent.last_plan
    expected = agent.predict(plan.mean[None], agent.last_context).keypoints[0]
    assert float(agent.cost(plan.best[None], agent.last_context)[0]) == plan.best_cost
    then = np.clip(ramp(chunk[-1], plan.mean[1].double().numpy()), LOWEST, HIGHEST)
    for waypoint, targets in enumerate((chunk, then)):
        for row in targets:
            env.simulation.step(row)
        achieved = env.simulation.keypoints_camera[:17]
        np.testing.assert_allclose(expected[waypoint], achieved, atol=1e-6)


def test_pictures_show_what_comes_of_waypoints(started):
    env, obs = started
    agent = bound(env)
    begin, now = agent.observe(obs), env.simulation.get_state()
    start = torch.as_tensor(np.asarray(obs["agent_target"], np.float32))
    moves = torch.zeros(2, 2, 23)
    moves[0, :, 0], moves[1, :, 3] = 0.3, 0.2
    shown = list(agent.pictures(start + moves, begin))
    assert np.array_equal(env.simulation.get_state(), now) and len(shown) == 2
    for move, pictures in zip(start + moves, shown, strict=True):
        env.simulation.set_state(now)
        targets = begin.targets
        for waypoint, picture in zip(move, pictures, strict=True):
            for row in ramp(targets, waypoint.double().numpy()):
                env.simulation.step(row)
            targets = waypoint.double().numpy()
            # A pixel on an edge may fall on either side: states are drawn anew.
            assert (picture != env.simulation.render()).any(-1).mean() < 1e-3
    assert (shown[0] != shown[1]).any(-1).mean() > 0.02


def test_the_cost_counts_hand_and_object(started):
    env, obs = started
    agent = bound(env, step_weights=(0.0, 0.0, 1.0))
    hold = torch.from_numpy(obs["agent_target"])[None, None]
    state = agent.observe(obs)
    cost = float(agent.cost(hold, state)[0])
    for _ in range(20):
        env.simulation.step(obs["agent_target"])
    hand = np.linalg.norm(env.simulation.keypoints - env.goal.keypoints, axis=-1)[:17].mean()
    thing = env.simulation.object_position(env.trial.target) - env.goal.object_position
    assert cost == pytest.approx(hand + np.linalg.norm(thing), abs=1e-6)
    assert np.linalg.norm(thing) > 0.2


def test_a_warm_start_begins_where_forward_kinematics_ends(started):
    env, obs = started
    agent = bound(env, cem=QUICK, warm_start={"samples": 128, "iterations": 20}, narrow=0.3)
    told = Kinematic()
    told.bind(env)
    assert torch.equal(agent.goal_hand(None), told.goal_keypoints(obs))
    begun = []
    agent.cost = lambda some, context: begun.append(some) or torch.zeros(len(some))
    agent.act(obs)
    with torch.no_grad():
        off = agent.hand_distance(begun[0].mean(0, keepdim=True), agent.goal_hand(None))
        still = agent.hand_distance(
            torch.from_numpy(obs["agent_target"])[None, None].expand(1, 3, 23),
            agent.goal_hand(None),
        )
    assert off < 0.5 * still


def test_it_needs_an_environment_with_a_goal():
    with pytest.raises(ValueError, match="reset before bind"):
        SimCEM().bind(SimpleNamespace(goal=None))
