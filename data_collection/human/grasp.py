"""How a hand takes an object: from above or from the side, fingers closing until they touch."""

from dataclasses import dataclass

import numpy as np

from dexbench.data_collection.scripted.objects import NoGrasp, Solid
from dexbench.data_collection.scripted.poses import UP, Array, axes, pose, turns

from .body import arm_heading
from .skeleton import FINGERS, HAND_JOINTS, PARTS, Person, hand_joints

WIDE = np.array(
    [-0.1, 0.95, 0.1, 0.1, 0.20, 0, 0.35, 0.25, 0.22, 0, 0.38, 0.25, 0.25, 0, 0.40, 0.25, 0.28, 0,
     0.42, 0.25]
)  # fmt: skip
"""Angles (20,) in rad of a hand that is open for an object."""
SHUT = np.array(
    [0.65, 1.25, 0.7, 0.7, 1.25, -0.02, 1.4, 0.9, 1.3, 0, 1.45, 0.9, 1.3, 0.02, 1.45, 0.9, 1.3,
     0.05, 1.4, 0.9]
)  # fmt: skip
"""Where its fingers go until they touch."""
WIDEST = 0.098
"""Width in m of what a hand can take."""
_RADIUS = 0.0085
_CHAINS = np.array([[HAND_JOINTS.index(finger + part) for part in PARTS] for finger in FINGERS])
_SHARES = np.array([0.35, 0.7, 1.0])


@dataclass(frozen=True)
class Grasp:
    """A hand about an object."""

    wrist: Array
    """Transform (4, 4) in the world."""
    ready: Array
    """Angles (20,) in rad before it closes."""
    closed: Array
    """Angles (20,) in rad when the fingers touch."""
    away: Array
    """Direction and length (3,) in m from where the hand comes."""


def finger_points(angles: Array, side: str, size: float) -> Array:
    """Return points (n, 5, 9, 3) along the fingers in the hand's frame, in m, from root to tip."""
    joints = hand_joints(angles, side, size)[:, :, :3, 3]
    chain = joints[:, _CHAINS]
    between = chain[:, :, :-1, None] + _SHARES[:, None] * (
        chain[:, :, 1:, None] - chain[:, :, :-1, None]
    )
    return between.reshape(len(angles), 5, 9, 3)


def palm_points(side: str, size: float) -> Array:
    """Return points (m, 3) inside the palm in the hand's frame, in m."""
    x, y = np.meshgrid([0.0, 0.03, 0.06, 0.088], [-0.03, 0.0, 0.025])
    flip = 1 if side == "right" else -1
    points: Array = np.stack([x.ravel(), flip * y.ravel(), np.full(x.size, -0.004)], 1) * size
    return points


def close(solid: Solid, place: Array, ready: Array, side: str, size: float) -> Array:
    """Close every finger until it touches.

    Args:
        solid: The object.
        place: Its transform (4, 4) in the hand's frame.
        ready: Angles (20,) to start from.
        side: Whose hand.
        size: Of the hand.

    Returns:
        Angles (20,) in rad.
    """
    angles = ready.copy()
    for stage in range(2):  # whole fingers, then what is beyond the joint that has touched
        goal = np.where(np.arange(20) % 4 < 2, angles, SHUT) if stage else SHUT
        shares = np.linspace(0, 1, 24)
        swept = angles + shares[:, None] * (goal - angles)
        gaps = _gaps(solid, place, finger_points(swept, side, size)) - _RADIUS * size
        for finger in range(5):
            own = slice(4 * finger, 4 * finger + 4)
            part = gaps[:, finger] if stage == 0 else gaps[:, finger, 6:]
            touching = (part < 0).any(1)
            last = int(touching.argmax()) if touching.any() else round(0.75 * (len(shares) - 1))
            angles[own] = swept[last, own]
    return angles


def _gaps(solid: Solid, place: Array, points: Array) -> Array:
    """Return distances of points (..., 3) in the hand's frame from the object's surface."""
    local = (points - place[:3, 3]) @ place[:3, :3]
    return solid.distance(local.reshape(-1, 3)).reshape(points.shape[:-1])


def take(
    solid: Solid, there: Array, person: Person, side: str, floor: float, rng: np.random.Generator
) -> Grasp:
    """Plan how to take an object.

    Args:
        solid: Its shape.
        there: Its transform (4, 4) in the world.
        person: Who takes it.
        side: With which hand.
        floor: Height in m that no finger goes below.
        rng: The stream to draw from.

    Raises:
        NoGrasp: It is too wide.
    """
    upright = abs(there[2, 2]) > 0.9
    slim = 2 * np.median(np.linalg.norm(solid.points[:, :2], axis=1)) < 0.085
    beside = (
        upright and slim and solid.height > 0.085 and (solid.height > 0.13 or rng.random() < 0.6)
    )
    return (_from_side if beside else _from_above)(solid, there, person, side, floor, rng)


def heading(side: str, inward: float, pitch: float, roll: float) -> Array:
    """Return a hand's rotation (3, 3) in the world.

    Args:
        side: Whose hand.
        inward: Angle in rad of the fingers from straight ahead to the other side.
        pitch: Angle in rad of the fingers below the horizon.
        roll: Angle in rad by which the thumb's side is raised from a hand that lies on its palm.
    """
    sign = 1.0 if side == "right" else -1.0
    ahead = turns("z", sign * inward) @ np.array([0.0, 1.0, 0.0])
    fingers = np.cos(pitch) * ahead - np.sin(pitch) * UP
    back = np.sin(pitch) * ahead + np.cos(pitch) * UP
    return np.asarray(axes(fingers, back) @ turns("x", sign * roll))


def _from_above(
    solid: Solid, there: Array, person: Person, side: str, floor: float, rng: np.random.Generator
) -> Grasp:
    size = person.hand
    tips = finger_points(np.linspace(0, 0.9, 16)[:, None] * (SHUT - WIDE) + WIDE, side, size)[
        :, :, -1
    ]
    pairs = tips[:, 0], tips[:, 1:3].mean(1)
    spans = np.linalg.norm(pairs[0] - pairs[1], axis=1)
    world = solid.points @ there[:3, :3].T + there[:3, 3]
    top = world[:, 2].max()
    pitch, roll = rng.uniform(0.7, 1.05), rng.uniform(-0.15, 0.3)
    best: tuple[float, Array, float] | None = None
    natural = arm_heading(person, side, there[:3, 3]) + 0.3
    for inward in natural + np.linspace(-0.4, 0.4, 7) + rng.uniform(-0.06, 0.06):
        turn = heading(side, inward, pitch, roll)
        across = turn @ (pairs[0][4] - pairs[1][4])
        across[2] = 0
        along = world @ (across / np.linalg.norm(across))
        width = float(np.ptp(along))
        cost = 9 * width + abs(inward - natural)
        if width < WIDEST * size and (best is None or cost < best[0]):
            best = cost, turn, width
    if best is None:
        raise NoGrasp("too wide")
    _, turn, width = best
    wide = np.flatnonzero(spans > width + 0.022)
    number = int(wide[-1]) if len(wide) else 0
    ready = WIDE + np.linspace(0, 0.9, 16)[number] * (SHUT - WIDE)
    middle = 0.5 * pairs[0][number] + 0.5 * pairs[1][number]
    centre = (world.min(0) + world.max(0)) / 2
    goal = np.array([centre[0], centre[1], max(floor + 0.012, top - 0.045)])
    place = goal - turn @ middle
    for _ in range(25):
        wrist = pose(turn, place)
        inside = np.linalg.inv(wrist) @ there
        palm = _gaps(solid, inside, palm_points(side, size)).min() < 0.017 * size
        fingers = finger_points(ready[None], side, size)[0]
        closed = close(solid, inside, ready, side, size)
        ends = finger_points(closed[None], side, size)[0].reshape(-1, 3) @ turn.T + place
        fingers = _gaps(solid, inside, fingers).min() < 0.004
        if not palm and not fingers and ends[:, 2].min() > floor + _RADIUS * size:
            break
        place = place + 0.004 * UP
    away = 0.075 * UP - 0.03 * turn[:, 0] * [1, 1, 0]
    return Grasp(pose(turn, place), ready, closed, away)


def _from_side(
    solid: Solid, there: Array, person: Person, side: str, floor: float, rng: np.random.Generator
) -> Grasp:
    size = person.hand
    inward = arm_heading(person, side, there[:3, 3]) + rng.uniform(0.1, 0.6)
    turn = heading(side, inward, rng.uniform(0.1, 0.45), rng.uniform(1.05, 1.45))
    world = solid.points @ there[:3, :3].T + there[:3, 3]
    low, high = world[:, 2].min(), world[:, 2].max()
    level = float(np.clip(low + rng.uniform(0.45, 0.6) * (high - low), floor + 0.052, high - 0.02))
    near = np.abs(world[:, 2] - level) < 0.03
    band = world[near] if near.any() else world
    axis = np.array([*np.median(band[:, :2], axis=0), level])
    if float(np.ptp(band @ turn[:, 2])) > WIDEST * size:
        raise NoGrasp("too wide")
    reach = float(((band - axis) @ turn[:, 2]).max())
    place = axis + turn[:, 2] * (reach + 0.019 * size) - turn[:, 0] * 0.078 * size
    ready = WIDE + 0.05 * (SHUT - WIDE)
    for _ in range(12):
        wrist = pose(turn, place)
        inside = np.linalg.inv(wrist) @ there
        palm = _gaps(solid, inside, palm_points(side, size)).min() < 0.016 * size
        fingers = _gaps(solid, inside, finger_points(ready[None], side, size)[0]).min() < 0.003
        if not palm and not fingers:
            break
        place = place + 0.004 * turn[:, 2]
    closed = close(solid, np.linalg.inv(pose(turn, place)) @ there, ready, side, size)
    return Grasp(pose(turn, place), ready, closed, 0.06 * turn[:, 2] - 0.05 * turn[:, 0])


def slide_to_contact(
    solid: Solid, there: Array, turn: Array, angles: Array, aim: Array, way: Array, side: str,
    size: float,
) -> Array:  # fmt: skip
    """Return the wrist's place (3,) at which a hand that moves along ``way`` first touches.

    Args:
        solid: The object.
        there: Its transform (4, 4) in the world.
        turn: The hand's rotation (3, 3) in the world.
        angles: Its angles (20,) in rad.
        aim: Point (3,) on the way of the hand's finger roots, in m.
        way: Direction (3,) of the move.
        side: Whose hand.
        size: Of the hand.
    """
    points = finger_points(angles[None], side, size)[0].reshape(-1, 3)
    points = np.concatenate([points, palm_points(side, size)])
    middle = points.mean(0)
    back = np.linspace(0.25, 0.0, 126)
    places = aim - turn @ middle - back[:, None] * way
    moved = points @ turn.T + places[:, None]
    local = (moved - there[:3, 3]) @ there[:3, :3]
    gaps = solid.distance(local.reshape(-1, 3)).reshape(len(back), -1).min(1)
    touching = gaps < 0.0105 * size
    return np.asarray(places[max(int(touching.argmax()) - 1, 0) if touching.any() else -1])
