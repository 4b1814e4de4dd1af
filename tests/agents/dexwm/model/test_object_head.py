"""The head that says which pixels show an object, and its loss."""

import dataclasses

import pytest
import torch
from support.trainings import SMALL

from dexbench.agents.dexwm.model.object_head import CHANGED, MASK, ObjectHead, object_loss
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


def test_pixels_that_an_object_enters_or_leaves_count_more():
    shown, before = torch.zeros(2, 1, *MASK, dtype=torch.bool)
    shown[0, 10, 10] = before[0, 20, 20] = True
    logits = torch.zeros(1, *MASK)
    plain, weighed = object_loss(logits, shown), object_loss(logits, shown, before)
    pixels = MASK[0] * MASK[1]
    assert weighed / plain == pytest.approx((pixels + 2 * (CHANGED - 1)) / pixels)
    assert object_loss(20 * (2.0 * shown - 1), shown, before) < 1e-6


def test_a_grid_that_does_not_divide_the_masks_is_refused():
    with pytest.raises(UserError, match="does not divide"):
        ObjectHead(dataclasses.replace(SMALL, image_size=(96, 160), grid=(6, 10)))


def test_models_without_it_have_the_weights_they_had():
    names = DexWMModel(SMALL).state_dict().keys()
    more = DexWMModel(dataclasses.replace(SMALL, object_head=True)).state_dict().keys()
    assert not any(name.startswith("objects") for name in names)
    assert {name.split(".")[0] for name in more - names} == {"objects"}
