"""Roll-outs that are longer than the history: the oldest frames are dropped."""

import dataclasses
import json

import pytest
import torch
from support.stand_ins import busy_predictor
from support.synthetic_store import write_store
from support.trainings import config

from dexbench.agents.dexwm.model.checkpoint import PACKAGED, load_model, save_model
from dexbench.agents.dexwm.model.config import ModelConfig
from dexbench.agents.dexwm.model.keypoint_maps import Keypoints
from dexbench.agents.dexwm.model.unroll import unroll
from dexbench.agents.dexwm.model.world_model import DexWMModel
from dexbench.agents.dexwm.training.train import train
from dexbench.agents.learning.hand_way import MOMENTS
from dexbench.agents.learning.weights import read_tensors, save_tensors
from dexbench.utils.errors import UserError

SMALL = ModelConfig(predictor_dim=48, predictor_blocks=2, predictor_heads=3, encoder_blocks=1)


def busy_model(**changes):
    model = DexWMModel(dataclasses.replace(SMALL, **changes))
    model.predictor = busy_predictor(model.config)
    return model.eval()


def states(*shape):
    return torch.randn(*shape, SMALL.tokens, SMALL.latent_dim)


@pytest.mark.parametrize("cdit", ["compact", "paper"])
@torch.no_grad()
def test_within_the_history_it_is_the_planners_roll_out(cdit):
    model = busy_model(cdit=cdit)
    model.history = 4
    seen, actions, taken = states(3, 2), torch.randn(3, 3, 132), torch.randn(3, 2, 132)
    taken[:, 0] = 0
    past = model.predictor.encode_history(seen, actions=taken)
    expected = model.predictor.rollout(past, seen[:, -1], actions)
    torch.testing.assert_close(unroll(model, seen, actions, taken), expected, rtol=1e-3, atol=1e-3)


@torch.no_grad()
def test_commanded_actions_begin_where_the_hand_is_foreseen(monkeypatch):
    monkeypatch.setattr(Keypoints, "shows_hand", lambda read: torch.tensor([True, True]))
    model = busy_model(hand_maps=True, commanded=True)
    first, ways = states(2, 1), torch.rand(2, 3, MOMENTS, 21, 3) + 0.5
    actions = model.action(ways)
    expected = model.rollout(model.predictor.encode_history(first), first[:, 0], actions)
    found = unroll(model, first, actions)
    torch.testing.assert_close(found, expected, rtol=1e-3, atol=1e-3)
    blind = model.predictor.rollout(model.predictor.encode_history(first), first[:, 0], actions)
    assert torch.equal(blind[:, 0], expected[:, 0])
    assert not torch.allclose(blind[:, 1], expected[:, 1], rtol=1e-2, atol=1e-2)


def test_a_gradient_planner_feels_every_commanded_way(monkeypatch):
    monkeypatch.setattr(Keypoints, "shows_hand", lambda read: torch.tensor([True]))
    model = busy_model(hand_maps=True, commanded=True)
    first, ways = states(1, 1), (torch.rand(1, 2, MOMENTS, 21, 3) + 0.5).requires_grad_()
    history = model.predictor.encode_history(first)
    model.rollout(history, first[:, 0], model.action(ways))[:, 1].sum().backward()
    felt = ways.grad.abs().amax((0, 3, 4))
    assert (felt[0, [0, -1]] > 0).all() and felt[1, -1] > 0
    assert felt[1, 0] == 0, "it begins where the head sees the hand"


@pytest.mark.parametrize("cdit", ["compact", "paper"])
@torch.no_grad()
def test_twenty_steps_look_back_as_far_as_in_training(cdit):
    model = busy_model(cdit=cdit)
    first, actions = states(2, 1), torch.randn(2, 20, 132)
    with pytest.raises(ValueError, match="at most 8"):
        model.predictor.rollout(model.predictor.encode_history(first), first[:, 0], actions)
    rolled = unroll(model, first, actions)
    assert rolled.shape == (2, 20, SMALL.tokens, SMALL.latent_dim)
    # The last step is that of a window of its own: as in training no action led to its first frame.
    window = rolled[:, 18 - model.history + 1 : 19]
    led = actions[:, 18 - model.history + 1 : 19].clone()
    led[:, 0] = 0
    past = model.predictor.encode_history(window, actions=led)
    last = model.predictor.predict(past, window[:, -1:], actions[:, 19:])
    torch.testing.assert_close(rolled[:, 19:], last, rtol=1e-3, atol=1e-3)


def test_a_file_says_how_far_its_model_looks_back(tmp_path):
    packaged = load_model(PACKAGED["dexwm"])[0]
    assert packaged.history == 3  # it is older, and does not say
    model = busy_model()
    model.history = 5
    path = tmp_path / "five.safetensors"
    save_model(path, model)
    assert load_model(path)[0].history == 5
    tensors, metadata = read_tensors(path)
    save_tensors(path, tensors, metadata | {"history": "9"})
    with pytest.raises(UserError, match="history of 9 frames, of 8"):
        load_model(path)


@pytest.mark.parametrize(("recipe", "history"), [("compact", "3"), ("paper", "8")])
def test_training_writes_the_longest_history_of_its_recipe(tmp_path, recipe, history):
    store = write_store(tmp_path / "set")
    out = tmp_path / "model.safetensors"
    train(config(store, out, steps=(1, 1, 1), recipe=recipe))
    assert read_tensors(out)[1]["history"] == history
    assert json.loads(read_tensors(out)[1]["config"])["max_frames"] == 8
