"""What a Diffusion Policy learns from: chunks of targets and what was seen before them."""

from dataclasses import dataclass

import numpy as np
from torch import Tensor

from dexbench.agents.learning.episodes import Episodes

from .config import PolicyConfig


@dataclass(frozen=True)
class Batch:
    """Clean chunks and what they are conditioned on; arrays as in ``Denoiser.forward``."""

    chunk: Tensor
    pictures: Tensor
    joints: Tensor
    goal: Tensor


def draw_indices(
    episodes: Episodes,
    chosen: np.ndarray,
    generator: np.random.Generator,
    count: int,
    config: PolicyConfig,
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
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
