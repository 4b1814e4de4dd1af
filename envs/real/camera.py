"""Watching that a robot's pictures are new, and change as the scene must."""

import numpy as np
from numpy.typing import NDArray

from .limits import Limits, hand_points
from .robot import Look


class CameraWatch:
    """What the camera gave before, for as long as trials follow each other.

    Args:
        limits: How old a picture may be, and how far the hand may go while none changes.
    """

    def __init__(self, limits: Limits):
        self._limits = limits
        self._last: Look | None = None
        """The newest picture, with the first time at which it was seen."""
        self._hand: NDArray[np.float64] | None = None
        """Where the hand was then, as `hand_points` says."""
        self._begins = False

    def begin(self) -> None:
        """Say that a trial begins: the scene is another now than in the trial before."""
        self._begins = True

    def problem(self, look: Look, joints: NDArray[np.float64], now: float) -> str | None:
        """Return what is wrong with the newest picture, if anything.

        Args:
            look: What the camera gave.
            joints: Measured at the same time, (23,) in rad.
            now: The robot's time in s.
        """
        if (problem := self._limits.seen(look, now)) is not None:
            return problem
        points, begins, self._begins = hand_points(joints), self._begins, False
        last, hand = self._last, self._hand
        if last is None or hand is None or not np.array_equal(look.picture, last.picture):
            self._last, self._hand = look, points
            return None
        if begins and look.time > last.time:
            return "the picture is the last one of the trial before, to the last bit: it is frozen"
        moved = float(np.linalg.norm(points - hand, axis=-1).max())
        if moved > self._limits.frozen:
            return f"the picture has not changed while the hand moved {moved:.2f} m: it is frozen"
        return None
