"""``difference``: takes what has moved between the two pictures to where it has gone.

It has learned nothing and foresees nothing: one fixed recipe, the same for every task. Its score
tells how much of a task a script can solve that looks once at the start and at the goal.
"""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from dexbench.agents.planning.waypoints import RampConfig, ramp
from dexbench.envs.embodiment.keypoints import ARM_JOINTS, HAND_JOINTS
from dexbench.envs.embodiment.robot import CONTROL_HZ, HIGHEST, LOWEST
from dexbench.envs.motion.grasp import WIDEST, GraspPlan, grasp_at, palm_of, palm_turn
from dexbench.envs.motion.robot_ik import RobotIK

from .moved import COUNTER, Seen, find_moved

ARM_SPEED, HAND_SPEED = 1.0, 2.5
"""Speed of the joints in rad/s."""
GRIP = 0.05
"""How far in rad a finger is short of its target that holds something."""
TURNS = [
    palm_turn(*np.radians([yaw, pitch])) for pitch in (15, 30, 0) for yaw in (75, 105, 45, 135)
]
"""Rotations (3, 3) of the palm that are tried, the most natural first."""
FACES = 0.05
"""How far in front of the palm an object is that the palm faces, in m."""
RISE = 0.12
"""Length of the straight way down to an object, in m."""
OVER = 0.05
"""How much higher than it was an object is carried at least, in m."""


class Difference:
    """Unprivileged: is told pictures and joints, and nothing of the task.

    What stands in one place at the start and in another in the goal is grasped from above and taken
    there; what has only left its place is lifted; what the hand holds already is set down where
    something new stands. Where nothing has moved but the robot it holds still.
    """

    def __init__(self) -> None:
        self._ik = RobotIK()

    def reset(self, task: str, seed: int) -> None:
        """Start a trial; neither task nor seed makes a difference."""
        self._rows: NDArray[np.float32] | None = None

    def act(self, obs: dict[str, NDArray[Any]]) -> NDArray[np.float32]:
        """Return the joint targets (n, 23) in rad of all steps that are left."""
        rows = [obs["agent_target"].astype(np.float64)]
        for posture in self._postures(obs):
            rows += [*_leg(rows[-1], posture)]
        steps_left = int(obs["steps_left"][0])
        rows += [rows[-1]] * (steps_left + 1 - len(rows))
        return np.clip(np.array(rows[1 : steps_left + 1], np.float32), LOWEST, HIGHEST)

    def _postures(self, obs: dict[str, NDArray[Any]]) -> list[NDArray[np.float64]]:
        """Return the joints (23,) in rad to pass through; none where nothing is to be done."""
        target = obs["agent_target"].astype(np.float64)
        arm, hand = target[ARM_JOINTS], target[HAND_JOINTS]
        wrist, turn = self._ik.wrist(arm)
        holds = np.abs(hand - obs["agent_pos"][HAND_JOINTS]).max() > GRIP
        origin, goal = find_moved(obs["pixels"], obs["goal"], obs["agent_pos"], holds)
        palm = palm_of(turn)
        if holds:
            plan = goal and self._grasp(goal, [palm], arm)
            return [] if plan is None else self._carry(wrist, plan.wrist, turn, arm, hand)
        if origin is None or goal is None:
            return []
        # The palm stays as it is turned if it faces the object.
        faces = palm[:, 0] @ (origin.foot - wrist) > FACES
        plan = self._grasp(origin, [palm, *TURNS] if faces else TURNS, arm)
        if plan is None:
            return []
        way = [np.concatenate([row, plan.open_hand]) for row in plan.approach[::4]]
        at, closed = plan.approach[-1], plan.closed_hand
        way += [np.concatenate([at, closed])]
        end = plan.wrist + goal.foot - origin.foot
        return way + self._carry(plan.wrist, end, plan.turn, at, closed)

    def _grasp(
        self, seen: Seen, turns: list[NDArray[np.float64]], arm: NDArray[np.float64]
    ) -> GraspPlan | None:
        """Return the first grasp of an object that the arm can reach, with the palm so turned."""
        angles = np.linspace(0, 2 * np.pi, 8, endpoint=False)
        ring = min(seen.width, WIDEST) / 2 * np.stack([np.cos(angles), np.sin(angles), 0 * angles])
        points = np.concatenate([seen.foot + ring.T + [0, 0, z] for z in (0, seen.height)])
        for turn in turns:
            plan = grasp_at(points, np.inf, COUNTER, turn, self._ik, arm, RISE)
            if plan is not None:
                return plan
        return None

    def _carry(
        self,
        start: NDArray[np.float64],
        end: NDArray[np.float64],
        turn: NDArray[np.float64],
        arm: NDArray[np.float64],
        hand: NDArray[np.float64],
    ) -> list[NDArray[np.float64]]:
        """Return joints (n, 23) that take the wrist over and down to a place, the grip kept."""
        height = max(start[2] + OVER, end[2])
        up, over = np.array([*start[:2], height]), np.array([*end[:2], height])
        points = np.array([*np.linspace(up, over, 5), end])
        rows = self._ik.line(points, turn, arm, jump=2.0)
        return [] if rows is None else [np.concatenate([row, hand]) for row in rows]


def _leg(start: NDArray[np.float64], end: NDArray[np.float64]) -> NDArray[np.float32]:
    """Return the targets (n, 23) from one posture to the next at bounded speed, in rad."""
    delta = np.abs(end - start)
    seconds = max(delta[ARM_JOINTS].max() / ARM_SPEED, delta[HAND_JOINTS].max() / HAND_SPEED)
    steps = max(int(np.ceil(seconds * CONTROL_HZ - 1e-6)), 1)
    return ramp(start, end, RampConfig(steps, arm_end=steps, hand_start=0, hand_end=steps))
