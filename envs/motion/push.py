"""Push planning: how the hand gets behind an object and shoves it over the counter.

On edge, the hand stands on its side, and its palm or back pushes. With the tips, it comes from
above: the palm faces down, and the bent fingers push like a rake.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import islice
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from dexbench.envs.embodiment.keypoints import ARM_JOINTS
from dexbench.envs.embodiment.robot import CONTROL_HZ
from dexbench.envs.simulation import Simulation

from .collision import stuck
from .grasp import TABLE_GAP, object_points, palm_turn, wrist_pose
from .hand import surface
from .ik import ArmIK

PushStyle = Literal["edge", "tips"]
BEHIND = 0.015
"""Gap in m between hand and object where the hand comes down."""
RISE = 0.09
"""How far above its way over the counter the hand comes down and goes up again, in m."""
RISE_STEP = 0.03
"""Distance in m between rows of the ways down and up."""
FACING = 0.75
"""Least cosine between the push and the axis that the hand is broad across, either way."""
TURNS = 16
"""Rotations of the palm that are tried."""
AWAY = 2.0
"""How far up the object is put while it is seen what else is in the way, in m."""
FIRM = 0.12
"""The part of stretched fingers that pushes ends here, in m from the palm's origin; tips yield."""
THUMB = (0.4, 1.2, 1.6, 1.6)
"""Thumb joints (4,) in rad that tuck it beside the palm."""
HANDS: dict[PushStyle, NDArray[np.float64]] = {
    "edge": np.array([*[0.0, 0.1, 0.1, 0.1] * 3, *THUMB]),
    "tips": np.array([*[0.0, 1.25, 0.25, 0.15] * 3, *THUMB]),
}
"""Hand joints (16,) in rad: fingers stretched, and fingers at a right angle to the palm."""


@dataclass(frozen=True)
class PushPlan:
    """A planned push; rows are joint angles in rad, one a control step."""

    down: NDArray[np.float64]
    """Arm joints (n, 7) from above to behind the object."""
    stroke: NDArray[np.float64]
    """Arm joints (n, 7) of the push."""
    up: NDArray[np.float64]
    """Arm joints (n, 7) from the end of the push upward."""
    hand: NDArray[np.float64]
    """Hand joints (16,) throughout."""


def pushes(
    simulation: Simulation,
    name: str,
    direction: NDArray[np.float64],
    distance: float,
    style: PushStyle,
    rng: np.random.Generator,
    speed: float = 0.2,
    clearance: float = TABLE_GAP,
) -> Iterator[PushPlan]:
    """Yield pushes of an object along a straight line, with the hand in nothing's way at its ends.

    Args:
        simulation: The scene, the object at rest; it stays as it is.
        name: Body name of the object.
        direction: Unit vector (2,) in the base frame's horizontal plane.
        distance: How far the hand goes once it meets the object, in m.
        style: With which part of the hand.
        rng: Draws the order in which rotations of the palm are tried.
        speed: Of the stroke, in m/s.
        clearance: Height in m of the hand's lowest point above the object's; high pushes topple.
    """
    points = object_points(simulation, name)
    forward = np.array([*direction, 0.0])
    left = np.array([-direction[1], direction[0], 0.0])
    bottom, top = points[:, 2].min(), points[:, 2].max()
    most_left, most_right = (points @ left).max(), (points @ left).min()
    length = BEHIND + distance
    count = max(2, round(length / speed * CONTROL_HZ))
    steps = forward * np.linspace(0, length, count + 1)[:, None]
    rise = np.arange(RISE, 0, -RISE_STEP)[:, None] * [0, 0, 1]
    hand = HANDS[style]
    skin, of_fingers = surface(hand)
    firm = of_fingers & (skin[:, 2] < FIRM)
    ik, arm = ArmIK(simulation), simulation.joint_targets[ARM_JOINTS]
    for turn in islice(_turns(style, forward, rng), TURNS):
        hull = skin @ turn.T
        height = bottom + clearance - hull[:, 2].min()
        low = hull[:, 2] + height < top  # what is higher passes over the object
        if not (low & firm).any():
            continue
        aside = hull @ left
        fingers = aside[low & firm]
        offset = (most_left + most_right - fingers.max() - fingers.min()) / 2
        meets = low & (aside + offset < most_left) & (aside + offset > most_right) | low & firm
        ahead = (hull[meets] @ forward).max()
        palm = forward * ((points @ forward).min() - BEHIND - ahead) + left * offset
        wrist, wrist_turn = wrist_pose(palm + [0, 0, height], turn)
        path = [wrist + rise, wrist + steps, wrist + steps[-1] + rise[::-1]]
        rows = ik.line(np.concatenate(path), wrist_turn, arm)
        if rows is None:
            continue
        down, stroke, up = np.split(rows, [len(rise), len(rise) + len(steps)])
        plan = PushPlan(down, stroke, up, hand)
        if _clear(simulation, name, plan):
            yield plan


def _clear(simulation: Simulation, name: str, plan: PushPlan) -> bool:
    """Return whether the robot is inside nothing but the object at both ends of the stroke."""
    state = simulation.get_state()
    simulation.place_object(name, simulation.object_position(name) + [0, 0, AWAY], yaw=0.0)
    blocked = False
    for arm in plan.stroke[[0, -1]]:
        simulation.set_joints(np.concatenate([arm, plan.hand]))
        blocked |= stuck(simulation)
    simulation.set_state(state)
    return not blocked


def _turns(
    style: PushStyle, forward: NDArray[np.float64], rng: np.random.Generator
) -> Iterator[NDArray[np.float64]]:
    """Yield rotations (3, 3) of the palm whose broad side faces the push, in random order."""
    rolls, pitches = ((-90, -75, 75, 90), (0, 15)) if style == "edge" else ((0,), (0, 15, 30))
    broad = 0 if style == "edge" else 2
    angles = [
        (yaw, pitch, roll) for yaw in range(-30, 181, 15) for pitch in pitches for roll in rolls
    ]
    for yaw, pitch, roll in rng.permutation(angles):
        turn = palm_turn(*np.radians([yaw, pitch, roll]))
        if abs(turn[:, broad] @ forward) > FACING:
            yield turn
