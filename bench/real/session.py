"""A robot, an agent and whoever watches, through several trials."""

import hashlib
import io
import signal
import warnings
from collections.abc import Callable, Sequence
from contextlib import nullcontext, suppress
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from PIL.Image import Image

from dexbench.agents.base import Agent
from dexbench.agents.registry import AgentSpec
from dexbench.bench.ledger.actions import actions_hash
from dexbench.bench.ledger.ledger import Ledger
from dexbench.bench.ledger.real import DRIVER, KIND, PERSON
from dexbench.bench.ledger.rows import Row
from dexbench.bench.run.pictures import write_video
from dexbench.bench.run.progress import Progress
from dexbench.bench.run.worker import seed_global_generators, warn_if_unwritten
from dexbench.envs.real.camera import CameraWatch
from dexbench.envs.real.judge import Judge
from dexbench.envs.real.playback import INTERRUPTED
from dexbench.envs.real.robot import Robot
from dexbench.envs.real.watched import DriverError, SilentError, Watched
from dexbench.utils.errors import UserError, describe
from dexbench.utils.files import atomic_file, write_atomic
from dexbench.utils.seeding import seed_for
from dexbench.utils.signals import ENDS, handled, uninterrupted

from .film import FPS, film
from .person import Person
from .trial import Course, Setting, play_trial, stop

UNJUDGED = "nobody judged the trial"
"""Why a trial that was played to its end is none that counts as solved."""


class Goal(NamedTuple):
    """A goal picture."""

    name: str
    """Of its file, or who gave it."""
    picture: NDArray[np.uint8]
    """What agents see of it, (224, 392, 3) uint8."""
    sha256: str
    """Of the file, or of the picture."""


class Session:
    """Plays trials one after the other, and writes a row of each.

    Args:
        load: Makes the driver.
        make: Makes the agent, again after one that failed.
        agent: The first.
        setting: With what trials are played.
        goals: Trial i has the i-th, and again from the first; may be empty where the driver is a
            `Judge`.
        person: Is asked; None asks nobody.

    Raises:
        UserError: The driver cannot be made, or there is no goal.
    """

    def __init__(
        self,
        load: Callable[[], Robot],
        make: Callable[[], tuple[Agent, AgentSpec]],
        agent: Agent,
        setting: Setting,
        goals: tuple[Goal, ...],
        person: Person | None,
    ):
        self.load, self.make, self.agent, self.setting = load, make, agent, setting
        self.goals, self.person = goals, person
        self.robot: Watched | None = None
        self.judge: Judge | None = None
        """The driver, if it sets trials up and judges them."""
        self._begin()
        self.stopped = False
        """Whether the robot was stopped in the trial before."""
        self.ended = False
        """Whether the person has ended the session."""
        self.told = ""
        """Which signal has ended the motion or the question before, by its name."""
        self.camera = CameraWatch(setting.limits)
        if not goals and self.judge is None:
            self.close()
            raise UserError("this driver sets up no trials: give goal pictures by --goal")

    def play(self, ledger: Ledger, plays: Sequence[tuple[int, int]]) -> None:
        """Play the trials that are missing.

        Args:
            ledger: Gets the rows; plans, videos and tracebacks go beside it.
            plays: (trial, 0) of all that shall be in it.

        Raises:
            UserError: The driver cannot be made again or set a trial up, its pictures are not of
                the calibration's size, or the disk is full.
            KeyboardInterrupt: The person ends the session, or the program is to end. All rows are
                written, but for a trial that nobody watched: it is played again.
        """
        missing = ledger.missing(plays)
        bar = None
        if self.person is None:  # A bar would write over what a person is asked.
            bar = Progress(self.setting.task, len(missing), ledger.select(plays))
        calibration = self.setting.calibration
        calibration.save(ledger.folder / "calibrations" / f"{calibration.hash[:12]}.json")
        with bar or nullcontext(), handled(ENDS, self._end):
            for trial, _ in missing:
                row = self._play_one(trial, f"Trial {trial} (of 0 to {len(plays) - 1})", ledger)
                if bar is not None:
                    bar.update(row)
                if self.ended:
                    raise KeyboardInterrupt

    def _end(self, number: int, frame: object) -> None:
        """Stop as for Ctrl-C; where the program is to end, ask nobody any more.

        Until a person is asked again, what comes after that changes nothing: the robot is being
        stopped, and the row written.
        """
        if self.told:
            return
        self.told = signal.Signals(number).name
        self.ended = number != signal.SIGINT
        raise KeyboardInterrupt

    def _play_one(self, trial: int, name: str, ledger: Ledger) -> Row:
        self.told = ""
        robot, goal = self._set_up(trial, name)
        folder = ledger.folder
        seed = seed_for(KIND, self.setting.task, trial)
        seed_global_generators(trial)

        def allows(sheet: Image, number: int) -> bool:
            path = folder / "plans" / f"trial-{trial:03d}-{number}.png"
            with atomic_file(path) as draft:
                sheet.save(draft, format="PNG")
            try:
                return self.person is None or self.person.allows(path)
            except KeyboardInterrupt:  # Also of a terminal that was closed, which tells us twice.
                self.told = self.told or "SIGINT"
                raise

        course = Course()
        try:
            play_trial(
                *(self.setting, robot, self.agent, goal.picture, seed),
                *(allows, self.camera, course),
            )
        except KeyboardInterrupt:
            course.error = course.error or INTERRUPTED
            stop(robot, course)
        if self.told and self.person is None:
            raise KeyboardInterrupt  # A simulated robot's trial is played again from its start.
        if self.ended and course.error == INTERRUPTED:
            course.error = f"the program was told to end ({self.told})"
        judged = self._judge(course)
        self.stopped = course.stopped
        # The robot may have moved: whatever is asked for now, the row comes first.
        with uninterrupted():
            self._write_beside(folder, f"trial-{trial:03d}", course)
            row = {
                "trial": trial,
                "repeat": 0,
                "seed": seed,
                "calibration": self.setting.calibration.hash,
                "goal": {"file": goal.name, "sha256": goal.sha256},
                **judged,
                "largest_lag": None if course.lag is None else round(course.lag, 4),
                "actions_hash": actions_hash(course.actions),
                "video": self._film(folder, f"videos/trial-{trial:03d}.mp4", course, goal),
                "timing": course.clock.record(),
            }
            ledger.append(row, course.actions)
        if course.traceback is not None:
            # An agent that raised may be in any state; the next trial must not see it.
            self.agent, _ = self.make()
        return row

    @staticmethod
    def _write_beside(folder: Path, name: str, course: Course) -> None:
        """Write what was sent and measured, and where an exception came from."""
        with warn_if_unwritten(f"the motion of {name}"):
            file = io.BytesIO()
            np.savez_compressed(file, **course.motion)
            write_atomic(folder / "motions" / f"{name}.npz", file.getvalue())
        if course.traceback is not None:
            with warn_if_unwritten(f"the traceback of {name}"):
                write_atomic(folder / "errors" / f"{name}.txt", course.traceback)

    def _begin(self) -> Watched:
        """Make the driver, and watch over it."""
        driver = self.load()
        self.robot = Watched(driver, self.setting.limits.answer)
        self.judge = driver if isinstance(driver, Judge) else None
        return self.robot

    def _set_up(self, trial: int, name: str) -> tuple[Watched, Goal]:
        """Bring about the beginning of a trial, and return its goal."""
        if self.stopped:
            self._let_go()  # A stopped robot takes no targets: its driver begins anew.
        goal = self.goals[trial % len(self.goals)] if self.goals else None
        if self.person is not None and goal is not None and self.judge is None:
            self.person.sets_up(name, goal.name, self.stopped)
        robot = self.robot or self._begin()
        if self.judge is not None:
            try:
                self.judge.set_up(trial)
                goal = goal or self._goal_of(self.judge)
            except UserError:
                raise  # it names its own cure
            except Exception as error:
                raise UserError(
                    f"the driver cannot set up trial {trial} ({describe(error)}); mend that and "
                    "give the command again"
                ) from error
        assert goal is not None  # as __init__ saw to
        with suppress(DriverError):  # A camera that fails is the trial's to find.
            look = robot.look()
            if self.setting.limits.seen(look, robot.time()) is None:
                self.setting.calibration.view(look.picture)
        return robot, goal

    def _goal_of(self, judge: Judge) -> Goal:
        picture = self.setting.calibration.view(judge.goal())
        return Goal("of the driver", picture, hashlib.sha256(picture.tobytes()).hexdigest())

    def _judge(self, course: Course) -> Row:
        """Return the row's part about success; a trial that ended early is none."""
        if not self.ended:
            self.told = ""
        row: Row = {"success": False, "judge": None, "distance": None, "note": ""}
        try:
            if course.error is not None:
                if self.person is not None:
                    self.person.tell(f"The trial ended: {course.error}")
            elif self.judge is not None:
                success, distance = self.judge.verdict()
                row |= {"success": bool(success), "judge": DRIVER}
                row["distance"] = round(_finite(distance), 6)
            elif self.person is not None and not self.ended:
                row |= {"success": self._success(self.person), "judge": PERSON}
            if self.person is not None and not self.ended:
                row["note"] = self._note(self.person)
            if course.error is None and row["judge"] is None:
                course.error = UNJUDGED
        except Exception as exception:
            course.error = course.error or f"no verdict: {describe(exception)}"
            course.stopped = True
            row["success"] = False
        except KeyboardInterrupt:
            self.ended = True
            if course.error is None and row["judge"] is None:
                course.error = UNJUDGED  # The robot has moved, so the trial counts.
        return {**row, "error": course.error}

    def _success(self, person: Person) -> bool:
        """Return the person's verdict, asked for again after one Ctrl-C."""
        try:
            return person.judges(self.setting.task)
        except KeyboardInterrupt:
            if self.ended:
                raise
            self.told = ""
            person.tell("\nCtrl-C again leaves the trial without a verdict: then it is not solved.")
            return person.judges(self.setting.task)

    @staticmethod
    def _note(person: Person) -> str:
        """Return the person's note; the verdict stands without one."""
        try:
            return person.notes()
        except Exception as exception:  # such as bytes that are no text
            warnings.warn(f"the note is lost ({describe(exception)})", stacklevel=2)
            return ""

    def _film(self, folder: Path, name: str, course: Course, goal: Goal) -> str | None:
        """Write the video; return its name, None if there is none."""
        with warn_if_unwritten(f"the video {name}"):
            if frames := film(course, self.setting.calibration, goal.picture):
                write_video(folder / name, frames, FPS)
                return name
        return None

    def _let_go(self) -> None:
        """Let the robot go, which stays where it is.

        Raises:
            UserError: Its driver does not even close, so that none may be made beside it: a call
                that hangs could yet return, and move the arm.
        """
        robot, self.robot = self.robot, None
        if robot is None:
            return
        try:
            robot.close()
        except SilentError as error:
            raise UserError(
                f"{error}, and it may still hold the robot; see what is wrong with it, and give "
                "the command again to go on"
            ) from error
        except Exception as error:  # It may be dead, which its trial's row says.
            warnings.warn(f"the driver did not close ({describe(error)})", stacklevel=3)

    def close(self) -> None:
        """Let the robot go; a driver that does not close is left behind."""
        try:
            self._let_go()
        except UserError as error:
            warnings.warn(str(error), stacklevel=2)


def _finite(distance: float) -> float:
    if not np.isfinite(distance):
        raise ValueError(f"a distance of {distance} m")
    return float(distance)
