"""Place: carry the object in the hand to where the goal image shows it."""

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from dexbench.envs.embodiment.keypoints import ARM_JOINTS, WRIST
from dexbench.envs.motion.expert import ScriptedExpert, find_grasp, straight
from dexbench.envs.motion.grasp import GraspPlan, object_points
from dexbench.envs.motion.ik import ArmIK
from dexbench.envs.simulation import Simulation
from dexbench.envs.trial import Trial

from .base import Rejected, Task
from .criterion import Goal, Outcome

LEAST, MOST = 0.25, 0.40
"""Range of the distance the object is to be carried, in m."""
LOW, HIGH = np.array([0.55, -0.48]), np.array([0.82, 0.08])
"""Corners (x, y) of the part of the counter that goals lie on, in the base frame, in m."""
GAP = (0.008, 0.03)
"""Range of the object's height above the counter in the goal, in m."""
CLEARANCE = 0.16
"""Least distance of a goal from other objects' centres, in m."""
DRAWS = 100
"""Places drawn on the counter before a scene is given up."""


class Place(Task):
    """Object within 10 cm of its position in the goal (paper App. C.4)."""

    name = "place"
    threshold = 0.10

    def evaluate(self, simulation: Simulation, target: str, goal: Goal) -> Outcome:
        """Return the distance of the object to its place in the goal decides."""
        distance = float(np.linalg.norm(simulation.object_position(target) - goal.object_position))
        return Outcome(distance < self.threshold, distance)

    def stage(
        self, simulation: Simulation, target: str, rng: np.random.Generator
    ) -> Callable[[ScriptedExpert], None]:
        """Lift the object; the expert carries it over and down to a free place."""
        plan, over, down = lift_and_aim(simulation, target, rng, GAP)

        def solve(expert: ScriptedExpert) -> None:
            if not (expert.carry(over, plan) and expert.carry(down, plan)):
                raise Rejected("no reachable goal")
            expert.hold(5)

        return solve

    def check_start(self, outcome: Outcome, simulation: Simulation, target: str) -> None:
        """Check that the object is in the hand, at least 25 cm from its goal."""
        if outcome.distance < LEAST:
            raise Rejected("start too near the goal")
        if not simulation.hand_touches(target):
            raise Rejected("the object is not in the hand")

    def check_held(self, simulation: Simulation, trial: Trial, before: NDArray[np.float64]) -> None:
        """Check that the object is still in the hand, within 2 cm of where it was."""
        moved = np.linalg.norm(simulation.object_position(trial.target) - before)
        if moved > 0.02 or not simulation.hand_touches(trial.target):
            raise Rejected("the object slips while the hand holds still")


def lift_and_aim(
    simulation: Simulation, target: str, rng: np.random.Generator, gap: tuple[float, float]
) -> tuple[GraspPlan, NDArray[np.float64], NDArray[np.float64]]:
    """Lift the object, and find a free place on the counter that the arm can carry it to.

    Args:
        simulation: The scene, the object at rest; left with the object in the lifted hand.
        target: Body name of the object.
        rng: Draws grasp, lift and place.
        gap: Range of the object's height above the counter at the place, in m.

    Returns:
        The grasp, and positions (3,) of the wrist above the place and at it, in the base frame.

    Raises:
        Rejected: No grasp lifts the object, or the arm reaches no free place.
    """
    spots = free_spots(simulation, target, rng)
    plan = find_grasp(simulation, target, rng)
    if plan is None:
        raise Rejected("no grasp lifts the object")
    table = object_points(simulation, target)[:, 2].min()
    expert = ScriptedExpert(simulation)
    expert.grasp(plan)
    lift = rng.uniform(0.08, 0.16)
    if not expert.carry(plan.wrist + [0, 0, lift], plan):
        raise Rejected("no reachable lift")
    expert.hold(8)
    bottom = object_points(simulation, target)[:, 2].min() - table
    if not simulation.hand_touches(target) or bottom < 0.04:
        raise Rejected("the object was not lifted")
    position = simulation.object_position(target)
    drop = bottom - rng.uniform(*gap)
    wrist, ik = simulation.keypoints[WRIST], ArmIK(simulation)
    for spot in spots:
        move = np.array([*(spot - position[:2]), -drop])
        if not LEAST + 0.01 < np.linalg.norm(move) < MOST:
            continue
        # First over, then down, so that the object does not sweep others off the counter.
        over, down = wrist + [move[0], move[1], 0.0], wrist + move
        way = straight(ik, wrist, over, plan.turn, simulation.joint_targets[ARM_JOINTS])
        if way is not None and straight(ik, over, down, plan.turn, way[-1]) is not None:
            return plan, over, down
    raise Rejected("no reachable goal")


def free_spots(
    simulation: Simulation, target: str, rng: np.random.Generator
) -> list[NDArray[np.float64]]:
    """Return places (2,) on the counter that others leave free, as far away as objects are carried.

    Raises:
        Rejected: There is none.
    """
    position = simulation.object_position(target)[:2]
    others = [simulation.object_position(name)[:2] for name in simulation.objects if name != target]
    spots = [
        spot
        for spot in rng.uniform(LOW, HIGH, (DRAWS, 2))
        if LEAST < np.linalg.norm(spot - position) < MOST
        and all(np.linalg.norm(spot - other) > CLEARANCE for other in others)
    ]
    if not spots:
        raise Rejected("no free place on the counter")
    return spots
