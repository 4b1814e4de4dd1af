"""Push planning: where the hand is set down beside an object, and how it moves it along.

The palm stands on edge and pushes with its face or its back; or the hand is lowered over the object
from above and takes it along between thumb and fingertips, which close too little to lift it.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from dexbench.envs.embodiment.keypoints import ARM_JOINTS
from dexbench.envs.embodiment.robot import OPEN_HAND
from dexbench.envs.simulation import Simulation

from .grasp import HALF_HAND, TABLE_GAP, grasps, object_points, palm_of, palm_turn, wrist_pose
from .ik import ArmIK

FLAT_HAND = OPEN_HAND.copy()
FLAT_HAND[12] = 0.4
"""Hand joints (16,) in rad of a flat hand, the thumb beside the palm."""
FACE_GAP, BACK_GAP = 0.022, 0.040
"""Distance in m of what touches the palm's face, and its back, from the palm frame."""
BEHIND = 0.03
"""Gap in m between palm and object before a push."""
MIDDLE = 0.03
"""How far behind the knuckles, in m, the palm meets the object."""
YAWS, ROLLS, PITCHES = (10, 170), (75, 105), (-8, 3)
"""Ranges of a palm on edge, in degrees, as `palm_turn` takes them."""
EDGES = 30
"""Poses drawn of a palm on edge."""
CAGE = 0.75
"""How far thumb and fingers close on an object that they push, as a share of a grasp's way."""
RISE = 0.12
"""How far, in m, the hand is lowered to the counter."""
POINTS = 14
"""Points of the straight line that the hand pushes along: it takes as many control steps."""

Free = Callable[[NDArray[np.float64]], bool]
"""Whether an object may be pushed by so much, (2,) in m in the base frame."""


@dataclass(frozen=True)
class PushPlan:
    """A planned push; rows are joint angles in rad."""

    down: NDArray[np.float64]
    """Arm joints (m, 7) from above the counter down to beside the object."""
    along: NDArray[np.float64]
    """Arm joints (n, 7) that push it."""
    open_hand: NDArray[np.float64]
    """Hand joints (16,) on the way down."""
    hand: NDArray[np.float64]
    """Hand joints (16,) that push."""
    turn: NDArray[np.float64]
    """Wrist rotation (3, 3) in the base frame, the same throughout."""


def edge_pushes(
    simulation: Simulation,
    name: str,
    lengths: tuple[float, float],
    free: Free,
    rng: np.random.Generator,
) -> Iterator[PushPlan]:
    """Yield pushes with the palm on edge.

    Args:
        simulation: The scene, the object at rest.
        name: Body name of the object.
        lengths: Range of how far the object is pushed, in m.
        free: Decides where to.
        rng: Draws the palm's pose, its face or back, and the length.
    """
    points, ik = object_points(simulation, name), ArmIK(simulation)
    start = simulation.joint_positions[ARM_JOINTS]
    center = (points.max(axis=0) + points.min(axis=0)) / 2
    height = points[:, 2].min() + TABLE_GAP + HALF_HAND
    for _ in range(EDGES):
        yaw, roll, pitch = np.radians(rng.uniform(*np.transpose([YAWS, ROLLS, PITCHES])))
        length, face = rng.uniform(*lengths), rng.random() < 0.5
        turn = palm_turn(yaw, pitch, roll)
        way = _level(turn[:, 0] if face else -turn[:, 0])
        if not free(length * way[:2]):
            continue
        gap = ((center - points) @ way).max() + (FACE_GAP if face else BACK_GAP) + BEHIND
        palm = center - gap * way + MIDDLE * turn[:, 2]
        palm[2] = height
        rows = _rows(ik, *wrist_pose(palm, turn), (BEHIND + length) * way, start)
        if rows is not None:
            plan = PushPlan(*rows, FLAT_HAND, FLAT_HAND, wrist_pose(palm, turn)[1])
            if _clear(simulation, plan):
                yield plan


def tip_pushes(
    simulation: Simulation,
    name: str,
    lengths: tuple[float, float],
    free: Free,
    rng: np.random.Generator,
) -> Iterator[PushPlan]:
    """Yield pushes with thumb or fingertips from above, along the fingers or against them.

    Args:
        simulation: The scene, the object at rest.
        name: Body name of the object.
        lengths: Range of how far the object is pushed, in m.
        free: Decides where to.
        rng: Draws the grasps, the length, and whether the thumb or the fingers push.
    """
    ik, start = ArmIK(simulation), simulation.joint_positions[ARM_JOINTS]
    for grasp in grasps(simulation, name, rng, RISE, ("top",)):
        way = rng.choice((-1, 1)) * _level(palm_of(grasp.turn)[:, 2])
        length = rng.uniform(*lengths)
        if not free(length * way[:2]):
            continue
        rows = _rows(ik, grasp.wrist, grasp.turn, length * way, start)
        if rows is not None:
            hand = grasp.open_hand + CAGE * (grasp.closed_hand - grasp.open_hand)
            plan = PushPlan(*rows, grasp.open_hand, hand, grasp.turn)
            if _clear(simulation, plan):
                yield plan


def _level(way: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the horizontal direction (3,) of a vector (3,)."""
    return np.array([*way[:2], 0.0]) / np.linalg.norm(way[:2])


def _rows(
    ik: ArmIK,
    wrist: NDArray[np.float64],
    turn: NDArray[np.float64],
    way: NDArray[np.float64],
    start: NDArray[np.float64],
) -> tuple[NDArray[np.float64], NDArray[np.float64]] | None:
    """Return arm rows down to a wrist pose and from there along a way (3,) in m, if there are."""
    down = ik.line(wrist + np.linspace(RISE, 0, 6)[:, None] * [0, 0, 1], turn, start)
    if down is None:
        return None
    along = ik.line(wrist + np.linspace(0, 1, POINTS + 1)[1:, None] * way, turn, down[-1])
    return None if along is None else (down, along)


def _clear(simulation: Simulation, plan: PushPlan) -> bool:
    """Whether the robot touches nothing before the push, and nothing but objects after it."""
    state, clear = simulation.get_state(), True
    for arm, objects in ((plan.down[0], True), (plan.down[-1], True), (plan.along[-1], False)):
        simulation.set_joints(np.concatenate([arm, plan.open_hand]))
        clear &= not simulation.robot_touches(objects)
    simulation.set_state(state)
    return clear
