"""What robot and target pass over while the expert plays a trial, seen from above."""

import mujoco
import numpy as np
from numpy.typing import NDArray

from dexbench.envs.motion.grasp import object_points
from dexbench.envs.scenes.layouts import COUNTER_HEIGHT
from dexbench.envs.scenes.recipe import BASE_HEIGHT
from dexbench.envs.simulation import Simulation
from dexbench.envs.trial import Trial

CEILING = COUNTER_HEIGHT - BASE_HEIGHT + 0.30
"""Height in the base frame, in m, above which the robot passes over every object."""
BETWEEN = 10
"""Places of the target between start and goal."""

_CORNERS = np.array(np.meshgrid(*[[-1, 1]] * 3)).reshape(3, 8).T


class Sweep:
    """The part of the counter that the expert's play takes up, as rectangles along x and y.

    The arm is where the expert commands it. The target is on the straight way from start to goal,
    or at most its own size from the hand.

    Args:
        simulation: Of the trial's scene; left in another state.
        trial: What the expert plays.
    """

    def __init__(self, simulation: Simulation, trial: Trial):
        model, data = simulation.model, simulation.data
        simulation.set_state(trial.goal_state)
        goal = object_points(simulation, trial.target)[:, :2]
        simulation.set_state(trial.start_state)
        start = object_points(simulation, trial.target)[:, :2]
        way = goal.mean(axis=0) - start.mean(axis=0)
        places = [start + way * share for share in np.linspace(0, 1, BETWEEN)] + [goal]
        low = [points.min(axis=0) for points in places]
        high = [points.max(axis=0) for points in places]
        # What the hand takes along reaches beyond it.
        size = float(np.ptp(start, axis=0).max()) if np.linalg.norm(way) > 0.01 else 0.0
        solid = (model.geom_contype | model.geom_conaffinity) != 0
        geoms = np.flatnonzero(simulation.robot_geoms & solid)
        box = model.geom_aabb[geoms, None, :3] + _CORNERS * model.geom_aabb[geoms, None, 3:]
        for posture in (simulation.joint_positions, *trial.expert_actions):
            data.qpos[simulation.qpos_addresses] = posture
            mujoco.mj_kinematics(model, data)
            turns = data.geom_xmat[geoms].reshape(-1, 3, 3)
            corners = box @ turns.transpose(0, 2, 1) + data.geom_xpos[geoms, None]
            corners = simulation.to_base(corners)
            corners = corners[corners[..., 2].min(axis=1) < CEILING]
            low += list(corners[..., :2].min(axis=1) - size)
            high += list(corners[..., :2].max(axis=1) + size)
        self.low: NDArray[np.float64] = np.array(low)
        """Near right corners (n, 2) of the rectangles, in the base frame, in m."""
        self.high: NDArray[np.float64] = np.array(high)
        """Far left corners (n, 2)."""

    def distance(self, spot: NDArray[np.float64]) -> float:
        """Return how far a spot (2,) on the counter is from what is passed over, in m."""
        gap = np.maximum(np.maximum(self.low - spot, spot - self.high), 0)
        return float(np.linalg.norm(gap, axis=1).min())
