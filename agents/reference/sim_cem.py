"""``sim-cem``: the waypoint planner with the simulator itself for a world model.

Its 96 rollouts are few for 69 joint targets, so what it fails at may be the search, less so where a
warm start is asked for; where it succeeds and ``dexwm`` fails, the model or the picture of the goal
is to blame.
"""

import copy
from collections.abc import Iterator
from typing import Any

import mujoco
import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from dexbench.agents.planning.belief import Belief
from dexbench.agents.planning.cem import CEMConfig
from dexbench.agents.planning.planner_config import PlannerConfig
from dexbench.agents.planning.waypoint_agent import WaypointAgent
from dexbench.agents.planning.waypoints import ramp
from dexbench.envs.embodiment import camera
from dexbench.envs.embodiment.keypoints import DISTINCT
from dexbench.envs.embodiment.robot import HIGHEST, LOWEST
from dexbench.envs.simulation import Simulation
from dexbench.utils.errors import UserError

from .goal import goal_of, hand_of

BUDGET = PlannerConfig(cem=CEMConfig(samples=16, elites=4, iterations=6))
"""96 rollouts a plan: a rollout of 3 waypoints takes as long as the trial's 60 control steps."""


class SimCEM(WaypointAgent):
    """Privileged: rolls candidates out in a copy of the simulation.

    The cost of a waypoint is how far hand and object are from the goal's after it has been
    played: the mean distance of the 17 distinct keypoints plus that of the object's centre, in m.

    Args:
        planner: As ``WaypointAgent``; 16 candidates and 6 iterations of CEM if left out.
        overrides: As ``WaypointAgent``.

    Raises:
        UserError: The optimiser asks for gradients.
    """

    privileged = True

    def __init__(self, planner: str | PlannerConfig = BUDGET, **overrides: Any):
        super().__init__(planner, **overrides)
        if self.config.optimiser == "gradient":
            raise UserError("the simulator has no gradient; choose another planner than gradient")

    def bind(self, env: Any) -> None:
        """Take simulation and goal from the environment.

        Args:
            env: The unwrapped environment, after its reset.

        Raises:
            ValueError: As ``goal_of``.
        """
        goal = goal_of(env)
        self._simulation: Simulation = env.simulation
        self._target: str = env.trial.target
        self._goal_keypoints = goal.keypoints[list(DISTINCT)]
        self._goal_hand = hand_of(goal)
        self._goal_object = goal.object_position
        # The model is shared; what a rollout changes is in data, and that is the copy's own.
        self._rehearsal = copy.copy(env.simulation)
        self._rehearsal.data = mujoco.MjData(env.simulation.model)

    def observe(self, obs: dict[str, NDArray[Any]]) -> NDArray[np.float64]:
        """Return the simulation's full state (n,) float64."""
        return self._simulation.get_state()

    def cost(self, sequences: Tensor, context: NDArray[np.float64]) -> Tensor:
        """Weighted distances ``(N,)`` in m of candidates ``(N, T, 23)`` to the goal."""
        distances = np.array([self._distances(row, context) for row in sequences])
        return torch.from_numpy(distances).float() @ self.weights(sequences.shape[1])

    def goal_hand(self, context: NDArray[np.float64]) -> Tensor:
        """Return the goal's true keypoints ``(17, 3)``."""
        return self._goal_hand

    def predict(self, sequences: Tensor, context: NDArray[np.float64]) -> Belief:
        """Return what comes of sequences ``(N, T, 23)``, after each waypoint."""
        points = [
            [sim.keypoints[list(DISTINCT)] for sim in self._play(row, context)] for row in sequences
        ]
        return Belief(camera.base_to_camera(torch.tensor(np.array(points))).float())

    def _play(self, waypoints: Tensor, state: NDArray[np.float64]) -> Iterator[Simulation]:
        """Play waypoints ``(T, 23)`` from a state and yield the simulation after each."""
        sim = self._rehearsal
        sim.set_state(state)
        start = np.clip(sim.joint_targets.astype(np.float32), LOWEST, HIGHEST)
        for waypoint in waypoints.double().numpy():
            # As ``act`` and the environment make targets of it.
            targets = np.clip(ramp(start, waypoint, self.config.ramp), LOWEST, HIGHEST)
            for target in targets:
                sim.step(target)
            start = targets[-1]
            yield sim

    def _distances(self, waypoints: Tensor, state: NDArray[np.float64]) -> list[float]:
        """Return distances in m after each waypoint; infinite where the simulation diverges."""
        try:
            return [self._distance(sim) for sim in self._play(waypoints, state)]
        except FloatingPointError:
            return [np.inf] * len(waypoints)

    def _distance(self, sim: Simulation) -> float:
        hand_distance = np.linalg.norm(
            sim.keypoints[list(DISTINCT)] - self._goal_keypoints, axis=-1
        ).mean()
        object_distance = np.linalg.norm(sim.object_position(self._target) - self._goal_object)
        return float(hand_distance + object_distance)
