"""What the terms of the world model's cost are."""

import numpy as np
import pytest
import torch
from synthetic_store import KINEMATICS, keypoints_of, picture
from test_planning import goal_near, observation

from dexbench.agents.dexwm.agent import LEAVING, CostConfig, DexWM
from dexbench.envs.embodiment import camera
from dexbench.envs.embodiment.robot import INIT_JOINTS
from dexbench.envs.errors import UserError


@torch.no_grad()
def keypoint_term(sequences, **settings):
    """That of candidates ``(N, 3, 23)``, and the goal's keypoints as the agent reads them."""
    agent = DexWM(cost=CostConfig(**settings), dtype="float32")
    start = INIT_JOINTS.astype(np.float32)
    goal = picture(keypoints_of(goal_near(3)))
    agent.reset("reach", 0)
    context = agent.observe(
        {**observation(start), "pixels": picture(keypoints_of(start)), "goal": goal}
    )
    return agent.terms(sequences, context)[:, 1], agent, context


def test_consistency_adds_how_far_the_predicted_hand_is_from_the_joints_own():
    start = torch.tensor(INIT_JOINTS, dtype=torch.float32)
    offsets = torch.linspace(-0.4, 0.4, 5)[:, None, None]
    sequences = (start + offsets).expand(5, 3, 23)
    plain, agent, context = keypoint_term(sequences)
    whole, *_ = keypoint_term(sequences, consistency=1.0)
    half, *_ = keypoint_term(sequences, consistency=0.5)
    assert torch.allclose(half, (plain + whole) / 2, atol=1e-6)
    points = camera.base_to_camera(KINEMATICS.keypoints(sequences)[..., :17, :])
    with torch.no_grad():
        apart = (agent.predict(sequences, context).keypoints - points).norm(dim=-1).mean(-1)
    assert torch.allclose(whole - plain, apart @ agent.weights(3), atol=1e-5)
    # So it bounds the distance that forward kinematics alone would give.
    geometry = (points - context.goal_keypoints.points()).norm(dim=-1).mean(-1) @ agent.weights(3)
    assert (whole >= geometry - 1e-5).all() and (plain < geometry).any()


def test_leaving_the_picture_costs_what_is_outside_at_the_worst_waypoint():
    inside = torch.tensor(INIT_JOINTS, dtype=torch.float32)
    away = inside.clone()
    away[0] += 2.0  # The arm turns aside.
    sequences = torch.stack([inside.expand(3, 23), torch.stack([inside, away, inside])])
    agent = DexWM(cost=CostConfig(leaving=3.0), dtype="float32")
    amount = agent.leaving(sequences)
    pixels = camera.project(keypoints_of(away.numpy())[:17])
    beyond = np.maximum(-pixels, pixels - [camera.WIDTH, camera.HEIGHT]).max(-1)
    assert float(amount[1, 1]) == pytest.approx((beyond / 40).clip(0, 1).mean(), abs=1e-4)
    assert float(amount[1, 1]) > 0.5 and not amount[0].any() and not amount[1, ::2].any()
    start = INIT_JOINTS.astype(np.float32)
    goal = picture(keypoints_of(goal_near(3)))
    obs = {**observation(start), "pixels": picture(keypoints_of(start)), "goal": goal}
    agent.reset("reach", 0)
    with torch.no_grad():
        context = agent.observe(obs)
        terms, cost = agent.terms(sequences, context), agent.cost(sequences, context)
        agent.costs = CostConfig()
        without = agent.cost(sequences, context)
    assert torch.equal(terms[:, LEAVING], amount.amax(1))
    assert torch.allclose(cost - without, 3 * amount.amax(1), atol=1e-5)


def test_costs_that_make_no_sense_are_refused():
    with pytest.raises(ValueError, match="consistency"):
        CostConfig(consistency=-1.0)
    with pytest.raises(ValueError, match="consistency"):
        CostConfig(consistency=1.0, depth=False)
    with pytest.raises(ValueError, match="leaving"):
        CostConfig(leaving=-1.0)
    with pytest.raises(ValueError, match="known: .*consistent"):
        DexWM(cost="consistant")


def test_an_encoder_that_the_model_was_not_trained_with_changes_nothing(tmp_path):
    """The compact model has its encoder in its own file."""
    assert DexWM(encoder_weights=tmp_path).metadata == DexWM().metadata
    with pytest.raises(UserError, match="no weights"):
        DexWM(weights=tmp_path / "none.safetensors")
