"""What a Diffusion Policy learns from: chunks of targets and what was seen before them."""

from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from dexbench.agents.learning.episodes import Episodes
from dexbench.utils.errors import UserError

from .config import PolicyConfig


@dataclass(frozen=True)
class Batch:
    """Clean chunks and what they are conditioned on, scaled as ``DiffusionPolicyModel`` does."""

    chunk: Tensor
    """``(B, chunk, 23)`` joint targets as offsets from the present joints, in -1..1."""
    pictures: Tensor
    """``(B, context, features)`` standardised features of the pictures seen."""
    joints: Tensor
    """``(B, context, 23)`` achieved joints in -1..1."""
    goal: Tensor
    """``(B, features)`` standardised features of the goal picture."""


def usable_episodes(episodes: Episodes, validation: bool, lifted_only: bool) -> NDArray[np.int64]:
    """Return indices ``(n,)`` of the episodes to learn from, or to validate on.

    Raises:
        UserError: There is none.
    """
    usable = (episodes.validation == validation) & (episodes.length >= 2)
    if lifted_only:
        usable &= episodes.lifted
    if not usable.any():
        raise UserError(
            "no episode is left to "
            + ("validate on" if validation else "learn from")
            + (" in which an object was lifted" if lifted_only else "")
            + "; collect more scenes"
        )
    return np.flatnonzero(usable)


def joint_ranges(
    episodes: Episodes, chosen: NDArray[np.int64], chunk: int
) -> tuple[NDArray[np.int64], Tensor, Tensor]:
    """Return by which ranges joints and offsets are scaled.

    Args:
        episodes: The data.
        chosen: Indices of the episodes that tell the ranges.
        chunk: Targets of a chunk.

    Returns:
        The frames ``(N,)`` of these episodes, and lower and upper ends ``(1 + chunk, 23)`` in rad:
        of the joints, then of each target's offset from them. The ranges are 0.01 rad wider on
        either side, since a joint may rest.
    """
    first, length = episodes.first[chosen], episodes.length[chosen]
    now = np.concatenate([f + np.arange(n) for f, n in zip(first, length, strict=True)])
    last = np.repeat(first + length - 1, length)
    acted = np.minimum(now[:, None] + np.arange(chunk), last[:, None])
    joints = episodes.joints[now]
    rows = np.concatenate([joints[:, None], episodes.targets[acted] - joints[:, None]], 1)
    return now, torch.from_numpy(rows.min(0) - 0.01), torch.from_numpy(rows.max(0) + 0.01)


def draw_indices(
    episodes: Episodes,
    chosen: NDArray[np.int64],
    generator: np.random.Generator,
    count: int,
    config: PolicyConfig,
) -> tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.int64]]:
    """Draw frames to act from, and goals uniformly among the later frames (paper App. C.3).

    A run looks once a chunk, so observations of the context are a chunk apart; before an episode's
    start its first frame stands in. A chunk that reaches its goal stays there: the target that led
    to it is repeated, so that a policy does not learn to go on.

    Args:
        episodes: The data.
        chosen: Episodes to draw from, in proportion to their length.
        generator: The random stream.
        count: Chunks to draw.
        config: Sets context and chunk.

    Returns:
        Frame indices of observations ``(count, context)``, targets ``(count, chunk)`` and goals
        ``(count,)``.
    """
    length = episodes.length[chosen]
    pick = generator.choice(len(chosen), count, p=length / length.sum())
    first, length = episodes.first[chosen][pick], length[pick]
    now = generator.integers(0, length - 1)
    goal = generator.integers(now + 1, length)
    back = config.chunk * np.arange(config.context - 1, -1, -1)
    seen = np.maximum(now[:, None] - back, 0)
    acted = np.minimum(now[:, None] + np.arange(config.chunk), goal[:, None] - 1)
    return first[:, None] + seen, first[:, None] + acted, first + goal
