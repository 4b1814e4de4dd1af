"""Small models and problems that several tests of agents share."""

import torch

from dexbench.agents.dexwm.model.predictor import Predictor
from dexbench.agents.planning.optimiser import Problem


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
