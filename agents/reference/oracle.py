"""``oracle``: the waypoint planner with a perfect model and a perfect cost.

It tells whether the planner's search can solve a trial at all: what it solves and ``dexwm-32``,
which searches alike, does not, is the world model's to gain.
"""

from collections.abc import Iterator
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from dexbench.agents.planning.dummy_grasp import DUMMY_GRASP
from dexbench.agents.planning.planner_config import PlannerConfig
from dexbench.envs.embodiment.keypoints import HAND_JOINTS
from dexbench.envs.simulation import Simulation
from dexbench.envs.tasks import Task
from dexbench.envs.tasks.reach import farthest_moved

from .sim_cem import Moment, SimCEM


class Oracle(SimCEM):
    """Privileged: as ``sim-cem``, but it minimises what the task itself says is left to do.

    That is ``Task.true_cost``: for most tasks the object's distance from its goal, and a weak pull
    of the hand to the object. The steps are weighted as in ``dexwm``, and the plan begins as there.
    Only in ``pick`` the first mean has the hand closed: fingers that keep their open targets lift
    nothing, whatever the arm does.

    Args:
        planner: As ``WaypointAgent``; ``cem-32``, which ``dexwm-32`` plans with too, if left out.
        overrides: As ``WaypointAgent``.

    Raises:
        UserError: The optimiser asks for gradients.
    """

    def __init__(self, planner: str | PlannerConfig = "cem-32", **overrides: Any):
        super().__init__(planner, **overrides)

    def bind(self, env: Any) -> None:
        """Take simulation, goal and task from the environment.

        Args:
            env: The unwrapped environment, after its reset.

        Raises:
            ValueError: As ``goal_of``.
        """
        super().bind(env)
        self._task: Task = env.task
        simulation: Simulation = env.simulation
        self._places = np.array([simulation.object_position(name) for name in simulation.objects])
        self._displaced = 0.0

    def initial(self, obs: dict[str, NDArray[Any]], horizon: int) -> tuple[Tensor, Tensor]:
        """As ``WaypointAgent``'s; the first mean of ``pick`` closes the hand."""
        mean, std = super().initial(obs, horizon)
        if self.task == "pick" and self.replan == 0:
            mean = mean.clone()
            mean[:, HAND_JOINTS] = torch.tensor(DUMMY_GRASP[-1, HAND_JOINTS], dtype=mean.dtype)
        return mean, std

    def observe(self, obs: dict[str, NDArray[Any]]) -> Moment:
        """Return where the simulation stands, and how far objects have been moved up to now."""
        return super().observe(obs)._replace(displaced=self._displaced)

    def act(self, obs: dict[str, NDArray[Any]]) -> NDArray[np.float32]:
        """Plan, and note how far objects will have been moved once it is asked again."""
        chunk = super().act(obs)
        self.note(chunk)
        return chunk

    def note(self, chunk: NDArray[Any]) -> None:
        """Note how far objects will have been moved once joint targets have been played from here.

        Args:
            chunk: ``(n, 23)`` in rad.
        """

        def farthest(states: Iterator[Simulation]) -> float:
            return max(farthest_moved(simulation, self._places) for simulation in states)

        (moved,) = self._rollouts.play(self._simulation.get_state(), [chunk], farthest)
        self._displaced = max(self._displaced, np.inf if moved is None else moved)

    def waypoint_costs(self, states: Iterator[Simulation], begin: Moment) -> list[float]:
        """Return the true costs in m after each waypoint of a rollout.

        Args:
            states: The simulation after each control step.
            begin: Where the rollout begins.
        """
        costs, displaced = [], begin.displaced
        for step, simulation in enumerate(states, 1):
            displaced = max(displaced, farthest_moved(simulation, self._places))
            if step % self.config.ramp.steps == 0:
                costs.append(self._task.true_cost(simulation, self._target, self._goal, displaced))
        return costs
