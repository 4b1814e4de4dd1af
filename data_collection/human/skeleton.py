"""EgoDex's 68 joints, a person's measures, and where the joints of a hand are for its angles.

A hand's frame has its origin in the wrist, x towards the fingers, z out of the back, and y to the
thumb of a right hand. A left hand is a right one mirrored in y. Every joint's x lies along the bone
that follows it. EgoDex's frames are ARKit's, of which dexbench reads the positions only.
"""

from dataclasses import dataclass

import numpy as np

from dexbench.data_collection.scripted.poses import Array, axes, pose, turns

SIDES = ("left", "right")
FINGERS = ("Thumb", "IndexFinger", "MiddleFinger", "RingFinger", "LittleFinger")
PARTS = ("Knuckle", "IntermediateBase", "IntermediateTip", "Tip")
HAND_JOINTS = ("Hand",) + tuple(
    finger + part
    for finger in FINGERS
    for part in (("Metacarpal",) if finger != "Thumb" else ()) + PARTS
)
"""The 25 joints of a hand, without the side."""
BODY_JOINTS = (
    "hip", *(f"spine{i}" for i in range(1, 8)), *(f"neck{i}" for i in range(1, 5)),
    *(side + part for side in SIDES for part in ("Shoulder", "Arm", "Forearm")),
)  # fmt: skip
JOINTS = BODY_JOINTS + tuple(side + joint for side in SIDES for joint in HAND_JOINTS)
"""EgoDex's 68 joints."""
N_ANGLES = 20
"""Angles of a hand: four a finger, thumb first, in rad (see `hand_joints`)."""

STRAIGHT = np.zeros(N_ANGLES)
"""Flat hand, fingers a little apart where their bones lead them."""
RELAXED = np.array(
    [0.15, 0.75, 0.2, 0.25, 0.45, 0, 0.45, 0.25, 0.5, 0, 0.5, 0.3, 0.55, 0, 0.55, 0.3, 0.6, 0,
     0.55, 0.3]
)  # fmt: skip
"""A hand at rest."""
FIST = np.array(
    [0.30, 1.25, 0.5, 0.7, 1.4, 0, 1.65, 1.0, 1.45, 0, 1.7, 1.0, 1.45, 0, 1.7, 1.0, 1.45, 0, 1.65,
     1.0]
)  # fmt: skip
"""A closed hand."""
POINTING = np.concatenate([FIST[:4], [0.15, 0, 0.2, 0.1], FIST[8:]])
"""The index finger stretched, the others closed."""

_KNUCKLES = {
    "IndexFinger": (0.0900, 0.0265, 0.000), "MiddleFinger": (0.0925, 0.0050, 0.003),
    "RingFinger": (0.0870, -0.0160, 0.000), "LittleFinger": (0.0790, -0.0345, -0.006),
}  # fmt: skip
"""Where fingers begin, in m, for a hand of :data:`HAND_LENGTH`."""
_PHALANGES = {
    "Thumb": (0.045, 0.034, 0.028), "IndexFinger": (0.044, 0.026, 0.023),
    "MiddleFinger": (0.048, 0.030, 0.024), "RingFinger": (0.045, 0.028, 0.024),
    "LittleFinger": (0.035, 0.021, 0.021),
}  # fmt: skip
_FAN = {"IndexFinger": 0.11, "MiddleFinger": 0.02, "RingFinger": -0.08, "LittleFinger": -0.20}
"""Angle in rad by which a straight finger turns to the thumb's side."""
_THUMB = (0.022, 0.024, -0.012)
HAND_LENGTH = 0.19
"""Wrist to middle fingertip, in m, of the hand that the numbers here are for."""


@dataclass(frozen=True)
class Person:
    """Measures in m of somebody."""

    stature: float
    """Height."""
    hand: float
    """Length of the hand against :data:`HAND_LENGTH`."""
    girth: float
    """Thickness of fingers, hands and arms against the average."""
    stand: tuple[float, float]
    """Where the hip is in RoboCasa's world (x, y)."""
    lean: float
    """How far the trunk leans forward, in rad."""

    @property
    def upper_arm(self) -> float:
        """Shoulder to elbow."""
        return 0.186 * self.stature

    @property
    def forearm(self) -> float:
        """Elbow to wrist."""
        return 0.148 * self.stature


def mirror(transforms: Array) -> Array:
    """Return transforms (..., 4, 4) as they are on the other hand."""
    flip = np.diag([1.0, -1.0, 1.0, 1.0])
    return np.asarray(flip @ transforms @ flip)


def hand_joints(angles: Array, side: str, size: float = 1.0) -> Array:
    """Return where a hand's joints are, in its own frame.

    Args:
        angles: (n, 20) in rad. Of a finger: bending at the knuckle, spreading to the thumb's side,
            bending at the second and at the last joint. Of the thumb: bending at its root, opposing
            (0 lies beside the palm, about 1.2 under it), bending at its second and last joint.
        side: ``left`` or ``right``.
        size: Length of the hand against :data:`HAND_LENGTH`.

    Returns:
        Transforms (n, 25, 4, 4) in the order of :data:`HAND_JOINTS`.
    """
    n = len(angles)
    found = {"Hand": np.broadcast_to(np.eye(4), (n, 4, 4))}
    for number, finger in enumerate(FINGERS):
        bend, spread, second, last = angles[:, 4 * number : 4 * number + 4].T
        if finger == "Thumb":
            # Its tip bends to the fingers' pads: their plane turns half as far as the thumb does.
            along = turns("x", -spread) @ np.array([0.72, 0.67, -0.15])
            turn = axes(along, turns("x", -spread / 2)[..., 2]) @ turns("z", -bend)
            place = np.array(_THUMB) * size
            bends = [turns("z", -second), turns("z", -last)]
        else:
            place = np.array(_KNUCKLES[finger]) * size
            base = place * [0.25, 0.55, 0.8]
            found[f"{finger}Metacarpal"] = np.broadcast_to(
                pose(axes(place - base, np.array([0.0, 0, 1])), base), (n, 4, 4)
            )
            turn = turns("z", spread + _FAN[finger]) @ turns("y", bend)
            bends = [turns("y", second), turns("y", last)]
        joint = pose(turn, np.broadcast_to(place, (n, 3)))
        found[finger + PARTS[0]] = joint
        for part, length, turn in zip(
            PARTS[1:], _PHALANGES[finger], [*bends, np.eye(3)], strict=True
        ):
            joint = joint @ pose(turn, np.array([length * size, 0, 0]))
            found[finger + part] = joint
    joints = np.stack([found[name] for name in HAND_JOINTS], axis=1)
    return joints if side == "right" else mirror(joints)
