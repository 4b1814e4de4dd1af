"""Small models and problems that several tests of agents share."""

from types import SimpleNamespace

import torch

from dexbench.agents.dexwm.model.config import ModelConfig
from dexbench.agents.dexwm.model.keypoint_head import RIGHT
from dexbench.agents.dexwm.model.predictor import Predictor
from dexbench.agents.dexwm.model.world_model import hand_action
from dexbench.agents.dexwm.training.hands import Hands
from dexbench.agents.dexwm.training.validation import keypoint_metrics
from dexbench.agents.learning.hand_way import straight
from dexbench.agents.planning.optimiser import Problem

SMALL_PAPER = ModelConfig(
    image_size=(112, 196),
    head="paper",
    head_dim=32,
    head_blocks=1,
    head_heads=4,
    heat_scale=14,
    cdit="paper",
    predictor_dim=48,
    predictor_blocks=2,
    max_frames=9,
    encoder_blocks=1,
)
"""The paper's form of predictor and head, small, on compact's encoder."""


def busy_predictor(config):
    """A predictor whose zero-initialised layers are not zero."""
    torch.manual_seed(0)
    predictor = Predictor(config)
    for param in predictor.parameters():
        torch.nn.init.normal_(param, std=0.1)
    return predictor


def right_hands(keypoints):
    """A robot's hands of the right one's keypoints (B, F, K, 3): known, and the camera stays."""
    points = torch.stack([torch.zeros_like(keypoints), keypoints], 2)
    known = torch.tensor([False, True])[:, None].expand(points.shape[:4])
    several = keypoints.shape[1] > 1
    actions = hand_action(keypoints[:, :-1], keypoints[:, 1:]) if several else keypoints[:, :0]
    return Hands(points, known, actions, straight(keypoints[:, :-1], keypoints[:, 1:]))


def measured(answer, points):
    """The metrics of a head that gives one answer, of right hands (B, K, 3)."""
    head = SimpleNamespace(hands=lambda states: {RIGHT: answer})
    hands = right_hands(points[:, None])
    return keypoint_metrics(SimpleNamespace(head=head), None, hands.points[:, 0], hands.known[:, 0])


def watched_problem():
    """One joint whose cost is its angle, and the list of the populations that were evaluated."""
    seen = []

    def cost(x):
        seen.append(x)
        return x.sum((1, 2))

    bound = torch.full((1,), 9.0)
    return Problem(cost, torch.zeros(1, 1), torch.ones(1, 1), -bound, bound, 3), seen
