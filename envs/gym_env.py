"""The Gymnasium environments: a goal image, 60 joint targets, and a criterion.

Success never ends an episode, so every episode has 60 steps and the whole course of the distance is
known. Nothing in the observation or reward comes from privileged state but the reward itself.
"""

import operator
from typing import Any

import gymnasium as gym
import numpy as np
from numpy.typing import NDArray

from dexbench.envs.embodiment.robot import CONTROL_HZ, HIGHEST, LOWEST
from dexbench.envs.scenes.recipe import draw_recipe

from .simulation import Simulation
from .spaces import action_space, check_action, observation_space
from .suite import Suite
from .task_names import suite_of
from .tasks import Goal, Playback, find_task, goal_picture
from .tasks.draw import Kitchens, draw_trial
from .trial import STEPS, Trial


class DexBenchEnv(gym.Env[Any, Any]):
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
    task_name: str
    """Name of a registered task (``tasks.register_task``)."""

    def __init__(self, render_mode: str | None = None, kitchen: Kitchens = draw_recipe):
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
            seed: Draws a training trial; a pure function of the seed. The streams of training seeds
                and of suite trials are disjoint.
            options: ``{"trial": i, "suite": "v1"}`` starts frozen trial ``i`` of a suite instead,
                by default the suite that the task is of; ``{"hide_robot": True}`` draws the goal
                picture without the robot.

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
        index = options.pop("trial", None)
        suite = options.pop("suite", suite_of(self.task_name))
        hide_robot = options.pop("hide_robot", False)
        if options:
            raise ValueError(
                f"unknown reset options {sorted(options)}; known are 'trial', 'suite' and "
                "'hide_robot'"
            )
        if index is not None:
            trial = Suite.load(suite).trial(self.task_name, operator.index(index))
        else:
            if seed is None:
                seed = int(self.np_random.integers(2**31))
            trial = draw_trial(self.task, ("train", seed), "train", self.kitchen)
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


class PushEnv(DexBenchEnv):
    """Push: move the object over the counter to where the goal image shows it.

    Action and observation spaces and episode end are those of ``ReachEnv``.

    ## Reward
    1 while the object is within 5 cm of its position in the goal, in the plane, else 0.

    ## Starting state
    The open hand near an object on the counter, no contact; the object 12-25 cm from its goal. The
    goal image shows the robot where it began.

    ## Version history
    v1: first; its trials are in suite v2.
    """

    task_name = "push"


class PickEnv(DexBenchEnv):
    """Pick: lift the object in the hand to where the goal image shows it.

    Action and observation spaces and episode end are those of ``ReachEnv``.

    ## Reward
    1 while the object is within 7 cm of its position in the goal and the hand touches it, else 0.

    ## Starting state
    That of ``GraspEnv``; the goal is at least 12 cm above the object.

    ## Version history
    v1: first; its trials are in suite v2.
    """

    task_name = "pick"


class CarryEnv(DexBenchEnv):
    """Carry: set the object in the hand down where the goal image shows it.

    Action and observation spaces and episode end are those of ``ReachEnv``. The goal image is drawn
    without the robot.

    ## Reward
    1 while the object is within 5 cm of its position in the goal, else 0.

    ## Starting state
    That of ``PlaceEnv``. In the goal the object rests on the counter.

    ## Version history
    v1: first; its trials are in suite v2.
    """

    task_name = "carry"


class AvoidEnv(DexBenchEnv):
    """Avoid: bring the hand to the other side of an object, and move no object.

    Action and observation spaces and episode end are those of ``ReachEnv``.

    ## Reward
    1 while the mean distance of wrist and four fingertips to the goal's is below 10 cm and no
    object has moved by over 3 cm since the start, else 0.

    ## Starting state
    The hand low over the counter beside an object, at least 20 cm from its goal on the other side.
    The straight way of the joints moves an object by over 3 cm.

    ## Version history
    v1: first; its trials are in suite v2.
    """

    task_name = "avoid"


class TaskEnv(DexBenchEnv):
    """The environment of any registered task.

    Args:
        task: The task's name.
    """

    def __init__(self, task: str):
        self.task_name = task
        super().__init__()


def make_env(task: str) -> DexBenchEnv:
    """Return the environment of a registered task that has no Gymnasium id.

    Raises:
        UserError: No task of that name is registered.
    """
    return TaskEnv(task)
