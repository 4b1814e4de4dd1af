"""A driver whose calls are timed: one that does not return is noticed, and the arm stopped.

Python cannot end a call that hangs. So a thread makes all calls but `stop`, and whoever asks waits
for its answer only so long. After a silence nothing but `stop` and `close`, which then have threads
of their own, reaches the driver any more. A thread whose call never returns is left behind; the
program can end without it.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from queue import Empty, SimpleQueue
from threading import Thread
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray

from dexbench.envs.embodiment.robot import N_JOINTS
from dexbench.utils.errors import UserError, describe

from .robot import Look, Robot, load_driver

T = TypeVar("T")
Call = tuple[Callable[[], Any], "SimpleQueue[Any]"]
"""What is to be called, and where its answer goes."""
STOP = 2.0
"""How long `stop` may take in s before a person is told that it has failed."""
PATIENCE = 10.0
"""How long a call may take in s where nothing moves."""
CLOSE = 10.0
"""The same of `close`, which nothing waits for that moves; a process is given 3 s to end itself."""


class DriverError(RuntimeError):
    """A driver that does not answer, raises, or gives what is no answer."""


class SilentError(DriverError):
    """A driver that does not answer."""


class Watched:
    """A robot, each of whose calls ends within a time.

    Its methods are those of the driver, and raise a `DriverError` for whatever goes wrong. Once it
    was stopped it commands nothing any more: who lets the robot go again makes another one.

    Args:
        robot: The driver.
        answer: Longest time of a call in s.
    """

    def __init__(self, robot: Robot, answer: float):
        self.robot, self.answer = robot, answer
        self.rate = float(robot.rate)
        self._silent: str | None = None
        self._stopped = False
        self._calls: SimpleQueue[Call | None] = SimpleQueue()
        Thread(target=_serve, args=(self._calls,), daemon=True).start()

    def joints(self) -> NDArray[np.float64]:
        """Return the joint angles (23,) in rad as measured now."""
        joints = self._ask("joints", lambda: np.array(self.robot.joints(), np.float64))
        if joints.shape != (N_JOINTS,):
            raise DriverError(f"the driver gave joints {joints.shape}, expected ({N_JOINTS},)")
        return joints

    def look(self) -> Look:
        """Return the newest picture."""
        return self._ask("look", lambda: Look(*self.robot.look()))

    def command(self, targets: NDArray[np.float64]) -> None:
        """Send joint targets (23,) in rad.

        Raises:
            DriverError: The robot was stopped, also while this call waited for its turn.
        """
        row = np.array(targets, np.float64)

        def send() -> None:
            if self._stopped:
                raise RuntimeError("the robot was stopped, and takes no targets")
            self.robot.command(row)

        self._ask("command", send)

    def time(self) -> float:
        """Return the robot's time in s."""
        return self._ask("time", lambda: float(self.robot.time()))

    def wait(self, until: float) -> None:
        """Return at a time in s; the call may take until then, and as long as any other."""
        longer = max(0.0, until - self.time())
        self._ask("wait", lambda: self.robot.wait(until), longer)

    def stop(self) -> None:
        """Stop the robot, from a thread of its own; Ctrl-C meanwhile does not stop the stopping.

        Raises:
            DriverError: It raised, or has not returned for `STOP`.
        """
        self._stopped = True
        answers = self._apart(self.robot.stop)
        while True:
            try:
                self._value("stop", answers, STOP)
                return
            except KeyboardInterrupt:
                continue

    def close(self) -> None:
        """Let go of the hardware.

        A call that hangs may still return, as a stop often makes it: then the driver is closed as
        ever. Else it is closed meanwhile, from a thread of its own.

        Raises:
            SilentError: It has not returned in time, and may still hold the hardware.
            DriverError: It raised.
        """
        try:
            if self._idle():
                self._silent = None
                self._ask("close", self.robot.close, CLOSE)
            else:
                self._value("close", self._apart(self.robot.close), CLOSE)
        finally:
            self.leave()

    def leave(self) -> None:
        """End the watch, not the driver."""
        self._calls.put(None)

    def _ask(self, name: str, call: Callable[[], T], longer: float = 0.0) -> T:
        if self._silent is not None:
            raise SilentError(self._silent)
        answers: SimpleQueue[Any] = SimpleQueue()
        self._calls.put((call, answers))
        try:
            value: T = self._value(name, answers, self.answer + longer)
        except SilentError as error:
            self._silent = str(error)
            raise
        return value

    def _idle(self) -> bool:
        """Return whether all calls have returned, or do so in time."""
        answers: SimpleQueue[Any] = SimpleQueue()
        self._calls.put((lambda: None, answers))
        try:
            answers.get(timeout=max(self.answer, STOP))
        except Empty:
            return False
        return True

    @staticmethod
    def _apart(call: Callable[[], None]) -> "SimpleQueue[Any]":
        """Make a call from a thread of its own; return where its answer goes."""
        answers: SimpleQueue[Any] = SimpleQueue()
        Thread(target=_answer, args=(call, answers), daemon=True).start()
        return answers

    @staticmethod
    def _value(name: str, answers: "SimpleQueue[Any]", seconds: float) -> Any:
        try:
            value, error = answers.get(timeout=seconds)
        except Empty:
            silence = f"the driver's {name} has not returned for {seconds:.2g} s"
            raise SilentError(silence) from None
        if isinstance(error, KeyboardInterrupt):
            raise error
        if error is not None:
            raise DriverError(f"the driver's {name} failed: {describe(error)}") from error
        return value


@contextmanager
def asked(driver: str, args: dict[str, Any]) -> Iterator[Watched]:
    """Make a driver to ask it a few things while nothing moves, and let it go.

    Args:
        driver: As `load_driver` takes it.
        args: Arguments of its class.

    Raises:
        UserError: It cannot be made, or does not answer as it should.
    """
    watched = Watched(load_driver(driver, args), PATIENCE)
    try:
        yield watched
    except DriverError as error:
        raise UserError(f"driver {driver!r}: {error}") from error
    finally:
        with suppress(DriverError):
            watched.close()


def _serve(calls: "SimpleQueue[Call | None]") -> None:
    """Make calls one after the other, until there is none."""
    while (call := calls.get()) is not None:
        _answer(*call)


def _answer(call: Callable[[], Any], answers: "SimpleQueue[Any]") -> None:
    """Make a call and tell its value or what it raised."""
    try:
        answers.put((call(), None))
    except BaseException as error:
        answers.put((None, error))
