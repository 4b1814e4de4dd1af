"""One trial of a real robot: look, plan, show, ask, move."""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from PIL.Image import Image

from dexbench.agents.base import Agent, check_chunk
from dexbench.bench.run.pictures import imagined
from dexbench.bench.run.trial import Clock
from dexbench.envs.embodiment.robot import LOWER, N_JOINTS, UPPER
from dexbench.envs.real.calibration import Calibration
from dexbench.envs.real.camera import CameraWatch
from dexbench.envs.real.limits import Limits
from dexbench.envs.real.playback import INTERRUPTED, Played, play
from dexbench.envs.real.watched import DriverError, Watched
from dexbench.utils.errors import describe, full_traceback

from .observation import observe
from .sheet import foreseen_hand, plan_sheet

REFUSED = "the person refused the plan"
"""Why a trial ended in which the robot was not let move."""


class Seen(NamedTuple):
    """A picture of the robot's camera, and what the agent had in mind."""

    picture: NDArray[np.uint8]
    """(height, width, 3) uint8 RGB, as the camera gave it."""
    time: float
    """In s, on the robot's clock."""
    expected: NDArray[np.uint8] | None
    """What the agent expected to see at its chunk's end, (224, 392, 3) uint8, if it can imagine."""


@dataclass
class Course:
    """What came of a trial, as far as no person is asked."""

    error: str | None = None
    """Why it ended early."""
    traceback: str | None = None
    """Where the error came from, if an exception was it."""
    stopped: bool = False
    """Whether the robot was stopped, so that it takes no further targets."""
    chunks: list[NDArray[np.float32]] = field(default_factory=list)
    """What the agent chose, (k, 23) joint targets in rad each."""
    played: list[Played] = field(default_factory=list)
    """What came of each."""
    looks: list[Seen] = field(default_factory=list)
    """What the camera saw."""
    clock: Clock = field(default_factory=lambda: Clock(("decision_s", "motion_s")))

    @property
    def actions(self) -> NDArray[np.float32]:
        """What the agent chose, (n, 23) joint targets in rad; not all need have been sent."""
        return np.concatenate([np.zeros((0, N_JOINTS), np.float32), *self.chunks])

    @property
    def motion(self) -> dict[str, NDArray[np.float64]]:
        """What was sent and what came of it, of every small step.

        ``times`` (m,) at which it ended, in s on the robot's clock; the joints that were
        ``commanded`` (m, 23) and those ``measured`` at its end, in rad.
        """
        return {
            "times": np.concatenate([np.zeros(0), *(played.times for played in self.played)]),
            **{
                name: np.concatenate(
                    [np.zeros((0, N_JOINTS)), *(getattr(played, name) for played in self.played)]
                )
                for name in ("commanded", "measured")
            },
        }

    @property
    def lag(self) -> float | None:
        """Largest distance of a measured joint from its target, in rad; None if none is known."""
        steps = [step for played in self.played for step in played.steps]
        lags = [float(np.abs(sent - at).max()) for sent, at in steps]
        return max((lag for lag in lags if np.isfinite(lag)), default=None)


@dataclass(frozen=True)
class Setting:
    """With what all trials are played."""

    calibration: Calibration
    limits: Limits
    task: str
    steps: int
    """Control steps of a trial."""
    pace: float
    """Seconds from one of them to the next."""


STILL = 0.05
"""How far a joint may have moved since the picture that a plan is from, in rad, beside what it had
left to its target: a person may have leant on the arm."""
Allows = Callable[[Image, int], bool]
"""Is shown a plan and its number in the trial, and says whether the robot may move."""


def play_trial(
    setting: Setting,
    robot: Watched,
    agent: Agent,
    goal: NDArray[np.uint8],
    seed: int,
    allows: Allows,
    camera: CameraWatch,
    course: Course,
) -> None:
    """Let an agent play until the trial's steps are used up, or something ends it.

    Whatever goes wrong is part of what comes back: an exception of the agent or the driver, a
    plan that is refused, anything out of limits.

    Args:
        setting: With what.
        robot: Moves.
        agent: Plays; it is reset first.
        goal: What agents see of the goal, (224, 392, 3) uint8.
        seed: The agent's.
        allows: Is asked before each motion.
        camera: What it saw before.
        course: Gets what comes of it, also if a second Ctrl-C comes while the first one's is done.
    """
    try:
        camera.begin()
        _play(setting, robot, agent, goal, seed, allows, camera, course)
    except KeyboardInterrupt:
        course.error = INTERRUPTED
        stop(robot, course)
    except Exception as exception:
        course.error, course.traceback = describe(exception), full_traceback(exception)
        stop(robot, course)


def stop(robot: Watched, course: Course) -> None:
    """Stop the robot, and say so if that fails too: then a person must."""
    course.stopped = True
    try:
        robot.stop()
    except DriverError as error:
        course.error = f"{course.error}; {error}: PRESS THE EMERGENCY STOP"


def _play(
    setting: Setting,
    robot: Watched,
    agent: Agent,
    goal: NDArray[np.uint8],
    seed: int,
    allows: Allows,
    camera: CameraWatch,
    course: Course,
) -> None:
    """Play until something is wrong, which the course then says."""
    calibration, limits, clock = setting.calibration, setting.limits, course.clock
    with clock("decision_s"):
        agent.reset(setting.task, seed)
    left = setting.steps
    held: NDArray[np.float64] | None = None
    while left > 0:
        look, joints = robot.look(), robot.joints()
        # At first the robot holds where it is; a joint at its stop may be measured beyond.
        target = np.clip(joints, LOWER, UPPER) if held is None else held
        # No plan is made of what a broken camera or encoder says.
        course.error = camera.problem(look, joints, robot.time())
        course.error = course.error or limits.measured(joints, target, joints, 1.0)
        if course.error is not None:
            stop(robot, course)
            return
        view = calibration.view(look.picture)
        with clock("decision_s"):
            chunk = check_chunk(agent.act(observe(view, joints, target, goal, left)))[:left]
        clock.decisions += 1
        expected = imagined(agent, view)
        course.looks.append(Seen(*look, expected))
        sheet = plan_sheet(calibration, view, goal, joints, chunk, expected, foreseen_hand(agent))
        if not allows(sheet, len(course.chunks)):
            course.error = REFUSED
            return
        moved = np.abs(robot.joints() - joints)
        # After a motion the joints may still be on their way to the target.
        if not (moved - np.abs(target - joints) <= STILL).all():
            course.error = f"a joint has moved by {moved.max():.2f} rad since the plan was made"
            stop(robot, course)
            return
        course.chunks.append(chunk)
        played = Played()
        course.played.append(played)
        with clock("motion_s"):
            play(robot, chunk, limits, held, setting.pace, camera, played)
        course.looks += [Seen(*seen, expected) for seen in played.looks]
        if played.reason is not None:
            course.error, course.stopped = played.reason, True
            return
        held, left = chunk[-1].astype(np.float64), left - len(chunk)
