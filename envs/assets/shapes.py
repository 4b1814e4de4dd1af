"""Meshes of household objects: turned, swept and box-shaped solids with texture coordinates.

Everything is Python's own +, -, *, / and square roots, which IEEE 754 fixes to the last bit, and
coordinates are rounded to a micrometre: vertices are equal on every machine.
"""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cache

from .textures import FULL, hash_lattice

Point = tuple[float, float, float]
Flat = tuple[float, float]


@dataclass(frozen=True)
class Shape:
    """A surface of triangles."""

    points: tuple[Point, ...]
    """Vertices (x, y, z) in m."""
    faces: tuple[tuple[int, int, int], ...]
    """Triangles of vertex indices, counter-clockwise seen from outside."""
    marks: tuple[Flat, ...]
    """Texture coordinates (u, v), 0..1; v = 0 is the picture's lower edge."""
    mark_faces: tuple[tuple[int, int, int], ...]
    """For every triangle the indices of its corners' texture coordinates."""

    def __add__(self, other: "Shape") -> "Shape":
        """Both surfaces as one."""
        n, m = len(self.points), len(self.marks)
        return Shape(
            self.points + other.points,
            self.faces + tuple((a + n, b + n, c + n) for a, b, c in other.faces),
            self.marks + other.marks,
            self.mark_faces + tuple((a + m, b + m, c + m) for a, b, c in other.mark_faces),
        )

    def turned(self) -> "Shape":
        """Inside out."""
        return Shape(
            self.points,
            tuple((a, c, b) for a, b, c in self.faces),
            self.marks,
            tuple((a, c, b) for a, b, c in self.mark_faces),
        )

    def moved(self, by: Point) -> "Shape":
        """Return the same surface elsewhere."""
        points = tuple((x + by[0], y + by[1], z + by[2]) for x, y, z in self.points)
        return Shape(points, self.faces, self.marks, self.mark_faces)


def sine(quarters: float) -> float:
    """Return the sine of an angle in quarter turns, by its series.

    Libraries' sines differ in bits.
    """
    part = quarters % 4
    if part > 2:
        return -sine(part - 2)
    x = (part if part <= 1 else 2 - part) * 1.5707963267948966
    term, total = x, x
    for k in range(1, 12):
        term = -term * x * x / ((2 * k) * (2 * k + 1))
        total += term
    return total


@cache
def circle(n: int, quarter_offset: float = 0.0) -> tuple[Flat, ...]:
    """``n`` points evenly around the unit circle, counter-clockwise from (1, 0)."""
    angles = [4 * k / n + quarter_offset for k in range(n)]
    return tuple((sine(angle + 1), sine(angle)) for angle in angles)


def smooth(line: Sequence[Flat], rounds: int = 2) -> list[Flat]:
    """Cut the corners of an open polygon (Chaikin); its ends stay where they are."""
    points = list(line)
    for _ in range(rounds):
        cut = [points[0]]
        for (ax, ay), (bx, by) in zip(points, points[1:], strict=False):
            cut.append((ax * 0.75 + bx * 0.25, ay * 0.75 + by * 0.25))
            cut.append((ax * 0.25 + bx * 0.75, ay * 0.25 + by * 0.75))
        points = [*cut, points[-1]]
    return points


def lump(seed: int, amount: float, cells: int = 4) -> Callable[[float, float], float]:
    """Return a factor near 1 that varies smoothly around and along a vegetable."""
    import numpy as np

    columns, rows = np.meshgrid(np.arange(cells), np.arange(cells + 1))
    lattice = hash_lattice(columns.astype(np.int64), rows.astype(np.int64), seed)
    table: list[list[int]] = lattice.tolist()

    def factor(u: float, v: float) -> float:
        x, y = u * cells, min(max(v, 0.0), 0.9999) * cells
        i, j = int(x), int(y)
        fx, fy = x - i, y - j
        fx, fy = fx * fx * (3 - 2 * fx), fy * fy * (3 - 2 * fy)
        a, b = table[j][i % cells], table[j][(i + 1) % cells]
        c, d = table[j + 1][i % cells], table[j + 1][(i + 1) % cells]
        value = (a * (1 - fx) + b * fx) * (1 - fy) + (c * (1 - fx) + d * fx) * fy
        fade = 4 * v * (1 - v)  # nothing at the poles, so that they stay closed and level
        return 1 + amount * fade * (2 * value / FULL - 1)

    return factor


def lathe(
    profile: Sequence[Flat],
    segments: int = 28,
    stretch: Flat = (1.0, 1.0),
    factor: Callable[[float, float], float] | None = None,
) -> Shape:
    """Turn a profile about z.

    Args:
        profile: (radius, height) in m from the lower pole on; radius 0 closes a pole.
        segments: Corners of a horizontal section.
        stretch: Factors on x and y, for oval sections.
        factor: Of (u, v), multiplies the radius.

    Returns:
        The surface; u runs around, v along the profile by its length.
    """
    lengths = [0.0]
    for (ra, za), (rb, zb) in zip(profile, profile[1:], strict=False):
        lengths.append(lengths[-1] + math.sqrt((rb - ra) * (rb - ra) + (zb - za) * (zb - za)))
    heights = [length / lengths[-1] for length in lengths]
    points: list[Point] = []
    rings: list[list[int]] = []
    for (radius, z), v in zip(profile, heights, strict=True):
        first = len(points)
        if radius == 0:
            points.append((0.0, 0.0, z))
            rings.append([first] * segments)
            continue
        for k, (x, y) in enumerate(circle(segments)):
            r = radius * (factor(k / segments, v) if factor else 1.0)
            points.append((r * x * stretch[0], r * y * stretch[1], z))
        rings.append(list(range(first, first + segments)))
    marks = tuple((k / segments, v) for v in heights for k in range(segments + 1))
    faces, mark_faces = [], []
    for row, (low, high) in enumerate(zip(rings, rings[1:], strict=False)):
        for k in range(segments):
            n = (k + 1) % segments
            a, b = row * (segments + 1) + k, (row + 1) * (segments + 1) + k
            if low[k] != low[n]:
                faces.append((low[k], low[n], high[n]))
                mark_faces.append((a, a + 1, b + 1))
            if high[k] != high[n]:
                faces.append((low[k], high[n], high[k]))
                mark_faces.append((a, b + 1, b))
    return Shape(tuple(points), tuple(faces), marks, tuple(mark_faces))


def tube(path: Sequence[Flat], radii: Sequence[Flat], sides: int = 12) -> Shape:
    """Sweep an ellipse along a path in the x-z plane, and close both ends.

    Args:
        path: (x, z) of the section centres, in m.
        radii: Half-axes of each section in m: within the plane, and across it (along y).
        sides: Corners of a section.

    Returns:
        The surface; u runs around, v along the path.
    """
    points: list[Point] = []
    ring = circle(sides)
    last = len(path) - 1
    for index, ((x, z), (inner, across)) in enumerate(zip(path, radii, strict=True)):
        ax, az = path[max(index - 1, 0)]
        bx, bz = path[min(index + 1, last)]
        length = math.sqrt((bx - ax) * (bx - ax) + (bz - az) * (bz - az))
        nx, nz = -(bz - az) / length, (bx - ax) / length
        points += [(x + nx * c * inner, s * across, z + nz * c * inner) for c, s in ring]
    faces, mark_faces = [], []
    for row in range(last):
        for k in range(sides):
            n, a, b = (k + 1) % sides, row * (sides + 1) + k, (row + 1) * (sides + 1) + k
            p, q = row * sides, (row + 1) * sides
            faces += [(p + k, q + n, p + n), (p + k, q + k, q + n)]
            mark_faces += [(a, b + 1, a + 1), (a, b, b + 1)]
    marks = [(k / sides, row / last) for row in range(last + 1) for k in range(sides + 1)]
    for start, forward in ((0, False), (last * sides, True)):
        corner = (start // sides) * (sides + 1)
        for k in range(1, sides - 1):
            second, third = start + k, start + k + 1
            faces.append((start, third, second) if forward else (start, second, third))
            mark_faces.append((corner, corner, corner))
    return Shape(tuple(points), tuple(faces), tuple(marks), tuple(mark_faces))


_FACES = ((0, 1, 2), (1, 2, 0), (2, 0, 1))
"""For the faces across x, y and z: their own axis, then the two that lie in them."""
_REGIONS = {1: (0.0, 0.5), 0: (0.5, 0.75), 2: (0.75, 1.0)}
"""Where in u a box's faces find their picture: front and back, sides, top and bottom."""


def beveled_box(size: Point, bevel: float) -> Shape:
    """Return a box standing on z = 0 with cut edges.

    Front and back (across y) show the picture's left half.

    Args:
        size: Edges in m.
        bevel: Width in m that is cut from each edge.
    """
    half = tuple(edge / 2 for edge in size)
    points: list[Point] = []
    marks: list[Flat] = []
    index: dict[tuple[int, tuple[int, int, int]], int] = {}
    signs = [(x, y, z) for x in (-1, 1) for y in (-1, 1) for z in (-1, 1)]
    for axis, _, _ in _FACES:
        left, right = _REGIONS[axis]
        for sign in signs:
            x, y, z = (
                s * (h - (0 if i == axis else bevel))
                for i, (s, h) in enumerate(zip(sign, half, strict=True))
            )
            index[axis, sign] = len(points)
            points.append((x, y, z + half[2]))
            across, up = (1, 2) if axis == 0 else (0, 2) if axis == 1 else (0, 1)
            # Pictures must not be mirrored on the far faces.
            flip = -1 if (axis == 1) == (sign[axis] > 0) and axis != 2 else 1
            u = left + (right - left) * (0.5 + 0.49 * flip * sign[across])
            marks.append((u, 0.5 + 0.49 * sign[up]))
    faces: list[tuple[int, int, int]] = []
    mark_faces: list[tuple[int, int, int]] = []

    def polygon(corners: list[int], shown: list[int]) -> None:
        """Add a convex polygon, turned so that it is seen from outside."""
        (ax, ay, az), (bx, by, bz), (cx, cy, cz) = (points[i] for i in corners[:3])
        ux, uy, uz, vx, vy, vz = bx - ax, by - ay, bz - az, cx - ax, cy - ay, cz - az
        normal = (uy * vz - uz * vy, uz * vx - ux * vz, ux * vy - uy * vx)
        if normal[0] * ax + normal[1] * ay + normal[2] * (az - half[2]) < 0:
            corners, shown = corners[::-1], shown[::-1]
        for k in range(1, len(corners) - 1):
            faces.append((corners[0], corners[k], corners[k + 1]))
            mark_faces.append((shown[0], shown[k], shown[k + 1]))

    for axis, b, c in _FACES:
        for side in (-1, 1):
            ring = []
            for p, q in ((-1, -1), (1, -1), (1, 1), (-1, 1)):
                place = [0, 0, 0]
                place[axis], place[b], place[c] = side, p, q
                ring.append(index[axis, (place[0], place[1], place[2])])
            polygon(ring, ring)
        for p, q in ((-1, -1), (1, -1), (1, 1), (-1, 1)):  # the four edges along this axis
            near, far = [0, 0, 0], [0, 0, 0]
            near[axis], near[b], near[c] = -1, p, q
            far[axis], far[b], far[c] = 1, p, q
            start, end = (near[0], near[1], near[2]), (far[0], far[1], far[2])
            shown = [index[b, start], index[b, end], index[b, end], index[b, start]]
            polygon([index[b, start], index[b, end], index[c, end], index[c, start]], shown)
    for sign in signs:
        corner = [index[axis, sign] for axis in range(3)]
        polygon(corner, [corner[0]] * 3)
    return Shape(tuple(points), tuple(faces), tuple(marks), tuple(mark_faces))
