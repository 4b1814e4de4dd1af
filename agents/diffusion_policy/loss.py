"""What a Diffusion Policy minimises, and the average of its weights that is kept."""

from collections.abc import Callable

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from .chunks import Batch


def denoising_loss(
    denoiser: nn.Module,
    batch: Batch,
    alphas: Tensor,
    prediction: str,
    generator: np.random.Generator,
) -> Tensor:
    """Return the mean squared error of the prediction at random noise levels (Ho et al., 2020).

    Args:
        denoiser: As ``model.Denoiser``.
        batch: Clean chunks and their conditions.
        alphas: ``(levels,)`` share of signal left at each noise level, alpha-bar.
        prediction: As ``PolicyConfig.prediction``.
        generator: Draws levels and noise.
    """
    levels = generator.integers(0, len(alphas), len(batch.chunk))
    level = torch.from_numpy(levels).to(alphas.device)
    noise = torch.from_numpy(
        generator.standard_normal(tuple(batch.chunk.shape), dtype="float32")
    ).to(alphas.device)
    share = alphas[level][:, None, None]
    noisy = share.sqrt() * batch.chunk + (1 - share).sqrt() * noise
    target = {
        "epsilon": noise,
        "sample": batch.chunk,
        "v_prediction": share.sqrt() * noise - (1 - share).sqrt() * batch.chunk,
    }[prediction]
    return F.mse_loss(denoiser(noisy, level, batch.pictures, batch.joints, batch.goal), target)


def moving_average(decay: float) -> Callable[[Tensor, Tensor, Tensor | int], Tensor]:
    """Return an exponential moving average for ``AveragedModel``; a short run forgets its start.

    Args:
        decay: Of the average in a long run.
    """

    def average(kept: Tensor, new: Tensor, count: Tensor | int) -> Tensor:
        """Move the tensor ``kept``, of any shape, towards ``new``."""
        return kept + (new - kept) * max(1 - decay, 9 / (10 + float(count)))

    return average
