"""What the predictor is told about where the hand is, and what it leaves as it is."""

import dataclasses

import pytest
import torch
from support.stand_ins import busy_predictor
from support.synthetic_store import keypoints_of
from support.trainings import SMALL

from dexbench.agents.dexwm.model.hand_maps import FEATURES, MOMENTS, HandMaps
from dexbench.agents.dexwm.model.predictor import Predictor
from dexbench.agents.dexwm.model.world_model import DexWMModel
from dexbench.agents.learning.hand_way import straight
from dexbench.envs.embodiment import camera
from dexbench.envs.embodiment.robot import INIT_JOINTS

PLACED = dataclasses.replace(SMALL, hand_maps=True)


def hand_at(u, v, depth=0.8):
    """All keypoints ``(1, 1, 17, 3)`` at a pixel."""
    point = camera.unproject(torch.tensor([float(u), float(v)]), torch.tensor(depth))
    return point.expand(1, 1, 17, 3)


def test_the_hand_is_drawn_where_it_is_at_each_moment():
    maps = HandMaps((8, 14), 16)
    before, after = hand_at(42, 70), hand_at(350, 210)
    drawn = maps.draw(before, after - before)[0, 0].unflatten(-1, (MOMENTS, FEATURES))
    brightest = drawn[..., 0].argmax(0)
    side = camera.HEIGHT / 8
    assert brightest[0] == int(70 // side) * 14 + int(42 // side)
    assert brightest[-1] == int(210 // side) * 14 + int(350 // side)
    assert len(set(brightest.tolist())) == MOMENTS, "it moves"
    standing = maps.draw(before, torch.zeros_like(before))[0, 0].unflatten(-1, (MOMENTS, FEATURES))
    assert torch.allclose(standing, standing[:, :1].expand_as(standing))
    assert (standing[..., 2:5] == 0).all() and (drawn[brightest[0], 0, 2] > 0)


@pytest.mark.parametrize(
    ("outside", "token"),
    [((-300, 70), 2 * 14), ((700, 70), 2 * 14 + 13), ((42, -90), 1), ((42, 900), 7 * 14 + 1)],
)
def test_a_hand_out_of_the_picture_is_drawn_where_it_left(outside, token):
    maps = HandMaps((8, 14), 16)
    drawn = maps.draw(hand_at(*outside), torch.zeros(1, 1, 17, 3))[0, 0, :, 0]
    assert drawn.argmax() == token and drawn[token] > 1


def test_offsets_point_from_the_token_to_the_hand():
    maps = HandMaps((8, 14), 16)
    token = 3 * 14 + 5
    u, v = maps.centres[token].tolist()
    drawn = maps.draw(hand_at(u + 7, v - 7), torch.zeros(1, 1, 17, 3))[0, 0, token]
    count, (right, down) = drawn[0], drawn[5:7]
    assert right / count == pytest.approx(0.25, abs=1e-3)
    assert down / count == pytest.approx(-0.25, abs=1e-3)


@torch.no_grad()
def test_untrained_they_change_nothing_and_trained_they_do():
    torch.manual_seed(0)
    model = DexWMModel(PLACED)
    model.predictor.load_state_dict(busy_predictor(PLACED).state_dict())
    states = torch.randn(2, 2, SMALL.tokens, SMALL.latent_dim)
    here = torch.from_numpy(keypoints_of(INIT_JOINTS)).expand(2, 1, -1, -1)
    there, move = here + 0.1, torch.tensor([0.05, 0, 0])

    def predicted(hands):
        return model.predictor(states[:, :1], model.action(straight(hands, hands + move)))

    model.predictor.maps.out.weight.zero_()
    model.predictor.maps.out.bias.zero_()
    assert torch.allclose(predicted(here), predicted(there), atol=1e-5), "the same motion"
    model.predictor.maps.out.weight.normal_()
    assert not torch.allclose(predicted(here), predicted(there), atol=1e-2)


@torch.no_grad()
def test_a_fresh_residual_predictor_says_that_nothing_changes():
    config = dataclasses.replace(SMALL, residual=True)
    states = torch.randn(2, 3, SMALL.tokens, SMALL.latent_dim)
    actions = torch.randn(2, 3, 132)
    assert torch.equal(Predictor(config)(states, actions), states)
    assert not Predictor(SMALL)(states, actions).any()


def test_actions_say_where_the_hand_is_only_if_asked():
    hands = torch.randn(2, 3, 21, 3)
    plain, placed = DexWMModel(SMALL), DexWMModel(PLACED)
    way = straight(hands[:, :-1], hands[:, 1:])
    action = placed.action(way)
    assert torch.equal(action[..., :132], plain.action(way))
    assert torch.equal(action[..., 132:], hands[:, :-1].flatten(-2))
    led = placed.leading(action, hands[:, 0])
    assert torch.equal(led[:, 1:], action)
    assert not led[:, 0, :132].any() and torch.equal(led[:, 0, 132:], hands[:, 0].flatten(-2))
