"""What the terms of the world model's cost are."""

import dataclasses
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from support.planners import goal_near, observation, pictured
from support.stand_ins import SMALL_PAPER, busy_predictor
from support.synthetic_store import KINEMATICS, keypoints_of, picture

from dexbench.agents.dexwm.agent import DexWM
from dexbench.agents.dexwm.cost import LEAVING, near_edge
from dexbench.agents.dexwm.cost_config import COSTS, CostConfig
from dexbench.agents.dexwm.model.checkpoint import save_model
from dexbench.agents.dexwm.model.keypoint_maps import Keypoints
from dexbench.agents.dexwm.model.world_model import DexWMModel, hand_action
from dexbench.agents.planning.cem import CEMConfig, in_tiles
from dexbench.agents.planning.planner_config import PLANNERS
from dexbench.agents.registry import make_agent
from dexbench.envs.embodiment import camera
from dexbench.envs.embodiment.robot import INIT_JOINTS
from dexbench.utils.errors import UserError
from dexbench.utils.seeding import rng


@pytest.fixture
def hand_found(monkeypatch):
    """The packaged head finds a hand in every picture, also in the synthetic ones."""
    monkeypatch.setattr(Keypoints, "shows_hand", lambda read: torch.ones(1, dtype=torch.bool))


@torch.no_grad()
def keypoint_term(sequences, **settings):
    """That of candidates ``(N, 3, 23)``, and the goal's keypoints as the agent reads them."""
    agent = DexWM(cost=CostConfig(**settings), dtype="float32", tile=5)
    start = INIT_JOINTS.astype(np.float32)
    agent.reset("reach", 0)
    context = agent.observe(pictured(start, goal_near(3)))
    return agent.terms(sequences, context)[:, 1], agent, context


def test_the_own_hand_adds_how_far_the_predicted_hand_is_from_the_joints_own(hand_found):
    start = torch.tensor(INIT_JOINTS, dtype=torch.float32)
    offsets = torch.linspace(-0.4, 0.4, 5)[:, None, None]
    sequences = (start + offsets).expand(5, 3, 23)
    plain, agent, context = keypoint_term(sequences)
    whole, *_ = keypoint_term(sequences, own_hand=True)
    points = camera.base_to_camera(KINEMATICS.keypoints(sequences)[..., :17, :])
    with torch.no_grad():
        apart = (agent.predict(sequences, context).keypoints - points).norm(dim=-1).mean(-1)
    assert torch.allclose(whole - plain, apart @ agent.weights(3), atol=1e-5)
    # So it bounds the distance that forward kinematics alone would give.
    geometry = (points - context.goal_keypoints.points()).norm(dim=-1).mean(-1) @ agent.weights(3)
    assert (whole >= geometry - 1e-5).all() and (plain < geometry).any()


def test_the_own_hand_leaving_the_picture_costs_what_is_outside_at_the_worst_waypoint():
    inside = torch.tensor(INIT_JOINTS, dtype=torch.float32)
    away = inside.clone()
    away[0] += 2.0  # The arm turns aside.
    sequences = torch.stack([inside.expand(3, 23), torch.stack([inside, away, inside])])
    agent = DexWM(cost="own-hand", dtype="float32", tile=2)
    amount = agent.costs.leaving(sequences)
    pixels = camera.project(keypoints_of(away.numpy())[:17])
    beyond = np.maximum(-pixels, pixels - [camera.WIDTH, camera.HEIGHT]).max(-1)
    assert float(amount[1, 1]) == pytest.approx((beyond / 40).clip(0, 1).mean(), abs=1e-4)
    assert float(amount[1, 1]) > 0.5 and not amount[0].any() and not amount[1, ::2].any()
    start = INIT_JOINTS.astype(np.float32)
    obs = pictured(start, goal_near(3))
    agent.reset("reach", 0)
    with torch.no_grad():
        context = agent.observe(obs)
        terms, cost = agent.terms(sequences, context), agent.cost(sequences, context)
        agent.costs.config = CostConfig(own_hand=True)
        without = agent.cost(sequences, context)
    assert torch.equal(terms[:, LEAVING], amount.amax(1))
    assert torch.allclose(cost - without, 3 * amount.amax(1), atol=1e-5)


def test_costs_that_make_no_sense_are_refused():
    with pytest.raises(ValueError, match="own_hand"):
        CostConfig(own_hand=True, depth=False)
    with pytest.raises(ValueError, match="leaving"):
        CostConfig(leaving=-1.0)
    with pytest.raises(ValueError, match="known: .*predicted"):
        DexWM(cost="predicated")
    with pytest.raises(ValueError, match=r"unknown settings of a cost \['leafing'\]; known: "):
        DexWM(cost={"leafing": 1.0})


def test_an_encoder_that_the_model_was_not_trained_with_changes_nothing(tmp_path):
    """The compact model has its encoder in its own file."""
    assert DexWM(encoder_weights=tmp_path).metadata == DexWM().metadata
    with pytest.raises(UserError, match="compile is 'false'"):
        DexWM(compile="false")
    with pytest.raises(UserError, match="no weights"):
        DexWM(weights=tmp_path / "none.safetensors")


def test_what_the_predictor_is_given(monkeypatch):
    """Actions from the observed hand on, each waypoint from the one before; all pictures seen."""
    agent = DexWM(dtype="float32", cem=CEMConfig(8, 2, 1), tile=4)
    poses = [INIT_JOINTS.astype(np.float32), goal_near(1), goal_near(3)]
    pictures = [picture(keypoints_of(pose)) for pose in poses]
    with torch.no_grad():
        latents = [agent.encode(image) for image in pictures]
        wanted = agent.model.predictor.encode_history(torch.stack(latents[:2], 1))
    asked = []
    rollout = agent.model.predictor.rollout

    def spy(history, last, actions, begun):
        asked.append((history, last, actions))
        return rollout(history, last, actions, begun)

    monkeypatch.setattr(agent.model.predictor, "rollout", spy)
    agent.reset("reach", 0)
    for step, left in enumerate((60, 40)):
        agent.act(pictured(poses[step], poses[2], left))
    torch.testing.assert_close(agent.last_context.goal, latents[2])
    history, last, _ = asked[-1]
    torch.testing.assert_close(last, latents[1])
    for one, other in zip(history, wanted, strict=True):
        for mine, theirs in zip(one, other, strict=True):
            torch.testing.assert_close(mine, theirs)
    sequences = torch.from_numpy(np.stack([poses[1:], poses[:2]])).float()
    asked.clear()
    agent.predict(sequences, agent.last_context)
    (_, _, actions) = asked[0]
    assert actions.shape == (2, 2, 132)
    points = torch.from_numpy(keypoints_of(sequences))
    start = torch.from_numpy(keypoints_of(poses[1]))
    moves = torch.stack([points[:, 0] - start, points[:, 1] - points[:, 0]], 1).flatten(-2)
    assert torch.allclose(actions[..., 63:126], moves, atol=1e-5)
    assert not actions[..., :63].any() and not actions[..., 126:].any()


def weights_of(config, folder):
    """A file of a model whose predictor does not predict zero."""
    model = DexWMModel(config)
    model.predictor.load_state_dict(busy_predictor(config).state_dict())
    path = folder / "w.safetensors"
    save_model(path, model)
    return path


@torch.no_grad()
def test_observed_pictures_come_with_the_actions_that_led_to_them(tmp_path):
    """So the agent predicts after its second look what teacher forcing does."""
    config = dataclasses.replace(SMALL_PAPER, head="compact", heat_scale=7)
    agent = DexWM(weights=weights_of(config, tmp_path), dtype="float32")
    poses = [INIT_JOINTS.astype(np.float32), goal_near(1)]
    agent.reset("reach", 0)
    for pose in poses:
        shown = picture(keypoints_of(pose))
        context = agent.observe({**observation(pose), "pixels": shown, "goal": shown})
    states = torch.cat([agent.encode(picture(keypoints_of(pose))) for pose in poses])[None]
    waypoint = torch.from_numpy(goal_near(3))
    hands = torch.from_numpy(np.stack([keypoints_of(pose) for pose in poses]))
    ahead = agent.hand(waypoint)[None]
    actions = hand_action(hands, torch.cat([hands[1:], ahead]))[None]
    trained = agent.model.predictor(states, actions)[:, 1]
    predicted = agent.roll_out(waypoint.expand(1, 1, -1), context)[:, 0]
    torch.testing.assert_close(predicted, trained, atol=1e-4, rtol=1e-4)
    still = agent.model.predictor.encode_history(states)
    without = agent.model.predictor.rollout(still, states[:, -1], actions[:, 1:])[:, 0]
    assert not torch.allclose(predicted, without, atol=1e-2), "the history's actions count"


def test_a_head_without_depth_plans_as_the_paper_unless_told_otherwise(tmp_path):
    flat = tmp_path / "flat"
    deep = tmp_path / "deep"
    for folder in (flat, deep):
        folder.mkdir()
    weights = weights_of(SMALL_PAPER, flat)
    agent = DexWM(weights=weights)
    assert agent.config == PLANNERS["paper"] and agent.costs.config == COSTS["paper"]
    changed = DexWM(weights=weights, cem={"samples": 20}, tile=10).config
    assert changed.cem == CEMConfig(20, 10, 10) and changed.execute == "best"
    told = DexWM("warm", weights=weights)
    assert told.config == PLANNERS["warm"] and told.costs.config == COSTS["paper"]
    config = dataclasses.replace(SMALL_PAPER, head="compact", heat_scale=7)
    for other in (DexWM(weights=weights_of(config, deep)), DexWM()):
        assert other.config == PLANNERS["cem"] and other.costs.config == COSTS["predicted"]


def test_only_the_papers_cost_counts_the_ring_finger_twice():
    agent = DexWM(dtype="float32")
    nowhere = torch.zeros(1, 17, 2)
    moved = nowhere.clone()
    moved[0, 16, 0] = 30.0  # px; the ring finger's tip
    goal, seen = (Keypoints(torch.zeros(0), None, pixels, None) for pixels in (nowhere, moved))
    for config, wanted in ((CostConfig(depth=False), 30 / 5), (COSTS["paper"], 2 * 30 / 6)):
        agent.costs.config = config
        assert float(agent.costs.keypoint_distance(seen, goal)) == pytest.approx(wanted)


@torch.no_grad()
def test_a_candidates_terms_depend_on_neither_population_nor_tile(hand_found):
    agent = DexWM(dtype="float32", cost="paper")
    agent.reset("reach", 0)
    start = INIT_JOINTS.astype(np.float32)
    obs = pictured(start, goal_near(3))
    context = agent.observe(obs)
    draws = torch.from_numpy(rng("tile").normal(0, 0.2, (16, 3, 23)).astype(np.float32))
    draws += torch.from_numpy(start)

    def terms(candidates, tile):
        return in_tiles(lambda some: agent.terms(some, context), candidates, tile)

    by_four = terms(draws, 4)
    # The same tile among others, and in another place: the same bits.
    assert torch.equal(terms(draws[4:12], 4), by_four[4:12])
    assert torch.equal(terms(torch.cat([draws[8:12], draws[:4]]), 4)[4:], by_four[:4])
    agent.costs.config = COSTS["own-hand"]
    far = draws + torch.linspace(0, 2, 16)[:, None, None]
    whole = terms(far, 4)
    assert torch.equal(terms(far[4:12], 4), whole[4:12]) and whole[:, LEAVING].std() > 0
    agent.costs.config = COSTS["paper"]
    # Tiles of other sizes differ by how sums round: costs of the paper's mix by less than 1e-5.
    factors = torch.tensor([1.0, 0.001, 0.0, 0.0, 0.0, 0.0])
    for tile in (1, 3, 16):
        gap = ((terms(draws, tile) - by_four) * factors).sum(-1).abs()
        assert gap.max() < 1e-5
    assert (by_four * factors).sum(-1).std() > 1e-2


def test_how_terms_make_a_cost(monkeypatch):
    terms = torch.tensor([[1.0, 10.0, 0.5, 0.0], [3.0, 20.0, 0.1, 0.5], [2.0, 60.0, 0.0, 1.0]])
    agent = DexWM(dtype="float32")
    monkeypatch.setattr(agent, "terms", lambda tile, _: terms[: len(tile)])
    monkeypatch.setattr(agent, "config", dataclasses.replace(agent.config, tile=3))
    latent, pixel, angle, outside = terms.T
    for task in ("reach", "grasp"):
        agent.reset(task, 0)
        agent.costs.config = COSTS["predicted"]
        context = SimpleNamespace(scale=None, goal_keypoints=(), hand_share=1.0)
        spread = terms.std(0, correction=0)
        wanted = 0.3 * latent / spread[0] + 0.7 * pixel / spread[1] + 3 * outside
        assert torch.allclose(agent.cost(torch.zeros(3, 3, 23), context), wanted)
        agent.costs.config = COSTS["paper"]
        wanted = latent + 0.001 * pixel + (0.4 * angle if task == "grasp" else 0)
        assert torch.allclose(agent.cost(torch.zeros(3, 3, 23), context), wanted)
    assert COSTS["paper"] == CostConfig("paper", mu=0.001, depth=False, orientation=0.4)
    assert COSTS["predicted"] == CostConfig("scaled", 0.3, depth=True, leaving=3.0)
    assert COSTS["own-hand"] == dataclasses.replace(COSTS["predicted"], own_hand=True)


@torch.no_grad()
def test_predicted_hands_on_the_edge_of_the_picture_are_taken_to_leave_it():
    """Read from predictions alone: the head puts what is outside on the edge."""
    middle = torch.tensor([camera.WIDTH / 2, camera.HEIGHT / 2]).expand(17, 2).clone()
    hands = torch.stack([middle, middle, middle])
    hands[1, :, 0] = camera.WIDTH
    hands[2, 0] = torch.tensor([8.0, 100.0])  # half of EDGE within
    hands[2, 1] = torch.nan  # a head that has no such keypoint
    assert near_edge(hands).tolist() == pytest.approx([0.0, 1.0, 0.5 / 16])
    agent = DexWM(dtype="float32", tile=2)
    agent.reset("reach", 0)
    start = INIT_JOINTS.astype(np.float32)
    context = agent.observe(pictured(start, goal_near(3)))
    away = torch.from_numpy(start).expand(2, 3, 23).clone()
    away[1, 1, 0] += 2.0  # The arm turns aside.
    predicted = agent.predict(away, context).pixels
    terms = agent.terms(away, context)
    torch.testing.assert_close(terms[:, LEAVING], near_edge(predicted).amax(1))


def test_dexwms_cost_never_asks_for_the_joints_own_hand():
    start, asked = INIT_JOINTS.astype(np.float32), []
    budget = {"cem": CEMConfig(8, 2, 1), "tile": 4, "dtype": "float32"}
    for planner in ("cem", "warm"):
        agent = DexWM(planner, **budget)
        known = agent.costs.kinematics.keypoints
        spy = SimpleNamespace(
            keypoints=lambda joints, known=known: asked.append(1) or known(joints)
        )
        agent.costs.kinematics = spy
        agent.reset("reach", 0)
        agent.act(pictured(start, goal_near(3)))
        assert bool(asked) == (planner == "warm")


def test_each_planner_has_its_usual_cost():
    for planner, cost in (("cem", "predicted"), ("warm", "own-hand"), ("paper", "paper")):
        agent = DexWM(planner)
        assert agent.costs.config == COSTS[cost] and agent.cost_name == cost
    assert DexWM("paper", cost="predicted").cost_name == "predicted"
    assert DexWM().settings_hash != DexWM(cost="own-hand").settings_hash


def test_the_costs_name_says_whether_a_setting_was_changed():
    assert DexWM(cost={"leaving": 2.0}).costs.config == CostConfig(leaving=2.0)
    assert DexWM(cost={"leaving": 2.0}).cost_name == "predicted*"
    assert DexWM("paper", cost={"mu": 0.01}).cost_name == "paper*"
    assert DexWM(cost={"leaving": 3.0}).cost_name == "predicted"
    assert DexWM(cost=CostConfig(leaving=3.0)).cost_name == "predicted"
    assert DexWM(cost=CostConfig(leaving=2.0)).cost_name == "own"


def test_the_registered_agents_plan_as_their_names_say():
    for name, planner, cost in (
        ("dexwm", "cem", "predicted"),
        ("dexwm-warm", "warm", "own-hand"),
        ("dexwm-paper", "paper", "paper"),
    ):
        agent, _ = make_agent(name)
        assert (agent.planner_name, agent.cost_name) == (planner, cost)
