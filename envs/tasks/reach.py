"""Reach: bring the hand to where the goal image shows it."""

from collections.abc import Callable, Iterator

import numpy as np
from numpy.typing import NDArray

from dexbench.envs.embodiment.keypoints import (
    ARM_JOINTS,
    HAND_JOINTS,
    N_HAND_JOINTS,
    WRIST,
    WRIST_AND_TIPS,
)
from dexbench.envs.motion.expert import ScriptedExpert
from dexbench.envs.motion.grasp import palm_turn, wrist_pose
from dexbench.envs.motion.hand import REST
from dexbench.envs.motion.ik import ArmIK
from dexbench.envs.simulation import Simulation

from .base import Rejected, Task
from .criterion import Goal, Outcome

LOW, HIGH = np.array([0.48, -0.50, 0.98]), np.array([0.80, 0.02, 1.25])
"""Corners of the box in the base frame, in m, that palms are drawn in."""
LEAST = 0.30
"""Least distance between start and goal, in m."""
KNOCK = 0.01
"""How far the expert may move an object on its way, in m."""
DETOURS = (0.08, 0.16)
"""How far above the straight way's middle the wrist passes where that way knocks, in m."""


class Reach(Task):
    """Mean distance of wrist and four fingertips to the goal's below 15 cm (paper App. C.4)."""

    name = "reach"
    threshold = 0.15
    views_target = False

    def evaluate(self, simulation: Simulation, target: str, goal: Goal) -> Outcome:
        """Return the mean distance over wrist and fingertips decides."""
        gaps = np.linalg.norm(simulation.keypoints - goal.keypoints, axis=1)
        distance = float(gaps[list(WRIST_AND_TIPS)].mean())
        return Outcome(distance < self.threshold, distance)

    def true_cost(self, simulation: Simulation, target: str, goal: Goal, displaced: float) -> float:
        """Return the criterion's distance: no object has a place to go to."""
        return self.evaluate(simulation, target, goal).distance

    def stage(
        self, simulation: Simulation, target: str, rng: np.random.Generator
    ) -> Callable[[ScriptedExpert], None]:
        """Draw two postures above the counter, one to start in and one to reach."""
        start = free_posture(simulation, rng)
        goal = self._far_posture(simulation, start, rng)
        places = np.array([simulation.object_position(name) for name in simulation.objects])
        simulation.set_joints(start)
        ScriptedExpert(simulation).hold(5)
        if simulation.hand_touches() or farthest_moved(simulation, places) > KNOCK / 2:
            raise Rejected("the hand touches an object at the start")
        state = simulation.get_state()
        for way in _ways(simulation, start, goal):
            simulation.set_state(state)

            def solve(expert: ScriptedExpert, way: list[NDArray[np.float64]] = way) -> None:
                for posture in way:
                    expert.move(posture[ARM_JOINTS], posture[HAND_JOINTS], least=20 // len(way))
                expert.hold(5)

            solve(ScriptedExpert(simulation))
            if farthest_moved(simulation, places) < KNOCK:
                simulation.set_state(state)
                return solve
        raise Rejected("the expert knocks an object")

    def _far_posture(
        self, simulation: Simulation, start: NDArray[np.float64], rng: np.random.Generator
    ) -> NDArray[np.float64]:
        """Return a posture (23,) far enough from another.

        Raises:
            Rejected: None was found.
        """
        simulation.set_joints(start)
        aim = Goal.seen(simulation, simulation.objects[0])
        for _ in range(20):
            goal = free_posture(simulation, rng)
            # The hand sags by up to a centimetre once it is free to move.
            if self.evaluate(simulation, simulation.objects[0], aim).distance > LEAST + 0.01:
                return goal
        raise Rejected("start too near the goal")

    def check_start(self, outcome: Outcome, simulation: Simulation, target: str) -> None:
        """At least 30 cm are to go."""
        if outcome.distance < LEAST:
            raise Rejected("start too near the goal")


def farthest_moved(simulation: Simulation, places: NDArray[np.float64]) -> float:
    """Return how far the object that moved most is from its place, one of (n, 3), in m."""
    now = [simulation.object_position(name) for name in simulation.objects]
    return float(np.linalg.norm(np.subtract(now, places), axis=1).max())


def _ways(
    simulation: Simulation, start: NDArray[np.float64], goal: NDArray[np.float64]
) -> Iterator[list[NDArray[np.float64]]]:
    """Yield postures (23,) to pass: the goal's alone, or one above the middle first.

    Moves the robot.
    """
    yield [goal]
    ends = []
    for posture in (start, goal):
        simulation.set_joints(posture)
        ends.append(simulation.keypoints[WRIST])
    middle, ik = (start + goal) / 2, ArmIK(simulation)
    simulation.set_joints(middle)
    turn = simulation.wrist_turn()
    for rise in DETOURS:
        arm = ik.solve((ends[0] + ends[1]) / 2 + [0, 0, rise], turn, middle[ARM_JOINTS])
        if arm is not None:
            yield [np.concatenate([arm, middle[HAND_JOINTS]]), goal]


def free_posture(simulation: Simulation, rng: np.random.Generator) -> NDArray[np.float64]:
    """Return a posture (23,) in which the hand touches no object; the robot is left in it.

    Raises:
        Rejected: None was found.
    """
    for _ in range(20):
        posture = draw_posture(simulation, rng)
        simulation.set_joints(posture)
        if not simulation.hand_touches():
            return posture
    raise Rejected("no posture clear of the objects")


def draw_posture(simulation: Simulation, rng: np.random.Generator) -> NDArray[np.float64]:
    """Return joints (23,) in rad: palm somewhere above the counter, fingers half open.

    Raises:
        Rejected: The arm cannot go where the palm was drawn.
    """
    ik = ArmIK(simulation)
    for _ in range(20):
        turn = palm_turn(np.radians(rng.uniform(25, 120)), np.radians(rng.uniform(-10, 45)))
        start = simulation.joint_positions[ARM_JOINTS]
        arm = ik.solve(*wrist_pose(rng.uniform(LOW, HIGH), turn), start)
        if arm is not None:
            hand = rng.uniform(0.1, 1.1) * REST + rng.normal(0, 0.08, N_HAND_JOINTS)
            hand[12] = REST[12] + rng.normal(0, 0.1)
            return np.concatenate([arm, hand])
    raise Rejected("no reachable posture")
