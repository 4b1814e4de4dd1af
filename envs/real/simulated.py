"""The driver that ships: a simulated robot in a process of its own, in real time.

It stands in for hardware: it goes on while nobody asks, it is late where it must be, and it can
hang or die without the program that drives it.
"""

import multiprocessing
import time
from collections.abc import Mapping
from multiprocessing.connection import Connection, wait
from threading import Lock
from typing import Any

import numpy as np
from numpy.typing import NDArray

from dexbench.utils.errors import UserError, describe
from dexbench.utils.processes import die_with_parent, end_groups, lead_group

from .calibration import Calibration
from .judge import Verdict
from .robot import Look

MADE = 300.0
"""Longest time in s to compile a scene and draw its first pictures, where nothing moves."""
ANSWER = 10.0
"""Longest time in s of any other answer, after which a thread that waits for it is let go."""
QUANTUM = 0.02
"""Most that is simulated between two looks at what is asked, in s."""


class SimulatedRobot:
    """A `SteppedRobot` in real time, and its `Judge`.

    A machine that is too slow to simulate in real time shows as a late picture, as a slow camera
    would.

    Args:
        **settings: Those of `SteppedRobot` and its flaws.

    Raises:
        UserError: As `SteppedRobot`.
        RuntimeError: It cannot be made for another reason.
    """

    def __init__(self, **settings: Any):
        context = multiprocessing.get_context("spawn")
        self._link, other = context.Pipe()
        # A driver that hangs in one call must still be stopped by another.
        self._emergency, other_emergency = context.Pipe()
        self._locks = {self._link: Lock(), self._emergency: Lock()}
        self.process = context.Process(
            target=_serve, args=(other, other_emergency, settings), daemon=True
        )
        self.process.start()
        other.close()
        other_emergency.close()
        try:
            self.rate, self._began = self._receive(self._link, "its making", MADE)
        except BaseException:
            end_groups([self.process])
            raise

    def set_up(self, index: int) -> None:
        """Put robot and objects where a trial begins; a robot that was stopped goes again.

        Raises:
            UserError: There is no such trial.
        """
        self._ask("set_up", index, seconds=MADE)

    def goal(self) -> NDArray[np.uint8]:
        """Return the camera's picture (height, width, 3) uint8 of the end of the expert's play."""
        picture: NDArray[np.uint8] = self._ask("goal")
        return picture

    def verdict(self) -> Verdict:
        """Return how the trial stands now."""
        verdict: Verdict = self._ask("verdict")
        return verdict

    def calibration(self) -> Calibration:
        """Return where its camera is said to be."""
        camera: Calibration = self._ask("calibration")
        return camera

    def joints(self) -> NDArray[np.float64]:
        """Return the joint angles (23,) in rad as measured."""
        joints: NDArray[np.float64] = self._ask("joints")
        return joints

    def look(self) -> Look:
        """Return the newest picture that has arrived."""
        look: Look = self._ask("look")
        return look

    def command(self, targets: NDArray[np.float64]) -> None:
        """Send joint targets (23,) in rad."""
        self._ask("command", targets)

    def stop(self) -> None:
        """Hold the arm where it is; the fingers hold what they hold."""
        self._ask("stop", link=self._emergency)

    def time(self) -> float:
        """Return the time in s since it was made."""
        now: float = time.monotonic() - self._began
        return now

    def wait(self, until: float) -> None:
        """Sleep to a time in s."""
        time.sleep(max(0.0, until - self.time()))

    def close(self) -> None:
        """End its process."""
        end_groups([self.process])

    def _ask(
        self, name: str, *args: Any, seconds: float = ANSWER, link: Connection | None = None
    ) -> Any:
        link = link or self._link
        with self._locks[link]:
            try:
                link.send((name, args))
            except OSError:
                raise RuntimeError(self._dead()) from None
            return self._receive(link, name, seconds)

    def _receive(self, link: Connection, name: str, seconds: float) -> Any:
        try:
            if not link.poll(seconds):
                raise RuntimeError(f"it has not answered {name} for {seconds:g} s")
            value, problem = link.recv()
        except (EOFError, OSError):
            raise RuntimeError(self._dead()) from None
        if problem is not None:
            raise problem
        return value

    def _dead(self) -> str:
        self.process.join(1)
        return f"its process has ended, exit code {self.process.exitcode}"


def _serve(link: Connection, emergency: Connection, settings: Mapping[str, Any]) -> None:
    """Simulate in real time, and answer, until asked to end."""
    from .stepped import SteppedRobot

    lead_group()  # Ctrl-C is for the program that drives, which stops the arm then.
    die_with_parent()
    try:
        robot = SteppedRobot(**settings)
    except Exception as error:
        link.send((None, _sendable(error)))
        return
    began = time.monotonic() - robot.time()
    link.send(((robot.rate, began), None))
    while True:
        robot.wait(min(time.monotonic() - began, robot.time() + QUANTUM))
        ahead = robot.time() - (time.monotonic() - began)
        for asked in wait([emergency, link], max(0.0, min(ahead, QUANTUM))):
            assert isinstance(asked, Connection)
            try:
                name, args = asked.recv()
            except EOFError:
                return
            answer: tuple[Any, Exception | None]
            try:
                answer = (getattr(robot, name)(*args), None)
            except Exception as error:
                answer = (None, _sendable(error))
            if name == "set_up":
                robot.skip(time.monotonic() - began)
            asked.send(answer)


def _sendable(error: Exception) -> Exception:
    """Return an error that can be sent: the user's own as it is, of others what they say."""
    return error if isinstance(error, UserError) else RuntimeError(describe(error))
