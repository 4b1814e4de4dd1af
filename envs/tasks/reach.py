"""Reach: bring the hand to where the goal image shows it."""

from collections.abc import Callable

import numpy as np

from ..motion.expert import Expert
from ..motion.grasp import palm_turn, wrist_pose
from ..motion.hand import REST
from ..motion.ik import ArmIK
from ..simulation import Simulation
from .base import POINTS, Rejected, Task
from .playback import Goal, Outcome

LOW, HIGH = np.array([0.48, -0.50, 0.98]), np.array([0.80, 0.02, 1.25])
"""Corners of the box in the base frame, in m, that palms are drawn in."""
LEAST = 0.30
"""Least distance between start and goal, in m."""


class Reach(Task):
    """Mean distance of wrist and four fingertips to the goal's below 15 cm (paper App. C.4)."""

    name = "reach"
    threshold = 0.15
    views_target = False

    def evaluate(self, simulation: Simulation, target: str, goal: Goal) -> Outcome:
        """The mean distance over wrist and fingertips decides."""
        gaps = np.linalg.norm(simulation.keypoints - goal.keypoints, axis=1)
        distance = float(gaps[list(POINTS)].mean())
        return Outcome(distance < self.threshold, distance)

    def stage(
        self, simulation: Simulation, target: str, rng: np.random.Generator
    ) -> Callable[[Expert], None]:
        """Draw two postures above the counter, one to start in and one to reach."""
        start = draw_posture(simulation, rng)
        goal = self._far_posture(simulation, start, rng)
        places = [simulation.object_position(name) for name in simulation.objects]
        simulation.set_joints(start)
        Expert(simulation).hold(5)
        if simulation.hand_touches():
            raise Rejected("the hand touches an object at the start")

        def solve(expert: Expert) -> None:
            expert.move(goal[:7], goal[7:], least=20)
            expert.hold(5)
            moved = [
                np.linalg.norm(simulation.object_position(n) - p)
                for n, p in zip(simulation.objects, places, strict=True)
            ]
            if max(moved) > 0.01:
                raise Rejected("the expert knocks an object")

        return solve

    def _far_posture(
        self, simulation: Simulation, start: np.ndarray, rng: np.random.Generator
    ) -> np.ndarray:
        """A posture (23,) far enough from another.

        Raises:
            Rejected: None was found.
        """
        simulation.set_joints(start)
        aim = Goal.seen(simulation, simulation.objects[0])
        for _ in range(20):
            goal = draw_posture(simulation, rng)
            simulation.set_joints(goal)
            # The hand sags by up to a centimetre once it is free to move.
            if self.evaluate(simulation, simulation.objects[0], aim).distance > LEAST + 0.01:
                return goal
        raise Rejected("start too near the goal")

    def check_start(self, outcome: Outcome, sim: Simulation, target: str) -> None:
        """At least 30 cm are to go."""
        if outcome.distance < LEAST:
            raise Rejected("start too near the goal")


def draw_posture(simulation: Simulation, rng: np.random.Generator) -> np.ndarray:
    """Joints (23,) in rad with the palm somewhere above the counter and the fingers half open.

    Raises:
        Rejected: The arm cannot go where the palm was drawn.
    """
    ik = ArmIK(simulation)
    for _ in range(20):
        turn = palm_turn(np.radians(rng.uniform(25, 120)), np.radians(rng.uniform(-10, 45)))
        arm = ik.solve(*wrist_pose(rng.uniform(LOW, HIGH), turn), simulation.joint_positions[:7])
        if arm is not None:
            hand = rng.uniform(0.1, 1.1) * REST + rng.normal(0, 0.08, 16)
            hand[12] = REST[12] + rng.normal(0, 0.1)
            return np.concatenate([arm, hand])
    raise Rejected("no reachable posture")
