"""Planners that need no model, and what they are shown."""

import numpy as np
import torch

from dexbench.agents.planning.cem import CEMConfig
from dexbench.agents.reference.kinematic import KeypointPlanner
from dexbench.agents.reference.oracle import Oracle
from dexbench.envs.embodiment.robot import INIT_JOINTS, LOWER, UPPER
from dexbench.envs.motion.waypoints import RampConfig
from dexbench.utils.seeding import rng
from support.synthetic_store import keypoints_of, picture

LOW, HIGH = torch.tensor(LOWER).float(), torch.tensor(UPPER).float()
START = INIT_JOINTS.astype(np.float32)


def observation(target=START, steps_left=60):
    return {
        "agent_pos": target,
        "agent_target": target,
        "keypoints": keypoints_of(target),
        "steps_left": np.array([steps_left]),
    }


def pictured(target=START, goal=None, steps_left=60):
    """An observation with pictures: of the hand, and of the goal's (by default 3 cm away)."""
    keypoints = keypoints_of(target)
    wanted = keypoints + 0.03 if goal is None else keypoints_of(goal)
    seen = {"pixels": picture(keypoints), "goal": picture(wanted)}
    return observation(target, steps_left) | seen


def play(agent, task="reach", seed=0, start=START):
    agent.reset(task, seed)
    obs, rows = observation(start), []
    for left in (60, 40, 20):
        chunk = agent.act({**obs, "steps_left": np.array([left])})
        assert chunk.shape == (20, 23) and chunk.dtype == np.float32
        assert (chunk >= LOWER.astype(np.float32)).all()
        assert (chunk <= UPPER.astype(np.float32)).all()
        obs = observation(chunk[-1])
        rows.append(chunk)
    return np.concatenate(rows)


class ToGoal(KeypointPlanner):
    def __init__(self, goal, **kwargs):
        super().__init__(**kwargs)
        self.goal = torch.from_numpy(keypoints_of(goal)[:17])

    def goal_keypoints(self, obs):
        return self.goal


class Brisk(Oracle):
    """``oracle`` with few candidates, and with waypoints of its own length: 30 control steps."""

    def __init__(self):
        budget = CEMConfig(samples=4, elites=2, iterations=3)
        super().__init__(cem=budget, ramp=RampConfig(steps=30))


def goal_near(seed):
    draw = rng("goal", seed).normal(0, 1, 23) * np.r_[np.full(7, 0.3), np.full(16, 0.2)]
    return np.clip(INIT_JOINTS + draw, LOWER, UPPER).astype(np.float32)
