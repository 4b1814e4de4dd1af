"""How kitchens look: the textures of walls, counters, floors and cabinets.

A style offers alternatives for its surfaces; a recipe holds the ones drawn, so that two scenes of
one style still differ.
"""

from dataclasses import dataclass

import numpy as np

from .objects import Split

Surfaces = dict[str, str]
"""Texture of each of :data:`SURFACES`, without folder and ending."""


@dataclass(frozen=True)
class Style:
    """The materials of a kitchen."""

    split: Split
    """Whether training has it, or only suites."""
    cabinet: tuple[str, ...]
    """RoboCasa's names for the cabinets' finish, their panels and handles."""
    front: str
    """Texture of that finish, for the fixtures that RoboCasa does not make."""
    handle: str
    """Texture of the handles."""
    appliance: str
    """Texture of the fridge, the oven and the dishwasher."""
    top: tuple[str, ...]
    """Alternatives for the counter's top."""
    splash: tuple[str, ...]
    """Alternatives for the wall between counter and wall units."""
    wall: tuple[str, ...]
    """Alternatives for the walls."""
    floor: tuple[str, ...]
    """Alternatives for the floor."""


SURFACES = ("top", "splash", "wall", "floor")

_STEEL, _WHITE, _BLACK, _BRASS = (
    "metals/bright_metal", "flat/white", "flat/black", "metals/brass",
)  # fmt: skip
_PLASTER = ("flat/plaster", "flat/warm_white")

STYLES: dict[str, Style] = {
    "oak_marble": Style(
        "train", ("warm_wood_parquet", "shaker", "handle_bar"), "wood/warm_wood_parquet", _STEEL,
        _STEEL, ("marble/marble", "marble/marble_4"), ("tiles/white_tiles", "tiles/sage_tiles"),
        _PLASTER, ("wood/gray_wood_planks", "wood/wood_planks"),
    ),
    "grey_stone": Style(
        "train", ("gray", "shaker", "handle_bar"), "flat/gray", _STEEL, _BLACK,
        ("marble/dark_marble", "marble/granite_2"), ("bricks/white_bricks", "tiles/white_tiles"),
        ("flat/light_gray_2", "flat/plaster"), ("tiles/concrete_tiles", "wood/gray_wood_planks"),
    ),
    "walnut_brick": Style(
        "train", ("walnut_wood_grain", "slab", "handle_bar", "handle_brass"),
        "wood/walnut_wood_grain", _BRASS, _BLACK, ("marble/granite", "marble/marble_6"),
        ("bricks/red_bricks", "tiles/cream_tiles"), ("flat/warm_white", "flat/dark_beige"),
        ("wood/light_wood_planks", "wood/wood_planks"),
    ),
    "white_wood": Style(
        "train", ("warm_white", "shaker", "handle_bar", "handle_black"), "flat/warm_white",
        _BLACK, _WHITE, ("wood/butcher_block", "wood/dark_butcher_block"),
        ("tiles/white_square_tiles", "tiles/blue_tiles"), ("flat/plaster", "flat/light_blue"),
        ("wood/wood_planks", "tiles/concrete_tiles"),
    ),
    "green_farmhouse": Style(
        "train", ("light_green", "raised", "handle_knob", "handle_brass"), "flat/light_green",
        _BRASS, _WHITE, ("wood/butcher_block", "marble/marble_6"),
        ("tiles/cream_tiles", "wood/wood_planks_wall"), ("flat/warm_white", "flat/plaster"),
        ("tiles/orange_tiles", "wood/wood_planks"),
    ),
    "pine_concrete": Style(
        "train", ("light_wood_parquet", "slab", "handle_bar", "handle_black"),
        "wood/light_wood_parquet", _BLACK, _STEEL, ("others/concrete", "marble/marble_3"),
        ("tiles/sage_tiles", "others/concrete"), ("flat/plaster", "flat/light_gray_2"),
        ("tiles/concrete_tiles", "wood/dark_wood_planks"),
    ),
    "steel_loft": Style(
        "train", ("dark_gray", "slab", "handle_boxed", "handle_light_gray"), "flat/dark_gray",
        "flat/light_gray", _STEEL, ("metals/worktop_steel", "marble/granite_2"),
        ("bricks/white_bricks_2", "tiles/black_square_tiles"), ("others/concrete", "flat/plaster"),
        ("wood/gray_wood_planks", "tiles/concrete_tiles"),
    ),
    "blue_terracotta": Style(
        "suite", ("dark_blue", "shaker", "handle_bar", "handle_brass"), "flat/dark_blue", _BRASS,
        _STEEL, ("marble/marble_5", "wood/butcher_block"),
        ("tiles/diamond_tiles", "tiles/orange_square_tiles"), ("flat/warm_white", "flat/plaster"),
        ("tiles/orange_tiles",),
    ),
    "cherry_grey": Style(
        "suite", ("warm_wood_grain", "raised", "handle_knob"), "wood/warm_wood_grain_2", _STEEL,
        _WHITE, ("marble/marble_3", "marble/granite_2"),
        ("tiles/diamond_marble_parquet", "tiles/white_square_tiles"),
        ("flat/light_gray_2", "flat/warm_white"), ("wood/dark_wood_planks",),
    ),
    "black_white": Style(
        "suite", ("black", "slab", "handle_bar", "handle_brass"), "flat/black", _BRASS, _BLACK,
        ("marble/marble_2", "marble/marble_4"), ("marble/marble_4", "tiles/white_square_tiles"),
        ("flat/plaster", "flat/light_gray_2"), ("wood/light_wood_planks",),
    ),
}  # fmt: skip
"""Every style by name."""

_SPANS = {
    "bricks": 0.9, "tiles": 0.6, "wood": 0.9, "marble": 1.2, "metals": 0.3, "others": 1.6,
    "flat": 2.0, "tiles/concrete_tiles": 1.0, "tiles/orange_tiles": 1.0,
    "tiles/diamond_tiles": 0.5, "wood/butcher_block": 0.8, "wood/dark_butcher_block": 0.8,
    "others/concrete": 2.0, "metals/worktop_steel": 0.6,
}  # fmt: skip
"""Length in m that a texture's picture stands for, by name or by kind."""


def repeat(texture: str) -> str:
    """MuJoCo's ``texrepeat`` with which a texture has its natural size on a flat surface.

    With ``texuniform``, a repetition covers 2 m divided by this number.
    """
    metres = _SPANS.get(texture, _SPANS[texture.split("/")[0]])
    return f"{2 / metres:.4g} {2 / metres:.4g}"


def texture_file(texture: str) -> str:
    """Return the texture's file, relative to RoboCasa's asset root."""
    return f"textures/{texture}.png"


def draw_surfaces(rng: np.random.Generator, style: str) -> Surfaces:
    """Choose among a style's alternatives."""
    chosen = {}
    for name in SURFACES:
        choices = getattr(STYLES[style], name)
        chosen[name] = choices[int(rng.integers(len(choices)))]
    return chosen
