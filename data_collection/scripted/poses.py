"""Transforms of bodies and points: (4, 4) matrices in RoboCasa's world, whose z is up, in m."""

import numpy as np
from numpy.typing import NDArray
from scipy.spatial.transform import Rotation

Array = NDArray[np.float64]

UP = np.array([0.0, 0.0, 1.0])


def pose(turn: Array, place: Array) -> Array:
    """Return rotations (..., 3, 3) and positions (..., 3) as transforms (..., 4, 4)."""
    turn, place = np.asarray(turn, float), np.asarray(place, float)
    shape = np.broadcast_shapes(turn.shape[:-2], place.shape[:-1])
    result = np.zeros((*shape, 4, 4))
    result[..., :3, :3], result[..., :3, 3], result[..., 3, 3] = turn, place, 1
    return result


def axes(x: Array, z: Array) -> Array:
    """Return the rotation (..., 3, 3) with x along ``x`` and z as near ``z`` as can be."""
    x = x / np.linalg.norm(x, axis=-1, keepdims=True)
    z = z - (z * x).sum(-1, keepdims=True) * x
    z = z / np.linalg.norm(z, axis=-1, keepdims=True)
    return np.stack([x, np.cross(z, x), z], axis=-1)


def turns(axis: str, angles: Array | float) -> Array:
    """Return rotations (..., 3, 3) about x, y or z by angles (...) in rad."""
    angles = np.asarray(angles, float)
    vectors = angles[..., None] * np.eye(3)["xyz".index(axis)]
    matrices = Rotation.from_rotvec(vectors.reshape(-1, 3)).as_matrix()
    return np.asarray(matrices.reshape(*angles.shape, 3, 3))
