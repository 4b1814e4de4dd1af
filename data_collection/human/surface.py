"""Smooth closed surfaces around bones: a field of distances, and the triangles where it is zero."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]


@dataclass(frozen=True)
class Bone:
    """A capsule whose radius changes along it."""

    start: Array
    """One end (3,), in m."""
    end: Array
    """Other end (3,), in m."""
    radii: tuple[float, float]
    """Radius at both ends, in m."""
    owner: str
    """Name of what moves it."""
    flat: float = 1.0
    """Factor on distances along z: more than one is flatter."""

    def distance(self, points: Array) -> Array:
        """Return how far points (n, 3) are from its surface, in m; less than zero inside."""
        scale = np.array([1.0, 1.0, self.flat])
        start, along = self.start * scale, (self.end - self.start) * scale
        offset = points * scale - start
        share = np.clip(offset @ along / max(float(along @ along), 1e-12), 0, 1)
        gap = np.linalg.norm(offset - share[:, None] * along, axis=1)
        return np.asarray(gap - (self.radii[0] + share * (self.radii[1] - self.radii[0])))


def field(bones: Sequence[Bone], points: Array, blend: float) -> Array:
    """Return distances (n,) of points (n, 3) from all bones, rounded where bones meet.

    Args:
        bones: What the surface encloses.
        points: Where, in m.
        blend: Width of the rounding, in m.
    """
    total = np.zeros(len(points))
    for bone in bones:
        total += np.exp(-np.clip(bone.distance(points) / blend, -30, 30))
    return -blend * np.log(total)


def enclose(bones: Sequence[Bone], cell: float, blend: float) -> tuple[Array, NDArray[np.int64]]:
    """Return the surface around bones as vertices (n, 3) in m and triangles (m, 3).

    Surface nets: a vertex in every cell of a grid that the surface crosses, at the mean of where it
    crosses the cell's edges; triangles are counter-clockwise seen from outside.

    Args:
        bones: What it encloses.
        cell: Edge of the grid's cells, in m.
        blend: See `field`.
    """
    reach = max(max(bone.radii) for bone in bones) + 2 * cell + blend
    ends = np.array([end for bone in bones for end in (bone.start, bone.end)])
    low = ends.min(0) - reach
    shape = tuple(np.ceil((ends.max(0) + reach - low) / cell).astype(int) + 1)
    grid = np.stack(np.meshgrid(*map(np.arange, shape), indexing="ij"), -1)
    values = field(bones, low + cell * grid.reshape(-1, 3), blend).reshape(shape)
    total = np.zeros((*(size - 1 for size in shape), 3))
    count = np.zeros(total.shape[:3])
    quads = []
    for axis in range(3):
        first = np.take(values, range(shape[axis] - 1), axis)
        second = np.take(values, range(1, shape[axis]), axis)
        crossing = (first < 0) != (second < 0)
        at = np.argwhere(crossing)
        share = first[crossing] / (first[crossing] - second[crossing])
        place = at.astype(float)
        place[:, axis] += share
        b, c = (axis + 1) % 3, (axis + 2) % 3
        around = []
        for db, dc in ((0, 0), (-1, 0), (-1, -1), (0, -1)):
            cells = at.copy()
            cells[:, b] += db
            cells[:, c] += dc
            np.add.at(total, tuple(cells.T), place)
            np.add.at(count, tuple(cells.T), 1)
            around.append(cells)
        quad = np.stack(around, 1)
        inward = first[crossing] < 0
        quad[~inward] = quad[~inward][:, ::-1]
        quads.append(quad)
    used = count > 0
    number = np.cumsum(used).reshape(used.shape) - 1
    vertices = low + cell * total[used] / count[used][:, None]
    faces = number[tuple(np.moveaxis(np.concatenate(quads), -1, 0))]
    return vertices, np.concatenate([faces[:, [0, 1, 2]], faces[:, [0, 2, 3]]])


def normals(vertices: Array, faces: NDArray[np.int64]) -> Array:
    """Return outward unit normals (n, 3) at a surface's vertices."""
    corners = vertices[faces]
    across = np.cross(corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0])
    total = np.zeros_like(vertices)
    for corner in range(3):
        np.add.at(total, faces[:, corner], across)
    return np.asarray(total / np.maximum(np.linalg.norm(total, axis=1, keepdims=True), 1e-12))
