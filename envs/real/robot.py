"""The protocol that a robot's driver follows, and how one is loaded by its name.

The package ships no vendor's driver (paper Sec. 4.5 and App. C.5 leave the hardware's software
open). A driver is a class of your own, named ``package.module:Class``; one that drives a simulated
kitchen ships (`DRIVERS`), so that the whole road can be walked without hardware.
"""

import difflib
import importlib
import os
import re
import sys
from typing import Any, NamedTuple, Protocol, runtime_checkable

import numpy as np
from numpy.typing import NDArray

from dexbench.utils.errors import UserError, describe


class Look(NamedTuple):
    """One picture of the robot's camera."""

    picture: NDArray[np.uint8]
    """(height, width, 3) uint8 RGB, upright and free of lens distortion, at the camera's size.
    Twice the 392x224 px that agents see is plenty; a trial's pictures are all kept in memory."""
    time: float
    """When the shutter closed, in s, on the clock of `Robot.time`."""


@runtime_checkable
class Robot(Protocol):
    """A driver: what dexbench asks of a robot, whatever its hardware.

    All joint angles are (23,) float64 in rad, in dexbench's order: the arm's 7, then index, middle,
    ring and thumb with 4 each. Every method but `stop` is called from one thread, after each other.
    Each must return soon (`dexbench.envs.real.limits.Limits.answer`), and may raise what it likes:
    whatever goes wrong, the arm is stopped. A method that hangs must let go of Python's lock, as
    waiting for a socket does; where a library does not, let the driver keep it in a process of its
    own, as `dexbench.envs.real.simulated.SimulatedRobot` does.
    """

    rate: float
    """How often `command` is called, in Hz: the small steps that lead from waypoint to waypoint."""

    def joints(self) -> NDArray[np.float64]:
        """Return the joint angles (23,) in rad as they are measured now."""

    def look(self) -> Look:
        """Return the camera's newest picture. It does not wait for the next one."""

    def command(self, targets: NDArray[np.float64]) -> None:
        """Send joint targets (23,) in rad to the controllers, and return at once.

        The robot holds them until the next ones come; if none comes, it stays where it is.
        """

    def stop(self) -> None:
        """Hold the arm and the hand where they are, at once, and take no further targets.

        It may be called from any thread, in any state, more than once, and while another method
        has not returned.
        """

    def time(self) -> float:
        """Return the time in s, on a clock that never goes back and never stands still."""

    def wait(self, until: float) -> None:
        """Return at a time in s of that clock, at once if it is over.

        A real robot sleeps here. A simulated one may let its time pass here, and nowhere else.
        """

    def close(self) -> None:
        """Let go of the hardware, which holds where it is; called once, at the end.

        It comes from another thread only where a call has hung, been stopped, and still hangs. It
        must return soon then as well: what does not close keeps its hardware, and no driver is made
        beside it.
        """


DRIVERS = {
    "simulated": "dexbench.envs.real.simulated:SimulatedRobot",
    "stepped": "dexbench.envs.real.stepped:SteppedRobot",
}
"""The drivers that ship: a simulated kitchen in real time, and one whose clock stands between
steps."""


def is_simulated(driver: str) -> bool:
    """Return whether a driver, as `load_driver` takes it, is one of those that ship."""
    return DRIVERS.get(driver, driver) in DRIVERS.values()


def load_driver(name: str, args: dict[str, Any] | None = None) -> Robot:
    """Make a driver.

    Args:
        name: One of `DRIVERS`, or ``package.module:Class``; a module that is not installed is
            looked for in the current directory.
        args: Arguments of the class.

    Raises:
        UserError: There is no such driver, it cannot be imported or made, or it is not a driver.
    """
    entry_point = DRIVERS.get(name, name)
    if not re.fullmatch(r"\w+(\.\w+)*:\w+", entry_point):
        close = difflib.get_close_matches(name, DRIVERS, n=1)
        guess = f"did you mean {close[0]!r}? " if close else ""
        raise UserError(
            f"there is no driver {name!r}; {guess}choose one of {', '.join(DRIVERS)}, "
            "or name your own as package.module:Class"
        )
    module_name, _, class_name = entry_point.partition(":")
    if os.getcwd() not in sys.path and "" not in sys.path:
        # Last, so that a folder here never hides an installed package.
        sys.path.append(os.getcwd())
    try:
        module = importlib.import_module(module_name)
    except Exception as error:  # whatever the user's module raises
        raise UserError(
            f"driver {name!r}: cannot import {module_name}: {describe(error)}"
        ) from error
    if not hasattr(module, class_name):
        raise UserError(f"driver {name!r}: module {module_name} has no class {class_name}")
    try:
        robot = getattr(module, class_name)(**(args or {}))
    except UserError:
        raise  # it names its own cure
    except Exception as error:
        raise UserError(f"driver {name!r} cannot be made: {describe(error)}") from error
    return check_driver(name, robot)


METHODS = ("joints", "look", "command", "stop", "time", "wait", "close")
"""What a driver must have, beside its rate."""


def check_driver(name: str, robot: Any) -> Robot:
    """Return what was made as a driver, if it is one.

    Raises:
        UserError: A method is missing, or its rate is no positive number.
    """
    missing = [method for method in METHODS if not callable(getattr(robot, method, None))]
    if missing:
        raise UserError(
            f"driver {name!r}: {type(robot).__name__} has no method {' or '.join(missing)}; "
            "dexbench.envs.real.robot.Robot says what a driver needs"
        )
    rate = getattr(robot, "rate", None)
    if not isinstance(rate, int | float) or not 0 < rate < float("inf"):
        raise UserError(
            f"driver {name!r}: its rate is {rate!r}, expected how often it is commanded, in Hz"
        )
    driver: Robot = robot
    return driver
