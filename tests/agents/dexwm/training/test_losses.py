"""What the predictor and the keypoint head learn from."""

import dataclasses
import functools

import pytest
import torch
from support.stand_ins import SMALL_PAPER, busy_predictor, right_hands
from support.synthetic_store import keypoints_of, write_store
from support.trainings import SMALL, config

from dexbench.agents.dexwm.model.config import ModelConfig
from dexbench.agents.dexwm.model.encoder import PixelDecoder
from dexbench.agents.dexwm.model.keypoint_loss import keypoint_loss
from dexbench.agents.dexwm.model.world_model import DexWMModel, hand_action
from dexbench.agents.dexwm.training.config import HAND_WEIGHT
from dexbench.agents.dexwm.training.losses import end_to_end_loss, prediction_loss
from dexbench.agents.dexwm.training.train import Trainer
from dexbench.envs.embodiment.robot import INIT_JOINTS


def windows(model_config: ModelConfig, frames: int = 3):
    """A model whose predictor is busy, true latents, and keypoints of a hand that moves."""
    torch.manual_seed(0)
    model = DexWMModel(model_config)
    model.predictor.load_state_dict(busy_predictor(model_config).state_dict())
    states = torch.randn(2, frames, model_config.tokens, model_config.latent_dim)
    moves = torch.linspace(0, 0.1, frames)[:, None, None]
    keypoints = (torch.from_numpy(keypoints_of(INIT_JOINTS)) + moves).expand(2, -1, -1, -1)
    return model, states, keypoints


@pytest.mark.parametrize("model_config", [SMALL, SMALL_PAPER], ids=["compact", "paper"])
def test_a_rollout_from_several_frames_knows_the_actions_between_them(model_config):
    """Its first step is what teacher forcing predicts there."""
    model, states, keypoints = windows(model_config)
    actions = hand_action(keypoints[:, :-1], keypoints[:, 1:])
    with torch.no_grad():
        # The last state is no part of the history, so it may be what is predicted of it.
        states[:, 2] = model.predictor(states[:, :-1], actions)[:, 1]
        _, parts = prediction_loss(model, states, right_hands(keypoints), 0.02, history=2)
    assert parts["state"] < 1e-9


def gradients(loss, model):
    """Those of predictor and head, by name."""
    model.zero_grad()
    loss.backward()
    return {
        name: weights.grad.clone()
        for name, weights in model.named_parameters()
        if weights.grad is not None
    }


@pytest.mark.parametrize("history", [None, 1])
@pytest.mark.parametrize("model_config", [SMALL, SMALL_PAPER], ids=["compact", "paper"])
def test_without_hand_weight_the_head_learns_apart_on_true_latents(model_config, history):
    model, states, keypoints = windows(model_config)
    learnt = gradients(
        prediction_loss(model, states, right_hands(keypoints), 0.0, history)[0], model
    )
    _, parts = prediction_loss(model, states, right_hands(keypoints), 1.0, history)
    of_state = gradients(parts["state"], model)
    head = HAND_WEIGHT[model_config.head] * keypoint_loss(
        model.head(states[:, -1]), keypoints[:, -1, :17]
    )
    expected = of_state | gradients(head, model)
    assert {name.split(".")[0] for name in learnt} == {"predictor", "head"}
    assert learnt.keys() == expected.keys()
    for name, gradient in learnt.items():
        torch.testing.assert_close(gradient, expected[name], rtol=1e-4, atol=1e-6)


def test_without_hand_weight_the_encoder_does_not_learn_for_the_head():
    model, _, keypoints = windows(SMALL)
    decoder = PixelDecoder(SMALL)
    images = torch.randint(0, 255, (2, 3, 112, 196, 3), generator=torch.Generator().manual_seed(0))
    loss = functools.partial(end_to_end_loss, model, decoder, images)
    both = gradients(loss(right_hands(keypoints), 0.0)[0], model)
    moved = gradients(loss(right_hands(keypoints + 0.1), 0.0)[0], model)
    for name, gradient in both.items():
        if name.startswith("encoder"):
            # Another place of the same motion changes what the head is asked for, nothing else.
            torch.testing.assert_close(gradient, moved[name], rtol=1e-3, atol=1e-6)
    assert any(not torch.allclose(both[n], moved[n]) for n in both if n.startswith("head"))


@pytest.mark.parametrize("steps", [(0, 3, 0), (0, 0, 3)], ids=["predictor", "rollout"])
def test_a_training_without_hand_weight_trains_the_head_after_the_first_stage(tmp_path, steps):
    settings = config(write_store(tmp_path / "set"), tmp_path / "w.safetensors", steps=steps)
    trainer = Trainer(dataclasses.replace(settings, hand_weight=0.0))
    before = {name: value.clone() for name, value in trainer.model.head.state_dict().items()}
    trainer.run()
    after = trainer.model.head.state_dict()
    assert all(not torch.equal(value, after[name]) for name, value in before.items())
