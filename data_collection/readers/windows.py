"""Windows of frames that cover all of every clip, however long (paper C.1)."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from dexbench.utils.errors import UserError
from dexbench.utils.seeding import rng

from .clip import ClipFacts

SEGMENTS = 10
"""Equal segments of a clip, of which each gives the last frame of one window an epoch."""
SPAN = 4.0
"""Longest time in s from a window's first frame to its last."""


@dataclass(frozen=True)
class Windows:
    """Windows in the order in which an epoch takes them."""

    clip: NDArray[np.int64]
    """Number (w,) of the clip that each is of."""
    frames: NDArray[np.int64]
    """Its frames (w, k), ascending."""


def segment_windows(
    clips: Sequence[ClipFacts], seed: int, epoch: int, frames: int = 9, span: float = SPAN
) -> Windows:
    """Draw an epoch's windows: of every clip ten, whose last frames are in ten equal segments.

    The frames before the last are any of those up to ``span`` before it, at uneven gaps. What is
    drawn of a clip depends on its name, its length, the seed and the epoch, and on no other clip.

    Args:
        clips: Of an index. Those of fewer than ``frames`` frames give no window.
        seed: Of the training.
        epoch: Number of the epoch; each draws anew.
        frames: Frames of a window; the paper's 8 and the one to predict.
        span: Longest time in s from the first to the last frame.

    Raises:
        UserError: No clip is long enough, or ``span`` is too short for so many frames.
    """
    numbers, chosen = [], []
    for number, clip in enumerate(clips):
        reach = round(span * clip.rate)
        if reach < frames - 1:
            raise UserError(
                f"{clip.name} has {clip.rate:g} frames a second, so that {span:g} s do not hold "
                f"{frames}; choose fewer frames or a longer span"
            )
        if clip.frames < frames:
            continue
        draw = rng("windows", seed, epoch, clip.name, clip.frames)
        # Frames that have enough others before them, cut into ten.
        bounds = np.linspace(frames - 1, clip.frames, SEGMENTS + 1)
        lasts = np.floor(draw.uniform(bounds[:-1], bounds[1:])).astype(np.int64)
        for last in lasts:
            before = draw.choice(min(reach, last), frames - 1, replace=False)
            chosen.append([*sorted(last - 1 - before), last])
            numbers.append(number)
    if not chosen:
        raise UserError(f"no clip has the {frames} frames of a window; record longer ones")
    order = rng("windows", seed, epoch).permutation(len(chosen))
    return Windows(np.array(numbers)[order], np.array(chosen, np.int64)[order])
