"""Playing a trial: its goal, and how each step stands against it.

Whatever plays a trial does so with a `Playback`: the environment, ``dexbench verify``, films, and
the checks of a drawn trial. So all of them judge alike.
"""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from dexbench.envs.simulation import Simulation
from dexbench.envs.trial import HELD_STEPS, Trial

from .criterion import Goal, Judging, Outcome


class Playback:
    """A trial in a simulation, standing at its start.

    Args:
        task: The trial's.
        trial: What is played.
        simulation: Of the trial's scene; it is advanced in place.
    """

    outcome: Outcome
    """How the current state stands; judged once, at the start and after each step."""

    def __init__(self, task: Judging, trial: Trial, simulation: Simulation):
        self.trial, self.simulation = trial, simulation
        self._task = task
        simulation.set_state(trial.goal_state)
        self.goal = Goal.seen(simulation, trial.target)
        """Where hand and target are in the goal state."""
        self.restart()

    def restart(self) -> None:
        """Go back to the start, with a new criterion that remembers nothing."""
        self.simulation.set_state(self.trial.start_state)
        self._criterion = self._task.begin(self.simulation, self.trial.target, self.goal)
        self.outcome = self._criterion.evaluate(self.simulation)
        self.steps = 0
        """Control steps since the start."""
        self.held_steps = 0
        """Steps up to now for which the criterion has held."""

    @property
    def held(self) -> bool:
        """Whether the criterion has held for the last 10 steps."""
        return self.held_steps >= HELD_STEPS

    def step(self, action: NDArray[Any]) -> Outcome:
        """Command joint targets (23,) in rad for 0.1 s.

        Raises:
            FloatingPointError: The simulation diverged.
        """
        self.simulation.step(action)
        self.steps += 1
        self.outcome = self._criterion.evaluate(self.simulation)
        self.held_steps = self.held_steps + 1 if self.outcome.holds else 0
        return self.outcome

    def solves(self, actions: NDArray[Any]) -> bool:
        """Play joint targets (n, 23) in rad; whether the criterion ever holds for 10 steps."""
        solved = False
        for action in actions:
            self.step(action)
            solved |= self.held
        return solved


def goal_picture(
    simulation: Simulation, task: Judging, trial: Trial, hide_robot: bool = False
) -> NDArray[np.uint8]:
    """Return the picture (height, width, 3) uint8 RGB of a trial's goal.

    Args:
        simulation: Of the trial's scene; left in the goal state.
        task: The trial's.
        trial: Whose goal.
        hide_robot: Leave the robot out, whatever the task says.
    """
    simulation.set_state(trial.goal_state)
    return simulation.render(task.goal_shows_robot and not hide_robot)
