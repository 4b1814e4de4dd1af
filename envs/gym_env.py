"""What all Gymnasium environments share: a goal image, 60 joint targets, and a criterion.

Success never ends an episode, so every episode has 60 steps and the whole course of the distance is
known. Nothing in the observation or reward comes from privileged state but the reward itself.
"""

import operator
from typing import Any

import gymnasium as gym
import numpy as np
from numpy.typing import NDArray

from dexbench.envs.embodiment.robot import CONTROL_HZ, HIGHEST, LOWEST

from .simulation import Simulation
from .spaces import action_space, check_action, observation_space
from .suite import Suite
from .task_names import suite_of
from .tasks import Goal, Playback, find_task, goal_picture
from .tasks.draw import Kitchens, training_trial
from .trial import STEPS, Trial


class DexBenchEnv(gym.Env[Any, Any]):
    """Base of the tasks' environments, whose docstrings are the tasks' data sheets.

    An environment of your own task names it: ``class LiftEnv(DexBenchEnv): task_name = "lift"``.

    Args:
        render_mode: None or "rgb_array".
        kitchen: Draws a kitchen for every training seed, which takes seconds; RoboCasa's own with
            :class:`dexbench.envs.robocasa.recipe.RoboCasa`. By default training trials come from
            the bank (:mod:`dexbench.envs.tasks.bank`). Frozen trials have their own kitchen.

    Raises:
        UserError: No task of that name is registered.
        ValueError: Unknown render mode.
    """

    metadata: dict[str, Any] = {"render_modes": ["rgb_array"], "render_fps": CONTROL_HZ}
    task_name: str
    """Name of a registered task (``tasks.register_task``)."""

    def __init__(self, render_mode: str | None = None, kitchen: Kitchens | None = None):
        if render_mode not in (None, "rgb_array"):
            raise ValueError(f"render_mode must be None or 'rgb_array', not {render_mode!r}")
        self.render_mode = render_mode
        self.kitchen = kitchen
        self.task = find_task(self.task_name)
        self.action_space = action_space()
        self.observation_space = observation_space()
        self.playback: Playback | None = None
        """The current trial as it is played and judged; for privileged agents only."""
        self.render_observations = True
        """Whether steps render `pixels`; while False they repeat the last picture, which is faster
        for agents that do not look at every step."""
        self._goal_image = self._pixels = np.zeros(0, np.uint8)

    @property
    def simulation(self) -> Simulation | None:
        """The simulation of the current trial; for privileged agents only."""
        return None if self.playback is None else self.playback.simulation

    @property
    def trial(self) -> Trial | None:
        """The current trial; for privileged agents only."""
        return None if self.playback is None else self.playback.trial

    @property
    def goal(self) -> Goal | None:
        """The goal's true positions; for privileged agents only."""
        return None if self.playback is None else self.playback.goal

    def reset(
        self, *, seed: int | None = None, options: dict[str, Any] | None = None
    ) -> tuple[dict[str, NDArray[Any]], dict[str, Any]]:
        """Start an episode.

        Args:
            seed: Draws a training trial; a pure function of the seed. It picks a trial of the bank
                and redraws colours, light, other objects and the start. Training and suites share
                no stream and no object.
            options: ``{"fresh": True}`` draws a kitchen for the seed, which takes seconds, as a
                task without trials in the bank always does. ``{"trial": i, "suite": "v1"}`` starts
                frozen trial ``i`` of a suite instead, by default the suite that the task is of.
                ``{"hide_robot": True}`` draws the goal picture of either without the robot.

        Returns:
            The first observation, and info (see ``step``) with ``trial_hash``.

        Raises:
            UserError: There is no such suite or trial.
            ValueError: Unknown options, a suite without a trial, or a fresh frozen trial.
        """
        super().reset(seed=seed)
        options = dict(options or {})
        if "suite" in options and options.get("trial") is None:
            raise ValueError("the option 'suite' needs 'trial', the index of one of its trials")
        index = options.pop("trial", None)
        suite = options.pop("suite", suite_of(self.task_name))
        fresh = bool(options.pop("fresh", False))
        hide_robot = bool(options.pop("hide_robot", False))
        if options:
            raise ValueError(
                f"unknown reset options {sorted(options)}; known are 'fresh', 'trial', 'suite' and "
                "'hide_robot'"
            )
        if index is not None and fresh:
            raise ValueError("the option 'fresh' draws a training trial; leave 'trial' out")
        if index is not None:
            trial = Suite.load(suite).trial(self.task_name, operator.index(index))
        else:
            if seed is None:
                seed = int(self.np_random.integers(2**31))
            trial = training_trial(self.task, seed, self.kitchen, fresh)
        return self.begin(trial, hide_robot)

    def begin(
        self, trial: Trial, hide_robot: bool = False
    ) -> tuple[dict[str, NDArray[Any]], dict[str, Any]]:
        """Start an episode of a trial that is at hand: see the goal, then stand at the start.

        Args:
            trial: What is played.
            hide_robot: Draw the goal picture without the robot.

        Returns:
            As ``reset``.
        """
        self.close()
        simulation = Simulation(trial.xml, trial.objects)
        # Goals are rendered by the renderer that renders observations, so that they compare.
        self._goal_image = goal_picture(simulation, self.task, trial, hide_robot)
        self.playback = Playback(self.task, trial, simulation)
        return self._observe(self.playback), self._info(self.playback) | {"trial_hash": trial.hash}

    def step(
        self, action: NDArray[Any]
    ) -> tuple[dict[str, NDArray[Any]], float, bool, bool, dict[str, Any]]:
        """Command joint targets for 0.1 s.

        Args:
            action: Joint targets (23,) in rad, within ``action_space``.

        Returns:
            Observation; reward, 1 while the criterion holds and else 0; terminated, always False;
            truncated, True from step 60 on; info with ``criterion`` (it holds now), ``success`` and
            ``is_success`` (it has held for the last 10 steps), ``distance`` in m and ``gate`` (what
            the criterion asks beside the distance, contact in grasp, is so now).

        Raises:
            ValueError: The action has a wrong shape, is not finite or is out of bounds.
            FloatingPointError: The simulation diverged; ``reset`` begins anew.
        """
        row = check_action(action)
        playback = self._begun()
        reward = 1.0 if playback.step(row).holds else 0.0
        truncated = playback.steps >= STEPS
        return self._observe(playback), reward, False, truncated, self._info(playback)

    def render(self) -> NDArray[np.uint8] | None:
        """Return the head camera's view (224, 392, 3) uint8; None without a render mode."""
        return self._begun().simulation.render() if self.render_mode == "rgb_array" else None

    def close(self) -> None:
        """Free the renderer."""
        if self.playback is not None:
            self.playback.simulation.close()
            self.playback = None

    def _begun(self) -> Playback:
        if self.playback is None:
            raise gym.error.ResetNeeded("call reset() before step() or render()")
        return self.playback

    def _observe(self, playback: Playback) -> dict[str, NDArray[Any]]:
        simulation = playback.simulation
        if self.render_observations or playback.steps == 0:
            self._pixels = simulation.render()
        return {
            "pixels": self._pixels.copy(),
            "goal": self._goal_image.copy(),
            "agent_pos": simulation.joint_positions.astype(np.float32),
            "agent_target": np.clip(simulation.joint_targets.astype(np.float32), LOWEST, HIGHEST),
            "keypoints": simulation.keypoints_camera.astype(np.float32),
            "steps_left": np.array([max(STEPS - playback.steps, 0)], np.int64),
        }

    def _info(self, playback: Playback) -> dict[str, Any]:
        return {
            "success": playback.held,
            "is_success": playback.held,
            "criterion": playback.outcome.holds,
            "distance": playback.outcome.distance,
            "gate": playback.outcome.gate,
        }
