"""The head that says which pixels show an object, and its loss."""

import dataclasses

import pytest
import torch
from support.trainings import SMALL

from dexbench.agents.dexwm.model.object_head import MASK, NEAR, WEIGHT, ObjectHead, object_loss
from dexbench.agents.dexwm.model.world_model import DexWMModel
from dexbench.utils.errors import UserError


@torch.no_grad()
def test_a_tokens_pixels_are_those_of_its_place():
    torch.manual_seed(0)
    head = ObjectHead(SMALL)
    rows, columns = SMALL.grid
    tokens = torch.zeros(1, rows * columns, SMALL.latent_dim)
    tokens[0, 3 * columns + 5] = 1.0
    shown = head.masks(tokens)[0] != head.mask.bias[0]
    side = MASK[0] // rows
    expected = torch.zeros(MASK, dtype=torch.bool)
    expected[3 * side : 4 * side, 5 * side : 6 * side] = True
    assert torch.equal(shown, expected)
    # Within it the numbers are row by row.
    cell = head.masks(tokens)[0, 3 * side : 4 * side, 5 * side : 6 * side]
    assert torch.allclose(cell.flatten(), head.mask(tokens[0, 3 * columns + 5]))


def test_pixels_near_an_object_count_more_whether_it_moves_or_not():
    before, stayed, moved = torch.zeros(3, 1, *MASK, dtype=torch.bool)
    before[0, 50, 60] = stayed[0, 50, 60] = moved[0, 55, 75] = True
    logits = torch.zeros(1, *MASK)
    pixels, near = MASK[0] * MASK[1], (2 * NEAR + 1) ** 2
    for shown in (stayed, moved):
        ratio = object_loss(logits, shown, before) / object_loss(logits, shown)
        assert ratio == pytest.approx((pixels + (WEIGHT - 1) * near) / pixels)
        assert object_loss(20 * (2.0 * shown - 1), shown, before) < 1e-6


def test_the_loss_asks_for_the_chance_that_an_object_moves():
    """Of ten pushes three succeed: the mask that costs least says 0.7 and 0.3."""
    before = torch.zeros(10, *MASK, dtype=torch.bool)
    before[:, 50, 60] = True
    shown = before.clone()
    shown[:3, 50, 60], shown[:3, 50, 65] = False, True
    logits = torch.zeros(1, *MASK, requires_grad=True)
    adam = torch.optim.Adam([logits], lr=0.2)
    for _ in range(200):
        adam.zero_grad()
        object_loss(logits.expand(10, -1, -1), shown, before).backward()
        adam.step()
    said = logits.detach().sigmoid()[0]
    assert said[50, 60] == pytest.approx(0.7, abs=0.02)
    assert said[50, 65] == pytest.approx(0.3, abs=0.02)


def test_a_grid_that_does_not_divide_the_masks_is_refused():
    with pytest.raises(UserError, match="does not divide"):
        ObjectHead(dataclasses.replace(SMALL, image_size=(96, 160), grid=(6, 10)))


def test_models_without_it_have_the_weights_they_had():
    names = DexWMModel(SMALL).state_dict().keys()
    more = DexWMModel(dataclasses.replace(SMALL, object_head=True)).state_dict().keys()
    assert not any(name.startswith("objects") for name in names)
    assert {name.split(".")[0] for name in more - names} == {"objects"}
