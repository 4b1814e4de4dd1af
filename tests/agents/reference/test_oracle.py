"""The planner that has the simulator for a model and the task's own cost."""

import numpy as np
import pytest
import torch

from dexbench.agents.planning.cem import CEMConfig
from dexbench.agents.planning.dummy_grasp import DUMMY_GRASP
from dexbench.agents.planning.waypoint_agent import WaypointAgent
from dexbench.agents.reference.oracle import Oracle
from dexbench.agents.registry import make_agent
from dexbench.envs.motion.waypoints import follow
from dexbench.envs.task_envs import make_env
from dexbench.envs.task_names import TASKS
from dexbench.envs.tasks import Place
from dexbench.envs.tasks.reach import farthest_moved

QUICK = {"cem": CEMConfig(samples=3, elites=2, iterations=1), "horizon": 1}


@pytest.fixture(scope="module")
def place():
    env = make_env("place")
    obs, _ = env.reset(options={"trial": 0, "suite": "v1"})
    env.render_observations = False
    yield env, obs, env.simulation.get_state()
    env.close()


@pytest.fixture
def started(place):
    """An environment at the start of a trial in which the hand holds the object."""
    env, obs, state = place
    env.simulation.set_state(state)
    return env, obs


def bound(env, **overrides):
    agent = Oracle(**(QUICK | overrides))
    agent.bind(env)
    agent.reset("place", 1)
    return agent


def test_it_searches_as_dexwm_32_does():
    oracle, dexwm = make_agent("oracle")[0], make_agent("dexwm-32")[0]
    assert oracle.config == dexwm.config and oracle.planner_name == dexwm.planner_name == "cem-32"
    assert (oracle.config.cem.samples, oracle.config.cem.iterations) == (32, 6)
    assert oracle.config.execute == "best"
    usual = make_agent("dexwm")[0].config
    for setting in ("step_weights", "arm_std", "hand_std", "place_hand_std", "ramp", "horizon"):
        assert getattr(oracle.config, setting) == getattr(usual, setting)


def test_it_begins_as_dexwm_does_but_with_a_closed_hand_in_pick(started):
    env, obs = started
    agent, usual = bound(env), WaypointAgent()
    for task in (*(task for task in TASKS if task != "pick"), "pick"):
        agent.reset(task, 0)
        usual.reset(task, 0)
        (mean, std), (first, deviation) = agent.initial(obs, 3), usual.initial(obs, 3)
        assert torch.equal(std, deviation) and torch.equal(mean[:, :7], first[:, :7])
        assert torch.equal(mean, first) == (task != "pick")
    assert np.allclose(mean[:, 7:], DUMMY_GRASP[2, 7:])
    agent.replan = 1
    assert torch.equal(agent.initial(obs, 2)[0], usual.initial(obs, 2)[0])


def test_its_cost_is_the_tasks_after_the_environments_own_steps(started):
    env, obs = started
    agent = bound(env, step_weights=(0.0, 0.5, 0.25), horizon=2)
    chunk, best, costs = agent.act(obs), agent.last_plan.best.double().numpy(), []
    targets = follow(obs["agent_target"], best, agent.config.ramp)
    assert np.array_equal(targets[:20], chunk), "what is rolled out is what is commanded"
    for step, target in enumerate(targets, 1):
        env.step(target)
        if step % 20 == 0:
            costs.append(env.task.true_cost(env.simulation, env.trial.target, env.goal, 0.0))
    assert agent.last_plan.best_cost == pytest.approx(0.5 * costs[0] + 0.25 * costs[1], abs=1e-6)
    assert abs(costs[0] - costs[1]) > 1e-4


class Careful(Place):
    """Only what has been moved counts."""

    def true_cost(self, simulation, target, goal, displaced):
        return displaced


def test_it_knows_the_farthest_that_any_object_has_been_moved_so_far(started, monkeypatch):
    env, obs = started
    monkeypatch.setattr(env, "task", Careful())
    simulation = env.simulation
    places = np.array([simulation.object_position(name) for name in simulation.objects])
    agent = bound(env, step_weights=(0.0, 0.0, 1.0))
    moved = [0.0]
    # Away, and then back to where the object was: what counts is the farthest, not the last.
    for decision in range(2):
        chunk = agent.act(obs)
        for target in chunk:
            obs, *_ = env.step(target)
            moved.append(farthest_moved(simulation, places))
        assert agent.last_plan.best_cost == pytest.approx(max(moved), abs=1e-6)
        assert agent.last_context.displaced == (0.0 if decision == 0 else max(moved[:21]))
    assert max(moved[:21]) > 0.001


def test_a_plan_does_not_depend_on_the_threads_and_leaves_no_trace(started, monkeypatch):
    env, obs = started
    before, chunks = env.simulation.get_state(), []
    for cores in (1, 3):
        monkeypatch.setattr("dexbench.envs.rollouts.usable_cores", lambda cores=cores: cores)
        chunks.append(bound(env).act(obs))
    assert np.array_equal(*chunks)
    assert np.array_equal(env.simulation.get_state(), before)


def test_a_rollout_that_diverges_costs_infinitely_much(started):
    env, obs = started
    agent = bound(env)
    begin = agent.observe(obs)
    hold = torch.from_numpy(obs["agent_target"]).expand(2, 1, 23)
    assert agent.cost(hold, begin).isfinite().all()
    broken = begin._replace(state=np.where(np.arange(len(begin.state)) > 40, np.nan, begin.state))
    assert (agent.cost(hold, broken) == np.inf).all()
    assert agent.predict(hold, broken).keypoints.isnan().all()
    assert agent.cost(hold, begin).isfinite().all()
