"""How well a model foresees objects, on masks of which the truth is known."""

from types import SimpleNamespace

import pytest
import torch

from dexbench.agents.dexwm.model.object_loss import MASK
from dexbench.agents.dexwm.training.validation import object_skill, object_still


def block(column):
    shown = torch.zeros(*MASK, dtype=torch.bool)
    shown[60:70, column : column + 10] = True
    return shown


MODEL = SimpleNamespace(objects=lambda masks: torch.logit(masks.float(), eps=1e-6))
"""Its latent states are what it says of each pixel."""


def test_objects_that_stay_are_kept_or_not():
    before = torch.stack([block(20), block(20)])
    shown = torch.stack([block(20), block(40)])  # the first stays, the second moves

    def still(said):
        return object_still(MODEL, before, said, before, shown)

    assert still(before) == pytest.approx(1, abs=1e-4), "of the frame in which nothing moves"
    moved = torch.stack([block(40), block(40)])
    assert still(moved) == pytest.approx(-1, abs=1e-4), "an object that is said to have moved"
    assert still(0.5 * before) == pytest.approx(0.75, abs=1e-3), "one that fades"
    assert object_still(MODEL, before[1:], before[1:], before[1:], shown[1:]) is None


def test_what_the_head_reads_wrongly_is_not_held_against_the_prediction():
    before = block(20)[None]
    read = 0.6 * before
    assert object_still(MODEL, read, read, before, before) == pytest.approx(1, abs=1e-4)


def test_skill_is_of_objects_that_move():
    before = torch.stack([block(20), block(20)])
    shown = torch.stack([block(20), block(40)])
    assert object_skill(MODEL, shown, shown, before) == pytest.approx(1, abs=1e-4)
    assert object_skill(MODEL, before, shown, before) == pytest.approx(0, abs=1e-4)
