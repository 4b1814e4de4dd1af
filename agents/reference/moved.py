"""What has moved on the counter between two pictures, by subtracting one from the other.

The robot's own pixels are left out where its joints are known. The camera is fixed and the counter's
height is known, so what stands on the counter can be located from its lowest pixels.
"""

from dataclasses import dataclass
from functools import cache
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from scipy import ndimage

from dexbench.envs.embodiment import camera
from dexbench.envs.embodiment.kinematics import HandKinematics

COUNTER = 0.82
"""Height of the counter above the base frame, in m."""
FRONT, BACK, SIDE = 0.45, 1.10, 0.80
"""How far ahead the counter begins and ends, and how far it is looked at to either side, in m."""
THICK, THIN = 0.09, 0.022
"""Radius of the arm and of a finger as they are masked, in m."""
CHANGED = 24
"""Least change of a colour channel that counts, of 255."""
AROUND = 14
"""Spread of the window that the counter's colour is averaged over, in px."""
LEAST, CORE = 40, 5
"""Fewest pixels of an object, and the side of a square that fits into it, in px."""
LEFT = 0.1
"""Share of the robot's pixels that change at least where it has moved."""
LOW, HIGH = np.array([0.48, -0.58]), np.array([0.95, 0.28])
"""Corners (x, y) of the part of the counter in reach, in the base frame, in m."""


@dataclass(frozen=True)
class Seen:
    """An object on the counter as a picture shows it."""

    mask: NDArray[np.bool_]
    """(224, 392) its pixels."""
    position: NDArray[np.float64]
    """(3,) the middle of its foot in the base frame, in m."""
    width: float
    """In m, across the line of sight."""
    height: float
    """In m."""


def robot_mask(joints: NDArray[Any]) -> NDArray[np.bool_]:
    """Return which pixels (224, 392) the robot covers at joints (23,) in rad, or may cover."""
    mask = np.zeros((camera.HEIGHT, camera.WIDTH), bool)
    bones = HandKinematics(dtype=torch.float64).bones(torch.as_tensor(joints, dtype=torch.float64))
    shares = torch.linspace(0, 1, 10, dtype=torch.float64)[:, None]
    for ends, radius in zip(bones, (THICK, THIN), strict=True):
        points = ends[:, :1] + shares * (ends[:, 1:] - ends[:, :1])
        seen = camera.base_to_camera(points.reshape(-1, 3).numpy())
        seen = seen[seen[:, 2] > 0.1]
        for (column, row), depth in zip(camera.project(seen), seen[:, 2], strict=True):
            reach = radius * camera.FOCAL / depth
            left, top = max(int(column - reach), 0), max(int(row - reach), 0)
            part = mask[top : max(int(row + reach) + 2, 0), left : max(int(column + reach) + 2, 0)]
            rows, columns = np.ogrid[top : top + part.shape[0], left : left + part.shape[1]]
            part |= (columns - column) ** 2 + (rows - row) ** 2 < reach**2
    return mask


def find_moved(
    start: NDArray[np.uint8], goal: NDArray[np.uint8], joints: NDArray[Any], holds: bool
) -> tuple[Seen | None, Seen | None]:
    """Return what stands in a place only at the start, and what stands in one only in the goal.

    Args:
        start: Picture (224, 392, 3).
        goal: Picture (224, 392, 3).
        joints: The robot's (23,) in rad at the start.
        holds: Whether the hand holds something.
    """
    robot = robot_mask(joints)
    vanished, appeared, moved = _compare(start, goal, robot)
    origin = next(iter(_objects(vanished & ~robot)), None)
    if not holds and moved[robot].mean() > LEFT:
        # The robot itself is what appears, and no joints tell which pixels it has.
        return origin, None
    return origin, next(iter(_objects(appeared & ~robot)), None)


def _compare(
    start: NDArray[np.uint8], goal: NDArray[np.uint8], robot: NDArray[np.bool_]
) -> tuple[NDArray[np.bool_], NDArray[np.bool_], NDArray[np.bool_]]:
    """Return where the goal shows the bare counter for the first time, and where for the last.

    Args:
        start: Picture (224, 392, 3).
        goal: Picture (224, 392, 3).
        robot: Pixels (224, 392) that the robot may cover at the start.

    Returns:
        Pixels (224, 392) that are more like the counter in the goal, those that are less, and both.
    """
    pictures = [ndimage.gaussian_filter(p.astype(float), (0.7, 0.7, 0)) for p in (start, goal)]
    changed = np.abs(pictures[0] - pictures[1]).max(axis=2) > CHANGED
    bare = ~changed & ~robot & _on_counter()
    weight = ndimage.gaussian_filter(bare.astype(float), AROUND) + 1e-6
    colour = ndimage.gaussian_filter(pictures[0] * bare[..., None], (AROUND, AROUND, 0))
    unlike = [np.linalg.norm(p - colour / weight[..., None], axis=2) for p in pictures]
    return changed & (unlike[0] > unlike[1]), changed & (unlike[0] < unlike[1]), changed


@cache
def _rays() -> NDArray[np.float64]:
    """Return the point (224, 392, 2) of the counter that each pixel sees, in m."""
    rows, columns = np.indices((camera.HEIGHT, camera.WIDTH)) + 0.5
    far = camera.camera_to_base(camera.unproject(np.stack([columns, rows], -1), np.ones_like(rows)))
    eye = np.array(camera.HEAD_POS)
    way = far - eye
    share = (COUNTER - eye[2]) / np.minimum(way[..., 2:], -1e-3)
    return (eye + share * way)[..., :2]


@cache
def _on_counter() -> NDArray[np.bool_]:
    """Return which pixels (224, 392) see the counter where it is bare."""
    x, y = np.moveaxis(_rays(), -1, 0)
    return (x > FRONT) & (x < BACK) & (np.abs(y) < SIDE)


def _objects(mask: NDArray[np.bool_]) -> list[Seen]:
    """Return what may be an object in reach, the largest first; thin strips are none."""
    labels, count = ndimage.label(mask)
    cores = ndimage.binary_erosion(mask, np.ones((CORE, CORE)))
    pieces = [labels == i + 1 for i in range(count)]
    seen = [locate(p) for p in pieces if (p & cores).any() and p.sum() >= LEAST]
    seen = [s for s in seen if (s.position[:2] > LOW).all() and (s.position[:2] < HIGH).all()]
    return sorted(seen, key=lambda s: s.mask.sum(), reverse=True)


def locate(mask: NDArray[np.bool_]) -> Seen:
    """Return the object that stands on the counter and covers the pixels (224, 392).

    What stands upright hides the counter along the lines that leave the camera's foot. So the pixels
    tell bearings and nearest edge, and the object is taken to be as deep as it is wide.
    """
    eye = np.array(camera.HEAD_POS)
    away = _rays()[mask] - eye[:2]
    ranges, bearings = np.hypot(*away.T), np.arctan2(away[:, 1], away[:, 0])
    low, high = np.percentile(bearings, [2, 98])
    near, far = np.percentile(ranges, [2, 98])
    width = near * (high - low)
    middle = near + width / 2
    height = (eye[2] - COUNTER) * (1 - min(middle + width / 2, far) / far)
    bearing = (low + high) / 2
    place = eye[:2] + middle * np.array([np.cos(bearing), np.sin(bearing)])
    return Seen(mask, np.array([*place, COUNTER]), float(width), float(max(height, 0.02)))
