"""A robot that fails in one way, whatever it is a wrapper of."""

from threading import Event
from typing import Any

import numpy as np
from numpy.typing import NDArray

from dexbench.envs.real.robot import Look, Robot


class FaultyRobot:
    """Drives another robot, well at first.

    Args:
        robot: The other.
        fault: What goes wrong, a method's name here; "" for nothing.
        after: How many commands go well.
    """

    def __init__(self, robot: Robot, fault: str = "", after: int = 6):
        self.robot, self.fault, self.left, self.rate = robot, fault, after, robot.rate
        self.sent: list[NDArray[np.float64]] = []
        self.stops: list[float] = []
        """When it was stopped, in s."""
        self.first: Look | None = None
        self.released = Event()
        """Lets a call that hangs return."""

    def fails(self, *faults: str) -> bool:
        return self.left <= 0 and self.fault in faults

    def joints(self) -> NDArray[np.float64]:
        joints = self.robot.joints()
        if self.fails("not a number"):
            joints[3] = np.nan
        if self.fails("infinite"):
            joints[20] = np.inf
        if self.fails("jump"):
            joints[1] += 0.19
        if self.fails("short"):
            joints = joints[:7]
        return joints

    def look(self) -> Look:
        look = self.robot.look()
        self.first = self.first or look
        if self.fails("frozen camera"):
            return self.first
        if self.fails("frozen picture"):
            return Look(self.first.picture, look.time)
        if self.fails("two clocks"):
            return Look(look.picture, look.time + 100)
        if self.fails("timeless picture"):
            return Look(look.picture, np.nan)
        if self.fails("float picture"):
            return Look((look.picture / 255).astype(np.float32), look.time)  # type: ignore[arg-type]
        if self.fails("no picture"):
            nothing: Any = None
            return Look(nothing, look.time)
        if self.fails("hangs"):
            self.released.wait(60)
        return look

    def command(self, targets: NDArray[np.float64]) -> None:
        if self.fails("raises"):
            raise ConnectionError("the controller is gone")
        if self.fails("ctrl-c"):
            raise KeyboardInterrupt
        if self.fails("button"):
            self.robot.stop()
        self.sent.append(targets)
        if not self.fails("deaf"):
            self.robot.command(targets)
        self.left -= 1

    def stop(self) -> None:
        self.stops.append(self.robot.time())
        if self.fault == "cannot be stopped":
            raise ConnectionError("no route")
        self.robot.stop()

    def time(self) -> float:
        if self.fails("dead clock"):
            return 0.0
        return self.robot.time()

    def wait(self, until: float) -> None:
        self.robot.wait(until + 0.2 if self.fails("oversleeps") else until)

    def close(self) -> None:
        self.robot.close()
