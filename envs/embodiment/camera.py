"""The head camera: a pinhole on the torso, looking forward and 30 degrees down.

Camera frames here are optical: x right, y down, z into the image. The released camera has fovy 80
degrees over 600 rows, of which rows 26-574 are kept and resized to 224x392; rendering 224x392 at
``FOVY`` gives the same picture (to 0.2 px at the left and right edge) in one step.
"""

from typing import TYPE_CHECKING, Any, TypeVar

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from torch import Tensor

Points = TypeVar("Points", NDArray[np.floating[Any]], "Tensor")
"""Of numpy or of torch; what comes back is of the same library, dtype and device."""

HEIGHT, WIDTH = 224, 392
FOCAL = 300 / np.tan(np.radians(40)) * HEIGHT / 548
"""Focal length in px of the 224x392 image."""
FOVY = float(np.degrees(2 * np.arctan(HEIGHT / 2 / FOCAL)))
"""Vertical field of view in degrees: 74.93."""
CENTER = (WIDTH / 2, HEIGHT / 2)

HEAD_POS = (0.212, 0.0, 1.614)
"""Camera position in the base frame, in m."""
HEAD_QUAT = (0.61237244, 0.35355339, -0.35355339, -0.61237244)
"""Orientation of MuJoCo's camera frame (x right, y up, z backward) in the base frame."""

# Columns are the optical axes in the base frame: right is -y, down and forward are pitched by 30
# degrees.
OPTICAL_IN_BASE = np.array(
    [[0.0, -0.5, np.sqrt(0.75)], [-1.0, 0.0, 0.0], [0.0, -np.sqrt(0.75), -0.5]]
)


def base_to_camera(points: Points) -> Points:
    """Map points (..., 3) from base frame to the optical frame, in m (numpy or torch)."""
    turn, origin = _like(points, OPTICAL_IN_BASE), _like(points, np.array(HEAD_POS))
    seen: Points = (points - origin) @ turn
    return seen


def camera_to_base(points: Points) -> Points:
    """Map points (..., 3) from the optical frame to base frame, in m (numpy or torch)."""
    turn, origin = _like(points, OPTICAL_IN_BASE), _like(points, np.array(HEAD_POS))
    placed: Points = points @ turn.T + origin
    return placed


def project(points: Points) -> Points:
    """Map points (..., 3) in the optical frame to pixels (..., 2), column and row of the image."""
    pixels: Points = points[..., :2] / points[..., 2:] * FOCAL + _like(points, np.array(CENTER))
    return pixels


def unproject(pixels: Points, depth: Points) -> Points:
    """Map pixels (..., 2) and depths (...,) in m along the optical axis to points (..., 3) in m."""
    rays = (pixels - _like(pixels, np.array(CENTER))) / FOCAL
    if isinstance(pixels, np.ndarray):
        return np.concatenate([rays * depth[..., None], depth[..., None]], axis=-1)
    import torch

    return torch.cat([rays * depth[..., None], depth[..., None]], dim=-1)


def _like(reference: Points, values: NDArray[np.float64]) -> Points:
    """Return the values as an array of the reference's library, dtype and device."""
    if isinstance(reference, np.ndarray):
        return values.astype(reference.dtype)
    import torch

    return torch.as_tensor(values, dtype=reference.dtype, device=reference.device)
