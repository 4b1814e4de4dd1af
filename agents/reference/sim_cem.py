"""``sim-cem``: the waypoint planner with the simulator itself for a world model.

Its 96 rollouts are few for 69 joint targets, so what it fails at may be the search, less so where a
warm start is asked for; where it succeeds and ``dexwm`` fails, the model or the picture of the goal
is to blame.
"""

from collections.abc import Callable, Iterator
from typing import Any, NamedTuple, TypeVar

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from dexbench.agents.planning.belief import Belief
from dexbench.agents.planning.cem import CEMConfig
from dexbench.agents.planning.planner_config import PlannerConfig
from dexbench.agents.planning.waypoint_agent import WaypointAgent
from dexbench.envs.embodiment import camera
from dexbench.envs.embodiment.keypoints import DISTINCT, N_DISTINCT
from dexbench.envs.motion.waypoints import follow
from dexbench.envs.rollouts import Rollouts
from dexbench.envs.simulation import Simulation
from dexbench.utils.errors import UserError

from .goal import goal_of, hand_of

BUDGET = PlannerConfig(cem=CEMConfig(samples=16, elites=4, iterations=6))
"""96 rollouts a plan: a rollout of 3 waypoints takes as long as the trial's 60 control steps."""

Result = TypeVar("Result")


class Moment(NamedTuple):
    """Where all rollouts of a plan begin."""

    state: NDArray[np.float64]
    """``(n,)`` the simulation's full state."""
    targets: NDArray[np.float64]
    """``(23,)`` the joint targets commanded last, in rad."""
    displaced: float = 0.0
    """The farthest in m that any object has been from its place at the trial's start; ``sim-cem``
    does not ask."""


class SimCEM(WaypointAgent):
    """Privileged: rolls candidates out in copies of the simulation, on all cores.

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
        self._goal = goal_of(env)
        self._simulation: Simulation = env.simulation
        self._target: str = env.trial.target
        self._rollouts = Rollouts(env.simulation)

    def observe(self, obs: dict[str, NDArray[Any]]) -> Moment:
        """Return where the simulation stands."""
        return Moment(self._simulation.get_state(), self._simulation.joint_targets)

    def cost(self, sequences: Tensor, context: Moment) -> Tensor:
        """Weighted costs ``(N,)`` in m of candidates ``(N, T, 23)``; infinite if they diverge."""
        horizon = sequences.shape[1]

        def judge(states: Iterator[Simulation]) -> list[float]:
            return self.waypoint_costs(states, context)

        costs = self.play(sequences, context, judge, [np.inf] * horizon)
        return torch.tensor(costs, dtype=torch.float32) @ self.weights(horizon)

    def waypoint_costs(self, states: Iterator[Simulation], begin: Moment) -> list[float]:
        """Return the costs in m after each waypoint of a rollout.

        Args:
            states: The simulation after each control step.
            begin: Where the rollout begins.
        """
        return [self._distance(simulation) for simulation in self._at_waypoints(states)]

    def goal_hand(self, context: Moment) -> Tensor:
        """Return the goal's true keypoints ``(17, 3)``."""
        return hand_of(self._goal)

    def predict(self, sequences: Tensor, context: Moment) -> Belief:
        """Return what comes of sequences ``(N, T, 23)``, after each waypoint."""

        def keypoints(states: Iterator[Simulation]) -> NDArray[np.float64]:
            return np.array([sim.keypoints[list(DISTINCT)] for sim in self._at_waypoints(states)])

        unknown = np.full((sequences.shape[1], N_DISTINCT, 3), np.nan)
        points = np.array(self.play(sequences, context, keypoints, unknown))
        return Belief(camera.base_to_camera(torch.from_numpy(points)).float())

    def pictures(self, sequences: Tensor, begin: Moment) -> Iterator[NDArray[np.uint8]]:
        """Yield what the head camera would see after each waypoint of sequences ``(N, T, 23)``.

        The simulation stays as it is.

        Args:
            sequences: Joint targets in rad.
            begin: Where all begin.

        Yields:
            Of each sequence ``(T, 224, 392, 3)`` uint8; black where the simulation diverges.
        """

        def states_of(states: Iterator[Simulation]) -> list[NDArray[np.float64]]:
            return [simulation.get_state() for simulation in self._at_waypoints(states)]

        simulation, now = self._simulation, self._simulation.get_state()
        nothing: list[NDArray[np.float64]] = []
        for states in self.play(sequences, begin, states_of, nothing):
            pictures = np.zeros((sequences.shape[1], camera.HEIGHT, camera.WIDTH, 3), np.uint8)
            for picture, state in zip(pictures, states, strict=False):
                simulation.set_state(state)
                picture[:] = simulation.render()
            simulation.set_state(now)
            yield pictures

    def play(
        self,
        sequences: Tensor,
        begin: Moment,
        judge: Callable[[Iterator[Simulation]], Result],
        diverged: Result,
    ) -> list[Result]:
        """Roll waypoints ``(N, T, 23)`` out; return what `Rollouts.play` says of each of them.

        Args:
            sequences: Joint targets in rad.
            begin: Where all begin.
            judge: As in `Rollouts.play`.
            diverged: Stands for a rollout whose simulation diverges.
        """
        rows = [follow(begin.targets, row, self.config.ramp) for row in sequences.double().numpy()]
        results = self._rollouts.play(begin.state, rows, judge)
        return [diverged if result is None else result for result in results]

    def _at_waypoints(self, states: Iterator[Simulation]) -> Iterator[Simulation]:
        """Yield the last state of each waypoint."""
        for step, simulation in enumerate(states, 1):
            if step % self.config.ramp.steps == 0:
                yield simulation

    def _distance(self, simulation: Simulation) -> float:
        hand_distance = np.linalg.norm(
            simulation.keypoints[list(DISTINCT)] - self._goal.keypoints[list(DISTINCT)], axis=-1
        ).mean()
        position = simulation.object_position(self._target)
        return float(hand_distance + np.linalg.norm(position - self._goal.object_position))
