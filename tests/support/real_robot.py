"""A robot on a table, to be driven: joints that follow their targets, and one picture.

Its clock stands still but in ``wait``, so that its tests take no time.
"""

import os
import signal
from pathlib import Path
from threading import Event
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from dexbench.envs.embodiment.robot import INIT_JOINTS
from dexbench.envs.real.judge import Verdict
from dexbench.envs.real.robot import Look

PICTURE = np.add.outer(np.arange(224), np.arange(392))[..., None] // np.array([3, 4, 5])
PICTURE = PICTURE.astype(np.uint8)
"""What its camera sees unless told otherwise; of the benchmark's camera."""


class Arm:
    """Each command brings the joints a share of the way to their targets.

    Args:
        fault: What goes wrong from its second on: "raise", "nan" or "frozen"; "nan at once" from
            its first command on; "blind" has no picture; "deaf" follows no
            command. "interrupt" is Ctrl-C while it moves. "hang" does not return from a command
            until it is closed, "hang for good" not even then. "end" asks the program to end, as a
            closed terminal does. "still" shows the same picture with ever new times.
        picture: A file that the camera sees.
        latency, camera_shift: Flaws, which it only notes.
    """

    rate = 10.0
    made: list["Arm"] = []
    """All robots that were made, for tests to look at."""

    def __init__(
        self,
        fault: str = "none",
        picture: str | None = None,
        latency: float = 0.0,
        camera_shift: float = 0.0,
    ) -> None:
        self.fault, self.latency, self.camera_shift = fault, latency, camera_shift
        self.picture = PICTURE
        if picture is not None:
            self.picture = np.asarray(Image.open(Path(picture)).convert("RGB"))
        self.now, self.begun = 100.0, 100.0
        self.at = INIT_JOINTS.copy()
        self.sent: list[NDArray[np.float64]] = []
        self.stops = self.closes = 0
        self.freed = Event()
        """Ends what hangs."""
        self.made.append(self)

    @property
    def faulty(self) -> bool:
        """Whether its second is over."""
        return self.now > self.begun + 1

    def joints(self) -> NDArray[np.float64]:
        """Return the joints in rad."""
        if self.faulty and self.fault == "raise":
            raise ConnectionError("the controller is gone")
        if (self.faulty and self.fault == "nan") or (self.sent and self.fault == "nan at once"):
            return np.full(23, np.nan)
        return self.at.copy()

    def look(self) -> Look:
        """Return the picture."""
        if self.faulty and self.fault == "frozen":
            return Look(self.picture, self.begun)
        if self.fault == "blind":
            return Look(None, self.now)  # type: ignore[arg-type]
        if self.fault == "still":
            return Look(self.picture, self.now)
        picture = self.picture.copy()
        picture[0, 0] = int(1000 * self.now) % 251  # No camera sees the same twice.
        return Look(picture, self.now)

    def command(self, targets: NDArray[np.float64]) -> None:
        """Follow the targets."""
        assert not self.stops, "a stopped robot was commanded"
        if self.faulty and self.fault == "interrupt":
            raise KeyboardInterrupt
        if self.faulty and self.fault == "end":
            os.kill(os.getpid(), signal.SIGHUP)
            os.kill(os.getpid(), signal.SIGTERM)
            self.fault = "ended"
        if self.faulty and self.fault.startswith("hang"):
            self.freed.wait(60)
            return
        self.sent.append(np.array(targets))
        if self.fault != "deaf":
            self.at += 0.5 * (targets - self.at)

    def stop(self) -> None:
        """Note it."""
        self.stops += 1

    def time(self) -> float:
        """Return the time in s."""
        return self.now

    def wait(self, until: float) -> None:
        """Let time pass."""
        self.now = max(self.now, until)

    def close(self) -> None:
        """Note it."""
        self.closes += 1
        if self.fault == "hang for good":
            self.freed.wait(60)
        self.freed.set()


class JudgingArm(Arm):
    """Sets its trials up, and calls the even ones solved."""

    def set_up(self, index: int) -> None:
        """Go to the start."""
        self.index, self.at, self.begun = index, INIT_JOINTS.copy(), self.now

    def goal(self) -> NDArray[np.uint8]:
        """Return the goal's picture, another for each trial."""
        return np.full_like(PICTURE, self.index)

    def verdict(self) -> Verdict:
        """Return what is so of even trials."""
        if self.fault == "no verdict":
            raise ConnectionError("the kitchen is gone")
        if self.fault == "no distance":
            return Verdict(True, float("nan"))
        return Verdict(np.bool_(self.index % 2 == 0), np.float32(0.05 + self.index))  # type: ignore[arg-type]


class Nods:
    """An agent that turns the arm's last joint a little; its picture of it is grey."""

    metadata = {"pretraining": "none"}

    def __init__(self, turn: float = 0.1, rows: int = 20, fault: str = "none") -> None:
        self.turn, self.rows, self.fault = turn, rows, fault
        self.seen: list[dict[str, NDArray[Any]]] = []

    def reset(self, task: str, seed: int) -> None:
        """Forget."""
        self.seen = []

    def act(self, obs: dict[str, NDArray[Any]]) -> NDArray[np.float32]:
        """Return a ramp."""
        self.seen.append(obs)
        if self.fault == "raise" and len(self.seen) == 2:
            raise RuntimeError("no idea")
        rows = np.repeat(obs["agent_target"][None], self.rows, axis=0)
        rows[:, 6] += self.turn * np.linspace(0, 1, self.rows, dtype=np.float32)
        return rows

    def imagine(self) -> NDArray[np.uint8]:
        """Return a grey picture."""
        return np.full((224, 392, 3), 77, np.uint8)


class Blind(Nods):
    """Is given the simulator's state, it says."""

    privileged = True

    def bind(self, env: Any) -> None:
        """Take it."""
