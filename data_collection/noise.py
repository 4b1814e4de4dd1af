"""Continuous, time-correlated noise."""

import numpy as np


def ornstein_uhlenbeck(
    rng: np.random.Generator, steps: int, scale: np.ndarray, seconds: float, hz: float = 10.0
) -> np.ndarray:
    """A stationary Ornstein-Uhlenbeck path.

    Args:
        rng: The stream to draw from.
        steps: Number of rows.
        scale: Standard deviation (n,) of every row.
        seconds: Correlation time in s.
        hz: Rows per second.

    Returns:
        Noise (steps, n); neighbouring rows are correlated by exp(-1 / (seconds * hz)).
    """
    keep = np.exp(-1.0 / (seconds * hz))
    path = np.empty((steps, len(scale)))
    value = rng.normal(size=len(scale))
    for row in path:
        row[:] = value * scale
        value = keep * value + np.sqrt(1 - keep**2) * rng.normal(size=len(scale))
    return path
