"""Builds the RoboCasa-shaped asset tree that stands in for RoboCasa's download.

The tree holds RoboCasa's own small assets (layouts, styles, fixtures), a generated texture for
every texture file they name, the object instances of :mod:`dexbench.envs.objects`, and the Panda's
meshes with the visible ones decimated.
"""

import importlib.util
import os
import re
import shutil
from collections.abc import Callable
from pathlib import Path

import imageio.v3 as iio
import numpy as np
from tqdm import tqdm

from .. import objects
from . import materials, meshes
from .textures import Image

PANDA_RATIO = 0.13
"""Share of the triangles that is kept of the Panda's large visible pieces (126,598 in all)."""

_TEXTURE_EDGE = 384

# RoboCasa repeats its photographs every 25 to 33 cm; the generated ones span this many metres.
_REPEATS = {
    "fixtures/counters/counter/model.xml": 1.0,
    "fixtures/counters/counter_with_opening/model.xml": 1.0,
    "fixtures/cabinets/cabinet_panels/slab.xml": 1.5,
    "fixtures/cabinets/cabinet_panels/shaker.xml": 1.5,
    "fixtures/cabinets/cabinet_panels/raised.xml": 1.5,
    "fixtures/cabinets/panel.xml": 1.5,
}


def package_folder(name: str) -> Path:
    """The folder of an installed package, found without importing it.

    Raises:
        ModuleNotFoundError: If it is not installed.
    """
    spec = importlib.util.find_spec(name)
    if spec is None or spec.origin is None:
        raise ModuleNotFoundError(
            f"{name} is not installed; `pip install dexbench` brings the tested version"
        )
    return Path(spec.origin).parent


def build(root: Path) -> None:
    """Fill the empty folder ``root``; shows progress when stderr is a terminal."""
    robocasa, robosuite = package_folder("robocasa"), package_folder("robosuite")
    shutil.copytree(robocasa / "models" / "assets", root, dirs_exist_ok=True)
    _mend_fixtures(root)

    pictures = sorted(materials.NAMED)
    panda = robosuite / "models" / "assets" / "robots" / "panda"
    visuals = sorted((panda / "obj_meshes").rglob("*.obj"))
    steps: list[Callable[[], None]] = [
        *(lambda name=name: _write_texture(root, name) for name in pictures),
        lambda: _link_textures(root, materials.named_textures(robocasa)),
        *(
            lambda item=item: _write_object(root, robosuite / "models" / "assets", item)
            for item in objects.INSTANCES.values()
        ),
        lambda: _copy_panda(root, panda),
        *(lambda path=path: _decimate(root, panda, path) for path in visuals),
    ]
    for step in tqdm(steps, "dexbench: making textures, objects and meshes", disable=None):
        step()


def _mend_fixtures(root: Path) -> None:
    """Give generated textures their size on RoboCasa's procedural fixtures."""
    for name, metres in _REPEATS.items():
        path = root / name
        repeat = f'texrepeat="{1 / metres:.4g} {1 / metres:.4g}"'
        path.write_text(re.sub(r'texrepeat="[^"]*"', repeat, path.read_text()))


def _write_texture(root: Path, name: str) -> None:
    path = root / "textures" / f"{name}.png"
    path.parent.mkdir(parents=True, exist_ok=True)
    iio.imwrite(path, materials.make(name))


def _link_textures(root: Path, paths: list[str]) -> None:
    """Put a picture at every texture path that RoboCasa names and that has none of its own."""
    for name in paths:
        path = root / name
        if path.exists():
            continue
        path.parent.mkdir(parents=True, exist_ok=True)
        source = root / "textures" / f"{materials.stand_in(name)}.png"
        try:
            os.link(source, path)
        except OSError:  # a file system without hard links
            shutil.copyfile(source, path)


def tint(image: Image, colour: tuple[int, int, int], hue: int) -> Image:
    """Turn the hue of ``image`` (H, W, 3) by ``hue`` sixths of a turn, then tint it."""
    pixels = image.astype(np.int64)
    for _ in range(hue % 6):
        # A sixth of a turn: exchange the channels in a ring and mirror them about the mean of
        # the smallest and the largest, which is exact in integers.
        ends = pixels.min(-1, keepdims=True) + pixels.max(-1, keepdims=True)
        pixels = ends - pixels[..., [1, 2, 0]]
    return (pixels * np.asarray(colour) // 255).astype(np.uint8)


def _shrink(image: Image) -> Image:
    """Average blocks of pixels until the longer edge is at most ``_TEXTURE_EDGE``."""
    factor = -(-max(image.shape[:2]) // _TEXTURE_EDGE)
    height, width = (edge // factor for edge in image.shape[:2])
    blocks = image[: height * factor, : width * factor].astype(np.int64)
    blocks = blocks.reshape(height, factor, width, factor, -1)
    return (blocks.sum((1, 3)) // factor**2).astype(np.uint8)


def _extent(mesh: Path, scale: tuple[float, float, float]) -> tuple[np.ndarray, np.ndarray]:
    """Lower and upper corner (3,) of the mesh's bounding box in its own frame, in m."""
    import mujoco

    factors = " ".join(map(str, scale))
    model = mujoco.MjModel.from_xml_string(
        f'<mujoco><asset><mesh name="m" file="{mesh}" scale="{factors}"/></asset><worldbody>'
        '<geom type="mesh" mesh="m"/></worldbody></mujoco>'
    )
    rotation = np.zeros(9)
    mujoco.mju_quat2Mat(rotation, model.mesh_quat[0])
    vertices = model.mesh_vert @ rotation.reshape(3, 3).T + model.mesh_pos[0]
    return vertices.min(0), vertices.max(0)


def _write_object(root: Path, shipped: Path, item: objects.Instance) -> None:
    """Write one instance's ``model.xml``, with its texture; the mesh is shared by the category."""
    category = objects.CATEGORIES[item.category]
    folder = (root / item.path).parent
    folder.mkdir(parents=True, exist_ok=True)
    mesh = folder.parent / category.mesh
    if not mesh.exists():
        shutil.copyfile(shipped / "objects" / "meshes" / category.mesh, mesh)
    low, high = _extent(mesh, item.scale)

    def text(values: np.ndarray | tuple[float, ...]) -> str:
        return " ".join(f"{value:.6g}" for value in values)

    specular, shininess = category.shine
    look = f'specular="{specular}" shininess="{shininess}" reflectance="0"'
    if category.texture is None:
        rgba = text((*(value / 255 for value in item.colour), 1))
        look, texture = f'{look} rgba="{rgba}"', ""
    else:
        picture = _shrink(iio.imread(shipped / "textures" / category.texture)[..., :3])
        iio.imwrite(folder / "texture.png", tint(picture, item.colour, item.hue))
        texture = '<texture name="tex" type="2d" file="texture.png"/>'
        uniform = "false" if category.texrepeat == (1, 1) else "true"
        look += f' texture="tex" texrepeat="{text(category.texrepeat)}" texuniform="{uniform}"'
    (root / item.path).write_text(f"""<mujoco model="{item.name}">
  <asset>
    <mesh name="mesh" file="../{category.mesh}" scale="{text(item.scale)}"/>
    {texture}
    <material name="mat" {look}/>
  </asset>
  <worldbody>
    <body>
      <body name="object">
        <geom name="visual" type="mesh" mesh="mesh" material="mat" group="1" contype="0"
          conaffinity="0" mass="0"/>
        <geom name="collision" type="mesh" mesh="mesh" group="0" condim="{category.condim}"
          mass="{item.mass}" rgba="0.6 0.6 0.6 1"/>
        <geom name="reg_bbox" type="box" group="1" contype="0" conaffinity="0" mass="0"
          rgba="0 1 0 0" pos="{text((low + high) / 2)}" size="{text((high - low) / 2)}"/>
      </body>
    </body>
  </worldbody>
</mujoco>
""")


def _copy_panda(root: Path, panda: Path) -> None:
    """Copy the Panda's description and collision meshes as they are."""
    target = root / "robots" / "panda"
    target.mkdir(parents=True)
    shutil.copyfile(panda / "robot.xml", target / "robot.xml")
    shutil.copytree(panda / "meshes", target / "meshes")


def _decimate(root: Path, panda: Path, source: Path) -> None:
    """Decimate one piece of the Panda's visible surface; pieces keep their names and materials."""
    target = root / "robots" / "panda" / source.relative_to(panda)
    target.parent.mkdir(parents=True, exist_ok=True)
    meshes.write_obj(target, *meshes.decimate(*meshes.read_obj(source), PANDA_RATIO))
