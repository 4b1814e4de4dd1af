"""A simulated robot whose time passes in `wait` only: the same in every run, at any speed.

It is a kitchen of a frozen trial, driven as hardware is, with the flaws of hardware.
`dexbench.envs.real.simulated.SimulatedRobot` is the same in real time.
"""

from collections import deque
from collections.abc import Sequence

import mujoco
import numpy as np
from numpy.typing import NDArray

from dexbench.envs.embodiment.camera import HEIGHT, WIDTH
from dexbench.envs.embodiment.keypoints import ARM_JOINTS
from dexbench.envs.rendering import CAMERA
from dexbench.envs.simulation import Simulation
from dexbench.envs.suite import Suite
from dexbench.envs.tasks import HELD_STEPS, Goal, find_task
from dexbench.envs.trial import Trial
from dexbench.utils.errors import UserError
from dexbench.utils.seeding import rng

from .calibration import Calibration
from .flaws import Flaws, turn
from .judge import Verdict
from .robot import Look

TICK = 0.01
"""Seconds in which the simulation advances at once: five steps of its physics."""
JUDGED = 10
"""Ticks from one judgement to the next: a control step of the benchmark."""
GRASPS = (2, 10, 11, 1, 8, 20, 21, 35, 15, 24, 41, 45)
"""Grasp trials of v1: the first three with a pear, a tea box, a can and a jug, in turns. The paper
has 12 trials with 4 objects (Sec. 4.5, App. C.5)."""


class SteppedRobot:
    """A robot and its `Judge`.

    Args:
        trials: Numbers of the suite's trials that it can set up.
        suite: Name of the frozen suite, or the path of its folder.
        task: The trials' task, which judges.
        rate: How often it is commanded, in Hz.
        camera_rate: Pictures a second.
        width: Columns of its pictures in px.
        height: Rows in px.
        **flaws: Those of `Flaws`, by name.

    Raises:
        UserError: There is no such suite or trial, or a flaw is no number from 0 on.
        TypeError: There is no such flaw.
    """

    def __init__(
        self,
        trials: Sequence[int] = GRASPS,
        suite: str = "v1",
        task: str = "grasp",
        rate: float = 20.0,
        camera_rate: float = 10.0,
        width: int = WIDTH,
        height: int = HEIGHT,
        **flaws: float,
    ):
        self.rate = float(rate)
        self.flaws = Flaws(**flaws)  # type: ignore[arg-type]  # the seed is an int among floats
        self._trials, self._task = tuple(trials), find_task(task)
        self._suite = Suite.load(suite)
        self._camera = Calibration.nominal(width, height)
        self._camera_ticks = max(1, round(1 / camera_rate / TICK))
        self._zeros = self.flaws.zeros()
        self._ticks = self._begun = 0
        self._loaded: tuple[int, Trial, Simulation] | None = None
        self._under_way: deque[tuple[float, NDArray[np.float64]]] = deque()
        self._looks: deque[Look] = deque()
        self.set_up(0)

    def set_up(self, index: int) -> None:
        """Put robot and objects where a trial begins; a robot that was stopped goes again.

        Raises:
            UserError: There is no such trial.
        """
        if not 0 <= index < len(self._trials):
            raise UserError(
                f"the simulated robot has {len(self._trials)} trials; asked for {index}; give more "
                "to its argument 'trials'"
            )
        number = self._trials[index]
        if self._loaded is None or self._loaded[0] != number:
            self._load(number)
        self._looks.clear()
        simulation, trial = self.simulation, self.trial
        self._shakes = rng("real", "jitter", self.flaws.seed, number)
        simulation.set_state(trial.goal_state)
        goal = Goal.seen(simulation, trial.target)
        self._goal = simulation.render(self._task.goal_shows_robot)
        simulation.set_state(trial.start_state)
        self._criterion = self._task.begin(simulation, trial.target, goal)
        self._outcome, self._held = self._criterion.evaluate(simulation), 0
        self._target = simulation.joint_targets
        self._under_way.clear()
        self._stopped = self._holds = False
        self._begun = self._ticks
        # Nothing has moved for long, so that this picture is not late.
        self._looks.append(Look(self._shoot(), self.time()))

    def _load(self, number: int) -> None:
        """Make the simulation of a trial, with the robot's flaws."""
        trial = self._suite.trial(self._task.name, number)
        if self._loaded is not None:
            self.simulation.close()
        size = (self._camera.height, self._camera.width)
        simulation = Simulation(trial.xml, trial.objects, size)
        self._loaded = number, trial, simulation
        self.flaws.stiffen(simulation)
        camera = simulation.model.camera(CAMERA)
        camera.fovy[:] = np.degrees(2 * np.arctan(self._camera.height / 2 / self._camera.fy))
        self.flaws.displace(camera.pos, camera.quat)

    @property
    def trial(self) -> Trial:
        """The trial that is set up."""
        assert self._loaded is not None
        return self._loaded[1]

    @property
    def simulation(self) -> Simulation:
        """What is simulated; for tests and figures, not for what drives the robot."""
        assert self._loaded is not None
        return self._loaded[2]

    def calibration(self) -> Calibration:
        """Return where its camera is said to be; `Flaws` may have moved it since."""
        return self._camera

    def joints(self) -> NDArray[np.float64]:
        """Return the joint angles (23,) in rad as measured."""
        return self.simulation.joint_positions + self._zeros

    def look(self) -> Look:
        """Return the newest picture that has arrived."""
        arrived = self.time() - self.flaws.latency + 1e-6
        while len(self._looks) > 1 and self._looks[1].time <= arrived:
            self._looks.popleft()
        return self._looks[0]

    def command(self, targets: NDArray[np.float64]) -> None:
        """Send joint targets (23,) in rad.

        Raises:
            RuntimeError: It was stopped.
        """
        if self._stopped:
            raise RuntimeError("the robot was stopped, and takes no targets until it is set up")
        self._under_way.append((self.time() + self.flaws.latency, np.array(targets) - self._zeros))

    def stop(self) -> None:
        """Hold the arm where it is; the fingers hold what they hold."""
        self._stopped = True

    def time(self) -> float:
        """Return the time in s since it was made."""
        return self._ticks * TICK

    def wait(self, until: float) -> None:
        """Simulate up to a time in s.

        Raises:
            FloatingPointError: The simulation diverged.
        """
        while self.time() < until - 1e-6:
            self._tick()

    def skip(self, until: float) -> None:
        """Let time pass in which nothing moves, as while a person sets the scene up."""
        self._ticks = max(self._ticks, round(until / TICK))
        self._looks = deque([Look(self._looks[-1].picture, self.time())])

    def goal(self) -> NDArray[np.uint8]:
        """Return the camera's picture (height, width, 3) uint8 of the end of the expert's play."""
        return self._goal

    def verdict(self) -> Verdict:
        """Return how the trial stands now."""
        return Verdict(self._held >= HELD_STEPS, self._outcome.distance)

    def close(self) -> None:
        """Free the renderer."""
        self.simulation.close()

    def _tick(self) -> None:
        simulation = self.simulation
        if self._stopped and not self._holds:
            self._target[ARM_JOINTS] = simulation.joint_positions[ARM_JOINTS]
            self._holds = True
        while not self._stopped and self._under_way and self._under_way[0][0] < self.time() + 1e-6:
            self._target = self._under_way.popleft()[1]
        simulation.step(self._target, round(TICK / simulation.model.opt.timestep))
        self._ticks += 1
        since = self._ticks - self._begun
        if since % JUDGED == 0:
            self._outcome = self._criterion.evaluate(simulation)
            self._held = self._held + 1 if self._outcome.holds else 0
        if since % self._camera_ticks == 0:
            self._looks.append(Look(self._shoot(), self.time()))

    def _shoot(self) -> NDArray[np.uint8]:
        """Return what the shaking camera sees."""
        model, data = self.simulation.model, self.simulation.data
        quat = model.camera(CAMERA).quat
        still = quat.copy()
        turn(quat, self.flaws.jitter * self._shakes.standard_normal(3))
        mujoco.mj_camlight(model, data)
        try:
            return self.simulation.render()
        finally:
            quat[:] = still
            mujoco.mj_camlight(model, data)
