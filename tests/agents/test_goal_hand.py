"""Whether a goal picture shows the hand, and what agents do where it does not."""

import numpy as np
import pytest
import torch

from dexbench.agents.dexwm.agent import DexWM
from dexbench.agents.dexwm.cost import KEYPOINT, LATENT, LEAVING
from dexbench.agents.dexwm.cost_config import COSTS
from dexbench.agents.dexwm.model.keypoint_maps import HAND_SPREAD, Keypoints, soft_argmax
from dexbench.agents.planning import waypoint_agent
from dexbench.agents.planning.cem import CEMConfig
from dexbench.agents.reference.keypoint_fk import KeypointFK
from dexbench.bench.diagnose.waypoints import measure
from dexbench.envs.simulation import Simulation
from dexbench.envs.task_envs import make_env

TASKS = ("reach", "grasp", "place", "carry", "dust")
SMALL = {"cem": CEMConfig(8, 3, 2), "tile": 8, "dtype": "float32"}


@pytest.fixture(scope="module")
def looks():
    """First observations of a trial: its goal picture with the robot, and without."""
    env = make_env("reach")
    shown, _ = env.reset(options={"trial": 0, "suite": "mini"})
    trial = env.unwrapped.trial
    env.close()
    simulation = Simulation(trial.xml, trial.objects)
    simulation.set_state(trial.goal_state)
    hidden = {**shown, "goal": simulation.render(robot=False)}
    yield shown, hidden, torch.from_numpy(simulation.keypoints).float()
    simulation.close()


def test_the_spread_is_the_standard_deviation_of_a_keypoints_position():
    logits = torch.full((2, 16, 28, 17, 2, 2), -100.0)
    logits[0, 3, 4, :, 0, 1] = 0.0
    logits[1, 3, 4, :, 0, 1] = logits[1, 3, 14, :, 0, 1] = 0.0  # ten tokens of 14 px apart
    read = soft_argmax(logits, torch.ones(2, 16, 28, 17))
    assert read.spread().tolist() == pytest.approx([0.0, 70.0], abs=1e-2)
    assert read.shows_hand().tolist() == [True, False]


def test_the_papers_head_takes_every_picture_to_show_a_hand():
    maps = torch.rand(2, 16, 28, 12, 14, 14)
    read = Keypoints(maps, None, torch.zeros(2, 17, 2), None)
    assert read.shows_hand().tolist() == [True, True]


@torch.no_grad()
def test_the_packaged_head_tells_a_picture_with_a_hand_from_one_without(looks):
    agent = DexWM(dtype="float32")
    shown, hidden = (agent.model.head(agent.encode(look["goal"])) for look in looks[:2])
    assert float(shown.spread()) < HAND_SPREAD / 2 and shown.shows_hand()
    assert float(hidden.spread()) > HAND_SPREAD * 1.2 and not hidden.shows_hand()


@pytest.mark.parametrize("task", TASKS)
def test_dexwm_reads_it_from_the_picture_whatever_the_task_is_called(looks, task):
    agent = DexWM(**SMALL)
    for look, has_hand in zip(looks, (True, False), strict=False):
        agent.reset(task, 0)
        with torch.no_grad():
            context = agent.observe(look)
        assert (context.goal_keypoints is not None) == has_hand
        assert (agent.goal_hand(context) is not None) == has_hand


@torch.no_grad()
@pytest.mark.parametrize("cost", sorted(COSTS.keys() - {"objects"}))  # which needs a head
def test_without_a_hand_in_the_goal_the_latent_term_has_all_the_weight(looks, cost):
    agent = DexWM(cost=cost, **SMALL)
    start = torch.from_numpy(looks[0]["agent_target"])
    sequences = start + torch.linspace(-0.5, 2, 8)[:, None, None]
    sequences = sequences.expand(8, 3, 23).clamp(agent.lower, agent.upper)
    agent.reset("carry", 0)
    context = agent.observe(looks[0])
    shown = agent.terms(sequences, context)
    agent.reset("carry", 0)
    context = agent.observe(looks[1])
    hidden = agent.terms(sequences, context)
    assert shown[:, KEYPOINT].all() and not hidden[:, KEYPOINT].any()
    assert torch.equal(shown[:, LEAVING], hidden[:, LEAVING])
    latent, leaving = hidden[:, LATENT], hidden[:, LEAVING]
    scale = 1.0 if cost == "paper" else latent.std(correction=0)
    wanted = latent / scale + COSTS[cost].leaving * leaving
    assert cost == "paper" or leaving.any()
    torch.testing.assert_close(agent.cost(sequences, context), wanted)


def test_a_warm_start_needs_a_hand_in_the_goal(looks, monkeypatch):
    searches = []
    cem = waypoint_agent.cem
    monkeypatch.setattr(waypoint_agent, "cem", lambda *args: searches.append(1) or cem(*args))
    warm = DexWM("warm", cost="predicted", **SMALL)
    plain = DexWM("cem", cost="predicted", **SMALL)
    actions = {}
    for agent in (warm, plain):
        for index, look in enumerate(looks[:2]):
            agent.reset("carry", 0)
            actions[agent, index] = agent.act(look)
            assert len(searches) == 1, "only warm, and only with a hand"
    assert np.array_equal(actions[warm, 1], actions[plain, 1])
    assert not np.array_equal(actions[warm, 0], actions[plain, 0])


@pytest.mark.parametrize("task", TASKS)
def test_keypoint_fk_holds_where_it_sees_no_hand(looks, task):
    agent = KeypointFK()
    shown, hidden, _ = looks
    agent.reset(task, 0)
    for left in (60, 40, 20):
        actions = agent.act({**hidden, "steps_left": np.array([left])})
        assert np.array_equal(actions, np.tile(hidden["agent_target"], (20, 1)))
    agent.reset(task, 0)
    assert np.ptp(agent.act(shown), 0).max() > 0.1


@pytest.mark.parametrize("make", [DexWM, KeypointFK])
def test_diagnosis_leaves_empty_what_is_not_seen(looks, make):
    agent = make("warm", **SMALL) if make is DexWM else make()
    _, hidden, goal = looks
    agent.reset("place", 0)
    agent.act(hidden)
    row = measure(agent, agent.last_plan, agent.last_context, hidden, hidden, goal)
    assert row["goal_cm"] is None and row["goal_px"] is None
    assert row["left_cm"] > 0 and row["predicted_cm"] > 0
    assert np.isnan(row["cost"]) == np.isnan(row["best_cost"]) == (make is KeypointFK)
    if make is DexWM:
        assert row["seen_cm"] > 0 and row["left_latent"] > 0
