"""What is left to do with objects, as the planner counts it."""

import dataclasses
import json
from pathlib import Path

import numpy as np
import pytest
import torch
from support.planners import goal_near, pictured
from support.trainings import SMALL

from dexbench.agents.dexwm import object_cost
from dexbench.agents.dexwm.agent import DexWM
from dexbench.agents.dexwm.cost import OBJECTS, REACH
from dexbench.agents.dexwm.cost_config import COSTS
from dexbench.agents.dexwm.model.checkpoint import save_model
from dexbench.agents.dexwm.model.keypoint_maps import Keypoints
from dexbench.agents.dexwm.model.world_model import DexWMModel
from dexbench.agents.dexwm.object_cost import REACH as REACH_PX
from dexbench.agents.dexwm.object_cost import ObjectGoal
from dexbench.agents.registry import make_agent
from dexbench.envs.embodiment import camera
from dexbench.envs.embodiment.robot import INIT_JOINTS
from dexbench.utils.errors import UserError

RESULTS = Path(__file__).parents[3] / "results"


def discs(*centres, radius=5, sure=1.0):
    """Logits ``(1, 112, 196)`` that show discs around centres (column, row) in mask pixels."""
    v, u = torch.meshgrid(torch.arange(112), torch.arange(196), indexing="ij")
    shown = [(u - x) ** 2 + (v - y) ** 2 < radius**2 for x, y in centres]
    return torch.logit(torch.stack(shown).any(0) * sure, eps=1e-4)[None]


CLUTTER = (40, 80)


def test_what_is_left_falls_from_one_to_nothing_on_the_way():
    goal = ObjectGoal.read(discs((90, 70), CLUTTER), discs((112, 70), CLUTTER))
    left = [float(goal.left(discs((u, 70), CLUTTER))) for u in range(90, 113, 2)]
    assert left[0] == pytest.approx(1) and left[-1] == pytest.approx(0, abs=1e-6)
    assert all(now > after for now, after in zip(left, left[1:], strict=False))
    assert float(goal.left(discs((80, 70), CLUTTER))) > 1, "the wrong way"
    assert 0.2 < float(goal.left(discs((112, 70), (60, 80)))) < 0.4, "something else has moved"


@pytest.mark.parametrize("way", [10, 16, 22])
def test_a_push_that_goes_too_far_is_about_as_bad_as_one_that_falls_short(way):
    goal = ObjectGoal.read(discs((90, 70), CLUTTER), discs((90 + way, 70), CLUTTER))
    left = {by: float(goal.left(discs((90 + by, 70), CLUTTER))) for by in range(4 * way + 1)}
    assert left[2 * way] > 0.85 and left[4 * way] > 1.2, "twice the way, and four times"
    for off in (2, 4, way // 2):
        assert left[way + off] == pytest.approx(left[way - off], rel=0.12)


def test_where_nothing_is_to_move_a_move_of_six_centimetres_costs_about_one():
    goal = ObjectGoal.read(discs((90, 70)), discs((90, 70)))
    assert float(goal.left(discs((90, 70)))) == 0
    assert 0.3 < float(goal.left(discs((92.6, 70)))) < 0.6, "3 cm"
    assert 0.6 < float(goal.left(discs((95, 70)))) < 1.2, "6 cm"
    assert float(goal.left(discs((100, 70)))) > 1.5


def test_a_large_object_that_is_touched_counts_less_than_a_small_one_that_is_meant(monkeypatch):
    """To push by 12 cm, and a box of 30 cm beside it by 3 cm, is better than to do nothing."""

    def scene(small, large):
        return torch.maximum(discs((small, 70)), discs((large, 80), radius=12))

    goal = ObjectGoal.read(scene(90, 140), scene(100, 140))
    pushed, nothing = scene(100, 142.6), scene(90, 140)
    assert float(goal.left(pushed)) < 0.8 and float(goal.left(nothing)) > 0.95
    monkeypatch.setattr(object_cost, "ELSEWHERE", 1.0)
    assert float(goal.left(pushed)) > 1, "were all places to count alike"


def test_a_faint_prediction_is_judged_by_where_it_shows_objects():
    start, end = discs((90, 70), CLUTTER), discs((105, 70), CLUTTER)
    goal = ObjectGoal.read(start, end)
    faint = discs((105, 70), CLUTTER, sure=0.7)
    assert float(goal.left(faint)) == pytest.approx(0, abs=0.05)
    assert float(goal.left(discs(CLUTTER))) > 1, "an object that vanishes gains nothing"
    assert float(ObjectGoal.read(end, end).left(faint)) == pytest.approx(0, abs=0.05)


def test_the_hand_is_drawn_to_what_is_not_where_it_should_be():
    goal = ObjectGoal.read(discs((90, 70), CLUTTER), discs((112, 70), CLUTTER))
    now = discs((90, 70), CLUTTER)

    def hand(u, v):
        pixels = torch.tensor([float(u), float(v)]).expand(1, 17, 2)
        return Keypoints(torch.zeros(1, 1, 1, 17, 1, 1), None, pixels, None)

    at_object = float(goal.reach(now, hand(180, 140)))
    assert at_object < 0.25, "2 px of the picture are one of the mask"
    assert float(goal.reach(now, hand(180 + REACH_PX, 140))) == pytest.approx(1, abs=0.25)
    assert float(goal.reach(now, hand(80, 160))) > 0.8, "the clutter does not draw it"


@pytest.fixture
def with_map(tmp_path):
    torch.manual_seed(0)
    path = tmp_path / "model.safetensors"
    model = DexWMModel(dataclasses.replace(SMALL, object_map=True, hand_maps=True))
    torch.nn.init.normal_(model.encoder.eye.net.out.weight, std=0.1)  # it sees something
    save_model(path, model)
    return path


@torch.no_grad()
def test_a_model_with_the_map_plans_by_it_and_says_so(with_map):
    agent = DexWM(weights=with_map, dtype="float32", tile=4)
    assert agent.cost_name == "objects" and agent.costs.config == COSTS["objects"]
    assert DexWM(weights=with_map, cost="predicted").cost_name == "predicted"
    start = INIT_JOINTS.astype(np.float32)
    agent.reset("push", 0)
    context = agent.observe(pictured(start, goal_near(3)))
    sequences = torch.tensor(start) + torch.linspace(-0.3, 0.3, 6)[:, None, None]
    terms = agent.terms(sequences.expand(6, 3, 23), context)
    assert terms.shape == (6, 6)
    agent.costs.object_map = None
    without = agent.terms(sequences.expand(6, 3, 23), context)
    assert torch.equal(terms[:, :OBJECTS], without[:, :OBJECTS])
    assert not without[:, OBJECTS:].any() and (terms[:, REACH] >= 0).all()
    scale = torch.ones(6)
    more = agent.costs.total(terms, scale, "push", True)
    less = agent.costs.total(without, scale, "push", True)
    assert torch.allclose(more - less, 5 * terms[:, OBJECTS] + terms[:, REACH], atol=1e-5)
    half = agent.costs.total(without, scale, "push", True, hand_share=0.5)
    asked = terms[:, :2] @ torch.tensor([0.3, 0.7])
    assert torch.allclose(less - half, asked / 2, atol=1e-5)


@torch.no_grad()
def test_what_was_seen_can_stand_for_what_was_predicted(with_map):
    agent = DexWM(weights=with_map, dtype="float32", tile=4)
    start = INIT_JOINTS.astype(np.float32)
    agent.reset("push", 0)
    obs = pictured(start, goal_near(3))
    context = agent.observe(obs)
    sequences = torch.tensor(start) + torch.linspace(-0.3, 0.3, 4)[:, None, None]
    sequences = sequences.expand(4, 3, 23)
    agent.cost(sequences, context)
    scale = context.scale.clone()
    pictures = [
        np.stack([obs["pixels"], obs["pixels"], end]) for end in (obs["pixels"], obs["goal"])
    ]
    costs = agent.cost_seen(sequences[:2], pictures, context)
    states = torch.stack([torch.cat([agent.encode(seen) for seen in row]) for row in pictures])
    terms = agent.terms(sequences[:2], context, states)
    expected = agent.costs.total(terms, scale, "push", True, context.hand_share)
    assert torch.allclose(costs, expected) and torch.equal(context.scale, scale)
    assert terms[1, 0] < terms[0, 0] and costs[1] < costs[0], "the goal itself is cheaper"


@torch.no_grad()
def test_the_last_decision_heeds_objects_as_much_as_the_first(with_map):
    agent = DexWM(weights=with_map, dtype="float32", tile=4)
    start = INIT_JOINTS.astype(np.float32)
    agent.reset("push", 0)
    context = agent.observe(pictured(start, goal_near(3)))
    still = torch.tensor(start).expand(1, 1, 23)
    states = agent.roll_out(still, context)
    goal = context.goal, context.goal_keypoints
    full, part = (
        agent.costs.terms(still, states, goal, torch.tensor([w]), "push", context.objects)[0]
        for w in (1.0, 0.51)
    )
    assert torch.allclose(full[OBJECTS:], part[OBJECTS:], rtol=1e-5)
    assert float(part[0]) == pytest.approx(0.51 * float(full[0]), rel=1e-5)


def test_the_goals_hand_counts_by_how_far_it_is_from_the_first_ones():
    def hand(x):
        pixels = torch.tensor([float(camera.WIDTH) / 2, float(camera.HEIGHT) / 2])
        points = camera.unproject(pixels.expand(1, 17, 2), torch.ones(1, 17))
        points[..., 0] += x
        return Keypoints(torch.zeros(1), None, camera.project(points), points[..., 2])

    cost = COSTS["objects"]
    assert cost.hand_share(hand(0), hand(0)) == pytest.approx(0, abs=1e-5)
    assert cost.hand_share(hand(0), hand(cost.hand_way / 2)) == pytest.approx(0.5, abs=1e-3)
    assert cost.hand_share(hand(0), hand(0.3)) == 1
    assert cost.hand_share(hand(0), None) == 0, "the goal shows no hand"


@torch.no_grad()
def test_a_push_does_not_ask_for_the_hand_where_it_is(with_map):
    """Goal and start picture are one: no term of the goal's hand is left in the cost."""
    agent = DexWM(weights=with_map, dtype="float32", tile=4)
    start = INIT_JOINTS.astype(np.float32)
    agent.reset("push", 0)
    obs = pictured(start, goal_near(3))
    obs["goal"] = obs["pixels"]
    context = agent.observe(obs)
    assert context.hand_share == 0
    plain = DexWM(weights=with_map, cost="predicted", dtype="float32", tile=4)
    plain.reset("push", 0)
    assert plain.observe(obs).hand_share == 1


def test_a_model_without_the_map_cannot_count_objects():
    with pytest.raises(UserError, match="no map of"):
        DexWM(cost="objects")


def test_rows_of_costs_without_objects_stay_what_they_were():
    """The settings' hash is a row's identity."""
    for name in ("dexwm", "dexwm-warm"):
        ledger = RESULTS / "v1" / name / "reach" / "trials.jsonl"
        row = json.loads(ledger.read_text().splitlines()[0])
        assert make_agent(name)[0].settings_hash == row["settings_hash"]
