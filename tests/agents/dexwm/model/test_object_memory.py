"""What is remembered of objects behind the hand."""

import dataclasses

import torch
from support.trainings import SMALL

from dexbench.agents.dexwm.model.object_map import MOST, SIZE, as_map, as_tokens
from dexbench.agents.dexwm.model.object_memory import covered, remembered
from dexbench.agents.dexwm.model.world_model import DexWMModel
from dexbench.agents.learning.hand_way import straight
from dexbench.envs.embodiment import camera

MODEL = dataclasses.replace(SMALL, object_map=True, hand_maps=True, residual=True)
CHANNELS = MODEL.latent_dim


def hand_at(row, column, depth=0.9):
    """Keypoints ``(1, 21, 3)`` of a hand that is one point, before a cell."""
    side = camera.HEIGHT / SIZE[0]
    pixel = torch.tensor([(column + 0.5) * side, (row + 0.5) * side])
    return camera.unproject(pixel, torch.tensor(depth)).expand(1, 21, 3)


def state_of(*places):
    """A state whose map shows blocks of four cells a side."""
    logits = torch.full((1, *SIZE), -MOST)
    for row, column in places:
        logits[0, row : row + 4, column : column + 4] = MOST
    return torch.cat([torch.randn(1, MODEL.tokens, CHANNELS), as_tokens(logits)], -1)


def shown(state):
    return as_map(state[..., CHANNELS:], MODEL.grid)[0] > 0


def test_a_hand_hides_what_is_around_its_points():
    hidden = covered(hand_at(30, 50))[0]
    assert hidden[30, 50] and hidden[30, 53] and hidden[33, 50]
    assert not hidden[30, 54] and not hidden[34, 50]
    assert covered(torch.zeros(1, 21, 3) + torch.tensor([0, 0, -1.0])).sum() < 60, (
        "behind the camera"
    )


@torch.no_grad()
def test_an_object_behind_the_hand_is_still_there_and_one_that_has_left_is_not():
    torch.manual_seed(0)
    model = DexWMModel(MODEL)
    before, behind, gone, new = (28, 48), (28, 48), (40, 10), (45, 80)
    hand = hand_at(30, 50)
    last, state = state_of(before, gone), state_of(new)
    known = remembered(model, state, last, straight(hand, hand), hand)
    assert torch.equal(known[..., :CHANNELS], state[..., :CHANNELS])
    maps = shown(known)
    assert maps[behind[0] + 1 : behind[0] + 4, behind[1] + 1 : behind[1] + 4].all(), "hidden"
    assert not maps[gone[0] : gone[0] + 4, gone[1] : gone[1] + 4].any(), "it would be seen"
    assert maps[new[0] : new[0] + 4, new[1] : new[1] + 4].all(), "seen for the first time"


@torch.no_grad()
def test_an_object_that_is_seen_elsewhere_is_not_behind_the_hand_too():
    torch.manual_seed(0)
    model = DexWMModel(MODEL)
    hand = hand_at(30, 50)
    last, state = state_of((28, 48)), state_of((28, 60))
    maps = shown(remembered(model, state, last, straight(hand, hand), hand))
    assert maps[29, 61] and not maps[:, :58].any()


@torch.no_grad()
def test_what_is_remembered_moves_with_the_hand(monkeypatch):
    torch.manual_seed(0)
    model = DexWMModel(MODEL)
    asked = []

    def pushed(cells, way):
        asked.append(way)
        return as_tokens(as_map(cells, MODEL.grid).roll(6, 2))

    monkeypatch.setattr(model.predictor.step, "forward", pushed)
    way, now = straight(hand_at(30, 50), hand_at(30, 60)), hand_at(30, 56)
    maps = shown(remembered(model, state_of(), state_of((28, 48)), way, now))
    assert maps[30, 56] and not maps[:, :53].any(), "it is hidden where the hand is"
    assert asked == [way]


@torch.no_grad()
def test_states_without_a_map_stay_as_they_are():
    model = DexWMModel(SMALL)
    state = torch.randn(1, SMALL.tokens, SMALL.latent_dim)
    hand = hand_at(30, 50)
    assert remembered(model, state, torch.randn_like(state), straight(hand, hand), hand) is state
