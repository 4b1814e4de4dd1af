"""What a batch says of both hands, as tensors."""

from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from dexbench.agents.learning.clips import Clips


class Hands(NamedTuple):
    """Both hands in windows of F frames, left one first; see `learning.clips.Hands`."""

    points: Tensor
    """Keypoints ``(B, F, 2, 21, 3)`` in m, as the benchmark's camera shows them."""
    known: Tensor
    """``(B, F, 2, 21)`` bool: whether the keypoint head may be asked for each."""
    actions: Tensor
    """Actions from each frame to the next, ``(B, F - 1, 132)`` (paper Eq. 2) or of another kind."""
    way: Tensor
    """The right hand's way within each, ``(B, F - 1, MOMENTS, 21, 3)`` in m, camera frame."""


def hands_at(clips: Clips, index: NDArray[np.int64], device: torch.device) -> Hands:
    """Return the hands in windows, by the indices ``(B, F)`` of their frames."""
    return Hands(*(torch.from_numpy(values).to(device) for values in clips.hands_at(index)))
