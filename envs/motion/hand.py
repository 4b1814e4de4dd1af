"""Finger postures: joint angles that put the finger pads either side of an object."""

from functools import cache

import mujoco
import numpy as np
from numpy.typing import NDArray

from dexbench.envs.embodiment.hand_mjcf import hand_mjcf
from dexbench.envs.embodiment.keypoints import HAND_JOINTS, N_HAND_JOINTS
from dexbench.envs.embodiment.robot import FINGERS, HAND, LOWER, UPPER

from .linear import solve

PAD = {"index": 0.048, "middle": 0.048, "ring": 0.048, "thumb": 0.060}
"""Distance in m of a finger's pad centre from the origin of its last link, along the link."""
REST = np.tile([0.0, 0.9, 0.4, 0.4], 4)
REST[12:] = [1.35, 0.2, 0.3, 0.5]
"""A half-closed hand (16,) in rad; postures stay near it where the pads leave freedom."""
ITERATIONS = 80
"""Steps of least squares."""


@cache
def _model() -> mujoco.MjModel:
    return mujoco.MjModel.from_xml_string(hand_mjcf("right"))


def pads(hand: NDArray[np.float64]) -> NDArray[np.float64]:
    """Pad centres (4, 3) of index, middle, ring and thumb in the palm frame, in m."""
    data = mujoco.MjData(_model())
    data.qpos[:] = hand
    mujoco.mj_kinematics(_model(), data)
    return _pads(data)[0]


def _pads(data: mujoco.MjData) -> tuple[NDArray[np.float64], list[int], list[NDArray[np.float64]]]:
    """Pad centres in the palm frame, the bodies they are on, and their world positions."""
    palm = data.body("allegro_hand")
    turn = palm.xmat.reshape(3, 3)
    points, bodies, worlds = [], [], []
    for finger in FINGERS:
        body = data.body(HAND[finger][3].body)
        world = body.xpos + body.xmat.reshape(3, 3)[:, 2] * PAD[finger]
        points.append((world - palm.xpos) @ turn)
        bodies.append(body.id)
        worlds.append(world)
    return np.array(points), bodies, worlds


def surface(hand: NDArray[np.float64]) -> tuple[NDArray[np.float64], NDArray[np.bool_]]:
    """Return points that span the hand's collision shape, and which are index, middle or ring's.

    Args:
        hand: Joints (16,) in rad.

    Returns:
        Points (n, 3) in the palm frame in m, and a mask (n,).
    """
    model = _model()
    data = mujoco.MjData(model)
    data.qpos[:] = hand
    mujoco.mj_kinematics(model, data)
    palm = data.body("allegro_hand")
    signs = np.array(np.meshgrid(*[[-1, 1]] * 3)).reshape(3, 8).T
    geoms = np.flatnonzero(model.geom_contype)
    corners = [
        (model.geom_aabb[geom, :3] + signs * model.geom_aabb[geom, 3:])
        @ data.geom_xmat[geom].reshape(3, 3).T
        + data.geom_xpos[geom]
        for geom in geoms
    ]
    fingers = [link.body for finger in FINGERS if finger != "thumb" for link in HAND[finger]]
    of_fingers = [model.body(model.geom_bodyid[geom]).name in fingers for geom in geoms]
    points = (np.concatenate(corners) - palm.xpos) @ palm.xmat.reshape(3, 3)
    return points, np.repeat(of_fingers, len(signs))


def posture(targets: NDArray[np.float64], start: NDArray[np.float64] = REST) -> NDArray[np.float64]:
    """Hand joints (16,) in rad whose pads are nearest to targets (4, 3) in the palm frame, in m.

    Least squares from ``start`` (16,) with a weak pull back to it, within the joint limits.
    """
    model = _model()
    data = mujoco.MjData(model)
    low, high = LOWER[HAND_JOINTS] + 0.01, UPPER[HAND_JOINTS] - 0.01
    q = np.clip(start, low, high)
    jac = np.zeros((3, model.nv))
    for _ in range(ITERATIONS):
        data.qpos[:] = q
        mujoco.mj_kinematics(model, data)
        mujoco.mj_comPos(model, data)
        turn = data.body("allegro_hand").xmat.reshape(3, 3)
        points, bodies, worlds = _pads(data)
        rows = []
        for body, world in zip(bodies, worlds, strict=True):
            mujoco.mj_jac(model, data, jac, None, world, body)
            rows.append(turn.T @ jac)
        matrix = np.concatenate(rows)
        residual = (targets - points).ravel()
        pull = 1e-3
        left = matrix.T @ matrix + 2e-4 * np.eye(N_HAND_JOINTS) + pull * 0.1 * np.eye(N_HAND_JOINTS)
        step = solve(left, matrix.T @ residual + pull * 0.1 * (start - q))
        q = np.clip(q + np.clip(step, -0.2, 0.2), low, high)
    return q


def straddle(
    low: float, high: float, depth: float, clearance: float, start: NDArray[np.float64] = REST
) -> NDArray[np.float64]:
    """Return a posture with the fingers beyond ``high`` and the thumb below ``low``.

    Args:
        low: Smallest coordinate of the object along the palm's z axis (towards the fingers), in m.
        high: Largest coordinate of the object along it.
        depth: Distance of the pads in front of the palm (its x axis), in m.
        clearance: Distance in m between object and pad centre; negative squeezes.
        start: Posture (16,) to stay near.

    Returns:
        Hand joints (16,) in rad.
    """
    targets = np.array(
        [
            [depth, 0.042, high + clearance],
            [depth, 0.0, high + clearance],
            [depth, -0.042, high + clearance],
            [depth, 0.008, low - clearance],
        ]
    )
    return posture(targets, start)
