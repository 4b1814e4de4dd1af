"""What has moved on the counter between two pictures, found by subtracting one from the other.

The camera is fixed, the height of the counter and the robot's joints are known. So the robot's
pixels can be left out, and what stands on the counter is located from the pixels of its foot.
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
EYE = np.array(camera.HEAD_POS)
"""Where the camera is, (3,) in the base frame, in m."""
LOW, HIGH = np.array([0.48, -0.58]), np.array([0.95, 0.28])
"""Corners (x, y) of the part of the counter in reach, in the base frame, in m."""
THICK, THIN = 0.10, 0.022
"""Radius of arm and fingers as they are masked, in m."""
CHANGED = 24
"""Least change of a colour channel that counts, of 255."""
STAYS = 0.1
"""Largest share of the robot's pixels that changes where it stands as before."""
AROUND = 14
"""Spread of the window that the counter's colour is averaged over, in px."""
PLAIN = 60
"""Distance in colour up to which a pixel may be the counter's."""
ALIKE = 40
"""Distance in colour up to which two pixels may be of one object."""
LEAST, CORE = 40, 5
"""Fewest pixels of an object, and the side of a square that fits into it, in px."""
WIDEST = 0.30
"""Largest width of an object, in m."""
SHOWN = 12
"""Fewest pixels of an object that shows between fingers."""
LIFT = 0.18
"""How high an object is taken to be lifted that has left the counter, in m."""
ASIDE = 0.10
"""How far aside it is taken to be moved at most, in m."""


@dataclass(frozen=True)
class Seen:
    """An object as a picture shows it."""

    mask: NDArray[np.bool_]
    """(224, 392) its pixels."""
    foot: NDArray[np.float64]
    """(3,) the middle of its foot in the base frame, in m."""
    width: float
    """In m, across the line of sight."""
    height: float
    """In m."""


def find_moved(
    start: NDArray[np.uint8], goal: NDArray[np.uint8], joints: NDArray[Any], holds: bool
) -> tuple[Seen | None, Seen | None]:
    """Return the object that moves, as it is at the start and as it is in the goal.

    Args:
        start: Picture (224, 392, 3).
        goal: Picture (224, 392, 3).
        joints: The robot's (23,) in rad at the start.
        holds: Whether the hand holds the object at the start; then its start is None.

    Returns:
        None for both where nothing moves but the robot.
    """
    robot = robot_mask(joints)
    before, after = _smooth(start), _smooth(goal)
    changed = np.abs(before - after).max(axis=2) > CHANGED
    bare = _counter_colour(before, ~changed & ~robot)
    before_unlike, after_unlike = (np.linalg.norm(p - bare, axis=2) for p in (before, after))
    vanished, appeared = (changed & (sign * (before_unlike - after_unlike) > 0) for sign in (1, -1))
    if changed[robot].mean() < STAYS:
        return _largest(vanished), _largest(appeared)
    if holds:
        # Where the robot was, anything that is no counter may be the object.
        return None, _largest(np.where(robot, changed & (after_unlike > PLAIN), appeared), ~robot)
    origin = _largest(vanished & ~robot)
    return origin, origin and _lifted(origin, before, after, changed)


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


def locate(mask: NDArray[np.bool_]) -> Seen:
    """Return the object that stands on the counter and covers the pixels (224, 392).

    What stands upright hides the counter along lines that lead away from below the camera. So the
    pixels tell its bearings and its nearest edge, and it is taken to be as deep as it is wide.
    """
    away = _counter_points()[mask] - EYE[:2]
    near, far = np.percentile(np.hypot(*away.T), [2, 98])
    right, left = np.percentile(np.arctan2(away[:, 1], away[:, 0]), [2, 98])
    width, bearing = near * (left - right), (left + right) / 2
    middle, back = near + width / 2, min(near + width, far)
    foot = EYE[:2] + middle * np.array([np.cos(bearing), np.sin(bearing)])
    height = (EYE[2] - COUNTER) * (1 - back / far)
    return Seen(mask, np.array([*foot, COUNTER]), float(width), float(max(height, 0.02)))


def _lifted(
    origin: Seen,
    before: NDArray[np.float64],
    after: NDArray[np.float64],
    changed: NDArray[np.bool_],
) -> Seen:
    """Return an object that has left the counter, where pixels of its colour have appeared."""
    colour = np.median(before[origin.mask], axis=0)
    alike = np.linalg.norm(after - colour, axis=2) < ALIKE
    above = (EYE[2] - COUNTER - LIFT - origin.height / 2) / (EYE[2] - COUNTER)
    shown, aside = origin.mask, np.zeros(2)
    for piece in sorted(_pieces(alike & changed & ~origin.mask), key=np.sum):
        seen = EYE[:2] + above * (_counter_points()[piece].mean(axis=0) - EYE[:2])
        if piece.sum() >= SHOWN and np.abs(seen - origin.foot[:2]).max() < ASIDE:
            shown, aside = piece, seen - origin.foot[:2]
    return Seen(shown, origin.foot + [*aside, LIFT], origin.width, origin.height)


def _smooth(picture: NDArray[np.uint8]) -> NDArray[np.float64]:
    """Return the picture without the grain of a pixel."""
    smooth: NDArray[np.float64] = ndimage.gaussian_filter(picture.astype(float), (0.7, 0.7, 0))
    return smooth


def _counter_colour(picture: NDArray[np.float64], shown: NDArray[np.bool_]) -> NDArray[np.float64]:
    """Return the colour (224, 392, 3) of the counter about each pixel, from the pixels shown."""
    x, y = np.moveaxis(_counter_points(), -1, 0)
    weights = (shown & (x > LOW[0]) & (x < 1.1) & (np.abs(y) < 0.8)).astype(float)
    colour = ndimage.gaussian_filter(picture * weights[..., None], (AROUND, AROUND, 0))
    mean: NDArray[np.float64] = colour / (
        ndimage.gaussian_filter(weights, AROUND)[..., None] + 1e-6
    )
    return mean


@cache
def _counter_points() -> NDArray[np.float64]:
    """Return the point (224, 392, 2) of the counter's plane that each pixel sees, in m."""
    rows, columns = np.indices((camera.HEIGHT, camera.WIDTH)) + 0.5
    pixels = np.stack([columns, rows], axis=-1)
    rays = camera.camera_to_base(camera.unproject(pixels, np.ones_like(rows))) - EYE
    share = (COUNTER - EYE[2]) / np.minimum(rays[..., 2:], -1e-3)
    points: NDArray[np.float64] = (EYE + share * rays)[..., :2]
    return points


def _pieces(mask: NDArray[np.bool_]) -> list[NDArray[np.bool_]]:
    """Return the pixels (224, 392) of each connected piece."""
    labels, count = ndimage.label(mask)
    return [labels == i + 1 for i in range(count)]


def _largest(mask: NDArray[np.bool_], first: NDArray[np.bool_] | None = None) -> Seen | None:
    """Return the largest piece that may be an object in reach, if there is one.

    Args:
        mask: Pixels (224, 392).
        first: Those of them that are more certain.
    """
    mask = ndimage.binary_closing(mask, np.ones((3, 3)))
    cores = ndimage.binary_erosion(mask, np.ones((CORE, CORE)))
    seen = [locate(p) for p in _pieces(mask) if (p & cores).any() and p.sum() >= LEAST]
    within = [
        s
        for s in seen
        if (s.foot[:2] > LOW).all() and (s.foot[:2] < HIGH).all() and s.width < WIDEST
    ]
    sure = mask if first is None else first
    return max(within, key=lambda s: ((s.mask & sure).sum(), s.mask.sum()), default=None)
