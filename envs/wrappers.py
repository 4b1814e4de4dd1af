"""Gymnasium wrappers with which other libraries drive and train in the environments.

stable-worldmodel's World needs `WorldAdapter`. Stable-Baselines3 trains on the ids as they are, and
faster with `ResizePictures`; `FrozenTrials` is for evaluation.
"""

from pathlib import Path
from typing import Any

import gymnasium as gym
import numpy as np
from gymnasium import spaces
from numpy.typing import NDArray

from dexbench.utils.errors import UserError
from dexbench.utils.video import downsample

from .gym_env import DexBenchEnv
from .suite import Suite

Observation = dict[str, NDArray[Any]]
Env = gym.Env[Observation, NDArray[Any]]
PICTURES = ("pixels", "goal")
"""Observations that are pictures."""


class WorldAdapter(gym.Wrapper[Observation, NDArray[Any], Observation, NDArray[Any]]):
    """Let stable-worldmodel's ``World`` drive an environment, pictures and all.

    ``World(id, num_envs=2, image_shape=(112, 196), pre_wrappers=[WorldAdapter])``

    A World renders `pixels` itself and refuses an observation of that name. So `pixels` leave the
    observation, and ``render`` returns what they were. A World takes the end of an episode for
    success. So an episode terminates once the criterion has held for 10 steps.
    """

    def __init__(self, env: Env):
        super().__init__(env)
        assert isinstance(env.observation_space, spaces.Dict)
        rest = {key: box for key, box in env.observation_space.items() if key != "pixels"}
        self.observation_space = spaces.Dict(rest)
        self._pixels: NDArray[np.uint8] | None = None

    def reset(
        self, *, seed: int | None = None, options: dict[str, Any] | None = None
    ) -> tuple[Observation, dict[str, Any]]:
        """Start an episode; see ``DexBenchEnv.reset``."""
        obs, info = self.env.reset(seed=seed, options=options)
        return self._without_pixels(obs), info

    def step(self, action: NDArray[Any]) -> tuple[Observation, float, bool, bool, dict[str, Any]]:
        """Command joint targets (23,) in rad for 0.1 s; terminated is True on success."""
        obs, reward, _, truncated, info = self.env.step(action)
        return self._without_pixels(obs), float(reward), info["success"], truncated, info

    def render(self) -> NDArray[np.uint8] | None:
        """Return the last `pixels` (height, width, 3) uint8, or None before ``reset``."""
        return None if self._pixels is None else self._pixels.copy()

    def _without_pixels(self, obs: Observation) -> Observation:
        self._pixels = obs["pixels"]
        return {key: value for key, value in obs.items() if key != "pixels"}


class ResizePictures(gym.ObservationWrapper[Observation, NDArray[Any], Observation]):
    """Give `pixels` and `goal` a smaller size, so that a replay buffer holds more of them.

    Args:
        env: One of dexbench's.
        size: Height and width in px; 224 and 392 must be the same whole multiple of them.

    Raises:
        ValueError: They are not.
    """

    def __init__(self, env: Env, size: tuple[int, int] = (56, 98)):
        super().__init__(env)
        self._size = size
        assert isinstance(env.observation_space, spaces.Dict)
        boxes = dict(env.observation_space.items())
        for key in PICTURES:
            picture = downsample(np.zeros(boxes[key].shape or (), np.uint8), size)
            boxes[key] = spaces.Box(0, 255, picture.shape, np.uint8)
        self.observation_space = spaces.Dict(boxes)

    def observation(self, observation: Observation) -> Observation:
        """Return an observation with its pictures made smaller by averaging."""
        small = {key: downsample(observation[key], self._size) for key in PICTURES}
        return {**observation, **small}


class FrozenTrials(gym.Wrapper[Observation, NDArray[Any], Observation, NDArray[Any]]):
    """Begin every episode with the next frozen trial of a suite, from the last to the first again.

    To train, leave it out: training seeds start trials of their own, and scores on trials that an
    agent was trained on say nothing.

    Args:
        env: One of dexbench's.
        suite: Name of a suite, or path of its folder.

    Raises:
        UserError: There is no such suite, or it has no trials of the environment's task.
    """

    def __init__(self, env: Env, suite: str | Path):
        super().__init__(env)
        self._suite = str(suite)
        base = env.unwrapped
        assert isinstance(base, DexBenchEnv)
        self._count = Suite.load(suite).trials(base.task_name)
        if not self._count:
            raise UserError(f"suite {suite} has no {base.task_name} trials; choose another")
        self._next = 0

    def reset(
        self, *, seed: int | None = None, options: dict[str, Any] | None = None
    ) -> tuple[Observation, dict[str, Any]]:
        """Start the next trial; trial ``seed`` (modulo their number) if a seed is given."""
        index = (self._next if seed is None else seed) % self._count
        self._next = index + 1
        chosen = {"trial": index, "suite": self._suite, **(options or {})}
        return self.env.reset(seed=seed, options=chosen)
