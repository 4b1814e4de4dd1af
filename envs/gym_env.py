"""The Gymnasium environments: a goal image, 60 joint targets, and a criterion.

Success never ends an episode, so every episode has 60 steps and the whole course of the distance is
known. Nothing in the observation or reward comes from privileged state but the reward itself.
"""

import operator
from collections.abc import Callable
from typing import Any, ClassVar

import gymnasium as gym
import numpy as np
from gymnasium import spaces

from dexbench.envs.embodiment.camera import HEIGHT, WIDTH
from dexbench.envs.embodiment.robot import HIGHEST, LOWER, LOWEST, N_JOINTS, UPPER
from dexbench.envs.robocasa.recipe import NoRoom
from dexbench.envs.scenes.objects import Split
from dexbench.envs.scenes.recipe import Recipe, draw_recipe
from dexbench.utils.seeding import rng

from .simulation import CONTROL_HZ, Simulation
from .suite import DEFAULT, Suite
from .tasks import HELD_STEPS, Goal, Outcome, Rejected, find_task
from .trial import STEPS, Trial

Kitchens = Callable[[np.random.Generator, Split], Recipe]
"""Draws a recipe of a split from a random stream."""
DRAWS = 40
"""Scenes tried before a training seed is given up."""


def action_space() -> spaces.Box:
    """Joint targets (23,) float32 in rad, between the joint limits."""
    return spaces.Box(LOWEST, HIGHEST, dtype=np.float32)


def observation_space() -> spaces.Dict:
    """Return a flat dictionary: two images, two joint vectors, hand keypoints and the clock."""
    image = spaces.Box(0, 255, (HEIGHT, WIDTH, 3), np.uint8)
    # A blocked or pushed joint may pass its soft limit a little.
    low, high = LOWER.astype(np.float32) - 0.5, UPPER.astype(np.float32) + 0.5
    return spaces.Dict(
        {
            "pixels": image,
            "goal": image,
            "agent_pos": spaces.Box(low, high, dtype=np.float32),
            "agent_target": action_space(),
            "keypoints": spaces.Box(-5, 5, (21, 3), np.float32),
            "steps_left": spaces.Box(0, STEPS, (1,), np.int64),
        }
    )


class DexBenchEnv(gym.Env):
    """Base of the tasks' environments, whose docstrings are the tasks' data sheets.

    An environment of your own task names it: ``class LiftEnv(DexBenchEnv): task_name = "lift"``.

    Args:
        render_mode: None or "rgb_array".
        kitchen: Draws the recipes of training seeds; generated kitchens by default, RoboCasa's own
            with :class:`dexbench.envs.robocasa.recipe.RoboCasa`. Frozen trials have their own.

    Raises:
        UserError: No task of that name is registered.
        ValueError: Unknown render mode.
    """

    metadata: dict[str, Any] = {"render_modes": ["rgb_array"], "render_fps": CONTROL_HZ}
    task_name: ClassVar[str]
    """Name of a registered task (``tasks.register_task``)."""

    def __init__(self, render_mode: str | None = None, kitchen: Kitchens = draw_recipe):
        if render_mode not in (None, "rgb_array"):
            raise ValueError(f"render_mode must be None or 'rgb_array', not {render_mode!r}")
        self.render_mode = render_mode
        self.kitchen = kitchen
        self.task = find_task(self.task_name)
        self.action_space = action_space()
        self.observation_space = observation_space()
        self.simulation: Simulation | None = None
        """The simulation of the current trial; for privileged agents only."""
        self.trial: Trial | None = None
        """The current trial; for privileged agents only."""
        self.goal: Goal | None = None
        """The goal's true positions; for privileged agents only."""
        self.render_observations = True
        """Whether steps render `pixels`; while False they repeat the last picture, which is faster
        for agents that do not look at every step."""
        self._goal_image = np.zeros((HEIGHT, WIDTH, 3), np.uint8)
        self._pixels = self._goal_image
        self._step = 0
        self._held = 0

    def reset(
        self, *, seed: int | None = None, options: dict[str, Any] | None = None
    ) -> tuple[dict[str, np.ndarray], dict[str, Any]]:
        """Start an episode.

        Args:
            seed: Draws a training trial; a pure function of the seed. The streams of training seeds
                and of suite trials are disjoint.
            options: ``{"trial": i, "suite": "v1"}`` starts frozen trial ``i`` of a suite instead.

        Returns:
            The first observation, and info (see ``step``) with ``trial_hash``.

        Raises:
            UserError: There is no such suite or trial.
            ValueError: Unknown options, or a suite without a trial.
        """
        super().reset(seed=seed)
        options = dict(options or {})
        if "suite" in options and options.get("trial") is None:
            raise ValueError("the option 'suite' needs 'trial', the index of one of its trials")
        index, suite = options.pop("trial", None), options.pop("suite", DEFAULT)
        if options:
            raise ValueError(
                f"unknown reset options {sorted(options)}; known are 'trial' and 'suite'"
            )
        if index is not None:
            trial = Suite.load(suite).trial(self.task_name, operator.index(index))
        else:
            if seed is None:
                seed = int(self.np_random.integers(2**31))
            trial = draw_trial(self.task_name, ("train", seed), "train", self.kitchen)
        self._begin(trial)
        outcome = self.task.evaluate(self._simulation, trial.target, self._goal)
        return self._observe(), self._info(outcome) | {"trial_hash": trial.hash}

    def step(
        self, action: np.ndarray
    ) -> tuple[dict[str, np.ndarray], float, bool, bool, dict[str, Any]]:
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
        row = self._checked(action)
        simulation = self._simulation
        simulation.step(row)
        self._step += 1
        outcome = self.task.evaluate(simulation, self._trial.target, self._goal)
        self._held = self._held + 1 if outcome.holds else 0
        reward = 1.0 if outcome.holds else 0.0
        return self._observe(), reward, False, self._step >= STEPS, self._info(outcome)

    def render(self) -> np.ndarray | None:
        """Return the head camera's view (224, 392, 3) uint8; None without a render mode."""
        return self._simulation.render() if self.render_mode == "rgb_array" else None

    def close(self) -> None:
        """Free the renderer."""
        if self.simulation is not None:
            self.simulation.close()
            self.simulation = None

    @property
    def _simulation(self) -> Simulation:
        if self.simulation is None:
            raise gym.error.ResetNeeded("call reset() before step() or render()")
        return self.simulation

    @property
    def _trial(self) -> Trial:
        assert self.trial is not None
        return self.trial

    @property
    def _goal(self) -> Goal:
        assert self.goal is not None
        return self.goal

    def _begin(self, trial: Trial) -> None:
        """Load the scene, look at the goal, then stand at the start."""
        self.close()
        self.trial = trial
        simulation = self.simulation = Simulation(trial.xml, trial.objects)
        simulation.set_state(trial.goal_state)
        self.goal = Goal.seen(simulation, trial.target)
        # Goals are rendered by the renderer that renders observations, so that they compare.
        self._goal_image = simulation.render()
        simulation.set_state(trial.start_state)
        self._step = self._held = 0

    def _observe(self) -> dict[str, np.ndarray]:
        simulation = self._simulation
        if self.render_observations or self._step == 0:
            self._pixels = simulation.render()
        return {
            "pixels": self._pixels.copy(),
            "goal": self._goal_image.copy(),
            "agent_pos": simulation.joint_positions.astype(np.float32),
            "agent_target": self._clip(simulation.joint_targets),
            "keypoints": simulation.keypoints_camera.astype(np.float32),
            "steps_left": np.array([max(STEPS - self._step, 0)], np.int64),
        }

    def _clip(self, joints: np.ndarray) -> np.ndarray:
        return np.clip(joints.astype(np.float32), LOWEST, HIGHEST)

    def _info(self, outcome: Outcome) -> dict[str, Any]:
        success = self._held >= HELD_STEPS
        return {
            "success": success,
            "is_success": success,
            "criterion": outcome.holds,
            "distance": outcome.distance,
            "gate": outcome.gate,
        }

    def _checked(self, action: np.ndarray) -> np.ndarray:
        row = np.asarray(action)
        if row.shape != (N_JOINTS,):
            raise ValueError(f"an action has shape (23,), joint targets in rad; got {row.shape}")
        row = row.astype(np.float32)
        if not np.isfinite(row).all():
            raise ValueError(
                f"actions must be finite; joint {int(np.flatnonzero(~np.isfinite(row))[0])} is not"
            )
        low, high = LOWEST, HIGHEST
        if (row < low).any() or (row > high).any():
            joint = int(np.flatnonzero((row < low) | (row > high))[0])
            raise ValueError(
                f"joint {joint}: target {row[joint]:.4f} rad is outside "
                f"[{low[joint]:.4f}, {high[joint]:.4f}]; clip actions to action_space"
            )
        return row


class ReachEnv(DexBenchEnv):
    """Reach: bring the right hand to where the goal image shows it.

    ## Action space
    `Box(23,) float32`: absolute joint targets in rad, order arm 7, index 4, middle 4, ring 4,
    thumb 4, held for 0.1 s.

    ## Observation space
    | key | shape | what |
    | --- | --- | --- |
    | pixels | (224, 392, 3) uint8 | head camera, RGB, upright |
    | goal | (224, 392, 3) uint8 | the same view of the goal state |
    | agent_pos | (23,) float32 | achieved joint angles, rad |
    | agent_target | (23,) float32 | last commanded targets, rad; repeat them to hold a grip |
    | keypoints | (21, 3) float32 | hand keypoints, camera frame, m (link origins, MANO order) |
    | steps_left | (1,) int64 | control steps to the end of the episode |

    ## Reward
    1 while the mean distance of wrist and four fingertips to the goal's is below 15 cm, else 0.

    ## Starting state
    A kitchen with three to five objects; the hand at rest, at least 30 cm from its goal.

    ## Episode end
    Truncated after 60 steps (6 s); success never ends an episode.

    ## Version history
    v1: first.
    """

    task_name = "reach"


class GraspEnv(DexBenchEnv):
    """Grasp: close the right hand on the object as the goal image shows it.

    Action and observation spaces and episode end are those of ``ReachEnv``.

    ## Reward
    1 while the wrist is within 20 cm of the object and the hand touches it, else 0.

    ## Starting state
    The open hand above or before an object, the wrist 21-35 cm from it, no contact.

    ## Version history
    v1: first.
    """

    task_name = "grasp"


class PlaceEnv(DexBenchEnv):
    """Place: carry the object in the hand to where the goal image shows it.

    Action and observation spaces and episode end are those of ``ReachEnv``.

    ## Reward
    1 while the object is within 10 cm of its position in the goal, else 0.

    ## Starting state
    The object held above the counter, at least 25 cm from its goal.

    ## Version history
    v1: first.
    """

    task_name = "place"


def make_env(task: str) -> DexBenchEnv:
    """Return the environment of a registered task that has no Gymnasium id.

    Raises:
        UserError: No task of that name is registered.
    """

    class TaskEnv(DexBenchEnv):
        task_name = task

    return TaskEnv()


def draw_trial(
    task: str, key: tuple[int | str, ...], split: Split, kitchen: Kitchens = draw_recipe
) -> Trial:
    """Draw a trial; a pure function of its arguments.

    Args:
        task: Name of a registered task.
        key: Names the random stream.
        split: `train` or `suite`: whose layouts, styles and object instances to use.
        kitchen: Draws the scenes' recipes.

    Raises:
        RuntimeError: No trial was found in many scenes.
        UserError: The kitchens need RoboCasa's own assets, and they are not all there.
    """
    from dexbench.envs.robocasa.build import build_scene

    reasons = []
    for attempt in range(DRAWS):
        stream = rng("trial", task, *key, attempt)
        try:
            scene = build_scene(kitchen(stream, split))
        except NoRoom as reason:
            reasons.append(str(reason))
            continue
        # A kitchen takes about as long to build as a start and goal to draw, so try two in each.
        for _ in range(2):
            try:
                return find_task(task).draw(scene, stream, (task, *key))
            except (Rejected, FloatingPointError) as reason:
                reasons.append(str(reason))
    raise RuntimeError(f"no {task} trial found for {key}: {sorted(set(reasons))}")
