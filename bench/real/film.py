"""The video of a real trial: what the robot saw, the goal, and what the agent expected."""

import numpy as np
from numpy.typing import NDArray

from dexbench.bench.run.pictures import beside_goal
from dexbench.envs.real.calibration import Calibration

from .trial import Course

FPS = 10
"""Frames in a second; each shows the newest picture that there was."""
LONGEST_PAUSE = 1.0
"""Seconds shown of a time without pictures, in which a plan is made and asked for."""


def film(
    course: Course, calibration: Calibration, goal: NDArray[np.uint8]
) -> list[NDArray[np.uint8]]:
    """Return a trial's frames in real time, but for long pauses.

    Args:
        course: Of the trial.
        calibration: Of its camera.
        goal: What agents see of the goal, (224, 392, 3) uint8.

    Returns:
        Frames (224, 784 or 1176, 3) uint8 RGB, as `beside_goal` lays them out.
    """
    frames: list[NDArray[np.uint8]] = []
    if not course.looks:
        return frames
    expected = course.looks[0].expected
    shown = 0.0
    for look, then in zip(course.looks, [*course.looks[1:], None], strict=True):
        # All frames have one size: the last picture stands where none is imagined.
        if expected is not None and look.expected is not None:
            expected = look.expected
        frame = beside_goal(calibration.view(look.picture), goal, expected)
        lasts = then.time - look.time if then else 1 / FPS
        shown += min(max(lasts, 0.0), LONGEST_PAUSE)
        frames += [frame] * (round(shown * FPS) - len(frames))
    return frames
