"""Playing joint targets on a robot in small steps, and stopping it at the first fault.

As in the paper (App. B) the targets are reached by interpolation, executed "with small control
steps". Whatever is wrong, before the first step or at any later one, ends with `Robot.stop`.
"""

from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.interpolate import PchipInterpolator

from dexbench.envs.embodiment.robot import LOWER, N_JOINTS, UPPER
from dexbench.utils.errors import describe

from .camera import CameraWatch
from .limits import Limits
from .robot import Look, Robot
from .watched import DriverError, Watched

PACE = 0.2
"""Seconds from one target to the next. The benchmark's control steps take 0.1; at half its speed
nothing comes near a limit, and a person beside the robot has time to press a button."""
INTERRUPTED = "the person stopped the robot (Ctrl-C)"
"""The reason where it was."""
EARLY = 0.1
"""How early a wait may end, as a share of a step: targets then come that much faster."""
FILM = 0.1
"""Least time in s between two pictures that are kept."""


@dataclass
class Played:
    """What a robot was told, what it did, and what it saw."""

    reason: str | None = None
    """Why it was stopped; None if all was played."""
    times: list[float] = field(default_factory=list)
    """When each step ended, in s on the robot's clock."""
    steps: list[tuple[NDArray[np.float64], NDArray[np.float64]]] = field(default_factory=list)
    """Of each step the targets (23,) that were sent and the joints (23,) at its end, in rad."""
    looks: list[Look] = field(default_factory=list)
    """Pictures, the first from before the motion."""

    @property
    def commanded(self) -> NDArray[np.float64]:
        """Targets (n, 23) in rad, as sent."""
        return np.array([sent for sent, _ in self.steps]).reshape(-1, N_JOINTS)

    @property
    def measured(self) -> NDArray[np.float64]:
        """Joints (n, 23) in rad, each measured at the end of a step."""
        return np.array([at for _, at in self.steps]).reshape(-1, N_JOINTS)


def interpolate(
    start: NDArray[np.float64], targets: NDArray[np.float64], rate: float, pace: float
) -> NDArray[np.float64]:
    """Lead through targets in small steps, smoothly, from rest to rest, and never beyond a target.

    Args:
        start: Joints (23,) in rad.
        targets: (n, 23) in rad.
        rate: Steps a second.
        pace: Seconds from target to target. The fastest step is at most 1.5 times as fast as the
            straight line would be.

    Returns:
        (m, 23) in rad; the last is the last target.
    """
    # Standing still before and after makes the slope there 0.
    rows = np.concatenate([start[None], start[None], targets, targets[-1:]])
    curve = PchipInterpolator(pace * np.arange(-1, len(targets) + 2), rows)
    count = int(np.ceil(len(targets) * pace * rate - 1e-9))
    path: NDArray[np.float64] = curve(
        np.minimum(np.arange(1, count + 1) / rate, len(targets) * pace)
    )
    return path


def play(
    robot: Robot,
    targets: NDArray[np.floating[Any]],
    limits: Limits,
    start: NDArray[np.floating[Any]] | None = None,
    pace: float = PACE,
    camera: CameraWatch | None = None,
    played: Played | None = None,
) -> Played:
    """Lead a robot through joint targets.

    The whole way is checked before the first step. A late step is not caught up with: the rest
    takes longer, and nothing moves faster.

    Args:
        robot: The driver. If it is not `Watched` yet, it is for the time of this play.
        targets: Absolute joint targets (n, 23) in rad.
        limits: What stops it.
        start: The targets (23,) in rad that it holds now; by default the measured joints.
        pace: Seconds from target to target.
        camera: What it saw before; by default nothing.
        played: Gets what comes of it, step by step, and is returned; by default a new one.
    """
    watched = robot if isinstance(robot, Watched) else Watched(robot, limits.answer)
    played = played or Played()
    camera = camera or CameraWatch(limits)
    try:
        rows = np.asarray(targets, np.float64)
        played.reason = _play(watched, rows, limits, start, pace, camera, played)
    except KeyboardInterrupt:
        played.reason = INTERRUPTED
    except Exception as error:  # Also of what was meant to check: no fault lets the arm go on.
        played.reason = str(error) if isinstance(error, DriverError) else describe(error)
    except BaseException:  # The program is to end.
        watched.stop()
        raise
    if played.reason is not None:
        try:
            watched.stop()
        except DriverError as error:
            played.reason += f"; {error}: PRESS THE EMERGENCY STOP"
    if watched is not robot:
        watched.leave()
    return played


def _play(
    robot: Watched,
    targets: NDArray[np.float64],
    limits: Limits,
    start: NDArray[np.floating[Any]] | None,
    pace: float,
    camera: CameraWatch,
    played: Played,
) -> str | None:
    """Play until something is wrong; return what."""
    if targets.ndim != 2 or targets.shape[1] != N_JOINTS or not len(targets):
        return f"the targets have shape {targets.shape}, expected (n, {N_JOINTS})"
    before, then = robot.joints(), robot.time()
    # A joint at its stop may be measured a little beyond.
    held = np.clip(before, LOWER, UPPER) if start is None else np.asarray(start, np.float64)
    problem = limits.measured(before, held, before, 1.0) or _look(robot, before, camera, played)
    if problem is not None:
        return problem
    if (problem := limits.commanded(targets, held, pace)) is not None:
        return problem
    path = interpolate(held, targets, robot.rate, pace)
    if (problem := limits.commanded(path, held, 1 / robot.rate)) is not None:
        return problem
    for row in path:
        robot.command(row)
        until = robot.time() + 1 / robot.rate
        robot.wait(until)
        joints, now = robot.joints(), robot.time()
        if not now > then or now < until - EARLY / robot.rate:
            return f"the robot's clock stands at {now:.3f} s after a wait until {until:.3f} s"
        played.steps.append((row, joints))
        played.times.append(now)
        problem = limits.measured(joints, row, before, now - then)
        problem = problem or _look(robot, joints, camera, played)
        if problem is not None:
            return problem
        before, then = joints, now
    return None


def _look(
    robot: Watched, joints: NDArray[np.float64], camera: CameraWatch, played: Played
) -> str | None:
    """Look, keep the picture if it is time for one, and return what is wrong with it."""
    look = robot.look()
    if (problem := camera.problem(look, joints, robot.time())) is not None:
        return problem
    if not played.looks or look.time >= played.looks[-1].time + FILM - 1e-6:
        played.looks.append(look)
    return None
