"""Changes to training pictures that leave the hand as it is, so that new kitchens surprise less."""

import numpy as np
import torch
from torch import Tensor

from dexbench.agents.dexwm.model.keypoint_maps import project
from dexbench.envs.embodiment import camera

ABOVE, LEFT = 0.5, 0.3
"""Share of pictures whose part above the hand, and left of it, comes from another kitchen."""
MARGIN = 0.06
"""Room around the hand's keypoints that is left alone, as a share of the picture's width."""


def augment(
    images: Tensor,
    keypoints: Tensor,
    masks: Tensor | None,
    generator: np.random.Generator,
    own: Tensor | None = None,
) -> tuple[Tensor, Tensor | None]:
    """Return windows of pictures in other kitchens and other light; all frames of a window alike.

    Args:
        images: ``(B, F, H, W, 3)`` in 0..255.
        keypoints: ``(B, F, 21, 3)`` of the right hand, metres, camera frame.
        masks: Whether pixels show an object, ``(B, F, h, w)``; they follow the kitchens.
        generator: The random stream.
        own: As ``mix_kitchens``.

    Returns:
        ``(B, F, H, W, 3)`` float32, and the masks.
    """
    taken = other_kitchens(keypoints, generator, own)
    images = mix_kitchens(images, taken)
    masks = None if masks is None else mix_kitchens(masks.unsqueeze(-1), taken).squeeze(-1)
    return jitter(images, generator), masks


def jitter(images: Tensor, generator: np.random.Generator) -> Tensor:
    """Random brightness, contrast and colour cast of windows ``(B, F, H, W, 3)``, as float32."""
    shape = (len(images), 1, 1, 1)
    gain = generator.normal(1, 0.08, (*shape, 3)) * generator.normal(1, 0.1, (*shape, 1))
    shift = generator.normal(0, 10, (*shape, 1))
    scale = torch.from_numpy(gain.astype(np.float32)).to(images.device)
    offset = torch.from_numpy(shift.astype(np.float32)).to(images.device)
    return (images.float() * scale + offset).clamp(0, 255)


def other_kitchens(
    keypoints: Tensor, generator: np.random.Generator, own: Tensor | None = None
) -> tuple[Tensor, Tensor]:
    """Draw which part of each window comes from the next window in the batch.

    It is what lies above the hand in all frames of both windows, or left of it; the arm comes from
    the right, so no second hand appears.

    Args:
        keypoints: ``(B, F, 21, 3)`` of the right hand, metres, camera frame.
        generator: The random stream.
        own: ``(B,)`` bool, which windows are the benchmark's own; others neither give nor take,
            since their camera may move and arms come from anywhere. All are, if left out.

    Returns:
        How much of the picture is taken from above, and how much from the left: ``(B, 1)`` each,
        as shares of its height and width.
    """
    count = len(keypoints)
    points, _ = project(keypoints)
    edge = points.amin((1, 2)) / points.new_tensor([camera.WIDTH, camera.HEIGHT]) - MARGIN
    edge = torch.minimum(edge, edge.roll(-1, 0))
    edge = torch.where(edge > 1, 0.0, edge)  # both hands are out of view there: keep the picture
    if own is not None:
        edge = torch.where((own & own.roll(-1, 0))[:, None], edge, 0.0)
    above = torch.from_numpy(generator.random((count, 1)) < ABOVE).to(edge.device)
    left = torch.from_numpy(generator.random((count, 1)) < LEFT).to(edge.device)
    return torch.where(above, edge[:, 1:], 0), torch.where(left, edge[:, :1], 0)


def mix_kitchens(pictures: Tensor, taken: tuple[Tensor, Tensor]) -> Tensor:
    """Give windows the walls or the left side of the next window in the batch.

    Args:
        pictures: ``(B, F, H, W, C)``, of any type.
        taken: As ``other_kitchens`` draws it.

    Returns:
        Pictures of the same shape and type.
    """
    (height, width), device = pictures.shape[2:4], pictures.device
    rows = torch.arange(height, device=device) < taken[0].to(device) * height
    columns = torch.arange(width, device=device) < taken[1].to(device) * width
    replaced = rows[:, None, :, None, None] | columns[:, None, None, :, None]
    return torch.where(replaced, pictures.roll(-1, 0), pictures)
