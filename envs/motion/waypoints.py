"""From a waypoint to joint targets: a ramp at bounded speed, then hold."""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from dexbench.envs.embodiment.keypoints import ARM_JOINTS, HAND_JOINTS
from dexbench.envs.embodiment.robot import HIGHEST, LOWEST


@dataclass(frozen=True)
class RampConfig:
    """When each part of the robot moves within a waypoint, and how fast it may.

    The arm goes first and the fingers follow, because a hand that closes while it still
    approaches pushes the object away.
    """

    steps: int = 20
    """Control steps per waypoint."""
    control_hz: float = 10.0
    """Control steps per second."""
    arm_start: int = 0
    """Step at which the arm starts to move."""
    arm_end: int = 10
    """Step at which it arrives, if its speed limit allows."""
    hand_start: int = 6
    """Step at which the fingers start to move."""
    hand_end: int = 12
    """Step at which they arrive, if their speed limit allows."""
    arm_speed: float = 1.5
    """Largest speed of an arm joint in rad/s."""
    hand_speed: float = 3.0
    """Largest speed of a finger joint in rad/s."""


def ramp(
    start: NDArray[Any], waypoint: NDArray[Any], config: RampConfig | None = None
) -> NDArray[np.float32]:
    """Joint targets that lead from one target to the next.

    Joints of a part move in proportion, on a straight line in joint space. A waypoint too far for
    the speed limit is not reached within ``steps``.

    Args:
        start: ``(23,)`` the last commanded joint targets in rad.
        waypoint: ``(23,)`` joint targets to reach in rad.
        config: Timing and speed limits.

    Returns:
        ``(steps, 23)`` float32 joint targets in rad; row t is commanded from step t to t + 1.
    """
    config = config or RampConfig()
    start, delta = np.asarray(start, np.float64), np.asarray(waypoint, np.float64) - start
    steps = np.arange(1, config.steps + 1)[:, None]
    rows = np.empty((config.steps, len(delta)))
    for part, first, last, speed in (
        (ARM_JOINTS, config.arm_start, config.arm_end, config.arm_speed),
        (HAND_JOINTS, config.hand_start, config.hand_end, config.hand_speed),
    ):
        needed = np.abs(delta[part]).max() * config.control_hz / speed
        progress = np.clip((steps - first) / max(last - first, needed, 1), 0, 1)
        rows[:, part] = start[part] + progress * delta[part]
    return rows.astype(np.float32)


def follow(
    start: NDArray[Any], waypoints: NDArray[Any], config: RampConfig | None = None
) -> NDArray[np.float32]:
    """Joint targets that lead through waypoints, exactly as an agent that replans commands them.

    Args:
        start: ``(23,)`` the last commanded joint targets in rad.
        waypoints: ``(T, 23)`` joint targets in rad.
        config: Timing and speed limits.

    Returns:
        ``(T * steps, 23)`` float32 joint targets in rad, within the joint limits.
    """
    rows = [np.clip(np.asarray(start, np.float32), LOWEST, HIGHEST)[None]]
    for waypoint in waypoints:
        rows.append(np.clip(ramp(rows[-1][-1], waypoint, config), LOWEST, HIGHEST))
    return np.concatenate(rows[1:])
