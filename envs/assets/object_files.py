"""Writes the objects' files: meshes, textures and a RoboCasa-shaped ``model.xml`` an instance."""

import shutil
from collections.abc import Iterable
from functools import cache
from pathlib import Path

import imageio.v3 as iio
import numpy as np
from numpy.typing import NDArray

from dexbench.envs.scenes import objects
from dexbench.utils.seeding import noise_seed

from . import meshes
from .household import MODELS, Model
from .skins import SKINS
from .textures import Image

_TEXTURE_EDGE = 384


def tint(image: Image, colour: tuple[int, int, int], hue: int) -> Image:
    """Turn the hue of ``image`` (H, W, 3) by ``hue`` sixths of a turn, then tint it."""
    pixels = image.astype(np.int64)
    for _ in range(hue % 6):
        # A sixth of a turn: exchange the channels in a ring and mirror them about the mean of
        # the smallest and the largest, which is exact in integers.
        ends = pixels.min(-1, keepdims=True) + pixels.max(-1, keepdims=True)
        pixels = ends - pixels[..., [1, 2, 0]]
    tinted: Image = (pixels * np.asarray(colour) // 255).astype(np.uint8)
    return tinted


def _shrink(image: Image) -> Image:
    """Average blocks of pixels until the longer edge is at most ``_TEXTURE_EDGE``."""
    factor = -(-max(image.shape[:2]) // _TEXTURE_EDGE)
    height, width = (edge // factor for edge in image.shape[:2])
    blocks = image[: height * factor, : width * factor].astype(np.int64)
    blocks = blocks.reshape(height, factor, width, factor, -1)
    means: Image = (blocks.sum((1, 3)) // factor**2).astype(np.uint8)
    return means


def _extent(
    mesh: Path, scale: tuple[float, float, float]
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Lower and upper corner (3,) of a shipped mesh's bounding box in its own frame, in m."""
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


@cache
def geometry(category: str) -> Model:
    """Return a generated category's geometry, made once."""
    return MODELS[category]()


def write_object(root: Path, shipped: Path, item: objects.Instance) -> None:
    """Write one instance; the mesh that is seen is shared by the category.

    Args:
        root: The pack.
        shipped: robosuite's assets.
        item: Which instance.
    """
    folder = (root / item.path).parent
    folder.mkdir(parents=True, exist_ok=True)
    write = _shipped if objects.CATEGORIES[item.category].mesh else _generated
    (root / item.path).write_text(write(folder, shipped, item), encoding="utf-8")


def _generated(folder: Path, shipped: Path, item: objects.Instance) -> str:
    model, mesh = geometry(item.category), folder.parent / "visual.obj"
    if not mesh.exists():
        meshes.write_shape(mesh, model.shape)
    seed = noise_seed("skin", item.name)
    iio.imwrite(folder / "texture.png", SKINS[item.category](seed, item.colour, item.accent))
    factor = item.scale[0]
    assets, geoms = [], []
    condim = objects.CATEGORIES[item.category].condim
    for index, (corners, share) in enumerate(model.pieces):
        text = " ".join(_text(value * factor for value in corner) for corner in corners)
        assets.append(f'<mesh name="hull{index}" vertex="{text}"/>')
        geoms.append(_collision(f"hull{index}", f"collision{index}", condim, item.mass * share))
    points = np.array(model.shape.points) * factor
    look = 'texture="tex"'
    return _xml(item, mesh.name, look, assets, geoms, points.min(0), points.max(0))


def _shipped(folder: Path, shipped: Path, item: objects.Instance) -> str:
    category = objects.CATEGORIES[item.category]
    mesh = folder.parent / category.mesh
    if not mesh.exists():
        shutil.copyfile(shipped / "objects" / "meshes" / category.mesh, mesh)
    low, high = _extent(mesh, item.scale)
    if category.texture is None:
        look = f'rgba="{_text((*(value / 255 for value in item.colour), 1))}"'
    else:
        picture = _shrink(iio.imread(shipped / "textures" / category.texture)[..., :3])
        iio.imwrite(folder / "texture.png", tint(picture, item.colour, item.hue))
        uniform = "false" if category.texrepeat == (1, 1) else "true"
        look = f'texture="tex" texrepeat="{_text(category.texrepeat)}" texuniform="{uniform}"'
    geoms = [_collision("mesh", "collision", category.condim, item.mass)]
    return _xml(item, mesh.name, look, [], geoms, low, high)


def _text(values: Iterable[float]) -> str:
    return " ".join(f"{value:.6g}" for value in values)


def _collision(mesh: str, name: str, condim: int, mass: float) -> str:
    return (
        f'<geom name="{name}" type="mesh" mesh="{mesh}" group="0" condim="{condim}" '
        f'mass="{mass:.6g}" rgba="0.6 0.6 0.6 1"/>'
    )


def _xml(
    item: objects.Instance,
    mesh: str,
    look: str,
    assets: list[str],
    geoms: list[str],
    low: NDArray[np.float64],
    high: NDArray[np.float64],
) -> str:
    """Return the instance's MJCF for RoboCasa: a body ``object``, a geom ``reg_bbox``."""
    specular, shininess = objects.CATEGORIES[item.category].shine
    texture = '<texture name="tex" type="2d" file="texture.png"/>' if "texture=" in look else ""
    between = "\n    ", "\n        "
    return f"""<mujoco model="{item.name}">
  <asset>
    <mesh name="mesh" file="../{mesh}" scale="{_text(item.scale)}"/>
    {between[0].join(assets)}
    {texture}
    <material name="mat" specular="{specular}" shininess="{shininess}" reflectance="0" {look}/>
  </asset>
  <worldbody>
    <body>
      <body name="object">
        <geom name="visual" type="mesh" mesh="mesh" material="mat" group="1" contype="0"
          conaffinity="0" mass="0"/>
        {between[1].join(geoms)}
        <geom name="reg_bbox" type="box" group="1" contype="0" conaffinity="0" mass="0"
          rgba="0 1 0 0" pos="{_text((low + high) / 2)}" size="{_text((high - low) / 2)}"/>
      </body>
    </body>
  </worldbody>
</mujoco>
"""
