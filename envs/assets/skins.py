"""Pictures on objects: fruit skins, glazes, labels, cartons; integers only, as in ``textures``.

Rows run from the top of an object to its bottom. ``body`` and ``accent`` are an instance's colours.
"""

from collections.abc import Callable

import numpy as np

from . import textures as t
from .textures import FULL, Colour, Field, Image

SIZE = 256
"""Edge of a skin in pixels."""
Skin = Callable[[int, Colour, Colour], Image]
"""Makes a picture from a seed and an instance's two colours."""


def _shade(colour: Colour, percent: int) -> Colour:
    red, green, blue = (min(255, value * percent // 100) for value in colour)
    return red, green, blue


def _rows() -> Field:
    """0 at the top row to FULL at the bottom, (SIZE, SIZE)."""
    return np.broadcast_to(np.arange(SIZE)[:, None] * FULL // SIZE, (SIZE, SIZE))


def _columns() -> Field:
    return np.broadcast_to(np.arange(SIZE)[None, :] * FULL // SIZE, (SIZE, SIZE))


def _between(field: Field, low: int, high: int) -> Field:
    """FULL where ``low <= field < high`` in percent of FULL, else 0."""
    inside = (field * 100 >= low * FULL) & (field * 100 < high * FULL)
    return inside.astype(np.int64) * FULL


def _paint(image: Field, colour: Colour, weight: Field) -> Field:
    return t.blend(image, np.asarray(colour, np.int64), weight[..., None])


def _plain(colour: Colour) -> Field:
    return np.broadcast_to(np.asarray(colour, np.int64), (SIZE, SIZE, 3)).copy()


def fruit(streaks: int = 0, specks: int = 0, blush: int = 40, stem: Colour = (84, 62, 34),
          stem_rows: int = 4, mottle: int = 8) -> Skin:  # fmt: skip
    """Return a skin from body to accent colour, streaked or specked, dark at the stem."""

    def make(seed: int, body: Colour, accent: Colour) -> Image:
        cloud = t.clouds(SIZE, 2, 2, seed, 4)
        weight = t.stretch(cloud, 42000 - blush * 250, 56000 - blush * 150)
        if streaks:
            lines = t.noise(SIZE, streaks, 4, seed + 3)
            weight = np.clip(weight + (lines - FULL // 2), 0, FULL)
        image = t.ramp(weight, body, accent)
        if specks:
            spots = t.stretch(t.noise(SIZE, specks, specks, seed + 9), 50000, 58000)
            image = _paint(image, _shade(accent, 62), spots * 2 // 3)
        image = _paint(image, stem, _between(_rows(), 0, stem_rows))
        light = FULL // 2 + (t.clouds(SIZE, 8, 8, seed + 5) - FULL // 2) * mottle // 50
        return t.finish(image, light)

    return make


def peel(seed: int, body: Colour, accent: Colour) -> Image:
    """Return an orange's: fine pits, a green dot at the stem."""
    pits = t.stretch(t.noise(SIZE, 90, 60, seed), 34000, 60000)
    image = _paint(_plain(body), accent, pits // 2)
    image = _paint(image, (96, 104, 40), _between(_rows(), 0, 3))
    return t.finish(image, FULL // 2 + (t.clouds(SIZE, 3, 3, seed + 1) - FULL // 2) // 6)


def banana(seed: int, body: Colour, accent: Colour) -> Image:
    """Yellow with brown marks and dark ends."""
    marks = t.stretch(t.clouds(SIZE, 12, 5, seed, 4), 44000, 54000)
    image = _paint(_plain(body), (122, 84, 40), marks * 2 // 3)
    edges = t.stretch(t.noise(SIZE, 5, 2, seed + 1), 20000, 60000)
    image = _paint(image, accent, edges // 3)
    dark = np.maximum(_between(_rows(), 0, 6), _between(_rows(), 93, 101))
    return t.finish(_paint(image, (74, 58, 34), dark))


def glaze(first: int, second: int, stripes: int = 0) -> Skin:
    """Crockery: a band of the accent colour between two heights in percent of the profile."""

    def make(seed: int, body: Colour, accent: Colour) -> Image:
        image = _plain(body)
        band = _between(_rows(), first, second)
        if stripes:
            band = np.where(t.wave(_columns() * stripes) > FULL // 2, band, 0)
        image = _paint(image, accent, band)
        specks = t.stretch(t.noise(SIZE, 100, 100, seed), 56000, 62000)
        # The upper half is the inside, which its own walls shade the more the deeper it lies.
        deep = FULL // 2 * (62 + np.minimum(_rows() * 90 // FULL, 38)) // 100
        return t.finish(_paint(image, _shade(body, 80), specks // 3), deep)

    return make


def _text(image: Field, seed: int, colour: Colour, top: int, bottom: int, left: int, right: int,
          lines: int = 3) -> Field:  # fmt: skip
    """Return bars that read as lines of print at a distance, in percent of the picture."""
    rows, columns = _rows() * 100 // FULL, _columns() * 100 // FULL
    height = (bottom - top) / lines
    for line in range(lines):
        low, high = top + round(line * height), top + round((line + 0.55) * height)
        hashed = int(t.hash_lattice(np.array([line]), np.array([7]), seed)[0])
        end = right - hashed * (right - left) // (3 * FULL)
        inside = (rows >= low) & (rows < high) & (columns >= left) & (columns < end)
        letters = t.noise(SIZE, 80, 4, seed + line) > 24000
        image = _paint(image, colour, (inside & letters).astype(np.int64) * FULL)
    return image


def _disc(image: Field, colour: Colour, x: int, y: int, radius: int, flat: int = 100) -> Field:
    """Return a disc, or an ellipse ``flat`` percent as wide; centre and radius in percent."""
    dx = (_columns() * 100 // FULL - x) * 100 // flat
    dy = _rows() * 100 // FULL - y
    return _paint(image, colour, (dx * dx + dy * dy < radius * radius).astype(np.int64) * FULL)


def label(top: int, bottom: int, lid: int = 0, paper: Colour = (238, 232, 216),
          metal: bool = False) -> Skin:  # fmt: skip
    """Return a jar, can or bottle with a printed label between two heights in percent.

    The body colour is the label's or the contents', the accent the lid's and the print's.
    """

    def make(seed: int, body: Colour, accent: Colour) -> Image:
        image = t.brushed(SIZE, seed, (196, 198, 200)).astype(np.int64) if metal else _plain(body)
        if not metal:
            light = FULL + (t.clouds(SIZE, 4, 4, seed) - FULL // 2) // 3
            image = image * light[..., None] // FULL
        band = _between(_rows(), top, bottom)
        image = _paint(image, body if metal else paper, band)
        edge = 4
        for low in (top + 1, bottom - edge - 1):
            image = _paint(image, accent, _between(_rows(), low, low + edge))
        middle, reach = (top + bottom) // 2, (bottom - top) // 3
        for x in (25, 75):  # printed twice around, so that one side always shows
            image = _disc(image, paper if metal else accent, x, middle, reach, 60)
            image = _disc(image, accent if metal else body, x, middle, reach * 2 // 3, 60)
        for left in (4, 54):
            image = _text(image, seed + left, accent, middle + reach // 2, bottom - 8, left,
                          left + 12)  # fmt: skip
        if lid:
            image = _paint(image, accent, _between(_rows(), 0, lid))
        return t.finish(image)

    return make


def carton(seed: int, body: Colour, accent: Colour) -> Image:
    """Return a printed box: picture and print on front and back, plain sides with small print."""
    image = _plain(body)
    image = _paint(image, accent, _between(_rows(), 0, 16))
    image = _paint(image, accent, _between(_rows(), 90, 101))
    image = _disc(image, (244, 236, 214), 25, 56, 27, 62)
    image = _disc(image, _shade(accent, 125), 25, 60, 18, 62)
    image = _disc(image, _shade(body, 62), 22, 56, 8, 62)
    image = _text(image, seed, (250, 248, 240), 20, 34, 8, 44, 2)
    image = _text(image, seed + 1, (250, 248, 240), 24, 84, 54, 73, 9)
    return t.finish(image, FULL // 2 + (t.clouds(SIZE, 4, 4, seed) - FULL // 2) // 12)


def wrapper(seed: int, body: Colour, accent: Colour) -> Image:
    """Foil with a printed panel, as on butter."""
    folds = t.clouds(SIZE, 6, 6, seed)
    image = _paint(_plain(body), accent, np.minimum(_between(_rows(), 22, 78),
                                                    _between(_columns(), 4, 46)))  # fmt: skip
    image = _paint(image, accent, np.minimum(_between(_rows(), 22, 78),
                                             _between(_columns(), 79, 96)))  # fmt: skip
    image = _text(image, seed, _shade(body, 108), 34, 66, 9, 42, 2)
    image = _text(image, seed, _shade(body, 108), 34, 66, 81, 94, 2)
    return t.finish(image, FULL // 2 + (folds - FULL // 2) // 4)


def cheese(seed: int, body: Colour, accent: Colour) -> Image:
    """Return holes of the accent colour."""
    holes = t.stretch(t.noise(SIZE, 9, 9, seed), 46000, 50000)
    image = _paint(_plain(body), accent, holes)
    return t.finish(image, FULL // 2 + (t.clouds(SIZE, 5, 5, seed + 1) - FULL // 2) // 8)


def soap(seed: int, body: Colour, accent: Colour) -> Image:
    """Marbled, with a stamped oval on top."""
    image = t.ramp(t.stretch(t.clouds(SIZE, 2, 3, seed, 4), 20000, 46000), body, accent)
    image = _disc(image, _shade(body, 88), 88, 50, 26, 34)
    return t.finish(_disc(image, body, 88, 50, 22, 34))


def sponge(seed: int, body: Colour, accent: Colour) -> Image:
    """Return pores, and a scouring layer of the accent colour above."""
    pores = t.stretch(t.noise(SIZE, 60, 60, seed), 40000, 52000)
    image = _paint(_plain(body), _shade(body, 66), pores)
    layer = np.maximum(_between(_rows(), 0, 30), _between(_columns(), 75, 101))
    rough = t.noise(SIZE, 120, 120, seed + 1)
    shade = FULL // 2 + np.where(layer > 0, (rough - FULL // 2) // 3, 0)
    return t.finish(_paint(image, accent, layer), shade)


def vase(seed: int, body: Colour, accent: Colour) -> Image:
    """Return blossoms of the accent colour, leaves below them, and a glazed vase."""
    image = _paint(_plain(body), _shade(body, 74), _between(_rows(), 50, 62))
    streaks = t.stretch(t.noise(SIZE, 40, 6, seed), 42000, 62000)
    image = _paint(image, _shade(body, 88), streaks // 2)
    green = t.ramp(t.noise(SIZE, 14, 22, seed + 1), (48, 92, 44), (122, 158, 74))
    image = np.where(_between(_rows(), 0, 50)[..., None] > 0, green, image)
    petals = t.ramp(t.noise(SIZE, 16, 60, seed + 2), _shade(accent, 72), accent)
    return t.finish(np.where(_between(_rows(), 0, 15)[..., None] > 0, petals, image))


SKINS: dict[str, Skin] = {
    "mug": glaze(58, 74), "cup": glaze(54, 60), "bowl": glaze(46, 60, 12), "jug": glaze(62, 78, 24),
    "apple": fruit(streaks=40, specks=70, blush=90), "orange": peel,
    "pear": fruit(specks=90, blush=25),
    "tomato": fruit(stem=(70, 110, 44), stem_rows=9, blush=30, mottle=3), "banana": banana,
    "potato": fruit(specks=40, blush=50, stem_rows=0, mottle=16),
    "avocado": fruit(specks=64, blush=60, stem_rows=2, mottle=18),
    "jam": label(47, 73, lid=29), "canned_food": label(33, 68, metal=True),
    "bottled_water": label(44, 68, lid=14),
    "shaker": label(41, 68, lid=31, paper=(246, 244, 238)),
    "flower_vase": vase,
    "boxed_food": carton, "tea_box": carton, "butter": wrapper, "cheese": cheese,
    "bar_soap": soap, "sponge": sponge,
}  # fmt: skip
"""Every generated category's skin, by name."""
