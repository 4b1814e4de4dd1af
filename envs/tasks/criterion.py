"""What judges an episode: the goal, how a state stands against it, and what may be remembered."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from dexbench.envs.simulation import Simulation


@dataclass(frozen=True)
class Goal:
    """What the criterion compares with, in the base frame, in m."""

    keypoints: NDArray[np.float64]
    """Hand keypoints (21, 3)."""
    object_position: NDArray[np.float64]
    """Centre (3,) of the target object."""

    @staticmethod
    def seen(simulation: Simulation, target: str) -> "Goal":
        """Return where hand and target are now, in a simulation that is in the goal state."""
        return Goal(simulation.keypoints, simulation.object_position(target))


@dataclass(frozen=True)
class Outcome:
    """How a step stands."""

    holds: bool
    """Whether the criterion holds now."""
    distance: float
    """The criterion's distance in m, so that other thresholds can be tried afterwards."""
    gate: bool = True
    """Whether all that the criterion asks beside the distance, such as contact, is so now."""


class Criterion(Protocol):
    """The judge of one episode, as ``Task.begin`` returns it at the start.

    It may remember what it has seen, such as how far an object has moved so far.
    """

    def evaluate(self, simulation: Simulation) -> Outcome:
        """Return how the current state stands.

        Called once at the start and once after each control step, in this order.

        Args:
            simulation: In the state to judge. It must not be changed.
        """


class Judging(Protocol):
    """What a playback asks of a task: any :class:`dexbench.envs.tasks.base.Task`."""

    goal_shows_robot: bool
    """Whether the goal picture is drawn with the robot."""

    def begin(self, simulation: Simulation, target: str, goal: Goal) -> Criterion:
        """Return the criterion of an episode whose start the simulation is in."""


@dataclass(frozen=True)
class Memoryless:
    """The criterion of a task that judges each state by itself.

    Args:
        judge: ``Task.evaluate``.
        target: Body name of the trial's object.
        goal: Where hand and object are in the goal state.
    """

    judge: Callable[[Simulation, str, Goal], Outcome]
    target: str
    goal: Goal

    def evaluate(self, simulation: Simulation) -> Outcome:
        """Return how the current state stands."""
        return self.judge(simulation, self.target, self.goal)
