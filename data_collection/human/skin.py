"""What a person looks like: skins of hands and arms, sleeves, and the bones that move them."""

from dataclasses import dataclass
from functools import cache

import numpy as np
from numpy.typing import NDArray

from dexbench.data_collection.scripted.poses import Array

from .skeleton import FINGERS, HAND_JOINTS, RELAXED, Person, hand_joints, mirror
from .surface import Bone, enclose, normals

POSTURE = np.where(np.arange(20) % 4 == 1, RELAXED, 0.35 * RELAXED)
"""Angles (20,) in rad of the hand that the skin is made around: fingers apart."""
SHADES = ("palm", "back", "nail", "lip")
"""Columns of a skin's picture."""
_FINGER_RADII = {
    "Thumb": (0.0150, 0.0118, 0.0108, 0.0088), "IndexFinger": (0.0112, 0.0098, 0.0086, 0.0070),
    "MiddleFinger": (0.0114, 0.0100, 0.0088, 0.0072),
    "RingFinger": (0.0108, 0.0094, 0.0083, 0.0068),
    "LittleFinger": (0.0098, 0.0083, 0.0074, 0.0060),
}  # fmt: skip
_STUB = 0.05
"""Length in m of forearm that belongs to the hand's skin."""


@dataclass(frozen=True)
class Skin:
    """A surface that bends with bones."""

    vertices: Array
    """Places (n, 3) at rest, in m."""
    faces: NDArray[np.int64]
    """Triangles (m, 3)."""
    shades: Array
    """Column and row (n, 2) of each vertex in the picture, 0..1."""
    bones: dict[str, Array]
    """Transforms (4, 4) at rest, by bone."""
    weights: Array
    """How much each bone (k) moves each vertex: (n, k), rows sum to one."""


BONES = {"Hand": "Hand", "Wrist": "Hand", "Arm": "Arm", "Forearm": "Forearm"} | {
    finger + part: finger + part
    for finger in FINGERS
    for part in ("Knuckle", "IntermediateBase", "IntermediateTip")
}
"""Bones of an arm and its hand, and the joint each goes with."""


def hand_skin(person: Person, side: str) -> Skin:
    """Return the skin of a hand with the first part of the forearm, in the hand's frame.

    Bones are ``Hand``, ``Wrist`` (the forearm's end, turning with the hand), and three of each
    finger, named after the joints they begin at.
    """
    plain, swell = _plain_hand(), (person.girth - 1) * 0.012
    vertices = (plain.vertices + swell * normals(plain.vertices, plain.faces)) * person.hand
    faces, rest = plain.faces, {name: turn.copy() for name, turn in plain.bones.items()}
    for transform in rest.values():
        transform[:3, 3] *= person.hand
    if side == "left":
        vertices, faces = vertices * [1, -1, 1], faces[:, ::-1]
        rest = {name: mirror(transform) for name, transform in rest.items()}
    return Skin(vertices, faces, plain.shades, rest, plain.weights)


@cache
def _plain_hand() -> Skin:
    """Return the right hand of average size, which is made once."""
    joints = dict(zip(HAND_JOINTS, hand_joints(POSTURE[None], "right")[0], strict=True))
    at = {name: transform[:3, 3] for name, transform in joints.items()}
    size = 1.0
    shapes = _palm(at, size)
    for finger in FINGERS:
        chain = [
            finger + part for part in ("Knuckle", "IntermediateBase", "IntermediateTip", "Tip")
        ]
        radii = [radius * size for radius in _FINGER_RADII[finger]]
        for i in range(3):
            end = at[chain[i + 1]]
            if i == 2:  # the joint lies inside the tip's pad
                end = end - joints[chain[2]][:3, 0] * radii[3] * 0.7
            shapes.append(Bone(at[chain[i]], end, (radii[i], radii[i + 1]), chain[i]))
    vertices, faces = enclose(shapes, 0.0045, 0.0022)
    parents = _parents()
    names = list(parents)
    gaps = np.full((len(vertices), len(names)), np.inf)
    for shape in shapes:
        column = names.index(shape.owner)
        gaps[:, column] = np.minimum(gaps[:, column], shape.distance(vertices))
    weights = _weights(gaps, [names.index(parents[name]) for name in names])
    rest = {name: joints["Hand"] if name == "Wrist" else joints[name] for name in names}
    shades = _shades(vertices, normals(vertices, faces), joints)
    return Skin(vertices, faces, shades, rest, weights)


def _palm(at: dict[str, Array], size: float) -> list[Bone]:
    """Return what the hand is made of without its fingers."""
    root = np.zeros(3)
    shapes = [
        Bone(np.array([-_STUB, 0, 0]), root, (0.0265 * size, 0.0255 * size), "Wrist", 1.32),
        Bone(root, np.array([0.02, 0, 0]) * size, (0.0255 * size, 0.023 * size), "Hand", 1.3),
    ]
    for finger, thick in zip(FINGERS[1:], (0.0135, 0.0138, 0.0132, 0.0125), strict=True):
        start = at[f"{finger}Metacarpal"] - np.array([0, 0, 0.003])
        end = at[f"{finger}Knuckle"] - np.array([0.002, 0, 0.0025])
        shapes.append(Bone(start, end, (0.0150 * size, thick * size), "Hand"))
    thumb = at["ThumbKnuckle"]
    # The ball of the thumb, the edge of the hand, and the fold between thumb and index finger.
    shapes.append(Bone(thumb * 0.6, at["IndexFingerMetacarpal"] * [1, 1, 0] + [0.02, 0, -0.012],
                       (0.015 * size, 0.014 * size), "Hand"))  # fmt: skip
    edge = at["LittleFingerMetacarpal"] * [1, 1.3, 1] - [0, 0, 0.008]
    shapes.append(Bone(edge, at["LittleFingerKnuckle"] - [0.02, 0.001, 0.006],
                       (0.0135 * size, 0.0115 * size), "Hand"))  # fmt: skip
    middle = (at["ThumbKnuckle"] + at["ThumbIntermediateBase"]) / 2
    shapes.append(Bone(middle, at["IndexFingerMetacarpal"] * 0.45 + at["IndexFingerKnuckle"] * 0.55,
                       (0.0105 * size, 0.011 * size), "Hand"))  # fmt: skip
    return shapes


def _parents() -> dict[str, str]:
    """Return every bone of a hand's skin and the one it hangs on."""
    parents = {"Hand": "Hand", "Wrist": "Hand"}
    for finger in FINGERS:
        above = "Hand"
        for part in ("Knuckle", "IntermediateBase", "IntermediateTip"):
            parents[finger + part] = above
            above = finger + part
    return parents


def _weights(gaps: Array, parents: list[int], width: float = 0.0045) -> Array:
    """Return weights (n, k): of the nearest bone, and of its neighbours where they are as near."""
    nearest = gaps.argmin(1)
    bones = np.arange(gaps.shape[1])
    above = np.array(parents)
    near = (bones[:, None] == bones) | (bones[:, None] == above) | (above[:, None] == bones)
    excess = gaps - gaps.min(1, keepdims=True)
    weights = np.where(near[nearest], np.exp(-np.minimum(excess / width, 50)), 0)
    weights[weights < 0.02] = 0
    return np.asarray(weights / weights.sum(1, keepdims=True))


def _shades(vertices: Array, outward: Array, joints: dict[str, Array]) -> Array:
    """Return columns by what a vertex belongs to, and rows by how dark it is there."""
    up = outward[:, 2]
    column = np.clip(0.25 + up * 0.6, 0, 1) / 3
    row = np.full(len(vertices), 0.3)
    for finger in FINGERS:
        for part in ("Knuckle", "IntermediateBase", "IntermediateTip"):
            gap = np.linalg.norm(vertices - joints[finger + part][:3, 3], axis=1)
            row = np.maximum(row, 0.3 + 0.5 * np.exp(-((gap / 0.013) ** 2)))
        last = joints[finger + "IntermediateTip"]
        tip = joints[finger + "Tip"]
        local = (vertices - tip[:3, 3]) @ tip[:3, :3]
        facing = outward @ last[:3, 2]
        nail = (np.abs(local[:, 1]) < 0.0062) & (local[:, 0] > -0.0125) & (facing > 0.55)
        nail &= (np.abs(local[:, 0] + 0.005) < 0.0085) & (np.linalg.norm(local, axis=1) < 0.02)
        column = np.where(nail, 2 / 3, column)
        row = np.where(nail, 0.3, row)
    return np.stack([column, row], 1)


def arm_skin(person: Person, cloth: bool, cuff: float = 0.0, folds: int = 0) -> Skin:
    """Return an arm's skin, or a sleeve, stretched along x with the elbow at the origin.

    Bones are ``Arm``, behind the elbow, and ``Forearm``.

    Args:
        person: Whose.
        cloth: Whether it is a sleeve.
        cuff: Where the sleeve ends, in m from the elbow towards the wrist.
        folds: Names the pattern of the sleeve's folds.
    """
    girth, end = person.girth, cuff if cloth else person.forearm - 0.01
    wide = np.array([0.047, 0.041, 0.044, 0.027]) * girth + (0.011 if cloth else 0)
    wrist = wide[2] + (wide[3] - wide[2]) * max(end, 0.0) / person.forearm
    shoulder, elbow = np.array([-person.upper_arm, 0, 0]), np.zeros(3)
    shapes = [Bone(shoulder, elbow, (wide[0], wide[1]), "Arm")]
    if end > 0:
        belly = np.array([min(0.07, end), 0, 0])
        shapes += [
            Bone(elbow, belly, (wide[1], wide[2]), "Forearm"),
            Bone(belly, np.array([end, 0, 0]), (wide[2], wrist), "Forearm"),
        ]
    else:
        shapes = [Bone(shoulder, np.array([end, 0, 0]), (wide[0], wide[1] * 1.08), "Arm")]
    vertices, faces = enclose(shapes, 0.013 if cloth else 0.011, 0.004)
    outward = normals(vertices, faces)
    x, around = vertices[:, 0], np.arctan2(vertices[:, 2], vertices[:, 1])
    row = np.full(len(vertices), 0.3)
    if cloth:
        phase = folds % 7
        wave = np.sin(95 * x + 1.7 * np.sin(around + phase) + phase) * np.sin(31 * x + around)
        bunch = 0.35 + np.exp(-((x / 0.06) ** 2))
        vertices = vertices + outward * (0.0028 * wave * bunch)[:, None]
        row = np.clip(0.35 - 0.25 * wave * bunch, 0, 1)
        row = np.where(x > end - 0.004, 0.8, row)
    column = np.full(len(vertices), 1.0 if cloth else 0.45) / 3
    blend = np.clip(x / 0.05 + 0.5, 0, 1)
    blend = blend * blend * (3 - 2 * blend)
    shades = np.stack([column, row], 1)
    bones = {"Arm": np.eye(4), "Forearm": np.eye(4)}
    bones["Arm"][0, 3] = -person.upper_arm
    return Skin(vertices, faces, shades, bones, np.stack([1 - blend, blend], 1))


def picture(tone: Array, seed: int, cloth: bool = False) -> NDArray[np.uint8]:
    """Return the picture (64, 64, 3) that a skin's shades point into.

    Args:
        tone: Colour (3,) of the back of the hand, or of the cloth; 0..255.
        seed: Unused by plain colours; names the cloth's tint in its folds.
        cloth: Whether it is a cloth's.
    """
    rows = np.linspace(0, 1, 64)[::-1, None, None]  # v = 0 is the lower edge
    if cloth:
        columns = np.tile(tone, (64, 1))[None]
        return np.clip(columns * (1.12 - 0.55 * rows), 0, 255).astype(np.uint8)
    palm = tone + (np.array([236, 178, 158]) - tone) * 0.38
    nail = tone + (np.array([240, 190, 180]) - tone) * 0.45
    anchors = np.array([palm, tone, nail, nail])
    columns = np.stack(
        [np.interp(np.linspace(0, 3, 64), range(4), anchors[:, channel]) for channel in range(3)], 1
    )[None]
    flush = np.array([0.99, 0.86, 0.84])
    shade = 1 + (flush - 1) * np.clip(rows - 0.3, 0, 1) * 1.6
    return np.clip(columns * shade, 0, 255).astype(np.uint8)
