"""Continuous, time-correlated noise."""

import numpy as np
from numpy.typing import NDArray

from dexbench.envs.embodiment.robot import CONTROL_HZ


def ornstein_uhlenbeck(
    rng: np.random.Generator, steps: int, scale: NDArray[np.float64], seconds: float
) -> NDArray[np.float64]:
    """Return a stationary Ornstein-Uhlenbeck path.

    Args:
        rng: The stream to draw from.
        steps: Number of rows.
        scale: Standard deviation (n,) of every row.
        seconds: Correlation time in s.

    Returns:
        Noise (steps, n), a row each control step; neighbours are correlated by
        exp(-1 / (seconds * CONTROL_HZ)).
    """
    keep = np.exp(-1.0 / (seconds * CONTROL_HZ))
    path = np.empty((steps, len(scale)))
    value = rng.normal(size=len(scale))
    for row in path:
        row[:] = value * scale
        value = keep * value + np.sqrt(1 - keep**2) * rng.normal(size=len(scale))
    return path
