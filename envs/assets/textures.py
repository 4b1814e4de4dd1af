"""Procedural, tileable textures in integer arithmetic, so that pixels are equal on every machine.

Everything is built on value noise over a hashed integer lattice. Intensities are integers from 0
to 65535 (``FULL``) until they become 8-bit colours; coordinates are pixels. No floating point, no
linear algebra and no platform random generator takes part.
"""

import numpy as np
from numpy.typing import NDArray

FULL = 65535
Field = NDArray[np.int64]
Image = NDArray[np.uint8]
Colour = tuple[int, int, int]


def hash_lattice(x: Field, y: Field, seed: int) -> Field:
    """Return a well-mixed 16-bit integer for every pair of lattice coordinates (broadcast)."""
    h = x.astype(np.uint64) * np.uint64(0x9E3779B1) + y.astype(np.uint64) * np.uint64(0x85EBCA77)
    h = (h + np.uint64(seed % 2**32) * np.uint64(0xC2B2AE3D)) & np.uint64(0xFFFFFFFF)
    for shift, factor in ((15, 0x2C1B3C6D), (12, 0x297A2D39)):
        h = ((h ^ (h >> np.uint64(shift))) * np.uint64(factor)) & np.uint64(0xFFFFFFFF)
    return ((h ^ (h >> np.uint64(15))) >> np.uint64(8)).astype(np.int64) & FULL


def noise(size: int, columns: int, rows: int, seed: int) -> Field:
    """Smooth value noise of shape (size, size), ``columns`` x ``rows`` cells, tileable."""

    def axis(cells: int) -> tuple[Field, Field, Field]:
        position = np.arange(size, dtype=np.int64) * cells * 256 // size
        low, part = position // 256, position % 256
        smooth = part * part * (768 - 2 * part) // 65536  # smoothstep, 0..256
        return low % cells, (low + 1) % cells, smooth

    x0, x1, wx = axis(columns)
    y0, y1, wy = axis(rows)
    lattice = hash_lattice(np.arange(columns)[None, :], np.arange(rows)[:, None], seed)
    across = (lattice[:, x0] * (256 - wx) + lattice[:, x1] * wx) // 256
    values: Field = (across[y0] * (256 - wy)[:, None] + across[y1] * wy[:, None]) // 256
    return values


def clouds(size: int, columns: int, rows: int, seed: int, octaves: int = 5) -> Field:
    """Fractal noise: octaves of doubling frequency and halving weight; shape (size, size)."""
    total = np.zeros((size, size), np.int64)
    weights = 0
    for octave in range(octaves):
        cells = (columns << octave, rows << octave)
        if max(cells) > size // 2:
            break
        weight = 1 << (octaves - octave - 1)
        total += weight * noise(size, *cells, seed + 101 * octave)
        weights += weight
    return total // weights


def stretch(field: Field, low: int, high: int) -> Field:
    """Map ``low..high`` linearly to 0..FULL and clip."""
    return np.clip((field - low) * FULL // (high - low), 0, FULL)


def wave(phase: Field) -> Field:
    """Return a triangle wave of period 65536 in ``phase``, 0..FULL."""
    part = phase & FULL
    return np.minimum(part, FULL - part) * 2


def blend(a: Field | int, b: Field | int, weight: Field) -> Field:
    """Return ``a`` where ``weight`` is 0, ``b`` where it is FULL."""
    return (a * (FULL - weight) + b * weight) // FULL


def ramp(field: Field, *colours: Colour) -> Field:
    """Colour of shape (..., 3), 0..255, along equally spaced ``colours``."""
    table = np.asarray(colours, np.int64)
    position = np.clip(field, 0, FULL - 1) * (len(colours) - 1)
    low, part = position // FULL, position % FULL
    mixed: Field = table[low] * (FULL - part[..., None]) + table[low + 1] * part[..., None]
    return mixed // FULL


def finish(colour: Field, shade: Field | None = None) -> Image:
    """Clip to 8 bits; ``shade`` multiplies, FULL // 2 keeping the brightness as it is."""
    if shade is not None:
        colour = colour * shade[..., None] // (FULL // 2)
    return np.clip(colour, 0, 255).astype(np.uint8)


def _grid(size: int) -> tuple[Field, Field]:
    """Pixel coordinates x (1, size) and y (size, 1)."""
    line = np.arange(size, dtype=np.int64)
    return line[None, :], line[:, None]


def grain(size: int, seed: int, rings: int = 9) -> Field:
    """Wood grain along the image's vertical: distorted growth rings plus fine pores, 0..FULL."""
    x, _ = _grid(size)
    distortion = clouds(size, 2, 1, seed, 3)
    phase = x * 65536 * rings // size + distortion * rings // 2
    ring = wave(phase)
    ring = ring * ring // FULL
    fibre = noise(size, size // 3, 4, seed + 7)
    pores = stretch(noise(size, size // 2, 16, seed + 11), 46000, 60000)
    values: Field = np.clip(
        (ring * 5 + fibre * 3 + clouds(size, 3, 2, seed + 3) * 4) // 12 + pores // 6, 0, FULL
    )
    return values


def wood(size: int, seed: int, *colours: Colour, rings: int = 9) -> Image:
    """Return a board with vertical grain, from its light to its dark colour."""
    return finish(ramp(grain(size, seed, rings), *colours))


def planks(
    size: int,
    seed: int,
    *colours: Colour,
    boards: int = 6,
    joints: int = 1,
    gap: int = 1,
    vertical: bool = False,
) -> Image:
    """Return boards side by side, each with its own grain and tone.

    Horizontal unless told otherwise.
    """
    across = np.arange(size, dtype=np.int64) * boards // size
    edge = np.arange(size, dtype=np.int64) * boards % size
    texture = grain(size, seed, 14)
    columns, shade = [], []
    for board in range(boards):
        offsets = hash_lattice(np.full(4, board), np.arange(4), seed)
        rows = (np.arange(size) + offsets[0]) % size
        along = (np.arange(size) + offsets[1]) % size
        piece = along * joints // size
        lines = np.flatnonzero(across == board)
        strip = texture[np.ix_(rows, (lines * 3 + offsets[2]) % size)]
        tone = hash_lattice(piece, np.full(size, board), seed + 5)
        cut = (along * joints % size) < gap * joints
        mark = blend(FULL // 2 + (tone - FULL // 2) // 5, FULL // 7, cut.astype(np.int64) * FULL)
        columns.append(strip)
        shade.append(np.broadcast_to(mark[:, None], strip.shape))
    field, shading = np.concatenate(columns, 1), np.concatenate(shade, 1)
    seam = (edge < gap * boards)[None, :]
    image = finish(ramp(field, *colours), np.where(seam, FULL // 6, shading))
    return image if vertical else np.ascontiguousarray(image.transpose(1, 0, 2))


def marble(size: int, seed: int, *colours: Colour, veins: int = 3, strength: int = 60) -> Image:
    """Stone with clouds and thin veins; the last colour is the veins', the others the body's."""
    x, y = _grid(size)
    body = stretch(clouds(size, 3, 3, seed), 16000, 50000)
    colour = ramp(body, *colours[:-1])
    for layer in range(2):
        bend = clouds(size, 2 + layer, 2 + layer, seed + 31 * (layer + 1))
        phase = (x * (2 + layer) + y * (1 + 2 * layer)) * 65536 // size + bend * veins
        ridge = stretch(FULL - wave(phase), FULL - 5200 // (layer + 1), FULL)
        fade = stretch(clouds(size, 3, 3, seed + 57 + layer, 3), 18000, 52000)
        weight = (ridge * fade // FULL * strength // 100)[..., None]
        colour = blend(colour, np.asarray(colours[-1], np.int64), weight)
    return finish(colour)


def granite(size: int, seed: int, *colours: Colour) -> Image:
    """Speckled stone: grains of every colour over the first."""
    base = np.broadcast_to(np.asarray(colours[0], np.int64), (size, size, 3))
    stone = finish(base, FULL // 2 + clouds(size, 8, 8, seed) // 12)
    colour = stone.astype(np.int64)
    for index, speck in enumerate(colours[1:]):
        coarse = noise(size, size // 4, size // 4, seed + 17 * index)
        field = (coarse + noise(size, size // 2, size // 2, seed + 19 * index)) // 2
        weight = stretch(field, 38000, 46000)[..., None] * 3 // 5
        colour = blend(colour, np.asarray(speck, np.int64), weight)
    return finish(colour)


def tiles(
    size: int,
    seed: int,
    *colours: Colour,
    columns: int = 4,
    rows: int = 4,
    grout: Colour = (150, 148, 142),
    joint: int = 3,
    offset: bool = False,
    diamond: bool = False,
    rough: int = 10,
) -> Image:
    """Return tiles or bricks with own tones, a soft bevel, and grout ``joint`` px wide.

    ``offset`` shifts every other row by half a tile (running bond; needs even ``rows``);
    ``diamond`` turns the pattern by 45 degrees (needs ``columns == rows``); ``rough`` is the
    strength of the surface's own noise in percent.
    """
    x, y = _grid(size)
    if diamond:
        x, y = x + y, (x - y) % (2 * size)
        columns, rows = columns // 2, rows // 2
    row = y * rows // size
    shifted = x * 2 + (row % 2) * (size // columns) if offset else x * 2
    shifted = shifted + 0 * y
    width, height = size // columns, size // rows
    column = (shifted // (2 * width)) % (columns * (2 if diamond else 1))
    inside_x, inside_y = shifted % (2 * width) // 2, (y % height) + 0 * x
    margin = np.minimum(
        np.minimum(inside_x, width - 1 - inside_x), np.minimum(inside_y, height - 1 - inside_y)
    )
    tone = hash_lattice(column + 0 * row, row + 0 * column, seed)
    surface = clouds(size, 8, 8, seed + 3)
    colour = ramp((tone * 3 + surface) // 4, *colours)
    light = FULL // 2 + (surface - FULL // 2) * rough // 100
    # Light from above: the upper bevel is bright, the lower one dark.
    bevel = np.where(margin < joint + 3, np.where(inside_y < height // 2, 3000, -4500), 0)
    colour = colour * (light + bevel)[..., None] // (FULL // 2)
    mortar = np.asarray(grout, np.int64) * (FULL // 2 + (surface - FULL // 2) // 4)[..., None]
    return finish(np.where((margin < joint)[..., None], mortar // (FULL // 2), colour))


def plaster(size: int, seed: int, colour: Colour, contrast: int = 8) -> Image:
    """Return a painted wall: one colour, uneven by ``contrast`` percent."""
    field = (clouds(size, 3, 3, seed) + noise(size, size // 2, size // 2, seed + 1)) // 2
    base = np.broadcast_to(np.asarray(colour, np.int64), (size, size, 3))
    return finish(base, FULL // 2 + (field - FULL // 2) * contrast // 50)


def brushed(size: int, seed: int, colour: Colour) -> Image:
    """Brushed metal: fine horizontal scratches."""
    field = (noise(size, 4, size // 2, seed) * 2 + noise(size, 8, size // 3, seed + 1)) // 3
    base = np.broadcast_to(np.asarray(colour, np.int64), (size, size, 3))
    return finish(base, FULL // 2 + (field - FULL // 2) // 8)


def garden(size: int, seed: int) -> Image:
    """Return what a window shows, out of focus: sky above trees above lawn. Rows run downwards."""
    _, y = _grid(size)
    height = np.broadcast_to(y * FULL // size, (size, size))
    sky = ramp(height * 2, (188, 214, 238), (232, 240, 244))
    leaves = ramp(clouds(size, 6, 6, seed, 4), (70, 98, 62), (120, 148, 92), (170, 186, 132))
    lawn = ramp(clouds(size, 4, 12, seed + 1, 3), (126, 152, 88), (156, 176, 112))
    edge = clouds(size, 5, 2, seed + 2, 4)  # uneven, so that the trees have tops
    trees = stretch(height + edge // 2, 52000, 57000)[..., None]
    grass = stretch(height + edge // 8, 56000, 58000)[..., None]
    return finish(blend(blend(sky, leaves, trees), lawn, grass))
