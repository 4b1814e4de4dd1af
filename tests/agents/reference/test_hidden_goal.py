"""Goals without a robot: whether agents see that there is no hand, and what they do then."""

import numpy as np
import pytest
import torch

from dexbench.agents.dexwm.agent import DexWM
from dexbench.agents.dexwm.cost import KEYPOINT
from dexbench.agents.dexwm.model.keypoint_head import Keypoints, palm_misfit
from dexbench.agents.reference.keypoint_fk import KeypointFK
from dexbench.envs.embodiment.camera import base_to_camera
from dexbench.envs.embodiment.kinematics import HandKinematics
from dexbench.envs.embodiment.robot import INIT_JOINTS
from dexbench.envs.gym_env import make_env


@pytest.fixture(scope="module")
def looks():
    """First observations of a place trial, by whether the goal hides the robot."""
    env = make_env("place")
    options = {"trial": 0, "suite": "v1"}
    yield {
        hidden: env.reset(options={**options, "hide_robot": hidden})[0] for hidden in (False, True)
    }
    env.close()


def hand():
    return HandKinematics().keypoints(torch.tensor(INIT_JOINTS, dtype=torch.float32))[:17]


def test_a_palm_fits_in_any_pose_and_no_other_shape_does():
    points = base_to_camera(hand())
    assert palm_misfit(points[None]) < 1e-6
    assert palm_misfit(points[None] * 0.5) > 0.018, "a hand of half the size"
    assert palm_misfit(torch.zeros(1, 17, 3)) > 0.018, "all in one place"
    spoilt = points[None].clone()
    spoilt[:, [2, 3, 4, 6, 7, 8]] += 1.0
    assert palm_misfit(spoilt) < 1e-6, "fingers bend"


def test_a_head_without_depth_expects_a_hand():
    seen = Keypoints(torch.zeros(2, 1, 1, 12, 1, 1), None, torch.zeros(2, 17, 2), None)
    assert seen.shows_hand().tolist() == [True, True]


def test_keypoint_fk_holds_where_there_is_no_hand(looks):
    agent = KeypointFK(warm_start={"samples": 16, "iterations": 2})
    for hidden, obs in looks.items():
        agent.reset("place", 0)
        moved = float(np.abs(agent.act(obs) - obs["agent_target"]).max())
        assert (moved == 0) is hidden


@torch.no_grad()
def test_dexwm_leaves_the_keypoint_term_out_where_there_is_no_hand(looks):
    agent = DexWM(dtype="float32")
    sequences = torch.tensor(looks[False]["agent_target"]).expand(3, 3, 23).clone()
    sequences += torch.linspace(-0.1, 0.1, 3)[:, None, None]
    for hidden, obs in looks.items():
        agent.reset("place", 0)
        context = agent.observe(obs)
        assert (agent.goal_hand(context) is None) is hidden
        terms, cost = agent.terms(sequences, context), agent.cost(sequences, context)
        assert bool((terms[:, KEYPOINT] == 0).all()) is hidden
        assert cost.isfinite().all() and cost.std() > 0
