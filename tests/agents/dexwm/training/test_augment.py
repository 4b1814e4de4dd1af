"""Augmented pictures keep the hand and change the kitchen."""

import numpy as np
import torch

from dexbench.agents.dexwm.training.augment import (
    MARGIN,
    augment,
    jitter,
    mix_kitchens,
    other_kitchens,
)
from dexbench.envs.embodiment import camera
from dexbench.utils.seeding import rng

SIZE = (112, 196)


def batch(count=64):
    """Pictures of one colour each, and hands somewhere in the lower right."""
    images = torch.arange(count, dtype=torch.uint8)[:, None, None, None].expand(-1, *SIZE, 3)
    draw = rng("test", "augment")
    pixels = draw.uniform([150, 90], [330, 190], (count, 1, 2)) + draw.uniform(
        -15, 15, (count, 21, 2)
    )
    points = camera.unproject(torch.from_numpy(pixels).float(), torch.full((count, 21), 0.8))
    return images[:, None], points[:, None], torch.from_numpy(pixels)


def test_the_hand_and_what_is_right_below_it_stay():
    images, points, pixels = batch()
    mixed = mix_kitchens(images, other_kitchens(points, rng("mix")))
    assert mixed.shape == images.shape
    assert mixed.dtype == images.dtype
    for index in range(len(images)):
        u, v = (pixels[index].amin(0) * SIZE[1] / camera.WIDTH).long().tolist()
        assert (mixed[index, :, v:, u:] == images[index, :, v:, u:]).all()
    margin = int(MARGIN * SIZE[0]) - 1
    assert margin > 3
    assert all(
        (mixed[i, :, v - margin :, u - margin :] == i).all()
        for i, (u, v) in enumerate((pixels.amin(1) * SIZE[1] / camera.WIDTH).long().tolist())
    )


def test_other_parts_come_from_the_next_picture_where_it_has_no_hand():
    images, points, pixels = batch()
    mixed = mix_kitchens(images, other_kitchens(points, rng("mix")))
    changed = (mixed[..., 0] != images[..., 0])[:, 0]
    share = changed.flatten(1).any(1).float().mean()
    assert 0.5 < share < 0.8, "65% of them"
    assert (mixed[:, 0][changed] == images.roll(-1, 0)[:, 0][changed]).all()
    for index in range(len(images)):
        u, v = (pixels[(index + 1) % len(images)].amin(0) * SIZE[1] / camera.WIDTH).long().tolist()
        assert not changed[index, v:, u:].any(), "no second hand"
    assert changed.any(1).all(1).any(), "some are mixed above the hand, over the whole width"
    assert changed.any(2).all(1).any(), "and some on the left, over the whole height"


def test_a_picture_whose_hand_has_left_it_keeps_its_edges():
    """The edge where the hand went is read from the picture, so it must be this picture's."""
    images, points, _ = batch(32)
    gone = points + torch.tensor([2.0, 0, 0])  # all hands are right of their pictures
    mixed = mix_kitchens(images, other_kitchens(gone, rng("mix")))
    changed = (mixed != images)[:, 0, ..., 0]
    assert changed.any() and not changed.flatten(1).all(1).any()
    below = points + torch.tensor([2.0, 2.0, 0])
    assert torch.equal(mix_kitchens(images, other_kitchens(below, rng("mix"))), images)


def test_other_peoples_pictures_neither_give_nor_take():
    images, points, _ = batch()
    own = torch.arange(len(images)) % 4 != 0
    mixed = mix_kitchens(images, other_kitchens(points, rng("mix"), own))
    plain = mix_kitchens(images, other_kitchens(points, rng("mix")))
    both = own & own.roll(-1, 0)
    assert torch.equal(mixed[both], plain[both])
    assert torch.equal(mixed[~both], images[~both]) and not torch.equal(plain[~both], images[~both])


def test_mixing_depends_on_its_stream_alone():
    images, points, _ = batch(16)
    assert torch.equal(
        mix_kitchens(images, other_kitchens(points, rng("a"))),
        mix_kitchens(images, other_kitchens(points, rng("a"))),
    )
    assert not torch.equal(
        mix_kitchens(images, other_kitchens(points, rng("a"))),
        mix_kitchens(images, other_kitchens(points, rng("b"))),
    )


def test_jitter_changes_colours_within_range():
    images, _, _ = batch(16)
    changed = jitter(images * 4, rng("jitter"))
    assert changed.dtype == torch.float32
    assert changed.min() >= 0 and changed.max() <= 255
    assert len(np.unique((changed - images.float() * 4)[:, 0, 0, 0].numpy().round(3))) > 20


def test_all_frames_of_a_window_change_alike():
    images, points, _ = batch()
    frames = images.unflatten(0, (-1, 4)).squeeze(2)
    hands = points.unflatten(0, (-1, 4)).squeeze(2)
    same = frames[:, :1].expand_as(frames)
    changed, _ = augment(same, hands, None, rng("window"))
    assert changed.dtype == torch.float32
    assert (changed == changed[:, :1]).all()
    assert (changed[:, 0] != same[:, 0]).any()
    moving = mix_kitchens(frames, other_kitchens(hands, rng("window")))
    kept = moving == frames
    assert (kept == kept[:, :1]).all(), "one region for the whole window"


def test_masks_follow_the_kitchens():
    images, points, _ = batch(16)
    masks = images[..., 0] % 2 == 1
    changed, moved = augment(images, points, masks, rng("window"))
    assert moved.dtype == torch.bool and moved.shape == masks.shape
    plain = mix_kitchens(images, other_kitchens(points, rng("window")))
    assert torch.equal(moved, plain[..., 0] % 2 == 1)
    assert not torch.equal(moved, masks)
    assert torch.equal(changed, augment(images, points, None, rng("window"))[0])
