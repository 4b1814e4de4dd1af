"""The object-consistency loss."""

import pytest
import torch

from dexbench.agents.dexwm.model.object_loss import MASK, NEAR, WEIGHT, object_loss


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
