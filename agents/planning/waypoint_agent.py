"""The receding-horizon waypoint planner that every planning agent shares (paper 3.4, App. B)."""

import dataclasses
import hashlib
import json
from collections.abc import Iterable
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from dexbench.envs.embodiment import camera
from dexbench.envs.embodiment.keypoints import DISTINCT, HAND_JOINTS
from dexbench.envs.embodiment.kinematics import HandKinematics
from dexbench.envs.embodiment.robot import HIGHEST, LOWER, LOWEST, N_JOINTS, UPPER
from dexbench.envs.motion.waypoints import ramp

from .belief import Belief
from .cem import cem, in_tiles
from .dummy_grasp import DUMMY_GRASP, grasp_motion
from .optimiser import Plan, Problem
from .planner_config import OPTIMISERS, PLANNERS, PlannerConfig, name_of, planner_config

HELD = ("place", "carry")
"""Tasks that begin with the object in the hand, whose fingers keep their grip (App. B)."""


def hash_settings(settings: dict[str, Any]) -> str:
    """Return the sha256 (hex) of an agent's settings."""
    text = json.dumps(settings, sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()


class WaypointAgent:
    """Plans T waypoints, plays the first, looks again and plans the rest.

    Subclasses give ``observe`` and ``cost``.

    Args:
        planner: As ``planner_config``.
        overrides: As ``planner_config``.

    Raises:
        ValueError: As ``planner_config``.
    """

    def __init__(self, planner: str | PlannerConfig = "cem", **overrides: Any):
        self.config = planner_config(planner, **overrides)
        self._planner_name = name_of(planner, self.config, PLANNERS)
        self.device = torch.device("cpu")
        self.kinematics = HandKinematics()
        self.lower = torch.tensor(LOWER, dtype=torch.float32)
        self.upper = torch.tensor(UPPER, dtype=torch.float32)

    @property
    def settings(self) -> dict[str, Any]:
        """All that decides how it plans, defaults too, as JSON has it."""
        return {"planner": dataclasses.asdict(self.config)}

    @property
    def settings_hash(self) -> str:
        """sha256 (hex) of ``settings``: what a default stands for may change between versions."""
        return hash_settings(self.settings)

    @property
    def planner_name(self) -> str | None:
        """What ledgers call the planner; with a star if a setting was changed."""
        return self._planner_name

    @property
    def cost_name(self) -> str | None:
        """What ledgers call the cost; None if the agent has one of its own, without a name."""
        return None

    def reset(self, task: str, seed: int) -> None:
        """Start a trial; tasks other than grasp, place and carry are planned like reach."""
        self.task, self.seed, self.replan = task, seed, 0
        self._mean: Tensor | None = None
        self.last_plan: Plan | None = None
        """What the latest optimisation found; ``last_context`` is what it knew."""
        self.last_context: Any = None

    def act(self, obs: dict[str, NDArray[Any]]) -> NDArray[np.float32]:
        """Plan, and return joint targets ``(n, 23)`` in rad: the first waypoint's 20.

        In open loop they are those of all waypoints, and n the steps left.
        """
        steps_left = int(np.asarray(obs["steps_left"]).reshape(-1)[0])
        needed = max(-(-steps_left // self.config.ramp.steps), 1)
        horizon = min(needed, self.config.horizon)
        mean, std = self.initial(obs, horizon)
        # Not inference_mode: the gradient planner differentiates through what is encoded here.
        with torch.no_grad():
            waypoints = self.plan(obs, mean, std)
        self._mean = waypoints[1:].clone()
        self.replan += 1
        rows = [np.asarray(obs["agent_target"], np.float64)]
        for waypoint in waypoints if self.config.open_loop else waypoints[:1]:
            rows += [*ramp(rows[-1], waypoint.double().cpu().numpy(), self.config.ramp)]
        if self.config.open_loop:
            rows += [rows[-1]] * (steps_left + 1 - len(rows))
        return np.clip(np.array(rows[1:], np.float32), LOWEST, HIGHEST)

    def initial(self, obs: dict[str, NDArray[Any]], horizon: int) -> tuple[Tensor, Tensor]:
        """Mean and standard deviation ``(T, 23)`` in rad that an optimisation starts from.

        The first mean repeats the commanded targets (holding a grip means repeating the target, not
        the achieved joints); in grasp it samples the dummy grasp evenly. Later ones are what is
        left of the plan before. Where that has another number of waypoints, a later mean is the
        target or the end of the dummy grasp.
        """
        if self._mean is not None and len(self._mean) == horizon:
            mean = self._mean
        elif self.task == "grasp":
            rows = grasp_motion(horizon) if self.replan == 0 else DUMMY_GRASP[-horizon:]
            mean = torch.tensor(rows, dtype=torch.float32)
        else:
            target = torch.as_tensor(np.asarray(obs["agent_target"], np.float32))
            mean = target.expand(horizon, N_JOINTS)
        std = torch.full((horizon, N_JOINTS), self.config.arm_std)
        held = self.task in HELD
        std[:, HAND_JOINTS] = self.config.place_hand_std if held else self.config.hand_std
        return mean.clamp(self.lower, self.upper), std

    def plan(self, obs: dict[str, NDArray[Any]], mean: Tensor, std: Tensor) -> Tensor:
        """Optimise the waypoints; return them, ``(T, 23)`` in rad."""
        context = self.observe(obs)
        limits = self.lower, self.upper, self.seed, self.replan
        warm, goal = self.config.warm_start, self.goal_hand(context)
        if warm is not None and goal is not None:
            reach = Problem(lambda batch: self.hand_distance(batch, goal), mean, std, *limits)
            mean, std = cem(reach, warm).mean, std * self.config.narrow
        problem = Problem(lambda batch: self.cost(batch, context), mean, std, *limits)
        optimise = OPTIMISERS[self.config.optimiser]
        plan = optimise(problem, getattr(self.config, self.config.optimiser))
        self.last_plan, self.last_context = plan, context
        return self.chosen(plan)

    def goal_hand(self, context: Any) -> Tensor | None:
        """Return the goal's keypoints ``(17, 3)`` in m, camera frame; None if it knows none."""
        return None

    def hand_distance(self, sequences: Tensor, goal: Tensor) -> Tensor:
        """Mean distance ``(N,)`` in m of the hand from a goal's, by forward kinematics alone.

        Args:
            sequences: ``(N, T, 23)`` in rad.
            goal: Keypoints ``(17, 3)`` in m, camera frame.

        Returns:
            The steps' distances, summed by their weights.
        """
        weights = self.weights(sequences.shape[1]).to(self.device)

        def distances(tile: Tensor) -> Tensor:
            """Distances ``(n,)`` in m of a tile ``(n, T, 23)`` in rad."""
            points = camera.base_to_camera(self.kinematics.keypoints(tile)[..., list(DISTINCT), :])
            means: Tensor = (points - goal).norm(dim=-1).mean(-1)
            return means @ weights

        return in_tiles(distances, sequences.to(self.device), self.config.tile).cpu()

    def chosen(self, plan: Plan) -> Tensor:
        """Return the waypoints ``(T, 23)`` of a plan that are played."""
        return plan.mean if self.config.execute == "mean" else plan.best

    @property
    def next_look(self) -> int:
        """Index of the waypoint after which it looks again."""
        return -1 if self.config.open_loop else 0

    def weights(self, horizon: int) -> Tensor:
        """Return weights ``(T,)`` of the steps' costs."""
        return torch.tensor(self.config.step_weights[-horizon:], dtype=torch.float32)

    def observe(self, obs: dict[str, NDArray[Any]]) -> Any:
        """Return what ``cost`` needs to know of the observation; called once per optimisation."""
        raise NotImplementedError

    def cost(self, sequences: Tensor, context: Any) -> Tensor:
        """Return costs ``(N,)`` of candidate sequences ``(N, T, 23)`` in rad."""
        raise NotImplementedError

    def cost_seen(
        self, sequences: Tensor, pictures: Iterable[NDArray[np.uint8]], context: Any
    ) -> Tensor | None:
        """Return costs ``(N,)`` with what really came of candidates in place of predictions.

        Args:
            sequences: ``(N, T, 23)`` in rad.
            pictures: Of each what was seen after each waypoint, ``(T, 224, 392, 3)`` uint8.
            context: From ``observe``.

        Returns:
            None of an agent whose cost is not of pictures.
        """
        return None

    def see(self, picture: NDArray[np.uint8]) -> Belief | None:
        """Return what the agent makes of a picture ``(224, 392, 3)`` uint8, or None."""
        return None

    def predict(self, sequences: Tensor, context: Any) -> Belief:
        """Return what the agent expects after each waypoint of sequences ``(N, T, 23)``.

        Without a model that is the hand at the waypoint itself.

        Args:
            sequences: Joint targets in rad.
            context: From ``observe``.

        Returns:
            The states, ``(N, T, ...)``.
        """
        points = HandKinematics().keypoints(sequences)[..., list(DISTINCT), :]
        return Belief(camera.base_to_camera(points))
