"""What is remembered of objects that the hand hides: a picture of a push does not show them."""

import torch
from torch import Tensor

from dexbench.envs.embodiment.keypoints import N_DISTINCT

from .keypoint_maps import project
from .object_map import LEAST, SIZE, as_map, as_tokens, cell_pixels
from .world_model import DexWMModel

COVER = 14.0
"""Distance in px from a point of the hand within which it hides what is behind; a finger is about 4
px thick, and a palm has 25 px between its points."""
BASES = (1, 5, 9, 13)
"""The keypoints next to the wrist; three more of each finger follow one another."""


def remembered(model: DexWMModel, state: Tensor, last: Tensor, way: Tensor, now: Tensor) -> Tensor:
    """Return a state whose map also has the objects that must be behind the hand.

    Where the hand covers the picture, what was known before and has moved on with the step is added
    to what the eye sees, but no more in all than the eye misses: an object that it sees elsewhere
    is not here as well.

    Args:
        model: Without an object map states stay as they are.
        state: Of the new picture, ``(B, P, C)``.
        last: The state before, as this returned it, ``(B, P, C)``.
        way: The hand's from there to here, ``(B, MOMENTS, 21, 3)`` in m, camera frame.
        now: Its keypoints here, ``(B, 21, 3)``.
    """
    step, channels, grid = model.predictor.step, model.config.latent_dim, model.config.grid
    if step is None:
        return state
    moved = as_map(step(last[..., channels:], way), grid).sigmoid()
    seen = as_map(state[..., channels:].float(), grid).sigmoid()
    hidden = (moved - seen).clamp(min=0) * covered(now)
    missing = (moved - seen).sum((1, 2), keepdim=True).clamp(min=0)
    share = missing / hidden.sum((1, 2), keepdim=True).clamp(min=1e-6)
    known = seen + share.clamp(max=1) * hidden
    cells = as_tokens(known.clamp(LEAST, 1 - LEAST).logit())
    return torch.cat([state[..., :channels], cells.to(state.dtype)], -1)


def covered(hand: Tensor) -> Tensor:
    """Return which cells the hand hides, ``(B, 56, 98)`` bool.

    Args:
        hand: Keypoints ``(B, 21, 3)`` in m, camera frame.
    """
    points = hand[:, :N_DISTINCT]
    fingers = points[:, 1:].unflatten(1, (len(BASES), -1))
    bones = ((fingers[:, :, 1:] + fingers[:, :, :-1]) / 2).flatten(1, 2)
    palm = [
        points[:, :1] + share * (points[:, list(BASES)] - points[:, :1]) for share in (1 / 3, 2 / 3)
    ]
    pixels, _ = project(torch.cat([points, bones, *palm], 1))
    cells = cell_pixels().to(hand.device).expand(len(hand), -1, -1)
    away = torch.cdist(cells, pixels.float()).amin(-1)
    hidden: Tensor = away.unflatten(1, SIZE) < COVER
    return hidden
