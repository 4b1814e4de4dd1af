"""The generated objects: for each category its visible shape and the convex pieces that collide.

Shapes stand on z = 0, centred on the z axis, at instance scale 1, in m.
"""

from collections.abc import Callable
from dataclasses import dataclass

from .shapes import Flat, Point, Shape, beveled_box, circle, lathe, lump, smooth, tube


@dataclass(frozen=True)
class Model:
    """An object's geometry."""

    shape: Shape
    """What is seen."""
    pieces: tuple[tuple[tuple[Point, ...], float], ...]
    """What is felt: corners of convex pieces, each with its share of the mass."""


def _convex(shape: Shape, coarse: Shape | None = None) -> Model:
    """Return a shape that is felt as its own convex hull, or a coarser shape's."""
    return Model(shape, (((coarse or shape).points, 1.0),))


def _turned(profile: list[Flat], smoothing: int = 0, stretch: Flat = (1.0, 1.0),
            bumps: int | None = None, amount: float = 0.0) -> Model:  # fmt: skip
    """Return a convex turned solid: 28 segments are seen, 18 are felt."""
    line = smooth(profile, smoothing) if smoothing else profile
    factor = lump(bumps, amount) if bumps is not None else None
    return _convex(lathe(line, 28, stretch, factor), lathe(line, 18, stretch, factor))


def _ring(
    inner: list[Flat], outer: list[Flat], pieces: int = 10, share: float = 0.8
) -> list[tuple[tuple[Point, ...], float]]:
    """Return a hollow wall as sectors, hulls of stretches of its inner and outer profile."""
    result = []
    around = circle(pieces)
    for k in range(pieces):
        corners = []
        for x, y in (around[k], around[(k + 1) % pieces]):
            corners += [(r * x, r * y, z) for r, z in (*inner, *outer)]
        result.append((tuple(corners), share / pieces))
    return result


def _disc(radius: float, low: float, high: float, share: float) -> tuple[tuple[Point, ...], float]:
    return tuple((radius * x, radius * y, z) for x, y in circle(16) for z in (low, high)), share


def _handle(path: list[Flat], thick: float, wide: float) -> tuple[Shape, list[list[Point]]]:
    """Return a handle along (x, z): its shape, and the corners of three convex pieces."""
    line = smooth(path, 2)
    coarse = tube(line, [(thick, wide)] * len(line), 6).points
    rings = [list(coarse[6 * i : 6 * i + 6]) for i in range(len(line))]
    cuts = [round(k * (len(line) - 1) / 3) for k in range(4)]
    pieces = [
        rings[low] + rings[(low + high) // 2] + rings[high]
        for low, high in zip(cuts, cuts[1:], strict=False)
    ]
    shape = tube(line, [(thick, wide)] * len(line), 10)
    return shape, pieces


def _vessel(
    outer: list[Flat], wall: float, floor: float, handle: list[Flat] | None = None
) -> Model:
    """Return a hollow turned vessel, open at the top, perhaps with a handle at positive x."""
    inner = [(r - wall, z) for r, z in outer if z > floor]
    inside = [(0.0, floor), (inner[0][0] * 0.92, floor), *inner]
    top = outer[-1]
    rim = [top, (top[0] - wall / 2, top[1] + wall / 2)]
    profile = [(0.0, 0.0), *outer, *rim[1:], *reversed(inside)]
    shape = lathe(profile, 32)
    # Walls are felt slightly above the base, so that the vessel stands on one flat disc.
    knee = outer[len(outer) // 2]
    bands = [(outer[0], knee), (knee, top)] if _bent(outer) else [(outer[1], top)]
    pieces = [_disc(outer[0][0], 0.0, floor, 0.25)]
    for (ra, za), (rb, zb) in bands:
        low = max(za, 0.002)
        pieces += _ring([(ra - wall, low), (rb - wall, zb)], [(ra, low), (rb, zb)],
                        share=0.65 / len(bands))  # fmt: skip
    if handle is not None:
        grip, boxes = _handle(handle, 0.0052, 0.0075)
        shape = shape + Shape(grip.points, grip.faces, ((0.02, 0.18),),
                              tuple((0, 0, 0) for _ in grip.faces))  # fmt: skip
        pieces += [(tuple(box), 0.10 / 3) for box in boxes]
    total = sum(share for _, share in pieces)
    return Model(shape, tuple((corners, share / total) for corners, share in pieces))


def _bent(line: list[Flat]) -> bool:
    """Return whether an outline's middle lies clearly off the straight line between its ends."""
    (ra, za), (rb, zb), (r, z) = line[0], line[-1], line[len(line) // 2]
    return abs(r - (ra + (rb - ra) * (z - za) / (zb - za))) > 0.006


def _mug() -> Model:
    outer = [(0.034, 0.0), (0.0385, 0.004), (0.040, 0.02), (0.040, 0.094)]
    return _vessel(outer, 0.0045, 0.008,
                   [(0.036, 0.076), (0.058, 0.080), (0.072, 0.062), (0.066, 0.032),
                    (0.036, 0.024)])  # fmt: skip


def _cup() -> Model:
    outer = [(0.029, 0.0), (0.0300, 0.003), (0.0335, 0.05), (0.038, 0.110)]
    return _vessel(outer, 0.0035, 0.007)


def _bowl() -> Model:
    outer = smooth([(0.026, 0.0), (0.028, 0.004), (0.044, 0.014), (0.0505, 0.034),
                    (0.0525, 0.052)], 1)  # fmt: skip
    return _vessel(outer, 0.0045, 0.008)


def _jug() -> Model:
    outer = smooth([(0.034, 0.0), (0.037, 0.004), (0.046, 0.05), (0.044, 0.09), (0.034, 0.125),
                    (0.038, 0.150)], 1)  # fmt: skip
    return _vessel(outer, 0.004, 0.008,
                   [(0.033, 0.128), (0.060, 0.132), (0.076, 0.100), (0.066, 0.062),
                    (0.042, 0.056)])  # fmt: skip


def _apple() -> Model:
    profile = [(0.0, 0.004), (0.012, 0.0), (0.026, 0.003), (0.036, 0.022), (0.040, 0.046),
               (0.034, 0.068), (0.018, 0.074), (0.006, 0.068), (0.0, 0.064)]  # fmt: skip
    body = _turned(profile, 2, bumps=11, amount=0.03)
    stem = lathe([(0.0, 0.060), (0.0022, 0.062), (0.0026, 0.082), (0.0, 0.083)], 8)
    dark = Shape(stem.points, stem.faces, ((0.5, 0.998),), tuple((0, 0, 0) for _ in stem.faces))
    return Model(body.shape + dark, body.pieces)


def _orange() -> Model:
    profile = [(0.0, 0.001), (0.010, 0.0), (0.030, 0.005), (0.0385, 0.024), (0.0390, 0.046),
               (0.030, 0.066), (0.010, 0.0715), (0.0, 0.070)]  # fmt: skip
    return _turned(profile, 2)


def _pear() -> Model:
    profile = [(0.0, 0.003), (0.012, 0.0), (0.030, 0.006), (0.037, 0.028), (0.034, 0.050),
               (0.022, 0.074), (0.017, 0.092), (0.010, 0.103), (0.0, 0.104)]  # fmt: skip
    body = _turned(profile, 2, bumps=5, amount=0.04)
    stem = lathe([(0.0, 0.100), (0.0020, 0.101), (0.0022, 0.120), (0.0, 0.121)], 8)
    dark = Shape(stem.points, stem.faces, ((0.5, 0.998),), tuple((0, 0, 0) for _ in stem.faces))
    return Model(body.shape + dark, body.pieces)


def _tomato() -> Model:
    profile = [(0.0, 0.002), (0.014, 0.0), (0.032, 0.006), (0.0385, 0.026), (0.034, 0.047),
               (0.018, 0.057), (0.006, 0.053), (0.0, 0.051)]  # fmt: skip
    return _turned(profile, 2, bumps=23, amount=0.05)


def _lying(profile: list[Flat], amount: float, seed: int, stretch: Flat = (1.0, 1.0)) -> Model:
    """Return a turned shape laid on its side, along x, and flattened a little where it lies."""
    line = smooth(profile, 2)
    middle = (line[0][1] + line[-1][1]) / 2

    def lay(shape: Shape) -> Shape:
        lowest = min(x for x, _, _ in shape.points)
        points = tuple((z - middle, y, max(x - lowest - 0.0012, 0.0)) for x, y, z in shape.points)
        # Exchanging two axes mirrors, so faces are turned inside out again.
        return Shape(points, shape.faces, shape.marks, shape.mark_faces).turned()

    factor = lump(seed, amount)
    return _convex(lay(lathe(line, 28, stretch, factor)), lay(lathe(line, 18, stretch, factor)))


def _potato() -> Model:
    return _lying([(0.0, 0.0), (0.016, 0.001), (0.029, 0.018), (0.031, 0.050), (0.026, 0.080),
                   (0.012, 0.094), (0.0, 0.095)], 0.10, 7, (0.88, 1.06))  # fmt: skip


def _avocado() -> Model:
    return _lying([(0.0, 0.0), (0.016, 0.001), (0.031, 0.014), (0.0335, 0.038), (0.026, 0.066),
                   (0.017, 0.084), (0.007, 0.098), (0.0, 0.099)], 0.04, 31)  # fmt: skip


def _banana() -> Model:
    """Return a bent tube that lies flat: its plane, x-z when swept, is turned into x-y."""
    path = smooth([(-0.088, 0.026), (-0.060, 0.002), (0.0, -0.014), (0.060, 0.002),
                   (0.080, 0.020)], 2)  # fmt: skip
    last = len(path) - 1
    radii = []
    for index in range(last + 1):
        t = 2 * index / last - 1
        radius = 0.0205 * (1 - 0.34 * t * t) if abs(t) < 0.8 else 0.0175 - 0.055 * (abs(t) - 0.72)
        radius = max(radius, 0.0045)
        radii.append((radius, radius * 0.94))
    # The path's centroid comes to the origin, so that the footprint is centred.
    depth = (max(z for _, z in path) + min(z for _, z in path)) / 2
    path = [(x, z - depth) for x, z in path]
    lift = max(across for _, across in radii)

    def lay(shape: Shape) -> Shape:
        points = tuple((x, z, lift + y) for x, y, z in shape.points)
        return Shape(points, shape.faces, shape.marks, shape.mark_faces).turned()

    pieces, step = [], 4
    for k in range(0, last, step):
        part = slice(k, min(k + step, last) + 1)
        hull = lay(tube(path[part], radii[part], 10)).points
        pieces.append((hull, len(path[part]) / (last + 1)))
    total = sum(share for _, share in pieces)
    return Model(lay(tube(path, radii, 14)),
                 tuple((hull, share / total) for hull, share in pieces))  # fmt: skip


def _jam() -> Model:
    return _turned([(0.0, 0.0), (0.029, 0.0), (0.033, 0.004), (0.033, 0.076), (0.029, 0.084),
                    (0.029, 0.087), (0.0325, 0.088), (0.0325, 0.104), (0.031, 0.106),
                    (0.0, 0.106)])  # fmt: skip


def _canned_food() -> Model:
    return _turned([(0.0, 0.0), (0.0375, 0.0), (0.0385, 0.002), (0.0375, 0.005), (0.0375, 0.071),
                    (0.0385, 0.074), (0.0375, 0.076), (0.0355, 0.076), (0.0350, 0.074),
                    (0.0, 0.074)])  # fmt: skip


def _bottled_water() -> Model:
    body = [(0.0, 0.0), (0.024, 0.0), (0.031, 0.006), (0.031, 0.120), (0.029, 0.136),
            (0.016, 0.166), (0.0135, 0.172), (0.0135, 0.178), (0.0155, 0.179), (0.0155, 0.194),
            (0.0145, 0.196), (0.0, 0.196)]  # fmt: skip
    neck = [(0.0, 0.166), (0.0155, 0.166), (0.0155, 0.196), (0.0, 0.196)]
    shape, lower = lathe(body, 28), lathe([*body[:6], (0.0, 0.166)], 18)
    return Model(shape, ((lower.points, 0.95), (lathe(neck, 14).points, 0.05)))


def _shaker() -> Model:
    return _turned([(0.0, 0.0), (0.021, 0.0), (0.0235, 0.003), (0.0205, 0.066), (0.0215, 0.068),
                    (0.0215, 0.084), (0.015, 0.092), (0.0, 0.094)])  # fmt: skip


def _painted(shape: Shape, low: float, high: float) -> Shape:
    """Return a shape that shows the stretch from ``low`` to ``high`` of its picture's height."""
    marks = tuple((u, low + (high - low) * v) for u, v in shape.marks)
    return Shape(shape.points, shape.faces, marks, shape.mark_faces)


def _ball(wide: float, high: float, at: Point, seed: int) -> Shape:
    """Return a lumpy ball: a clump of leaves, a blossom."""
    ring = circle(12)
    profile = [(wide * x, high * y) for x, y in (*ring[-2:], *ring[:3])]
    profile = [(0.0, -high), *profile, (0.0, high)]
    return lathe(profile, 10, factor=lump(seed, 0.35)).moved(at)


def _flower_vase() -> Model:
    """Return a slender vase whose flowers are wider than a hand opens."""
    outer = smooth([(0.0, 0.0), (0.034, 0.0), (0.038, 0.006), (0.037, 0.09), (0.030, 0.160),
                    (0.034, 0.190), (0.0, 0.191)], 1)  # fmt: skip
    shape = _painted(lathe(outer, 28), 0.0, 0.5)
    for index, (x, y) in enumerate(circle(6)):
        shape += _painted(_ball(0.034, 0.026, (0.038 * x, 0.038 * y, 0.211), index), 0.5, 0.84)
    shape += _painted(_ball(0.040, 0.030, (0.0, 0.0, 0.232), 6), 0.5, 0.84)
    for index, (x, y) in enumerate(circle(5, 0.3)):
        low = index % 2
        place = (0.046 * x, 0.046 * y, 0.246 - 0.014 * low)
        shape += _painted(_ball(0.021, 0.017, place, 10 + index), 0.86, 1.0)
    shape += _painted(_ball(0.023, 0.018, (0.004, -0.003, 0.266), 16), 0.86, 1.0)
    flowers = [(0.0, 0.186), (0.056, 0.194), (0.070, 0.214), (0.066, 0.250), (0.026, 0.278),
               (0.0, 0.282)]  # fmt: skip
    return Model(shape, ((lathe(outer, 18).points, 0.92), (lathe(flowers, 12).points, 0.08)))


def _box(size: Point, bevel: float) -> Model:
    return _convex(beveled_box(size, bevel))


MODELS: dict[str, Callable[[], Model]] = {
    "mug": _mug, "cup": _cup, "bowl": _bowl, "jug": _jug,
    "apple": _apple, "orange": _orange, "pear": _pear, "tomato": _tomato, "banana": _banana,
    "potato": _potato, "avocado": _avocado,
    "jam": _jam, "canned_food": _canned_food, "bottled_water": _bottled_water, "shaker": _shaker,
    "flower_vase": _flower_vase,
    "boxed_food": lambda: _box((0.078, 0.050, 0.140), 0.0015),
    "tea_box": lambda: _box((0.100, 0.064, 0.070), 0.0015),
    "butter": lambda: _box((0.105, 0.058, 0.040), 0.003),
    "cheese": lambda: _box((0.085, 0.055, 0.050), 0.004),
    "bar_soap": lambda: _box((0.085, 0.056, 0.038), 0.008),
    "sponge": lambda: _box((0.105, 0.068, 0.036), 0.005),
}  # fmt: skip
"""Every generated category's geometry, by name."""
