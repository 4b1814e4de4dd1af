"""Everything of a body that follows from where its hands go: arms, trunk, head and camera."""

from dataclasses import dataclass

import numpy as np
from scipy.ndimage import gaussian_filter1d

from dexbench.data_collection.scripted.motion import drift
from dexbench.data_collection.scripted.poses import UP, Array, axes, pose, turns
from dexbench.envs.embodiment.robot import CONTROL_HZ

from .skeleton import BODY_JOINTS, HAND_JOINTS, JOINTS, SIDES, Person, hand_joints

_SIGN = {"left": -1.0, "right": 1.0}


@dataclass(frozen=True)
class Hands:
    """What both hands do over n frames."""

    wrists: dict[str, Array]
    """By side: transforms (n, 4, 4) in the world."""
    angles: dict[str, Array]
    """By side: (n, 20) in rad."""


def shoulder(person: Person, side: str) -> Array:
    """Return where somebody's shoulder is in the world at rest, (3,) in m."""
    return np.asarray(_neck(person, np.zeros((1, 2)))[0] + _shoulder_offset(person, side))


def arm_heading(person: Person, side: str, place: Array) -> float:
    """Return the angle in rad by which an arm that reaches for (3,) points to the other side."""
    way = place - shoulder(person, side)
    return float(np.arctan2(-_SIGN[side] * way[0], max(way[1], 0.1)))


def joints(person: Person, hands: Hands, rng: np.random.Generator) -> tuple[Array, Array]:
    """Return all joints of a person at work, and the camera on the head.

    Args:
        person: Measures.
        hands: What the hands do.
        rng: How trunk and head sway.

    Returns:
        Transforms (n, 68, 4, 4) in the order of ``JOINTS`` and (n, 4, 4) of the camera's optical
        frame, in RoboCasa's world.
    """
    n = len(hands.wrists["left"])
    sway = drift(rng, n, 2, 1.6) * [0.012, 0.015]
    neck = _neck(person, sway)
    found: dict[str, Array] = {}
    for side in SIDES:
        wrist = hands.wrists[side]
        hand = wrist[:, None] @ hand_joints(hands.angles[side], side, person.hand)
        found |= {side + name: hand[:, i] for i, name in enumerate(HAND_JOINTS)}
        root = neck + _shoulder_offset(person, side) + 0.01 * drift(rng, n, 3, 1.2)
        arm = _arm(person, side, root, wrist, 0.12 * drift(rng, n, 1, 1.5)[:, 0])
        found |= {side + name: arm[name] for name in ("Arm", "Forearm")}
        collar = neck + (arm["Arm"][:, :3, 3] - neck) * 0.15
        found[f"{side}Shoulder"] = pose(axes(arm["Arm"][:, :3, 3] - collar, UP), collar)
    camera, eye = _head(person, neck, hands, rng)
    hip = np.array([*person.stand, 0.53 * person.stature])
    trunk = axes(neck - hip, np.array([0.0, 1.0, 0.0]))
    found["hip"] = pose(trunk, np.broadcast_to(hip, neck.shape))
    for i in range(1, 8):
        found[f"spine{i}"] = pose(trunk, hip + (neck - hip) * i / 7.5)
    for i in range(1, 5):
        found[f"neck{i}"] = pose(trunk, neck + (eye - [0, 0.08, 0.02] - neck) * i / 5)
    assert set(BODY_JOINTS) <= set(found)
    return np.stack([found[name] for name in JOINTS], axis=1), camera


def _neck(person: Person, sway: Array) -> Array:
    """Return the foot of the neck (n, 3) in the world for sway (n, 2) in m."""
    length = 0.30 * person.stature
    reach = length * np.array([0, np.sin(person.lean), np.cos(person.lean)])
    hip = np.array([*person.stand, 0.53 * person.stature])
    return np.asarray(hip + reach + np.concatenate([sway, 0 * sway[:, :1]], 1))


def _shoulder_offset(person: Person, side: str) -> Array:
    return np.array([_SIGN[side] * 0.108 * person.stature, 0.0, -0.012 * person.stature])


def _arm(person: Person, side: str, root: Array, wrist: Array, swivel: Array) -> dict[str, Array]:
    """Return shoulder and elbow (n, 4, 4) for shoulders at ``root`` (n, 3) and wrists (n, 4, 4)."""
    upper, lower = person.upper_arm, person.forearm
    hand = wrist[:, :3, 3]
    way = hand - root
    length = np.linalg.norm(way, axis=1, keepdims=True)
    # A shoulder follows a hand that goes far.
    root = root + way / length * np.maximum(0, length - 0.97 * (upper + lower))
    way = hand - root
    length = np.linalg.norm(way, axis=1)
    along = way / length[:, None]
    share = (upper**2 - lower**2 + length**2) / (2 * length)
    height = np.sqrt(np.maximum(upper**2 - share**2, 1e-8))
    hint = np.stack([_SIGN[side] * (0.75 + swivel), np.full_like(swivel, -0.35), 0 * swivel - 1], 1)
    # The elbow gives way to the hand: it hangs on the side of the hand's wrist.
    hint = hint - (hint * along).sum(1, keepdims=True) * along
    hint = hint / np.linalg.norm(hint, axis=1, keepdims=True)
    elbow = root + along * share[:, None] + hint * height[:, None]
    return {
        "Arm": pose(axes(elbow - root, -hint), root),
        "Forearm": pose(axes(hand - elbow, -hint), elbow),
    }


def _head(
    person: Person, neck: Array, hands: Hands, rng: np.random.Generator
) -> tuple[Array, Array]:
    """Return the camera (n, 4, 4) and the eyes (n, 3), which follow the hands a little."""
    n = len(neck)
    eye = neck + [0, 0.065 * person.stature, 0.105 * person.stature]
    eye = eye + drift(rng, n, 3, 0.9) * [0.010, 0.010, 0.005]
    centre = np.mean([hands.wrists[side][:, :3, 3] for side in SIDES], axis=0)
    work = np.array([person.stand[0], -0.40, 0.95])
    ahead = np.array([0.0, rng.uniform(0.06, 0.16), 0.0])
    gaze = work + ahead + 0.45 * (centre + [0, 0.06, 0] - work)
    gaze = gaussian_filter1d(gaze, 0.5 * CONTROL_HZ, axis=0, mode="nearest")
    z = gaze - eye
    z = z / np.linalg.norm(z, axis=1, keepdims=True)
    right = np.cross(z, UP)
    right = right / np.linalg.norm(right, axis=1, keepdims=True)
    turn = np.stack([right, np.cross(z, right), z], axis=2)
    wobble = drift(rng, n, 3, 1.1) * [0.025, 0.035, 0.03]
    turn = turn @ turns("x", wobble[:, 0]) @ turns("y", wobble[:, 1]) @ turns("z", wobble[:, 2])
    return pose(turn, eye), eye
