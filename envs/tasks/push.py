"""Push: move the object over the counter to where the goal image shows it.

* Start: the open hand near and above one side of an object that stands on the counter, no contact.
* Goal: the object 12-25 cm away on the counter, the robot where it began.
* Criterion: the object within 5 cm of its goal in the plane.
* Expert: sets the palm down on edge beside the object and pushes with its face or back; or lowers
  the open hand over it and takes it along between thumb and fingertips. It stops at the end.
* Rejected: what topples, rolls on or leans on the pushing hand, moves another object by 1 cm,
  or lies in the goal where the hand began.
"""

from collections.abc import Callable, Iterator
from itertools import islice

import numpy as np
from numpy.typing import NDArray

from dexbench.envs.embodiment.keypoints import ARM_JOINTS, WRIST
from dexbench.envs.motion.expert import ScriptedExpert
from dexbench.envs.motion.ik import ArmIK
from dexbench.envs.motion.push import PushPlan, PushStyle, pushes
from dexbench.envs.simulation import Simulation

from .base import Rejected, Task
from .criterion import Goal, Outcome
from .reach import KNOCK, farthest_moved

LEAST, MOST = 0.12, 0.25
"""Range of the distance between start and goal of the object, in m."""
LENGTHS = (0.12, 0.26)
"""Range of how far the expert means to push, in m: some objects lag behind."""
LOW, HIGH = np.array([0.55, -0.50]), np.array([0.86, 0.20])
"""Corners (x, y) of the part of the counter that goals lie on, in the base frame, in m."""
CLEARANCE = 0.12
"""Least distance of a goal from other objects' centres, in m."""
TOPPLED = 0.015
"""How far a pushed object's centre may rise or sink, in m."""
ROLLING = 0.002
"""Farthest that the object may move in the half second after the push, in m."""
LEANING = 0.005
"""Farthest that an object may move in the second after the hand is taken away, in m."""
NEAR = np.array([0.05, 0.05, 0.03])
"""How far from above where the hand is set down the start may be, in m, either way."""
STYLES: tuple[PushStyle, ...] = ("edge", "tips")
DRAWS, TRIES = 40, 5
"""Pushes drawn on an object, and those tried that the arm can make, before it is given up."""


class Push(Task):
    """Object within 5 cm of its position in the goal, in the plane of the counter."""

    name = "push"
    threshold = 0.05
    needs_foresight = True

    def evaluate(self, simulation: Simulation, target: str, goal: Goal) -> Outcome:
        """Return the distance in the plane of the object from its place in the goal."""
        gap = simulation.object_position(target) - goal.object_position
        distance = float(np.linalg.norm(gap[:2]))
        return Outcome(distance < self.threshold, distance)

    def true_cost(self, simulation: Simulation, target: str, goal: Goal, displaced: float) -> float:
        """Return the distance in the plane, and a weak pull of the hand to the object, in m."""
        return self.evaluate(simulation, target, goal).distance + self.pull(simulation, target)

    def stage(
        self, simulation: Simulation, target: str, rng: np.random.Generator
    ) -> Callable[[ScriptedExpert], None]:
        """Stand with open hand near where a push begins; the expert pushes."""
        state = simulation.get_state()
        places = np.array([simulation.object_position(name) for name in simulation.objects])
        for plan in islice(_plans(simulation, target, rng), TRIES):
            if _stand_above(simulation, plan, rng) and farthest_moved(simulation, places) < KNOCK:
                start = simulation.get_state()
                _push(ScriptedExpert(simulation), plan)
                if _went_well(simulation, places):
                    simulation.set_state(start)
                    return lambda expert: _push(expert, plan)
            simulation.set_state(state)
        raise Rejected("no push moves the object alone")

    def goal_state(self, simulation: Simulation, start: NDArray[np.float64]) -> NDArray[np.float64]:
        """Return the state with the robot back where it began."""
        return robot_returned(simulation, start)

    def check_start(self, outcome: Outcome, simulation: Simulation, target: str) -> None:
        """Check that the object is 12-25 cm from its goal and the hand touches nothing."""
        if not LEAST <= outcome.distance <= MOST:
            raise Rejected("start too near the goal or too far")
        if simulation.hand_touches():
            raise Rejected("the hand touches an object at the start")


def robot_returned(
    simulation: Simulation, start: NDArray[np.float64], hand: NDArray[np.float64] | None = None
) -> NDArray[np.float64]:
    """Return a state (n,) with the robot where it began, and the objects at rest without its hand.

    Args:
        simulation: The objects are where it has them; left in the returned state.
        start: The start state (n,).
        hand: Hand joints (16,) in rad in place of the start's.

    Raises:
        Rejected: An object is in the way, or leaned on the hand.
    """
    reached = simulation.get_state()
    simulation.set_state(start)
    joints = simulation.joint_positions
    simulation.set_state(reached)
    if hand is not None:
        joints = np.concatenate([joints[ARM_JOINTS], hand])
    simulation.set_joints(joints)
    if simulation.robot_touches():
        raise Rejected("the object lies where the robot began")
    places = np.array([simulation.object_position(name) for name in simulation.objects])
    ScriptedExpert(simulation).hold(10)
    if farthest_moved(simulation, places) > LEANING:
        raise Rejected("an object leaned on the hand")
    return simulation.get_state()


def _plans(simulation: Simulation, target: str, rng: np.random.Generator) -> Iterator[PushPlan]:
    """Yield pushes of either style, in any direction, to free places on the counter."""
    place, *others = (simulation.object_position(name)[:2] for name in simulation.objects)
    for _ in range(DRAWS):
        angle, length = rng.uniform(-np.pi, np.pi), rng.uniform(*LENGTHS)
        style = STYLES[rng.integers(len(STYLES))]
        way = np.array([np.cos(angle), np.sin(angle)])
        spot = place + length * way
        free = all(np.linalg.norm(spot - other) > CLEARANCE for other in others)
        if free and (spot >= LOW).all() and (spot <= HIGH).all():
            yield from islice(pushes(simulation, target, way, length, style, rng), 1)


def _stand_above(simulation: Simulation, plan: PushPlan, rng: np.random.Generator) -> bool:
    """Put the hand near where a push begins; return whether it can be and touches nothing."""
    ik = ArmIK(simulation)
    simulation.set_joints(np.concatenate([plan.down[0], plan.hand]))
    turn = simulation.wrist_turn()
    arm = ik.solve(simulation.keypoints[WRIST] + rng.uniform(-NEAR, NEAR), turn, plan.down[0])
    if arm is None:
        return False
    simulation.set_joints(np.concatenate([arm, plan.hand]))
    ScriptedExpert(simulation).hold(5)
    return not simulation.robot_touches()


def _push(expert: ScriptedExpert, plan: PushPlan) -> None:
    """Set the hand down, push, and let the object come to rest."""
    expert.follow(plan.down, plan.hand)
    expert.follow(plan.stroke, plan.hand)
    expert.hold(6)


def _went_well(simulation: Simulation, places: NDArray[np.float64]) -> bool:
    """Whether the target alone has moved, far enough, upright, and to rest. Steps."""
    now = np.array([simulation.object_position(name) for name in simulation.objects])
    (move, *others) = now - places
    if not LEAST < np.linalg.norm(move[:2]) < MOST or abs(move[2]) > TOPPLED:
        return False
    if any(np.linalg.norm(other) > KNOCK for other in others):
        return False
    ScriptedExpert(simulation).hold(5)
    return bool(
        np.linalg.norm(simulation.object_position(simulation.objects[0]) - now[0]) < ROLLING
    )
