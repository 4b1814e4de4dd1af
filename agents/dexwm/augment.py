"""Changes to training pictures that leave the hand as it is, so that new kitchens surprise less."""

import numpy as np
import torch
from torch import Tensor

from ...envs.embodiment import camera

ABOVE, LEFT = 0.5, 0.3
"""Share of pictures whose part above the hand, and left of it, comes from another kitchen."""
MARGIN = 0.06
"""Room around the hand's keypoints that is left alone, as a share of the picture's width."""


def jitter(images: Tensor, generator: np.random.Generator) -> Tensor:
    """Random brightness, contrast and colour cast of pictures ``(B, H, W, 3)``, as float32."""
    count = len(images)
    gain = torch.from_numpy(generator.normal(1, 0.08, (count, 1, 1, 3)).astype(np.float32))
    gain = gain * torch.from_numpy(generator.normal(1, 0.1, (count, 1, 1, 1)).astype(np.float32))
    shift = torch.from_numpy(generator.normal(0, 10, (count, 1, 1, 1)).astype(np.float32))
    return (images.float() * gain.to(images.device) + shift.to(images.device)).clamp(0, 255)


def mix_kitchens(images: Tensor, keypoints: Tensor, generator: np.random.Generator) -> Tensor:
    """Gives some pictures the walls or the left side of the next picture in the batch.

    Replaced is what lies above both pictures' hands, or left of both; the arm comes from the right,
    so no second hand appears.

    Args:
        images: ``(B, H, W, 3)``, of any type.
        keypoints: ``(B, 21, 3)`` of the right hand, metres, camera frame.
        generator: The random stream.

    Returns:
        Pictures of the same shape and type.
    """
    count, height, width = images.shape[:3]
    points = camera.project(keypoints).to(images.device)
    edge = points.amin(1) / points.new_tensor([camera.WIDTH, camera.HEIGHT]) - MARGIN
    edge = torch.minimum(edge, edge.roll(-1, 0))
    above = torch.from_numpy(generator.random((count, 1)) < ABOVE).to(images.device)
    left = torch.from_numpy(generator.random((count, 1)) < LEFT).to(images.device)
    rows = above & (torch.arange(height, device=images.device) < edge[:, 1:] * height)
    columns = left & (torch.arange(width, device=images.device) < edge[:, :1] * width)
    replaced = rows[:, :, None] | columns[:, None, :]
    return torch.where(replaced[..., None], images.roll(-1, 0), images)
