"""The fixed dummy grasp: CEM's initial mean for the grasp task, the same for every trial.

The paper teleoperates one approach-and-close motion and takes T of its steps (App. B). Ours is the
mean of 108 scripted grasps in training kitchens: at the grasp with an open hand, then closed, then
holding on. Rows are in rad, in action order: arm 7, index 4, middle 4, ring 4, thumb 4.
"""

import numpy as np
from numpy.typing import NDArray

_ARM = [-0.165, -0.874, 0.133, -2.635, 0.857, 2.322, 0.650]
_OPEN = [
    *(-0.07, 0.62, 0.50, 0.60),
    *(0.0, 0.61, 0.51, 0.62),
    *(0.07, 0.62, 0.50, 0.60),
    *(1.01, 1.22, 0.29, 1.33),
]
_CLOSED = [
    *(-0.03, 0.78, 0.75, 0.79),
    *(0.0, 0.79, 0.76, 0.79),
    *(0.03, 0.78, 0.75, 0.79),
    *(1.16, 0.78, 0.46, 1.01),
]

DUMMY_GRASP = np.array([[*_ARM, *_OPEN], [*_ARM, *_CLOSED], [*_ARM, *_CLOSED]])
"""Waypoints ``(3, 23)`` in rad."""


def grasp_motion(waypoints: int) -> NDArray[np.float64]:
    """Sample the motion evenly from its start to its end.

    Args:
        waypoints: How many, T; a single one is the motion's end.

    Returns:
        ``(T, 23)`` in rad; ``DUMMY_GRASP`` itself if T is 3.
    """
    last = len(DUMMY_GRASP) - 1
    # From the end backwards, so that a single waypoint is the end.
    times = np.linspace(last, 0, waypoints)[::-1]
    before = np.minimum(times.astype(int), last - 1)
    share = (times - before)[:, None]
    rows: NDArray[np.float64] = DUMMY_GRASP[before] * (1 - share) + DUMMY_GRASP[before + 1] * share
    return rows
