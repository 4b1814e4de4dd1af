"""The object-consistency loss: for objects what the hand-consistency loss is for the hand."""

import torch
import torch.nn.functional as F
from torch import Tensor

MASK = (112, 196)
"""Height and width of the masks in px."""
NEAR, WEIGHT = 20, 5.0
"""Pixels as near as this to where an object was count so many times: there it may go, or not."""


def object_loss(logits: Tensor, shown: Tensor, before: Tensor | None = None) -> Tensor:
    """Object-consistency loss: binary cross-entropy of the masks.

    Args:
        logits: ``(B, 112, 196)``.
        shown: Whether each pixel shows an object, ``(B, 112, 196)`` bool.
        before: The same in an earlier frame. Pixels ``NEAR`` an object of that frame count
            ``WEIGHT`` times, whether anything has changed there or not: a weight that knew would
            teach that whatever may move does.

    Returns:
        The mean over pixels, a scalar.
    """
    loss = F.binary_cross_entropy_with_logits(logits, shown.float(), reduction="none")
    if before is not None:
        loss = loss * (1 + (WEIGHT - 1) * _grown(before))
    return loss.mean()


def _grown(shown: Tensor) -> Tensor:
    """Return 1 within ``NEAR`` pixels, along rows and columns, of what is shown, else 0."""
    places = (torch.arange(length, device=shown.device) for length in shown.shape[-2:])
    down, across = (((at[:, None] - at).abs() <= NEAR).float() for at in places)
    # Two products count what is near; pooling so widely takes ten times as long.
    return (down @ shown.float() @ across > 0).float()
