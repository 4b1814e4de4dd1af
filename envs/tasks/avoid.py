"""Avoid: bring the hand to the other side of an object, as the goal image shows it, and move none.

* Start: the hand low over the counter, on one side of an object, no contact.
* Goal: the hand on the other side of it, all objects where they were.
* Criterion: the mean distance of wrist and four fingertips to the goal's below 10 cm, and no object
  has moved by over 3 cm since the start. An object that was moved spoils the whole episode.
* Expert: passes over the object.
* Rejected: where the straight way of the joints moves no object by 5 cm, or the expert moves one.
"""

from collections.abc import Callable, Iterator
from itertools import islice

import numpy as np
from numpy.typing import NDArray

from dexbench.envs.embodiment.keypoints import ARM_JOINTS, HAND_JOINTS, WRIST
from dexbench.envs.motion.expert import ScriptedExpert
from dexbench.envs.motion.grasp import object_points, palm_turn, wrist_pose
from dexbench.envs.motion.hand import REST
from dexbench.envs.motion.ik import ArmIK
from dexbench.envs.motion.push import HANDS
from dexbench.envs.simulation import Simulation

from .base import Rejected
from .criterion import Criterion, Goal, Outcome
from .reach import KNOCK, Reach, farthest_moved

LEAST = 0.20
"""Least distance between start and goal, in m."""
SPOILT = 0.03
"""How far no object may have moved, in m."""
KNOCKED = 0.05
"""How far the straight way must move an object, in m: clear of `SPOILT`."""
AWAY = (0.11, 0.22)
"""Range of the palm's distance from the object's middle, in m, at start and goal."""
EDGE, FLAT = (90, (-8, 5), (0.075, 0.13)), (0, (-10, 20), (0.11, 0.18))
"""Of a palm on edge, and of one that faces down: its roll and the range of its pitch, in degrees,
and that of its height above the counter, in m."""
YAWS, TURNS = (25, 150), 10
"""Range of the palm's yaw, and how far it turns from the start to the goal either way about each
axis, in degrees."""
ON_EDGE = 0.7
"""Share of the pairs that are drawn with the palm on edge."""
CURL = 0.3
"""How far the fingers bend at most, as a share of `REST`."""
RISES = (0.12, 0.18, 0.24)
"""How far the expert raises the hand above the straight way, in m."""
FINGERS = np.concatenate([REST[:12], np.zeros(4)])
"""Bent fingers (16,) in rad, the thumb straight."""
PAIRS = 80
"""Pairs of postures drawn in a scene before it is given up."""
TRIES = 3
"""Pairs on whose straight way the hand meets the object that are tried."""


class Unmoved:
    """Judges an episode: reach's distance, while no object has moved too far.

    Args:
        simulation: In the start state.
        reach: Judges where the hand is.
        target: Body name of the trial's object.
        goal: Where the hand is in the goal state.
    """

    def __init__(self, simulation: Simulation, reach: Reach, target: str, goal: Goal):
        self._reach, self._target, self._goal = reach, target, goal
        self._places = np.array([simulation.object_position(name) for name in simulation.objects])
        self.farthest = 0.0
        """How far any object has been from its place at the start so far, in m."""

    def evaluate(self, simulation: Simulation) -> Outcome:
        """Return the hand's distance, and as the gate whether all objects were left alone."""
        self.farthest = max(self.farthest, farthest_moved(simulation, self._places))
        outcome = self._reach.evaluate(simulation, self._target, self._goal)
        alone = self.farthest <= SPOILT
        return Outcome(outcome.holds and alone, outcome.distance, alone)


class Avoid(Reach):
    """Wrist and fingertips within 10 cm of the goal's, no object moved by over 3 cm so far."""

    name = "avoid"
    threshold = 0.10
    views_target = True
    needs_foresight = True

    def begin(self, simulation: Simulation, target: str, goal: Goal) -> Criterion:
        """Return a criterion that remembers how far objects have moved."""
        return Unmoved(simulation, self, target, goal)

    def true_cost(self, simulation: Simulation, target: str, goal: Goal, displaced: float) -> float:
        """Return the hand's distance, and ten times what an object was moved beyond 3 cm, in m."""
        distance = self.evaluate(simulation, target, goal).distance
        return distance + 10 * max(displaced - SPOILT, 0.0)

    def stage(
        self, simulation: Simulation, target: str, rng: np.random.Generator
    ) -> Callable[[ScriptedExpert], None]:
        """Draw postures on two sides of the object; the expert passes over it."""
        places = np.array([simulation.object_position(name) for name in simulation.objects])
        state = simulation.get_state()
        for start, goal in islice(_pairs(simulation, target, rng), TRIES):
            solve = _solve(simulation, start, goal, places)
            if solve is not None:
                return solve
            simulation.set_state(state)
        raise Rejected("no posture behind the object")

    def check_start(self, outcome: Outcome, simulation: Simulation, target: str) -> None:
        """Check that at least 20 cm are to go and the hand touches nothing."""
        if outcome.distance < LEAST:
            raise Rejected("start too near the goal")
        if simulation.hand_touches():
            raise Rejected("the hand touches an object at the start")


def _solve(
    simulation: Simulation,
    start: NDArray[np.float64],
    goal: NDArray[np.float64],
    places: NDArray[np.float64],
) -> Callable[[ScriptedExpert], None] | None:
    """Return a way that knocks nothing, the simulation in the start; None if there is none."""
    simulation.set_joints(start)
    ScriptedExpert(simulation).hold(5)
    if simulation.robot_touches() or farthest_moved(simulation, places) > KNOCK / 2:
        return None
    state = simulation.get_state()
    _follow([goal])(ScriptedExpert(simulation))
    if farthest_moved(simulation, places) < KNOCKED:
        return None
    for way in _ways(simulation, start, goal):
        simulation.set_state(state)
        _follow(way)(ScriptedExpert(simulation))
        if farthest_moved(simulation, places) < KNOCK:
            simulation.set_state(state)
            return _follow(way)
    return None


def _follow(way: list[NDArray[np.float64]]) -> Callable[[ScriptedExpert], None]:
    """Return what moves through postures (23,) and comes to rest."""

    def follow(expert: ScriptedExpert) -> None:
        for posture in way:
            expert.move(posture[ARM_JOINTS], posture[HAND_JOINTS], least=6)
        expert.hold(5)

    return follow


def _pairs(
    simulation: Simulation, target: str, rng: np.random.Generator
) -> Iterator[tuple[NDArray[np.float64], NDArray[np.float64]]]:
    """Yield postures (23,) on two sides of the object between which the hand meets it.

    The simulation is as it was whenever one is yielded.
    """
    state, ik = simulation.get_state(), ArmIK(simulation)
    points = object_points(simulation, target)
    middle = (points.max(axis=0) + points.min(axis=0)) / 2
    middle[2] = points[:, 2].min()
    near = simulation.joint_positions[ARM_JOINTS]
    for _ in range(PAIRS):
        roll, pitches, heights = EDGE if rng.random() < ON_EDGE else FLAT
        side, yaw, pitch = rng.uniform(0, 2 * np.pi), rng.uniform(*YAWS), rng.uniform(*pitches)
        postures: list[NDArray[np.float64]] = []
        for angle in (side, side + np.pi) + rng.uniform(-0.4, 0.4, 2):
            away = rng.uniform(*AWAY) * np.array([np.cos(angle), np.sin(angle)])
            palm = middle + [*away, rng.uniform(*heights)]
            turned = np.radians([yaw, pitch, roll] + rng.uniform(-TURNS, TURNS, 3))
            arm = ik.solve(*wrist_pose(palm, palm_turn(*turned)), near)
            if arm is None:
                break
            posture = np.concatenate([arm, HANDS["edge"] + rng.uniform(0, CURL) * FINGERS])
            simulation.set_joints(posture)
            clear = not simulation.robot_touches()
            simulation.set_state(state)
            if not clear:
                break
            postures.append(posture)
        if len(postures) == 2 and _meets(simulation, target, *postures):
            yield postures[0], postures[1]


def _meets(
    simulation: Simulation, target: str, start: NDArray[np.float64], goal: NDArray[np.float64]
) -> bool:
    """Whether the hand meets the object on the straight way in joint space."""
    state = simulation.get_state()
    met = 0
    for share in np.linspace(0.15, 0.85, 8):
        simulation.set_joints(start + share * (goal - start))
        met += simulation.hand_touches(target)
    simulation.set_state(state)
    return met >= 2


def _ways(
    simulation: Simulation, start: NDArray[np.float64], goal: NDArray[np.float64]
) -> Iterator[list[NDArray[np.float64]]]:
    """Yield postures (23,) to pass: raised from the start, above the goal, the goal.

    Moves the robot.
    """
    ik, poses = ArmIK(simulation), []
    for posture in (start, goal):
        simulation.set_joints(posture)
        turn = simulation.wrist_turn()
        poses.append((simulation.keypoints[WRIST], turn, posture))
    for rise in RISES:
        way = []
        for wrist, turn, posture in poses:
            arm = ik.solve(wrist + [0, 0, rise], turn, posture[ARM_JOINTS])
            if arm is not None:
                way.append(np.concatenate([arm, posture[HAND_JOINTS]]))
        if len(way) == 2:
            yield [*way, goal]
