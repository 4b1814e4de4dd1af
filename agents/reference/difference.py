"""``difference``: takes what has moved between the two pictures to where it has gone.

It has learned nothing and foresees nothing: one fixed recipe, the same for every task. Its score
tells how much of a task a script can solve that looks once at the start and at the goal.
"""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from dexbench.envs.embodiment.keypoints import ARM_JOINTS, HAND_JOINTS
from dexbench.envs.embodiment.robot import CONTROL_HZ, HIGHEST, LOWEST
from dexbench.envs.motion.grasp import WIDEST, GraspPlan, grasp_at, palm_of, palm_turn
from dexbench.envs.motion.robot_ik import RobotIK
from dexbench.envs.motion.waypoints import RampConfig, ramp

from .moved import COUNTER, Seen, find_moved

ARM_SPEED, HAND_SPEED = 1.0, 2.5
"""Speed of the joints in rad/s."""
GRIP = 0.05
"""How far in rad a finger is short of its target that holds something."""
TURNS = [
    palm_turn(*np.radians([yaw, pitch])) for pitch in (15, 30, 0) for yaw in (75, 105, 45, 135)
]
"""Rotations (3, 3) of the palm that are tried after the present one, the most natural first."""
SETTLE = 3
"""Postures, and so at least as many control steps, that closing fingers are given."""
JUMP = 2.0
"""Largest change of a joint from one point of the way to the next, in rad."""
FACES = 0.05
"""How far in front of the wrist an object is that the palm faces, in m."""
RISE = 0.12
"""Length of the straight way down to an object, in m."""
OVER = 0.05
"""How much higher than it was an object is carried at least, in m."""


class Difference:
    """Unprivileged: is told pictures and joints, and does not ask what the task is.

    What stands in one place at the start and in another in the goal is grasped and taken there.
    What has only left its place is lifted. What the hand holds already is taken to where something
    new stands. Where nothing has moved but the robot, it holds still.
    """

    def __init__(self) -> None:
        self._ik = RobotIK()

    def reset(self, task: str, seed: int) -> None:
        """Do nothing: the agent has no state, and neither task nor seed makes a difference."""

    def act(self, obs: dict[str, NDArray[Any]]) -> NDArray[np.float32]:
        """Return the joint targets (n, 23) in rad of all n steps that are left."""
        steps_left = max(int(obs["steps_left"][0]), 1)
        rows = [obs["agent_target"].astype(np.float64)]
        for posture in self._postures(obs):
            rows += [*_leg(rows[-1], posture)]
        rows += [rows[-1]] * (steps_left + 1 - len(rows))
        return np.clip(np.array(rows[1 : steps_left + 1], np.float32), LOWEST, HIGHEST)

    def _postures(self, obs: dict[str, NDArray[Any]]) -> list[NDArray[np.float64]]:
        """Return the joints (23,) in rad to pass through; none where nothing is to be done."""
        target = obs["agent_target"].astype(np.float64)
        arm, hand = target[ARM_JOINTS], target[HAND_JOINTS]
        wrist, turn = self._ik.wrist(arm)
        palm = palm_of(turn)
        holds = bool(np.abs(hand - obs["agent_pos"][HAND_JOINTS]).max() > GRIP)
        origin, goal = find_moved(obs["pixels"], obs["goal"], obs["agent_pos"], holds)
        if goal is None:
            return []
        if holds:
            # The wrist goes where it would be if the hand had grasped the object in the goal.
            there = self._grasp(goal, [palm], arm)
            return self._carry(wrist, there.wrist, turn, target) if there else []
        if origin is None:
            return []
        faces = palm[:, 0] @ (origin.foot - wrist) > FACES
        plan = self._grasp(origin, [palm, *TURNS] if faces else TURNS, arm)
        if plan is None:
            return []
        closed = np.concatenate([plan.approach[-1], plan.closed_hand])
        way = [np.concatenate([row, plan.open_hand]) for row in plan.approach[::4]]
        end = plan.wrist + goal.foot - origin.foot
        return [*way, *[closed] * SETTLE, *self._carry(plan.wrist, end, plan.turn, closed)]

    def _grasp(
        self, seen: Seen, turns: list[NDArray[np.float64]], arm: NDArray[np.float64]
    ) -> GraspPlan | None:
        """Return the first grasp of an object, taken for a cylinder, that the arm can reach.

        Args:
            seen: The object.
            turns: Rotations (3, 3) of the palm, in order of preference.
            arm: Joints (7,) in rad that the arm comes from.
        """
        angles = np.linspace(0, 2 * np.pi, 8, endpoint=False)
        ring = np.stack([np.cos(angles), np.sin(angles), np.zeros(8)], axis=1)
        ring = seen.foot + ring * min(seen.width, WIDEST) / 2
        points = np.concatenate([ring, ring + [0, 0, seen.height]])
        plans = (grasp_at(points, np.inf, COUNTER, turn, self._ik, arm, RISE) for turn in turns)
        return next((plan for plan in plans if plan), None)

    def _carry(
        self,
        start: NDArray[np.float64],
        end: NDArray[np.float64],
        turn: NDArray[np.float64],
        joints: NDArray[np.float64],
    ) -> list[NDArray[np.float64]]:
        """Return joints (23,) in rad that take the hand up, over and down, the grip kept.

        Args:
            start: Where the wrist is, (3,) in the base frame, in m.
            end: Where it goes.
            turn: Wrist rotation (3, 3) that it keeps.
            joints: The robot's (23,) in rad at the start.
        """
        height = max(start[2] + OVER, end[2])
        up, over = np.array([*start[:2], height]), np.array([*end[:2], height])
        points = np.array([*np.linspace(up, over, 5), end])
        rows = self._ik.line(points, turn, joints[ARM_JOINTS], JUMP)
        if rows is None:
            return []
        return [np.concatenate([row, joints[HAND_JOINTS]]) for row in rows]


def _leg(start: NDArray[np.float64], end: NDArray[np.float64]) -> NDArray[np.float32]:
    """Return the targets (n, 23) from one posture to the next at bounded speed, in rad."""
    delta = np.abs(end - start)
    seconds = max(delta[ARM_JOINTS].max() / ARM_SPEED, delta[HAND_JOINTS].max() / HAND_SPEED)
    steps = max(int(np.ceil(seconds * CONTROL_HZ - 1e-6)), 1)
    return ramp(start, end, RampConfig(steps, arm_end=steps, hand_start=0, hand_end=steps))
