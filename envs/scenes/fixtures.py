"""Puts the static look-alikes, the clutter and the tiles of a layout into a RoboCasa model."""

import math
from xml.etree.ElementTree import Element, SubElement

from .appliances import APPLIANCES, FRONT
from .clutter import CLUTTER
from .layouts import COUNTER_HEIGHT, LAYOUTS, UPPER_BOTTOM, Run, stretches, units
from .parts import LOOKS, Part, box
from .styles import STYLES, Surfaces, repeat, texture_file

SPLASH_TOP = UPPER_BOTTOM + 0.10
"""Upper edge of the tiles on the wall, in m."""
WITHOUT_SPLASH = ("fridge", "tower", "gap")
"""Units without tiles above them."""


def _run_parts(run: Run) -> list[Part]:
    """Return all parts of a run, in the run's frame."""
    placed = [*units(run, run.lower), *units(run, run.upper)]
    parts = [
        part.moved((centre, 0.0, 0.0))
        for kind, centre, width in placed
        if kind in APPLIANCES
        for part in APPLIANCES[kind](width)
    ]
    for kind, x, distance in run.clutter:
        parts += [part.moved((x, -distance, COUNTER_HEIGHT)) for part in CLUTTER[kind]()]
    return [*parts, *_splash(run), *_corners(run)]


def _splash(run: Run) -> list[Part]:
    """Return tiles on the wall above the counter, unit by unit where the counter runs on."""
    return [
        box("splash", (left, right), (-0.008, 0), (COUNTER_HEIGHT, SPLASH_TOP))
        for left, right in stretches(run, WITHOUT_SPLASH)
    ]


def _corners(run: Run) -> list[Part]:
    """Return the closed cupboards under corners of the counter."""
    return [
        box("front", (centre - width / 2, centre + width / 2), (FRONT, 0),
            (0, COUNTER_HEIGHT - 0.03))
        for kind, centre, width in units(run, run.lower) if kind == "corner"
    ]  # fmt: skip


def add_fixtures(
    assets: Element, world: Element, layout: str, style: str, surfaces: Surfaces, root: str
) -> None:
    """Add a layout's look-alikes to a model, one static body a run.

    Args:
        assets: The model's ``asset`` element.
        world: Its ``worldbody``.
        layout: Key of :data:`dexbench.envs.scenes.layouts.LAYOUTS`.
        style: Key of :data:`dexbench.envs.scenes.styles.STYLES`.
        surfaces: The textures drawn for the style.
        root: RoboCasa's asset root.
    """
    look = STYLES[style]
    textures = surfaces | {
        "front": look.front, "handle": look.handle, "appliance": look.appliance,
    }  # fmt: skip
    runs = LAYOUTS[layout].runs
    parts = {name: _run_parts(run) for name, run in runs.items()}
    for material in sorted({part.material for each in parts.values() for part in each}):
        _add_material(assets, material, textures.get(material), root)
    for name, run in runs.items():
        angle = run.turn * math.pi / 4
        body = SubElement(
            world, "body", name=f"fixtures_{name}", pos=f"{run.place[0]} {run.place[1]} 0",
            quat=f"{math.cos(angle):.9f} 0 0 {math.sin(angle):.9f}",
        )  # fmt: skip
        for index, part in enumerate(parts[name]):
            body.append(part.geom(f"{part.material}_{name}_{index}"))


def _add_material(assets: Element, name: str, texture: str | None, root: str) -> None:
    """Add a material of :data:`LOOKS`, with the style's texture if it has one there."""
    look = dict(LOOKS.get(name, {}))
    texture = look.pop("texture", texture)
    if texture:
        file = f"{root}/{texture_file(texture)}"
        SubElement(assets, "texture", name=f"look_{name}", type="2d", file=file)
        look["texture"] = f"look_{name}"
        if "texrepeat" not in look:
            look |= {"texrepeat": repeat(texture), "texuniform": "true"}
    SubElement(assets, "material", {"name": f"look_{name}", "reflectance": "0"} | look)
