"""What agents see and send: the spaces that all tasks share, and the check of an action."""

from typing import Any

import numpy as np
from gymnasium import spaces
from numpy.typing import NDArray

from dexbench.envs.embodiment.camera import HEIGHT, WIDTH
from dexbench.envs.embodiment.robot import HIGHEST, LOWER, LOWEST, N_JOINTS, UPPER

from .trial import STEPS

TOLERANCE = 1e-6
"""How far in rad a target may pass a bound and is clipped: float32 maps from [-1, 1] to the joint
limits, as other libraries apply them, end within a rounding error of a bound on either side."""


def action_space() -> spaces.Box:
    """Joint targets (23,) float32 in rad, between the joint limits."""
    return spaces.Box(LOWEST, HIGHEST, dtype=np.float32)


def observation_space() -> spaces.Dict:
    """Return a flat dictionary: two images, two joint vectors, hand keypoints and the clock."""
    image = spaces.Box(0, 255, (HEIGHT, WIDTH, 3), np.uint8)
    # A blocked or pushed joint may pass its soft limit a little.
    low, high = LOWER.astype(np.float32) - 0.5, UPPER.astype(np.float32) + 0.5
    return spaces.Dict(
        {
            "pixels": image,
            "goal": image,
            "agent_pos": spaces.Box(low, high, dtype=np.float32),
            "agent_target": action_space(),
            "keypoints": spaces.Box(-5, 5, (21, 3), np.float32),
            "steps_left": spaces.Box(0, STEPS, (1,), np.int64),
        }
    )


def clip_rounding(targets: NDArray[np.float32]) -> NDArray[np.float32]:
    """Return joint targets (..., 23) in rad with those within `TOLERANCE` of a bound inside it.

    Targets further out are left as they are.
    """
    low, high = LOWEST.astype(np.float64) - TOLERANCE, HIGHEST.astype(np.float64) + TOLERANCE
    near = (targets >= low) & (targets <= high)
    return np.where(near, np.clip(targets, LOWEST, HIGHEST), targets)


def check_action(action: NDArray[Any]) -> NDArray[np.float32]:
    """Return an action as float32 joint targets (23,) in rad, within the bounds.

    Raises:
        ValueError: It has a wrong shape, is not finite or is more than `TOLERANCE` out of bounds.
    """
    row = np.asarray(action)
    if row.shape != (N_JOINTS,):
        raise ValueError(f"an action has shape (23,), joint targets in rad; got {row.shape}")
    row = row.astype(np.float32)
    if not np.isfinite(row).all():
        raise ValueError(
            f"actions must be finite; joint {int(np.flatnonzero(~np.isfinite(row))[0])} is not"
        )
    row = clip_rounding(row)
    outside = (row < LOWEST) | (row > HIGHEST)
    if outside.any():
        joint = int(np.flatnonzero(outside)[0])
        raise ValueError(
            f"joint {joint}: target {row[joint]:.6f} rad is outside "
            f"[{LOWEST[joint]:.6f}, {HIGHEST[joint]:.6f}]; clip "
            "targets with dexbench.envs.LOWER and UPPER"
        )
    return row
