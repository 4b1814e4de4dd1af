"""Wavefront meshes: reading, decimating with kept creases, writing."""

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from .shapes import Shape

Vertices = NDArray[np.float64]
Faces = NDArray[np.int64]

CREASE_COSINE = 0.8
"""Faces that meet at less than about 37 degrees are shaded as one smooth surface."""


def read_obj(path: Path) -> tuple[Vertices, Faces]:
    """Return vertices (V, 3) and triangles (F, 3) of an OBJ file; equal vertices are merged."""
    points, corners = [], []
    for line in path.read_text(encoding="utf-8").splitlines():
        if line.startswith("v "):
            points.append([float(value) for value in line.split()[1:4]])
        elif line.startswith("f "):
            polygon = [int(item.split("/")[0]) - 1 for item in line.split()[1:]]
            corners += [[polygon[0], *polygon[i : i + 2]] for i in range(1, len(polygon) - 1)]
    vertices, inverse = np.unique(np.asarray(points), axis=0, return_inverse=True)
    faces = inverse.reshape(-1)[np.asarray(corners, np.int64)]
    distinct = (
        (faces[:, 0] != faces[:, 1]) & (faces[:, 1] != faces[:, 2]) & (faces[:, 2] != faces[:, 0])
    )
    return vertices, faces[distinct]


def decimate(
    vertices: Vertices, faces: Faces, ratio: float, least: int = 200
) -> tuple[Vertices, Faces]:
    """Reduce a mesh to ``ratio`` of its triangles, but to no fewer than ``least``."""
    import fast_simplification

    target = max(int(len(faces) * ratio), least)
    if target >= len(faces):
        return vertices, faces
    points, triangles = fast_simplification.simplify(
        vertices.astype(np.float32), faces.astype(np.int32), target_count=target
    )
    return points.astype(np.float64), triangles.astype(np.int64)


def corner_normals(vertices: Vertices, faces: Faces) -> Vertices:
    """Return unit normals (F, 3, 3) of every triangle's corners, smooth except across creases."""
    a, b, c = (vertices[faces[:, i]] for i in range(3))
    weighted = np.cross(b - a, c - a)  # twice the area times the unit normal
    length = np.linalg.norm(weighted, axis=1, keepdims=True)
    unit = weighted / np.maximum(length, 1e-12)

    # All ordered pairs of corners that share a vertex, by sorting the corners by vertex.
    owner = faces.reshape(-1)
    order = np.argsort(owner, kind="stable")
    starts = np.searchsorted(owner[order], np.arange(len(vertices)))
    counts = np.bincount(owner, minlength=len(vertices))
    degree = counts[owner]
    first = np.repeat(np.arange(len(owner)), degree)
    step = np.arange(len(first)) - np.repeat(np.cumsum(degree) - degree, degree)
    second = order[starts[owner[first]] + step]

    mine, other = unit[first // 3], weighted[second // 3]
    same_side = np.einsum("ij,ij->i", mine, unit[second // 3]) > CREASE_COSINE
    total = np.zeros((len(owner), 3))
    np.add.at(total, first[same_side], other[same_side])
    norm = np.linalg.norm(total, axis=1, keepdims=True)
    flat = np.repeat(unit, 3, axis=0)  # a triangle without area has no other normal
    total = np.where(norm > 1e-12, total / np.maximum(norm, 1e-12), flat)
    return total.reshape(-1, 3, 3)


def write_obj(path: Path, vertices: Vertices, faces: Faces) -> None:
    """Write triangles with explicit corner normals."""
    normals = np.round(corner_normals(vertices, faces).reshape(-1, 3), 4) + 0.0
    distinct, index = np.unique(normals, axis=0, return_inverse=True)
    corners = np.stack([faces + 1, index.reshape(-1, 3) + 1], -1)
    lines = ["v {:.6f} {:.6f} {:.6f}".format(*row) for row in vertices]
    lines += ["vn {:.4f} {:.4f} {:.4f}".format(*row) for row in distinct]
    lines += ["f {}//{} {}//{} {}//{}".format(*row.reshape(-1)) for row in corners]
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")


def write_shape(path: Path, shape: Shape) -> None:
    """Write a generated shape with its texture coordinates; MuJoCo's own normals are not needed."""
    vertices = np.round(np.array(shape.points), 6) + 0.0
    faces = np.array(shape.faces, np.int64)
    normals = np.round(corner_normals(vertices, faces).reshape(-1, 3), 3) + 0.0
    distinct, index = np.unique(normals, axis=0, return_inverse=True)
    corners = np.stack(
        [faces + 1, np.array(shape.mark_faces, np.int64) + 1, index.reshape(-1, 3) + 1], -1
    )
    lines = ["v {:.6f} {:.6f} {:.6f}".format(*row) for row in vertices]
    lines += ["vt {:.5f} {:.5f}".format(*row) for row in shape.marks]
    lines += ["vn {:.3f} {:.3f} {:.3f}".format(*row) for row in distinct]
    lines += ["f {}/{}/{} {}/{}/{} {}/{}/{}".format(*row.reshape(-1)) for row in corners]
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")
