"""What stops a real robot: bounds on what is commanded, what is measured and what is seen.

Each check returns what is wrong in one line, or None. The defaults are for the paper's hardware, a
Franka FR3 with an Allegro hand at the benchmark's counter; a lab measures its own.
"""

from dataclasses import dataclass
from functools import cache
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from dexbench.envs.embodiment.keypoints import HAND_JOINTS, N_ARM_JOINTS
from dexbench.envs.embodiment.kinematics import HandKinematics
from dexbench.envs.embodiment.robot import FINGERS, JOINTS, LOWER, N_JOINTS, UPPER

from .robot import Look

Box = tuple[float, float, float]
POINTS = ("wrist", *(f"{finger} tip" for finger in FINGERS))
"""What must stay in the box."""
SLACK = 0.05
"""How far beyond its range a joint may be measured, in rad: a soft stop gives, a zero is off."""
NOISE = 2.0
"""How much faster than commanded a joint may be measured: a servo that catches up after a delay
overshoots, and a difference of two noisy angles looks faster than it is."""
AHEAD = 0.1
"""How far in the future a picture may be taken, in s. More means that camera and driver have two
clocks, and then no age is right."""


@cache
def _kinematics() -> HandKinematics:
    return HandKinematics(dtype=torch.float64)


def hand_points(joints: NDArray[Any]) -> NDArray[np.float64]:
    """Map joints (..., 23) in rad to the `POINTS` (..., 5, 3) in the base frame, in m.

    The tips are the fingers' true ends, 7-8 cm beyond the keypoints of their names.
    """
    angles = torch.as_tensor(np.asarray(joints, np.float64))
    _, bones = _kinematics().bones(angles)
    lines = bones.unflatten(-3, (len(FINGERS), -1))  # of each finger five, the first from the wrist
    points: NDArray[np.float64] = torch.cat(
        [lines[..., :1, 0, 0, :], lines[..., -1, 1, :]], dim=-2
    ).numpy()
    return points


@dataclass(frozen=True)
class Limits:
    """What stops the robot where it is.

    Joints must stay in their ranges as well, which are the robot's. Nothing here knows of the
    elbow, of the torso or of what stands about: the robot's own collision stop does.
    """

    arm_speed: float = 1.5
    """Largest speed of a commanded arm joint in rad/s. The benchmark's own ramps have it, so agents
    have learnt from it; the FR3's slowest joint may do 2.62."""
    hand_speed: float = 3.0
    """Largest speed of a commanded finger joint in rad/s, the benchmark's too. Its experts
    reach 1.4."""
    box_low: Box = (0.25, -0.75, 0.77)
    """Least x, y and z of wrist and fingertips in the base frame, in m. The experts of v1 and v2
    command 0.30, -0.66 and 0.81, with the counter at 0.82. The floor is 5 cm below it: a compliant
    arm that is commanded there presses a little. Of 50 grasps of dexwm 17 do; 3 would go deeper."""
    box_high: Box = (1.10, 0.35, 1.45)
    """Largest x, y and z likewise; the experts command 1.05, 0.31 and 1.39."""
    arm_error: float = 0.2
    """Largest distance of an arm joint from its target in rad. At the 0.75 rad/s of a
    play the simulated arm lags 0.06 rad by its damping (0.08 s), and 0.14 with 0.1 s of latency.
    More is a contact: 0.2 rad are 4-12 cm at the hand."""
    hand_error: float = 1.2
    """Largest distance of a finger joint from its target in rad. A finger that holds an object
    cannot get there, and its weak motor does no harm; one that ignores its targets is found."""
    picture_age: float = 0.5
    """Largest age of the newest picture in s: what a camera of 5 Hz with 0.3 s of latency gives at
    worst. A fast arm moves the hand 20 cm meanwhile, unseen."""
    frozen: float = 0.1
    """How far wrist or fingertips may move in m while the picture stays the same to the last bit,
    whatever its time says. No real picture does, even of a still scene; a simulated one may while
    the hand is out of view."""
    answer: float = 0.5
    """Longest time in s that any call of the driver may take. The arm holds its last target
    meanwhile; ten times what a camera and a network of a lab need."""

    def faults(self) -> list[str]:
        """Return which limits are no limits: not finite, not above 0, or a box without room."""
        found = [
            f"{name} is {value}, expected a number above 0"
            for name, value in vars(self).items()
            if not name.startswith("box") and not 0 < value < np.inf
        ]
        for axis, low, high in zip("xyz", self.box_low, self.box_high, strict=True):
            if not -np.inf < low < high < np.inf:
                found.append(f"box_low {low} is not below box_high {high} in {axis}")
        return found

    def commanded(
        self, targets: NDArray[np.float64], before: NDArray[np.float64], seconds: float
    ) -> str | None:
        """Return what is wrong with targets before they are sent, if anything.

        Args:
            targets: Joint targets (n, 23) in rad, one after the other.
            before: Those (23,) before the first.
            seconds: Between one and the next, in s.
        """
        steps = np.diff(np.concatenate([before[None], targets]), axis=0)
        return (
            _first("commanded", "is", ~np.isfinite(targets), targets, "rad, no number")
            or _first("commanded", "is", (targets < LOWER) | (targets > UPPER), targets,
                      "rad, out of its range")
            or self._speed("commanded", steps / seconds, 1.0)
            or self._outside("commanded", targets)
        )  # fmt: skip

    def measured(
        self,
        joints: NDArray[np.float64],
        targets: NDArray[np.float64],
        before: NDArray[np.float64],
        seconds: float,
    ) -> str | None:
        """Return what is wrong with measured joints, if anything.

        Args:
            joints: Measured now, (23,) in rad.
            targets: Commanded last, (23,) in rad.
            before: Measured before, (23,) in rad.
            seconds: Between the two measurements, in s.
        """
        row, error = joints[None], np.abs(joints - targets)[None]
        low, high = LOWER - SLACK, UPPER + SLACK
        return (
            _first("measured", "is", ~np.isfinite(row), row, "rad, no number")
            or _first("measured", "is", (row < low) | (row > high), row, "rad, out of its range")
            or self._speed("measured", (joints - before)[None] / max(seconds, 1e-6), NOISE)
            or _first("measured", "is", error > self._parts(self.arm_error, self.hand_error), error,
                      "rad from its target: a contact, or it does not follow")
            or self._outside("measured", row)
        )  # fmt: skip

    def seen(self, look: Look, now: float) -> str | None:
        """Return what is wrong with the newest picture, if anything.

        Args:
            look: What the driver gave.
            now: The robot's time in s.
        """
        picture, age = look.picture, now - look.time
        shape: tuple[int, ...] = getattr(picture, "shape", ())
        kind = getattr(picture, "dtype", type(picture))
        if len(shape) != 3 or shape[2] != 3 or kind != np.uint8:
            return f"the camera gave {kind} {shape}, expected uint8 (height, width, 3)"
        if not np.isfinite(look.time) or age < -AHEAD:
            return f"the picture was taken {-age:.2g} s from now: two clocks"
        if age > self.picture_age:
            return f"the newest picture is {age:.2f} s old, at most {self.picture_age:g} s may be"
        return None

    def _speed(self, what: str, speeds: NDArray[np.float64], times: float) -> str | None:
        most = times * self._parts(self.arm_speed, self.hand_speed)
        # Not by a last digit: a ramp at the limit's own speed is within it.
        too_fast = np.abs(speeds) > most * (1 + 1e-6)
        return _first(what, "moves at", too_fast, speeds, "rad/s, too fast")

    def _outside(self, what: str, joints: NDArray[np.float64]) -> str | None:
        points = hand_points(joints)
        outside = (points < self.box_low) | (points > self.box_high)
        if not outside.any():
            return None
        row, point, axis = np.argwhere(outside)[0]
        low, high = self.box_low[axis], self.box_high[axis]
        return (
            f"{what} {POINTS[point]} has {'xyz'[axis]} = {points[row, point, axis]:.3f} m, "
            f"expected {low:g} to {high:g}"
        )

    @staticmethod
    def _parts(arm: float, hand: float) -> NDArray[np.float64]:
        limits = np.full(N_JOINTS, arm)
        limits[HAND_JOINTS] = hand
        return limits


def _first(
    what: str, verb: str, wrong: NDArray[np.bool_], values: NDArray[np.float64], fault: str
) -> str | None:
    """Return a line on the first joint, of (n, 23), that is wrong."""
    if not wrong.any():
        return None
    row, joint = np.argwhere(wrong)[0]
    part = "arm" if joint < N_ARM_JOINTS else "hand"
    return f"{what} {part} joint {JOINTS[joint]} {verb} {values[row, joint]:.3f} {fault}"
