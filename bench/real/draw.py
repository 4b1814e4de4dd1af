"""Lines of the robot over a picture of it."""

import numpy as np
from numpy.typing import NDArray
from PIL.ImageDraw import ImageDraw

from dexbench.envs.embodiment.keypoints import N_DISTINCT, WRIST


def draw_hand(draw: ImageDraw, points: NDArray[np.float64], colour: str) -> None:
    """Draw a hand's four fingers from the wrist, of keypoints (17 or 21, 2) in px."""
    for finger in range(1, N_DISTINCT, 4):
        draw_line(draw, points[[WRIST, *range(finger, finger + 4)]], colour)


def draw_line(draw: ImageDraw, points: NDArray[np.float64], colour: str) -> None:
    """Draw a line through points (n, 2) in px; those that are nowhere (NaN) are left out."""
    known = points[np.isfinite(points).all(-1)]
    if len(known) > 1:
        draw.line([(float(x), float(y)) for x, y in known], fill=colour, width=2)
