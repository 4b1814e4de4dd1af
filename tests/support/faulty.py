"""A quick stand-in for the simulation, and agents that break the protocol in one way each.

Spawned processes import this module: pytest puts its folder on sys.path and spawn hands that on.
"""

import itertools
import multiprocessing

import numpy as np

from dexbench.envs.embodiment.robot import HIGHEST, INIT_JOINTS, LOWEST
from dexbench.envs.trial import STEPS, Trial
from dexbench.utils.seeding import rng

SIZE = (8, 14)
"""Height and width of its pictures in px."""


class QuickSimulation:
    """The hand is a point at the first three joint angles and follows its targets, as purely as
    MuJoCo."""

    gl_renderer = "none"

    def __init__(self, xml, objects):
        self.state = np.zeros(46)

    def step(self, target):
        self.state[23:] = target
        self.state[:23] += 0.5 * (target - self.state[:23])

    def render(self, robot=True):
        return np.full((*SIZE, 3), int(1e4 * abs(self.state[:23].sum())) % 256, np.uint8)

    @property
    def joint_positions(self):
        return self.state[:23].copy()

    @property
    def joint_targets(self):
        return self.state[23:].copy()

    @property
    def keypoints(self):
        return np.tile(self.state[:3], (21, 1))

    keypoints_camera = keypoints

    def object_position(self, name):
        return np.zeros(3)

    def get_state(self):
        return self.state.copy()

    def set_state(self, state):
        self.state[:] = state

    def close(self):
        """Nothing to free."""


def quick_trial(*key):
    """Reach: the first joints are to move by 0.2 to 0.3 rad."""
    start = INIT_JOINTS.astype(np.float32).clip(LOWEST, HIGHEST)
    goal = start.copy()
    goal[:3] += rng("quick", *key).uniform(0.2, 0.3, 3)
    return Trial(
        task="reach",
        seed=int(rng("quick seed", *key).integers(2**31)),
        xml="",
        objects=("cup",),
        instances=("cup_0",),
        recipe={"key": list(key)},
        start_state=np.tile(start, 2).astype(float),
        goal_state=np.tile(goal, 2).astype(float),
        expert_actions=np.tile(goal, (STEPS, 1)),
    )


class Sound:
    """Breaks nothing: its chunks do not divide the episode, and it draws as the runner allows."""

    weights_hash: object = "0" * 64
    metadata: object = {"pretraining": "none", "dtype": "float32"}

    def __init__(self, chunk=7, hook=None):
        self.chunk = chunk

    def reset(self, task, seed):
        self.rng = np.random.default_rng(seed)

    def act(self, obs):
        drift = self.rng.normal(0, 0.01, (self.chunk, 23)) + 1e-3 * np.random.rand()
        return (obs["agent_target"] + drift).clip(LOWEST, HIGHEST)


class NoReset(Sound):
    reset = None


class Vector(Sound):
    def act(self, obs):
        return super().act(obs)[0]


class Nothing(Sound):
    def act(self, obs):
        return super().act(obs)[:0]


class Text(Sound):
    def act(self, obs):
        return super().act(obs).astype(str)


class NotFinite(Sound):
    def act(self, obs):
        chunk = super().act(obs)
        chunk[-1, 4] = np.nan
        return chunk


class OutOfBounds(Sound):
    def act(self, obs):
        return super().act(obs) + 9 * (obs["steps_left"] < 20)


class CountsOnTwentySteps(Sound):
    """Fails where less than a chunk is left of the episode."""

    def act(self, obs):
        if obs["steps_left"][0] < self.chunk:
            raise IndexError("the plan is used up")
        return super().act(obs)


class Writes(Sound):
    def act(self, obs):
        obs["agent_pos"] += 0.1
        return super().act(obs)


class Unseeded(Sound):
    def reset(self, task, seed):
        self.rng = np.random.default_rng()


class DrawsWhenMade(Sound):
    def __init__(self):
        super().__init__()
        self.offset = np.random.default_rng().uniform(0, 0.01)

    def act(self, obs):
        return (super().act(obs) + self.offset).clip(LOWEST, HIGHEST)


class Shares(Sound):
    """All instances count together."""

    count = itertools.count()

    def act(self, obs):
        return (super().act(obs) + 1e-5 * next(self.count)).clip(LOWEST, HIGHEST)


class Remembers(Sound):
    """Its generator is made once and goes on from trial to trial."""

    def reset(self, task, seed):
        if not hasattr(self, "rng"):
            super().reset(task, 0)


class KeepsTheFirstGoal(Sound):
    goal = None

    def act(self, obs):
        if self.goal is None:
            self.goal = obs["goal"].copy()
        return (super().act(obs) + 1e-3 * (obs["goal"] != self.goal).any()).clip(LOWEST, HIGHEST)


class MetadataIsText(Sound):
    metadata = "none"


class MetadataIsNoJson(Sound):
    metadata = {"mean": np.zeros(3)}


class PretrainingIsNoText(Sound):
    metadata = {"pretraining": 5}


class DtypeIsNoText(Sound):
    metadata = {"dtype": None}


class PlannerNameIsNoText(Sound):
    planner_name = 5


class HashIsNoText(Sound):
    weights_hash = 5


class HashIsEmpty(Sound):
    weights_hash = ""


class HashOfAnInstance(Sound):
    @property
    def weights_hash(self):
        return str(id(self))


class OnlyInTheFirstProcess(Sound):
    def __init__(self):
        super().__init__()
        if multiprocessing.parent_process() is not None:
            raise RuntimeError("the camera is taken")
