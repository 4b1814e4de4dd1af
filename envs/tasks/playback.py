"""Playing a trial without pictures: its goal, and how each step stands against it."""

from dataclasses import dataclass
from typing import Protocol

import numpy as np

from dexbench.envs.simulation import Simulation
from dexbench.envs.trial import HELD_STEPS, Trial


@dataclass(frozen=True)
class Goal:
    """What the criterion compares with, in the base frame, in m."""

    keypoints: np.ndarray
    """Hand keypoints (21, 3)."""
    object_position: np.ndarray
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
    """What judges a state: any :class:`dexbench.envs.tasks.base.Task`."""

    def evaluate(self, simulation: Simulation, target: str, goal: Goal) -> Outcome:
        """Return how the current state stands against a goal."""


class Playback:
    """A trial in a simulation, standing at its start.

    Args:
        criterion: The trial's task.
        trial: What is played.
        simulation: Of the trial's scene; it is advanced in place.
    """

    def __init__(self, criterion: Criterion, trial: Trial, simulation: Simulation):
        self.simulation = simulation
        self._criterion, self._trial = criterion, trial
        simulation.set_state(trial.goal_state)
        self.goal = Goal.seen(simulation, trial.target)
        """Where hand and target are in the goal state."""
        self.restart()

    def restart(self) -> None:
        """Go back to the start."""
        self.simulation.set_state(self._trial.start_state)
        self._run = 0

    @property
    def outcome(self) -> Outcome:
        """How the current state stands."""
        return self._criterion.evaluate(self.simulation, self._trial.target, self.goal)

    @property
    def held(self) -> bool:
        """Whether the criterion has held for the last 10 steps."""
        return self._run >= HELD_STEPS

    def step(self, action: np.ndarray) -> Outcome:
        """Command joint targets (23,) in rad for 0.1 s.

        Raises:
            FloatingPointError: The simulation diverged.
        """
        self.simulation.step(action)
        outcome = self.outcome
        self._run = self._run + 1 if outcome.holds else 0
        return outcome

    def solves(self, actions: np.ndarray) -> bool:
        """Play joint targets (n, 23) in rad; whether the criterion ever holds for 10 steps."""
        solved = False
        for action in actions:
            self.step(action)
            solved |= self.held
        return solved
