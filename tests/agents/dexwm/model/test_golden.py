"""Numbers of small models whose weights are drawn by a seeded generator.

They say that a model, its loss and its optimiser still compute what they did. Where a change means
to alter them, replace the numbers and say so in the changelog.
"""

import pytest
import torch
from support.stand_ins import right_hands

from dexbench.agents.dexwm.model.config import ModelConfig
from dexbench.agents.dexwm.model.world_model import DexWMModel, hand_action
from dexbench.agents.dexwm.training.losses import prediction_loss
from dexbench.agents.learning.optim import MasterAdamW
from dexbench.utils.seeding import rng

SMALL = ModelConfig(
    image_size=(28, 28), grid=(2, 2), latent_dim=16, encoder_width=8, encoder_blocks=1,
    head_blocks=1, heat_scale=4, predictor_dim=24, predictor_blocks=2, predictor_heads=3,
    max_frames=4,
)  # fmt: skip
PAPER = ModelConfig(
    image_size=(28, 28), grid=(2, 2), latent_dim=16, encoder_width=8, encoder_blocks=1,
    head="paper", head_dim=8, head_blocks=1, head_mlp_ratio=4.0, heat_scale=4, cdit="paper",
    predictor_dim=24, predictor_blocks=2, predictor_heads=3, max_frames=4, action_scale=1.0,
)  # fmt: skip
CONFIGS = {"compact": SMALL, "paper": PAPER}

PREDICTED = {
    "compact": [-0.486317, -0.923772, -0.127808, 0.204648, -0.517107, -1.314542, -0.494385,
                -1.659423, 1.193982],
    "paper": [-2.846875, -1.015895, -0.843007, 0.123288, -0.475023, 0.053359, 1.510332,
              0.464156, 1.018123],
}  # fmt: skip
"""Four numbers of a roll-out's second state, four of a teacher-forced one, the spread of all."""
LATENT = [0.448261, -1.187358, 0.146887, 0.69061, 1.166381, -1.92441]
STEP = {"compact": [8.62591, 6.966883, -54.582096], "paper": [2.312705, 4.261273, -66.503267]}
"""Loss, norm of the gradient, and the sum of all predictor and head weights after the step."""


def drawn(name, shape, scale=1.0):
    values = rng("golden", name).normal(0, scale, shape)
    return torch.from_numpy(values).float()


def model_of(config):
    """A model with weights that depend on their names alone."""
    model = DexWMModel(config)
    with torch.no_grad():
        for name, param in model.named_parameters():
            param.copy_(drawn(name, tuple(param.shape), 0.2))
    return model


def close(found, expected):
    return torch.allclose(torch.as_tensor(found), torch.tensor(expected), rtol=1e-4, atol=1e-5)


def predictions(form):
    model = model_of(CONFIGS[form])
    states, actions = drawn("states", (1, 2, 4, 16)), drawn("actions", (3, 2, 132), 0.05)
    past = model.predictor.encode_history(states)
    with torch.no_grad():
        rolled = model.predictor.rollout(past, states[:, -1], actions)
        forced = model.predictor(states.expand(3, -1, -1, -1), actions)
    return [*rolled[1, 1, 2, :4].tolist(), *forced[2, 0, 3, :4].tolist(), float(rolled.std())]


def step(form):
    model = model_of(CONFIGS[form])
    keypoints = drawn("points", (2, 4, 21, 3), 0.1) + torch.tensor([0, 0, 0.9])
    hands = right_hands(keypoints)
    trained = {"predictor": model.predictor, "head": model.head}
    optimizer = MasterAdamW(trained, 1e-2)
    loss, _ = prediction_loss(model, drawn("clip", (2, 4, 4, 16)), hands, 0.5, history=1)
    loss.backward()
    norm = optimizer.step(1.0)
    weights = sum(float(p.detach().double().sum()) for p in optimizer.params)
    return [float(loss.detach()), norm, weights]


@pytest.mark.parametrize("form", CONFIGS)
def test_predictions(form):
    assert close(predictions(form), PREDICTED[form])


def test_compact_latent():
    model = model_of(SMALL)
    image = rng("golden", "image").integers(0, 256, (1, 28, 28, 3))
    with torch.no_grad():
        latent = model.encoder(torch.from_numpy(image))
    assert close(latent[0, 2, :6], LATENT)


@pytest.mark.parametrize("form", CONFIGS)
def test_a_training_step(form):
    assert close(step(form), STEP[form])


def test_roll_outs_begin_at_the_last_true_frame():
    model = model_of(SMALL)
    states = drawn("clip", (2, 4, 4, 16))
    keypoints = drawn("hand", (2, 4, 21, 3), 0.1) + torch.tensor([0.0, 0.0, 0.8])
    _, parts = prediction_loss(model, states, right_hands(keypoints), 0.5, history=2)
    actions = hand_action(keypoints[:, :-1], keypoints[:, 1:])
    past = model.predictor.encode_history(states[:, :2])
    predicted = model.predictor.rollout(past, states[:, 1], actions[:, 1:])
    assert predicted.shape == (2, 2, 4, 16)
    torch.testing.assert_close(parts["state"], (predicted - states[:, 2:]).square().mean())
