"""Geometry, joints and poses of the Franka TMR with Allegro hands.

One table of links feeds everything that needs the robot's shape: the MJCF generator, the batched
forward kinematics and the tests. All poses are in the parent link's frame, in m; quaternions are
(w, x, y, z). The base frame has x forward, y left, z up and its origin between the wheels.

The numbers are those of the robot released with the DexWM paper (arXiv 2512.13644, App. B, C.2).
"""

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Vec = tuple[float, ...]
HALF = math.sqrt(0.5)


@dataclass(frozen=True)
class Link:
    """A body and the hinge that moves it about ``axis`` through its origin."""

    body: str
    """Body name, without robosuite's prefix."""
    joint: str
    """Joint name, without robosuite's prefix."""
    pos: Vec
    """Origin in the parent's frame, in m."""
    quat: Vec
    """Orientation in the parent's frame, (w, x, y, z)."""
    axis: Vec
    """Axis of the hinge in the body's own frame."""
    limits: tuple[float, float]
    """Joint range, in rad."""


# Where the first moving link of an arm stands in the base frame, for the right arm; the left arm
# is its mirror image in y. Link 0 sits 0.333 m below it along its own z axis.
SHOULDER_POS: Vec = (0.330538, -0.298991, 0.855555)
SHOULDER_QUAT: Vec = (0.865807, 0.436878, 0.0222879, 0.242939)
LINK0_LENGTH = 0.333

_ARM: tuple[tuple[Vec, Vec, tuple[float, float]], ...] = (
    (SHOULDER_POS, SHOULDER_QUAT, (-2.7437, 2.7437)),
    ((0, 0, 0), (HALF, -HALF, 0, 0), (-1.7837, 1.7837)),
    ((0, -0.316, 0), (HALF, HALF, 0, 0), (-2.9007, 2.9007)),
    ((0.0825, 0, 0), (HALF, HALF, 0, 0), (-3.0421, -0.1518)),
    ((-0.0825, 0.384, 0), (HALF, -HALF, 0, 0), (-2.8065, 2.8065)),
    ((0, 0, 0), (HALF, HALF, 0, 0), (0.5445, 4.5169)),
    ((0.088, 0, 0), (HALF, HALF, 0, 0), (-3.0159, 3.0159)),
)

# The wrist body `right_hand` on link 7, and the Allegro's palm frame on the wrist.
WRIST_POS: Vec = (0, 0, 0.11355)
PALM_POS: Vec = (0, 0, 0.1)
PALM_QUAT: Vec = (math.cos(math.pi / 8), 0, 0, math.sin(math.pi / 8))

_FINGER_LENGTHS = (0.0164, 0.054, 0.0384)
_FINGER_AXES: tuple[Vec, ...] = ((0, 0, 1), (0, 1, 0), (0, 1, 0), (0, 1, 0))
_THUMB_AXES: tuple[Vec, ...] = ((-1, 0, 0), (0, 0, 1), (0, 1, 0), (0, 1, 0))
_THUMB_STEPS: tuple[Vec, ...] = ((-0.027, 0.005, 0.0399), (0, 0, 0.0177), (0, 0, 0.0514))
_INDEX_LIMITS = ((-0.57, 0.57), (-0.296, 1.71), (-0.274, 1.809), (-0.327, 1.718))
_MIDDLE_LIMITS = ((-0.57, 0.57), (-0.296, 1.71), (-0.276, 1.809), (-0.327, 1.718))
_THUMB_LIMITS = ((0.36, 1.496), (-0.204, 1.263), (-0.289, 1.744), (-0.262, 1.819))
_IDENTITY: Vec = (1, 0, 0, 0)

FINGERS = ("index", "middle", "ring", "thumb")
TIP_LENGTH = {"index": 0.069, "middle": 0.069, "ring": 0.069, "thumb": 0.084}
"""Distance in m from the origin of a finger's last link to the end of its tip."""


def _arm() -> tuple[Link, ...]:
    return tuple(
        Link(f"right_fr3_link{i}", f"right_fr3_joint{i}", pos, quat, (0, 0, 1), limits)
        for i, (pos, quat, limits) in enumerate(_ARM, start=1)
    )


def _finger(
    first: int, pos: Vec, quat: Vec, limits: tuple[tuple[float, float], ...]
) -> tuple[Link, ...]:
    steps = [pos, *((0.0, 0.0, length) for length in _FINGER_LENGTHS)]
    return tuple(
        Link(f"link_{first + i}.0", f"joint_{first + i}.0", steps[i], quat if i == 0 else _IDENTITY,
             _FINGER_AXES[i], limits[i])
        for i in range(4)
    )  # fmt: skip


def _thumb() -> tuple[Link, ...]:
    steps = [(-0.0182, 0.019333, -0.045987), *_THUMB_STEPS]
    quat = (0.477714, -0.521334, -0.521334, -0.477714)
    return tuple(
        Link(f"link_{12 + i}.0", f"joint_{12 + i}.0", steps[i], quat if i == 0 else _IDENTITY,
             _THUMB_AXES[i], _THUMB_LIMITS[i])
        for i in range(4)
    )  # fmt: skip


ARM: tuple[Link, ...] = _arm()
"""The seven moving links of the right arm; the first hangs on the base frame."""

HAND: dict[str, tuple[Link, ...]] = {
    "index": _finger(0, (0, 0.0435, -0.001542), (0.999048, -0.0436194, 0, 0), _INDEX_LIMITS),
    "middle": _finger(4, (0, 0, 0.0007), _IDENTITY, _MIDDLE_LIMITS),
    "ring": _finger(8, (0, -0.0435, -0.001542), (0.999048, 0.0436194, 0, 0), _MIDDLE_LIMITS),
    "thumb": _thumb(),
}
"""The four fingers of the right hand, four links each; the first hangs on the palm frame."""

LINKS: tuple[Link, ...] = (*ARM, *(link for finger in FINGERS for link in HAND[finger]))
CONTROL_HZ = 10
"""Joint targets a second."""
N_JOINTS = len(LINKS)
"""23 controlled joints: arm 7, index 4, middle 4, ring 4, thumb 4 (paper App. B)."""

JOINTS: tuple[str, ...] = tuple(link.joint for link in LINKS)
MUJOCO_JOINTS: tuple[str, ...] = (
    *(f"robot0_{link.joint}" for link in ARM),
    *(f"gripper0_right_{link.joint}" for link in LINKS[len(ARM) :]),
)
"""Joint names as robosuite prefixes them, in action order."""

LOWER = np.array([link.limits[0] for link in LINKS])
UPPER = np.array([link.limits[1] for link in LINKS])


def _inward(limits: NDArray[np.float64], towards: float) -> NDArray[np.float32]:
    """Return the limits as float32, rounded towards the inside of the float64 limits."""
    rounded = limits.astype(np.float32)
    outside = rounded > limits if towards < 0 else rounded < limits
    return np.where(outside, np.nextafter(rounded, np.float32(towards)), rounded)


LOWEST, HIGHEST = _inward(LOWER, np.inf), _inward(UPPER, -np.inf)
"""Bounds (23,) float32 in rad of joint targets that agents may command."""

INIT_ARM = np.array(
    [0.14936262, -0.65780519, -0.26952777, -2.65130757, 0.6578265, 2.40055512, 0.56525831]
)
INIT_LEFT_ARM = np.array([-0.22888, -1.25427, -0.70838, -2.17000, 2.79721, 2.56099, -2.77356])
OPEN_HAND = np.zeros(N_JOINTS - len(ARM))
OPEN_HAND[12] = 0.8
"""An open hand in rad, the thumb turned to oppose the fingers."""
READY_ARM = np.array([-0.145, -1.243, 0.276, -2.311, 0.415, 1.743, 1.384])
"""Arm joints in rad with the palm down, 38 cm above the counter, clear of what stands on it."""
INIT_JOINTS = np.concatenate([INIT_ARM, OPEN_HAND])


def mirror_pos(pos: Vec) -> Vec:
    """Return a position reflected in the plane y = 0, for the left arm and hand."""
    return (pos[0], -pos[1], pos[2])


def mirror_quat(quat: Vec) -> Vec:
    """Return a rotation reflected in the plane y = 0, for the left arm and hand."""
    return (quat[0], -quat[1], quat[2], -quat[3])


def mirror_axis(axis: Vec) -> Vec:
    """Return a rotation axis (a pseudo-vector) reflected in the plane y = 0."""
    return (-axis[0], axis[1], -axis[2])
