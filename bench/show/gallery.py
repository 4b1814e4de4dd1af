"""``dexbench view --scenes``: what scenes are made of, as pictures with names."""

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING
from xml.etree import ElementTree

import numpy as np
from numpy.typing import NDArray

from dexbench.utils.files import atomic_file
from dexbench.utils.progress import track

if TYPE_CHECKING:
    from dexbench.envs.suite import Suite
    from dexbench.envs.trial import Trial

CELL = (168, 294)
"""Rows and columns in px of a kitchen's picture: three quarters of an observation."""
LINE = 16
"""Height of a line of text [px]."""
ACROSS = 4
"""Kitchens in a row."""
HAND, HELD = 64, 192
"""Side in px of the hand's surroundings in an observation, and of their enlarged picture."""
HELD_ACROSS = 7
"""Objects in hand in a row."""
PITCH = 0.17
"""Distance in m between the objects of a row."""


def named_recipes(styles_each: int) -> Iterator[tuple[str, dict[str, object]]]:
    """Yield each layout in some styles, with its title; all styles get their turn."""
    from dexbench.envs.scenes.layouts import LAYOUTS
    from dexbench.envs.scenes.recipe import draw_recipe
    from dexbench.envs.scenes.styles import STYLES, draw_surfaces
    from dexbench.utils.seeding import rng

    styles = list(STYLES)
    for index, layout in enumerate(LAYOUTS):
        for turn in range(styles_each):
            style = styles[(styles_each * index + turn) % len(styles)]
            stream = rng("gallery", layout, turn)
            recipe = draw_recipe(stream, "suite")
            recipe |= {"layout": layout, "style": style, "surfaces": draw_surfaces(stream, style)}
            marks = [
                f"{name}*" if table[name].split == "suite" else name
                for name, table in ((layout, LAYOUTS), (style, STYLES))
            ]
            yield ", ".join(marks), recipe


def kitchens(styles_each: int = 2) -> NDArray[np.uint8]:
    """Return every layout in some styles as the head camera sees them.

    Returns:
        (height, width, 3) uint8 RGB; a star marks what only suites show.
    """
    from PIL import Image, ImageDraw

    from dexbench.envs.robocasa.build import build_scene
    from dexbench.envs.simulation import Simulation

    cells = list(named_recipes(styles_each))
    rows = -(-len(cells) // ACROSS)
    page = Image.new("RGB", (ACROSS * (CELL[1] + 4), rows * (CELL[0] + LINE + 4)), "white")
    draw = ImageDraw.Draw(page)
    for index, (title, recipe) in enumerate(track(cells, "kitchens")):
        scene = build_scene(recipe)
        simulation = Simulation(scene.xml, scene.objects)
        try:
            picture = Image.fromarray(simulation.render())
        finally:
            simulation.close()
        left, top = index % ACROSS * (CELL[1] + 4) + 2, index // ACROSS * (CELL[0] + LINE + 4)
        draw.text((left, top + 2), title, fill="black")
        page.paste(picture.resize((CELL[1], CELL[0]), Image.Resampling.BOX), (left, top + LINE))
    return np.asarray(page)


def held(suite: "Suite") -> NDArray[np.uint8]:
    """Return a suite's objects in the hand, one a category, at the start of its place trials.

    Args:
        suite: The suite.

    Returns:
        (height, width, 3) uint8 RGB: the surroundings of the hand, enlarged; a star marks
        categories that only suites show.
    """
    from PIL import Image, ImageDraw

    from dexbench.envs.embodiment.camera import HEIGHT, WIDTH, base_to_camera, project
    from dexbench.envs.rendering import HeadCamera
    from dexbench.envs.scenes.objects import CATEGORIES, INSTANCES
    from dexbench.envs.simulation import Simulation

    trials = (suite.trial("place", index) for index in range(suite.trials("place")))
    first: dict[str, Trial] = {}
    for trial in trials:
        first.setdefault(INSTANCES[trial.instances[0]].category, trial)
    rows, across, zoom = -(-len(first) // HELD_ACROSS), HELD_ACROSS, HELD // HAND
    page = Image.new("RGB", (across * (HELD + 4), rows * (HELD + LINE + 4)), "white")
    draw = ImageDraw.Draw(page)
    for index, name in enumerate(track(sorted(first), "objects in hand")):
        trial, category = first[name], CATEGORIES[name]
        simulation = Simulation(trial.xml, trial.objects)
        simulation.set_state(trial.start_state)
        camera = HeadCamera(simulation.model, zoom * HEIGHT, zoom * WIDTH)
        picture = Image.fromarray(camera.render(simulation.data))
        camera.close()
        grip = (simulation.keypoints.mean(0) + simulation.object_position(trial.target)) / 2
        u, v = zoom * project(base_to_camera(grip))
        left, top = index % across * (HELD + 4) + 2, index // across * (HELD + LINE + 4)
        title = category.title + ("*" if category.held_out else "")
        draw.text((left, top + 2), title, fill="black")
        x = int(np.clip(u - HELD / 2, 0, zoom * WIDTH - HELD))
        y = int(np.clip(v - HELD / 2, 0, zoom * HEIGHT - HELD))
        page.paste(picture.crop((x, y, x + HELD, y + HELD)), (left, top + LINE))
        simulation.close()
    return np.asarray(page)


def objects(columns: int = 2) -> NDArray[np.uint8]:
    """Return every object, a row a category; the names of those that only suites show carry a star.

    Returns:
        (height, width, 3) uint8 RGB.
    """
    import mujoco
    from PIL import Image, ImageDraw

    from dexbench.envs.assets import asset_root
    from dexbench.envs.scenes.objects import CATEGORIES, INSTANCES

    page_xml, pack = ElementTree.fromstring(_TABLE), asset_root()
    assets, world = page_xml.find("asset"), page_xml.find("worldbody")
    assert assets is not None and world is not None
    names = list(CATEGORIES)
    rows = -(-len(names) // columns)
    wide, slope = 8.2 * PITCH, 0.6  # seen from 37 degrees above the horizon
    # From the page's top down to where a row stands: what is taller takes more.
    down: dict[str, float] = {}
    for index, name in enumerate(names):
        above = down[names[index - 1]] if index % rows else 0.0
        items = [item for item in INSTANCES.values() if item.category == name]
        tallest = max(_height(pack / item.path) for item in items)
        down[name] = above + PITCH + tallest * 0.8 / slope
    deep = max(down.values()) + 0.5 * PITCH
    for item in INSTANCES.values():
        x = (names.index(item.category) // rows) * wide + (item.index + 2.2) * PITCH
        place = (x, deep - down[item.category])
        _put(assets, world, pack / item.path, item.name, place)
    width, size = columns * wide, 1200
    scale = size / width
    height = round(deep * slope * scale)
    camera = world.find("camera")
    assert camera is not None
    middle = deep / 2
    camera.set("pos", f"{width / 2} {middle - 8} {8 * slope / 0.8}")
    camera.set("fovy", str(height / scale))
    page_xml.find("visual/global").attrib.update(  # type: ignore[union-attr]
        offwidth=str(size), offheight=str(height)
    )
    model = mujoco.MjModel.from_xml_string(ElementTree.tostring(page_xml, encoding="unicode"))
    data = mujoco.MjData(model)
    mujoco.mj_forward(model, data)
    with mujoco.Renderer(model, height, size) as renderer:
        renderer.update_scene(data, "page")
        page = Image.fromarray(renderer.render())
    draw = ImageDraw.Draw(page)
    for index, name in enumerate(names):
        category = CATEGORIES[name]
        x = (index // rows) * wide * scale + 10
        y = down[name] * slope * scale - LINE
        draw.text((x, y), category.title + ("*" if category.held_out else ""), fill="black")
    return np.asarray(page)


_TABLE = """<mujoco><visual><global/><quality offsamples="4"/>
<headlight ambient=".45 .45 .45" diffuse=".1 .1 .1" specular="0 0 0"/></visual>
<asset><material name="table" rgba=".93 .92 .90 1"/></asset>
<worldbody><light directional="true" dir="-.4 .5 -1" diffuse=".5 .5 .5" castshadow="false"/>
<geom type="plane" size="50 50 1" material="table"/>
<camera name="page" orthographic="true" xyaxes="1 0 0 0 .6 .8"/></worldbody></mujoco>"""


def _height(path: Path) -> float:
    """Height in m of the object of a model file."""
    (bounds,) = ElementTree.parse(path).getroot().findall(".//geom[@name='reg_bbox']")
    return 2 * float(bounds.attrib["size"].split()[2])


def _put(
    assets: ElementTree.Element,
    world: ElementTree.Element,
    path: Path,
    name: str,
    place: tuple[float, float],
) -> None:
    """Add what is seen of an object's model file to a scene, standing at (x, y) in m."""
    source = ElementTree.parse(path).getroot()
    geoms = {geom.get("name"): geom for geom in source.iter("geom")}
    visual, bounds = geoms["visual"], geoms["reg_bbox"]
    for asset in source.iterfind("asset/*"):
        if asset.get("vertex") is None:
            asset.set("name", f"{name}_{asset.get('name')}")
            if asset.get("file"):
                asset.set("file", str((path.parent / asset.attrib["file"]).resolve()))
            if asset.get("texture"):
                asset.set("texture", f"{name}_{asset.get('texture')}")
            assets.append(asset)
    centre, half = (bounds.attrib[key].split()[2] for key in ("pos", "size"))
    for key in ("mesh", "material"):
        visual.set(key, f"{name}_{visual.get(key)}")
    visual.set("name", name)
    visual.set("quat", "0.9537 0 0 -0.3007")  # by 35 degrees, so that two sides are seen
    visual.set("pos", f"{place[0]} {place[1]} {float(half) - float(centre)}")
    world.append(visual)


def save(page: NDArray[np.uint8], path: Path) -> None:
    """Write a page as a PNG of 256 colours, a third of the size of a full one."""
    from PIL import Image

    # Objects are small: colours count by the root of their area, lest walls take the palette.
    shades, areas = np.unique(page.reshape(-1, 3) >> 3, axis=0, return_counts=True)
    sample = np.repeat(shades * 8 + 4, np.ceil(np.sqrt(areas)).astype(int), axis=0)
    palette = Image.fromarray(sample[None].astype(np.uint8)).quantize(256)
    picture = Image.fromarray(page).quantize(palette=palette, dither=Image.Dither.NONE)
    with atomic_file(path) as draft:
        picture.save(draft, format="PNG", optimize=True)
