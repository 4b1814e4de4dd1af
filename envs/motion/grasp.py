"""Grasp planning: where the palm goes and how the fingers open and close for one object.

The opposed thumb leaves a C-shaped cavity: palm behind, fingers on its +z side, thumb on its -z
side. A top grasp lowers that cavity over the object, the palm facing down (paper App. C.2, *Lift*);
a side grasp pushes it around a tall object, the palm facing the object across the counter.
"""

from collections.abc import Iterator
from dataclasses import dataclass

import mujoco
import numpy as np
from numpy.typing import NDArray

from dexbench.envs.embodiment.keypoints import ARM_JOINTS
from dexbench.envs.embodiment.kinematics import rotation
from dexbench.envs.embodiment.robot import PALM_POS, PALM_QUAT
from dexbench.envs.simulation import Simulation

from .hand import straddle
from .ik import IK, ArmIK

PALM_GAP = 0.022
"""Smallest distance in m between the palm frame and the object's top."""
TIP_REACH = 0.142
"""How far bent fingertips reach in front of the palm, in m."""
TABLE_GAP = 0.012
"""Distance in m that fingertips keep from the counter."""
OPEN, CLOSE = 0.034, -0.012
"""Clearance in m between object and finger pads when open and when squeezing."""
THUMB_REACH = 0.060
"""How far the thumb's pad opens below the palm's origin, in m."""
WIDEST = 0.105
"""The widest object, in m, that fits between fingers and thumb."""
HALF_HAND = 0.062
"""Half the hand's width across the fingers, in m: what a palm on edge needs below its middle."""
FINGER = 0.02
"""How far, in m, an object rises above the middle of a palm that grasps it from the side."""
SIDE_LEAST = 0.14
"""Least height, in m, of an object that is grasped from the side."""
SIDE_REACH = 0.14
"""What begins higher than this above the counter, in m, a side grasp passes beneath."""
SIDE_ROLLS = (-75, 75)
"""How far a palm is rolled about its fingers for a side grasp, in degrees."""
SIDE_FAVOUR = 0.5
"""Spread of the favour that side grasps of a tall object are shown, in units of the cost."""


@dataclass(frozen=True)
class GraspPlan:
    """A planned grasp; arm rows are joint angles in rad, hand rows too."""

    standoff: NDArray[np.float64]
    """Arm joints (7,) before the approach."""
    approach: NDArray[np.float64]
    """Arm joints (n, 7) along the approach; the last row is the grasp."""
    open_hand: NDArray[np.float64]
    """Hand joints (16,) before closing."""
    closed_hand: NDArray[np.float64]
    """Hand joint targets (16,) that squeeze the object."""
    wrist: NDArray[np.float64]
    """Wrist position (3,) of the grasp in the base frame, in m."""
    turn: NDArray[np.float64]
    """Wrist rotation (3, 3) of the grasp in the base frame."""


def object_points(simulation: Simulation, name: str) -> NDArray[np.float64]:
    """Return points (n, 3) that span an object's collision shape, in the base frame, in m."""
    return np.concatenate(object_pieces(simulation, name))


def object_pieces(simulation: Simulation, name: str) -> list[NDArray[np.float64]]:
    """Return the same, (n, 3) of each convex piece."""
    model, data = simulation.model, simulation.data
    body = model.body(name).id
    pieces = []
    for geom in np.flatnonzero(model.geom_bodyid == body):
        if model.geom_contype[geom] == 0 and model.geom_conaffinity[geom] == 0:
            continue
        if model.geom_type[geom] == mujoco.mjtGeom.mjGEOM_MESH:
            mesh = model.geom_dataid[geom]
            first = model.mesh_vertadr[mesh]
            local = model.mesh_vert[first : first + model.mesh_vertnum[mesh]]
        else:
            center, half = model.geom_aabb[geom, :3], model.geom_aabb[geom, 3:]
            signs = np.array(np.meshgrid(*[[-1, 1]] * 3)).reshape(3, 8).T
            local = center + signs * half
        turn = data.geom_xmat[geom].reshape(3, 3)
        pieces.append(simulation.to_base(local @ turn.T + data.geom_xpos[geom]))
    return pieces


def palm_turn(yaw: float, pitch: float, roll: float = 0.0) -> NDArray[np.float64]:
    """Palm rotation (3, 3) in the base frame, its columns the palm's normal, across, and fingers.

    Args:
        yaw: Where the fingers point, in rad from forward to the left.
        pitch: How far they dip, in rad.
        roll: Turn about the fingers, in rad; at 0 the palm faces down.
    """
    fingers = np.array([np.cos(yaw) * np.cos(pitch), np.sin(yaw) * np.cos(pitch), -np.sin(pitch)])
    down = np.array([-np.cos(yaw) * np.sin(pitch), -np.sin(yaw) * np.sin(pitch), -np.cos(pitch)])
    across = np.cross(fingers, down)
    normal = np.cos(roll) * down + np.sin(roll) * across
    return np.stack([normal, np.cross(fingers, normal), fingers], axis=1)


_PALM_TURN = rotation(PALM_QUAT).numpy()
_PALM_POS = np.array(PALM_POS)


def wrist_pose(
    palm: NDArray[np.float64], turn: NDArray[np.float64]
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Wrist position and rotation that put the palm frame at a pose, all in the base frame."""
    wrist_turn = turn @ _PALM_TURN.T
    return palm - wrist_turn @ _PALM_POS, wrist_turn


def palm_of(wrist_turn: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the palm's rotation (3, 3) at a wrist's, its columns as those of `palm_turn`."""
    turn: NDArray[np.float64] = wrist_turn @ _PALM_TURN
    return turn


def grasps(
    simulation: Simulation,
    name: str,
    rng: np.random.Generator,
    rise: float = 0.12,
    sides: tuple[str, ...] = ("top", "side"),
) -> Iterator[GraspPlan]:
    """Yield grasps of an object that the arm can reach, the most natural first.

    Args:
        simulation: The scene, the object at rest.
        name: Body name of the object.
        rng: Decides between above and beside, and between equally natural candidates.
        rise: Length in m of the straight approach.
        sides: From where: "top", "side" or both.
    """
    pieces = object_pieces(simulation, name)
    points = np.concatenate(pieces)
    table = points[:, 2].min()
    ik = ArmIK(simulation)
    start = simulation.joint_positions[ARM_JOINTS]
    favour = rng.uniform(-SIDE_FAVOUR, SIDE_FAVOUR)  # so that both kinds get their turn
    # For each roll what comes between fingers and thumb, and the height that the hand stays below.
    room: dict[int, tuple[NDArray[np.float64], float]] = (
        {0: (points, np.inf)} if "top" in sides else {}
    )
    if "side" in sides and np.ptp(points[:, 2]) > SIDE_LEAST:
        low = [piece for piece in pieces if piece[:, 2].min() <= table + SIDE_REACH]
        begin = [piece[:, 2].min() for piece in pieces]
        ceiling = min((height for height in begin if height > table + SIDE_REACH), default=np.inf)
        room |= dict.fromkeys(SIDE_ROLLS, (np.concatenate(low), ceiling))
    candidates = []
    for roll, (between, _) in room.items():
        for yaw in np.radians(np.arange(0, 181, 15)):
            for pitch in np.radians([0, 15, 30, 45] if roll == 0 else [-15, 0, 15, 30]):
                turn = palm_turn(yaw, pitch, np.radians(roll))
                width = np.ptp(between @ turn[:, 2])
                if width > WIDEST:
                    continue
                # A narrow side between the fingers first, then the hand's natural yaw and pitch.
                cost = 8 * width + 0.4 * abs(yaw - np.radians(75))
                cost += 0.3 * abs(pitch - np.radians(15)) - favour * (roll != 0)
                candidates.append((cost + 0.05 * rng.random(), yaw, pitch, roll))
    for _, yaw, pitch, roll in sorted(candidates):
        turn = palm_turn(yaw, pitch, np.radians(roll))
        grasp = grasp_at(*room[roll], table, turn, ik, start, rise)
        if grasp is not None:
            yield grasp


def grasp_at(
    points: NDArray[np.float64],
    ceiling: float,
    table: float,
    turn: NDArray[np.float64],
    ik: IK,
    start: NDArray[np.float64],
    rise: float,
) -> GraspPlan | None:
    """Return the grasp with the palm at one rotation; None where the arm cannot go.

    Args:
        points: What comes between fingers and thumb, (n, 3) in the base frame, in m.
        ceiling: Height that the hand stays below, in m.
        table: Height of what the object stands on, in m.
        turn: The palm's rotation (3, 3), as `palm_turn` has it.
        ik: Of the arm.
        start: Arm joints (7,) in rad that the arm comes from.
        rise: Length in m of the straight approach.
    """
    local = points @ turn
    low, high = local[:, 2].min(), local[:, 2].max()
    half = (high - low) / 2
    # The palm comes as near as the object's top and the fingertips' clearance of the counter allow.
    near = local[:, 0].min() - PALM_GAP
    normal_down = -turn[2, 0]
    facing_down = normal_down > 0.5
    lowest_palm = table + TABLE_GAP + TIP_REACH * max(normal_down, 0) + HALF_HAND * abs(turn[2, 1])
    center = (local.max(axis=0) + local.min(axis=0)) / 2
    offset = half + OPEN - THUMB_REACH
    palm_local = np.array([near, center[1], center[2] - offset])
    palm = turn @ palm_local
    if palm[2] < lowest_palm:
        # A palm that faces down backs off; one on edge moves up along the object.
        axis = turn[:, 0 if facing_down else 1]
        palm = palm + axis / axis[2] * (lowest_palm - palm[2])
    if not facing_down and palm[2] > points[:, 2].max() - FINGER:
        return None
    if palm[2] + HALF_HAND * abs(turn[2, 1]) > ceiling:
        return None
    depth = float(np.clip(center[0] - (palm @ turn)[0], 0.07, 0.125))
    origin = float((palm @ turn)[2])
    wrist, wrist_turn = wrist_pose(palm, turn)
    away = -turn[:, 0] + np.array([0, 0, 0.6 if facing_down else 0.3])
    away /= np.linalg.norm(away)
    path = wrist + away * np.linspace(rise, 0, 9)[:, None]
    rows = ik.line(path, wrist_turn, start)
    if rows is None:
        return None
    open_hand = straddle(low - origin, high - origin, depth, OPEN)
    closed = straddle(low - origin, high - origin, depth, CLOSE, start=open_hand)
    return GraspPlan(rows[0], rows, open_hand, closed, wrist, wrist_turn)
