"""Which texture stands for each texture file that RoboCasa's styles and fixtures name."""

import re
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

from dexbench.utils.seeding import noise_seed

from . import textures as t

SIZE = 512
"""Edge of a texture in pixels; a 224x392 observation shows about 1 texel a pixel."""

Maker = Callable[[int, int], t.Image]
"""Makes a texture from its edge in pixels and its seed."""

OAK = ((206, 170, 124), (188, 148, 100), (158, 116, 72))
PINE = ((226, 200, 160), (214, 184, 140), (190, 156, 110))
CHERRY = ((176, 112, 68), (156, 92, 52), (122, 66, 36))
WALNUT = ((122, 86, 60), (98, 66, 44), (66, 42, 28))
EBONY = ((84, 66, 54), (64, 48, 40), (42, 30, 26))
GREY = ((158, 152, 144), (138, 132, 124), (108, 102, 96))
WHITE_STONE = ((246, 244, 240), (236, 234, 230), (222, 220, 216), (140, 140, 146))
BLACK_STONE = ((38, 40, 44), (48, 50, 54), (62, 64, 68), (190, 188, 180))


def _wood(colours: Iterable[t.Colour], rings: int = 9) -> Maker:
    return lambda size, seed: t.wood(size, seed, *colours, rings=rings)


def _planks(colours: Iterable[t.Colour], boards: int = 6, **kwargs: Any) -> Maker:
    return lambda size, seed: t.planks(size, seed, *colours, boards=boards, **kwargs)


def _stone(*colours: t.Colour, veins: int = 3, strength: int = 60) -> Maker:
    return lambda size, seed: t.marble(size, seed, *colours, veins=veins, strength=strength)


def _granite(*colours: t.Colour) -> Maker:
    return lambda size, seed: t.granite(size, seed, *colours)


def _tiles(*colours: t.Colour, columns: int = 4, rows: int = 4, **kwargs: Any) -> Maker:
    return lambda size, seed: t.tiles(
        size,
        seed,
        *colours,
        columns=columns,
        rows=rows,
        **kwargs,
    )


def _bricks(*colours: t.Colour, grout: t.Colour) -> Maker:
    return _tiles(*colours, columns=4, rows=8, grout=grout, joint=4, offset=True, rough=22)


def _paint(colour: t.Colour, contrast: int = 3) -> Maker:
    return lambda size, seed: t.plaster(size, seed, colour, contrast)


def _metal(colour: t.Colour) -> Maker:
    return lambda size, seed: t.brushed(size, seed, colour)


_WHITE = ((250, 250, 248), (238, 238, 234))
_TERRACOTTA = ((206, 124, 78), (180, 98, 58), (160, 84, 52))

NAMED: dict[str, Maker] = {
    "albedo": _paint((200, 200, 200)),
    "ceramic": _paint((240, 240, 236)),
    "bricks/red_bricks": _bricks(
        (172, 92, 70), (148, 72, 54), (120, 60, 48), grout=(190, 182, 172)
    ),
    "bricks/white_bricks": _bricks((238, 236, 230), (222, 220, 214), grout=(196, 194, 188)),
    "bricks/white_bricks_2": _bricks((226, 224, 220), (204, 202, 198), grout=(176, 174, 170)),
    "flat/black": _paint((34, 34, 36)),
    "flat/blue_gray": _paint((108, 126, 142)),
    "flat/dark_beige": _paint((176, 152, 120)),
    "flat/dark_beige_2": _paint((162, 138, 108)),
    "flat/dark_beige_3": _paint((148, 126, 98)),
    "flat/dark_beige_4": _paint((134, 112, 86)),
    "flat/dark_blue": _paint((42, 60, 88)),
    "flat/dark_gray": _paint((72, 74, 78)),
    "flat/dark_gray_2": _paint((58, 60, 62)),
    "flat/gray": _paint((124, 126, 128)),
    "flat/light_blue": _paint((170, 196, 212)),
    "flat/light_gray": _paint((176, 178, 178)),
    "flat/light_gray_2": _paint((188, 188, 188)),
    "flat/light_green": _paint((164, 188, 158)),
    "flat/lighter_gray": _paint((206, 208, 208)),
    "flat/marble_3": _stone(*WHITE_STONE),
    "flat/plaster": _paint((236, 232, 224), 5),
    "flat/warm_white": _paint((242, 236, 222)),
    "flat/white": _paint((244, 244, 242)),
    "marble/dark_marble": _stone(*BLACK_STONE, strength=70),
    "marble/granite": _granite((122, 112, 102), (76, 68, 62), (186, 176, 162)),
    "marble/granite_2": _granite((84, 86, 88), (46, 48, 50), (164, 164, 162)),
    "marble/marble": _stone(*WHITE_STONE),
    "marble/marble_2": _stone((240, 236, 228), (228, 222, 212), (214, 206, 194), (160, 140, 116)),
    "marble/marble_3": _stone((206, 208, 210), (190, 192, 196), (172, 176, 180), (240, 240, 240)),
    "marble/marble_4": _stone((248, 248, 246), (240, 240, 240), (228, 230, 232), (96, 100, 108)),
    "marble/marble_5": _stone((232, 236, 238), (220, 226, 230), (204, 212, 218), (120, 134, 148)),
    "marble/marble_6": _stone((236, 222, 200), (224, 208, 184), (210, 190, 162), (168, 132, 96)),
    "metals/brass": _metal((190, 154, 84)),
    "metals/worktop_steel": _metal((162, 164, 166)),
    "metals/bright_metal": _metal((198, 200, 202)),
    "others/bk7": _paint((222, 230, 232)),
    "others/concrete": _paint((168, 166, 162), 26),
    "others/garden": t.garden,
    "tiles/blue_tiles": _tiles(
        (128, 160, 184),
        (104, 138, 166),
        (148, 176, 194),
        columns=4,
        rows=8,
        grout=(214, 216, 214),
        offset=True,
        joint=2,
    ),
    "tiles/cream_tiles": _tiles(
        (236, 226, 202),
        (226, 212, 184),
        columns=4,
        rows=8,
        grout=(202, 194, 178),
        offset=True,
        joint=2,
    ),
    "tiles/sage_tiles": _tiles(
        (168, 182, 160),
        (150, 166, 144),
        (182, 194, 172),
        columns=4,
        rows=8,
        grout=(222, 222, 214),
        offset=True,
        joint=2,
    ),
    "tiles/black_marble_tiles": _tiles((44, 46, 50), (62, 64, 68), grout=(96, 96, 96)),
    "tiles/black_square_tiles": _tiles(
        (40, 42, 46), (54, 56, 60), grout=(120, 120, 118), columns=8, rows=8
    ),
    "tiles/concrete_tiles": _tiles(
        (164, 162, 158),
        (150, 148, 144),
        columns=2,
        rows=2,
        joint=2,
        grout=(118, 116, 112),
        rough=24,
    ),
    "tiles/diamond_marble_parquet": _tiles((232, 226, 216), (204, 192, 176), diamond=True, joint=2),
    "tiles/diamond_tiles": _tiles((226, 222, 212), (206, 200, 188), diamond=True),
    "tiles/diamond_white_tiles": _tiles(*_WHITE, diamond=True, grout=(188, 188, 184)),
    "tiles/flower_ceramic": _tiles(
        (202, 212, 218), (150, 172, 190), (226, 222, 206), columns=8, rows=8
    ),
    "tiles/orange_square_tiles": _tiles(*_TERRACOTTA, grout=(196, 184, 168), columns=8, rows=8),
    "tiles/orange_tiles": _tiles(*_TERRACOTTA, grout=(170, 156, 140), rough=30),
    "tiles/varied_marble_tiles": _tiles((230, 226, 220), (196, 190, 182), (214, 204, 190)),
    "tiles/white_square_tiles": _tiles(*_WHITE, columns=4, rows=4, grout=(186, 188, 188)),
    "tiles/white_tiles": _tiles(
        *_WHITE, columns=4, rows=8, grout=(180, 182, 182), offset=True, joint=2
    ),
    "wood/butcher_block": _planks(((214, 172, 118), (196, 152, 98), (168, 122, 76)), 14, joints=2),
    "wood/dark_butcher_block": _planks(WALNUT, 14, joints=2),
    "wood/dark_wood_parquet": _wood(EBONY, 8),
    "wood/dark_wood_planks": _planks(EBONY),
    "wood/dark_wood_planks_2": _planks(WALNUT, 5),
    "wood/gray_wood_grain": _wood(GREY, 8),
    "wood/gray_wood_planks": _planks(GREY),
    "wood/greenheart_wood_grain": _planks(((168, 142, 92), (146, 120, 74), (112, 90, 54)), 4),
    "wood/light_wood_parquet": _wood(PINE, 8),
    "wood/light_wood_planks": _planks(PINE),
    "wood/light_wood_planks_2": _planks(PINE, 5),
    "wood/light_wood_planks_long": _planks(PINE, 8),
    "wood/varnished_wood_planks": _planks(CHERRY, 8, joints=2),
    "wood/walnut_wood_grain": _wood(WALNUT, 8),
    "wood/warm_wood_grain_2": _wood(CHERRY, 8),
    "wood/warm_wood_parquet": _wood(OAK, 8),
    "wood/warm_wood_planks": _planks(OAK),
    "wood/wood_grain_1": _wood(OAK, 7),
    "wood/wood_grain_3": _wood(((190, 142, 92), (168, 120, 74), (136, 92, 54)), 10),
    "wood/wood_planks": _planks(OAK, 7),
    "wood/wood_planks_2": _planks(CHERRY, 5),
    "wood/wood_planks_3": _planks(WALNUT, 6),
    "wood/wood_planks_wall": _planks(PINE, 8, vertical=True),
}
"""Texture files below RoboCasa's ``textures/``, without their ending."""

_GENERATIVE = {
    "cabinet": ("wood/", "flat/"),
    "counter": ("marble/", "wood/varnished", "flat/white"),
    "floor": ("wood/wood_planks", "wood/gray_wood_planks", "tiles/concrete"),
    "wall": ("tiles/white", "bricks/", "flat/plaster", "flat/light"),
}

_REFERENCE = re.compile(r"(?:generative_)?textures/[\w/-]+\.png")


def named_textures(package: Path, assets: Path) -> list[str]:
    """Sorted texture paths that RoboCasa names anywhere.

    Args:
        package: RoboCasa's package, for its code.
        assets: Its own small assets, without what the user may have downloaded beside them.
    """
    names: set[str] = set()
    files = [*(package / "models").rglob("*.py"), *(package / "utils").rglob("*.py")]
    for path in [*files, *assets.rglob("*.yaml"), *assets.rglob("*.xml")]:
        names.update(_REFERENCE.findall(path.read_text(encoding="utf-8", errors="ignore")))
    return sorted(names)


def stand_in(path: str) -> str:
    """Return the key of :data:`NAMED` whose picture serves for the texture file ``path``.

    A ``textures/`` file has its own; RoboCasa's 400 ``generative_textures/`` share the named ones
    of their kind. A name this table does not know gets the plain grey of ``albedo``.
    """
    group, _, name = path.removesuffix(".png").partition("/")
    if group == "textures":
        return name if name in NAMED else "albedo"
    kind, _, number = name.partition("/")
    prefixes = _GENERATIVE.get(kind, ("albedo",))
    choices = sorted(key for key in NAMED if key.startswith(prefixes))
    return choices[int(re.sub(r"\D", "", number) or 0) % len(choices)]


def make(name: str) -> t.Image:
    """Return the picture ``name`` of :data:`NAMED`, uint8 (SIZE, SIZE, 3)."""
    return NAMED[name](SIZE, noise_seed("texture", name))
