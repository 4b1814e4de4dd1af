"""Small models and problems that several tests of agents share."""

import torch

from dexbench.agents.dexwm.model.config import ModelConfig
from dexbench.agents.dexwm.model.predictor import Predictor
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


def watched_problem():
    """One joint whose cost is its angle, and the list of the populations that were evaluated."""
    seen = []

    def cost(x):
        seen.append(x)
        return x.sum((1, 2))

    bound = torch.full((1,), 9.0)
    return Problem(cost, torch.zeros(1, 1), torch.ones(1, 1), -bound, bound, 3), seen
