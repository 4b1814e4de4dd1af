"""Changes to training pictures that leave the hand as it is, so that new kitchens surprise less."""

import numpy as np
import torch
from torch import Tensor

from dexbench.agents.dexwm.model.keypoint_head import project
from dexbench.envs.embodiment import camera

ABOVE, LEFT = 0.5, 0.3
"""Share of pictures whose part above the hand, and left of it, comes from another kitchen."""
MARGIN = 0.06
"""Room around the hand's keypoints that is left alone, as a share of the picture's width."""


def augment(
    images: Tensor, keypoints: Tensor, generator: np.random.Generator, own: Tensor | None = None
) -> Tensor:
    """Return windows of pictures in other kitchens and other light; all frames of a window alike.

    Args:
        images: ``(B, F, H, W, 3)`` in 0..255.
        keypoints: ``(B, F, 21, 3)`` of the right hand, metres, camera frame.
        generator: The random stream.
        own: As ``mix_kitchens``.

    Returns:
        ``(B, F, H, W, 3)`` float32.
    """
    return jitter(mix_kitchens(images, keypoints, generator, own), generator)


def jitter(images: Tensor, generator: np.random.Generator) -> Tensor:
    """Random brightness, contrast and colour cast of windows ``(B, F, H, W, 3)``, as float32."""
    shape = (len(images), 1, 1, 1)
    gain = generator.normal(1, 0.08, (*shape, 3)) * generator.normal(1, 0.1, (*shape, 1))
    shift = generator.normal(0, 10, (*shape, 1))
    scale = torch.from_numpy(gain.astype(np.float32)).to(images.device)
    offset = torch.from_numpy(shift.astype(np.float32)).to(images.device)
    return (images.float() * scale + offset).clamp(0, 255)


def mix_kitchens(
    images: Tensor, keypoints: Tensor, generator: np.random.Generator, own: Tensor | None = None
) -> Tensor:
    """Give some windows the walls or the left side of the next window in the batch.

    Replaced is what lies above the hand in all frames of both windows, or left of it; the arm comes
    from the right, so no second hand appears.

    Args:
        images: ``(B, F, H, W, 3)``, of any type.
        keypoints: ``(B, F, 21, 3)`` of the right hand, metres, camera frame.
        generator: The random stream.
        own: ``(B,)`` bool, which windows are the benchmark's own; others neither give nor take,
            since their camera may move and arms come from anywhere. All are, if left out.

    Returns:
        Pictures of the same shape and type.
    """
    count, _, height, width = images.shape[:4]
    points, _ = project(keypoints.to(images.device))
    edge = points.amin((1, 2)) / points.new_tensor([camera.WIDTH, camera.HEIGHT]) - MARGIN
    edge = torch.minimum(edge, edge.roll(-1, 0))
    edge = torch.where(edge > 1, 0.0, edge)  # both hands are out of view there: keep the picture
    if own is not None:
        edge = torch.where((own & own.roll(-1, 0))[:, None], edge, 0.0)
    above = torch.from_numpy(generator.random((count, 1)) < ABOVE).to(images.device)
    left = torch.from_numpy(generator.random((count, 1)) < LEFT).to(images.device)
    rows = above & (torch.arange(height, device=images.device) < edge[:, 1:] * height)
    columns = left & (torch.arange(width, device=images.device) < edge[:, :1] * width)
    replaced = rows[:, None, :, None, None] | columns[:, None, None, :, None]
    return torch.where(replaced, images.roll(-1, 0), images)
