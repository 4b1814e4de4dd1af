"""Objects that only this set shows: meshes of training categories, other sizes and colours.

No instance of :mod:`dexbench.envs.scenes.objects` is used, and no category that is kept for suites.
"""

from colorsys import hsv_to_rgb
from dataclasses import dataclass
from xml.etree.ElementTree import Element, SubElement

import imageio.v3 as iio
import mujoco
import numpy as np
from scipy.spatial import cKDTree

from dexbench.envs.assets.cache import asset_root
from dexbench.envs.assets.object_files import tint
from dexbench.envs.assets.skins import SKINS
from dexbench.envs.scenes.objects import CATEGORIES, INSTANCES

from .poses import Array

FREE = tuple(name for name, category in CATEGORIES.items() if not category.held_out)
"""Categories that training may show."""
_SAMPLES = 1500


@dataclass(frozen=True)
class Thing:
    """One object."""

    category: str
    """Key of the catalogue."""
    scale: tuple[float, float, float]
    """Against the category's mesh."""
    colours: tuple[tuple[int, int, int], tuple[int, int, int]]
    """Body and accent, 0..255."""
    hue: int
    """Rotation of a shipped texture's hue, in sixths of a turn."""
    seed: int
    """Names the pattern of its picture."""


def draw_thing(rng: np.random.Generator, category: str) -> Thing:
    """Draw an object that is none of the catalogue's instances."""
    whole = rng.uniform(0.9, 1.15)
    scale = CATEGORIES[category].scale * (whole * rng.uniform(0.94, 1.06, 3))
    body, accent = (
        tuple(int(255 * value) for value in hsv_to_rgb(*rng.uniform((0, 0.1, 0.4), (1, 0.9, 1))))
        for _ in range(2)
    )
    if category in _NATURAL:  # fruit and bread keep their kind's colours
        item = INSTANCES[f"{category}_{int(rng.integers(4))}"]
        jitter = rng.uniform(0.86, 1.12, (2, 3))
        body, accent = (
            tuple(int(v) for v in np.clip(np.array(colour) * factor, 0, 255))
            for colour, factor in zip((item.colour, item.accent), jitter, strict=True)
        )
    hue = 0 if category in _NATURAL else int(rng.integers(6))
    return Thing(category, tuple(scale), (body, accent), hue, int(rng.integers(2**31)))  # type: ignore[arg-type]


_NATURAL = ("apple", "orange", "tomato", "banana", "potato", "avocado", "lemon", "bread")


def add_thing(root: Element, name: str, thing: Thing) -> dict[str, bytes]:
    """Add an object to a scene, as a mocap body of its name.

    Returns:
        The pictures that the scene's assets name, as PNG files by name.
    """
    asset, world = root.find("asset"), root.find("worldbody")
    assert asset is not None and world is not None
    category = CATEGORIES[thing.category]
    folder = asset_root() / "objects" / "objaverse" / thing.category
    mesh = category.mesh or "visual.obj"
    SubElement(
        asset, "mesh", name=name, file=str(folder / mesh),
        scale=" ".join(f"{value:.6g}" for value in thing.scale),
    )  # fmt: skip
    look = {"specular": str(category.shine[0]), "shininess": str(category.shine[1])}
    files: dict[str, bytes] = {}
    shipped = folder / f"{thing.category}_0" / "texture.png"
    if category.mesh and category.texture is None:
        look["rgba"] = " ".join(f"{value / 255:.3f}" for value in thing.colours[0]) + " 1"
    else:
        if category.mesh:
            white = tuple(min(255, 128 + value // 2) for value in thing.colours[0])
            image = tint(iio.imread(shipped)[..., :3], white, thing.hue)  # type: ignore[arg-type]
            look |= {"texrepeat": "{} {}".format(*category.texrepeat)}
            look |= {"texuniform": "true"} if category.texrepeat != (1, 1) else {}
        else:
            image = SKINS[thing.category](thing.seed, *thing.colours)
        files[f"{name}.png"] = iio.imwrite("<bytes>", image, extension=".png")
        SubElement(asset, "texture", name=name, type="2d", file=f"{name}.png")
        look["texture"] = name
    SubElement(asset, "material", {"name": name, **look})
    body = SubElement(world, "body", name=name, mocap="true")
    SubElement(
        body, "geom", name=name, type="mesh", mesh=name, material=name, group="1",
        contype="0", conaffinity="0",
    )  # fmt: skip
    return files


class NoGrasp(Exception):  # noqa: N818 - a verdict on a draw, not a fault
    """An object that a hand or gripper cannot take as it stands."""


class Solid:
    """The shape of an object, for hands to close upon.

    Args:
        model: The compiled scene.
        name: The object's.
        rng: Where on its surface points are taken.
    """

    def __init__(self, model: mujoco.MjModel, name: str, rng: np.random.Generator):
        geom = model.geom(name)
        mesh = model.mesh(int(geom.dataid[0]))
        first, count = int(mesh.vertadr[0]), int(mesh.vertnum[0])
        turn = np.zeros(9)
        mujoco.mju_quat2Mat(turn, geom.quat)
        vertices = model.mesh_vert[first : first + count] @ turn.reshape(3, 3).T + geom.pos
        start, number = int(mesh.faceadr[0]), int(mesh.facenum[0])
        corners = vertices[model.mesh_face[start : start + number]]
        across = np.cross(corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0])
        area = np.linalg.norm(across, axis=1)
        chosen = rng.choice(number, _SAMPLES, p=area / area.sum())
        share = np.sort(rng.uniform(size=(_SAMPLES, 2)), axis=1)
        share = np.stack([share[:, 0], share[:, 1] - share[:, 0], 1 - share[:, 1]], 1)
        self.points: Array = (corners[chosen] * share[..., None]).sum(1)
        """Points (n, 3) of the surface in the object's frame, in m."""
        self.normals: Array = across[chosen] / area[chosen][:, None]
        """Their outward unit normals."""
        self.low: Array = vertices.min(0)
        """Lower corner (3,) of its box, in m."""
        self.high: Array = vertices.max(0)
        """Upper corner (3,) of its box, in m."""
        self._tree = cKDTree(self.points)

    @property
    def height(self) -> float:
        """Of the object as it stands, in m."""
        return float(self.high[2] - self.low[2])

    @property
    def radius(self) -> float:
        """Of a circle around its footprint, in m."""
        return float(np.linalg.norm(self.points[:, :2], axis=1).max())

    def distance(self, points: Array) -> Array:
        """Return how far points (..., 3) in its frame are outside, in m; less than zero inside."""
        gap, nearest = self._tree.query(points)
        outside = ((points - self.points[nearest]) * self.normals[nearest]).sum(-1)
        return np.where(outside < 0, -gap, gap)
