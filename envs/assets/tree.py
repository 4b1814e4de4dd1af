"""Builds the RoboCasa-shaped asset tree that stands in for RoboCasa's download.

The tree holds RoboCasa's own small assets (layouts, styles, fixtures), a generated texture for
every texture file they name, the object instances of :mod:`dexbench.envs.scenes.objects`, and the
Panda's meshes with the visible ones decimated.
"""

import os
import re
import shutil
from collections.abc import Callable
from multiprocessing import parent_process
from pathlib import Path
from threading import RLock

import imageio.v3 as iio
from tqdm import tqdm

from dexbench.envs.scenes import objects
from dexbench.utils.packages import package_folder
from dexbench.utils.progress import track

from . import materials, meshes
from .object_files import write_object

PANDA_RATIO = 0.13
"""Share of the triangles that is kept of the Panda's large visible pieces (126,598 in all)."""

# RoboCasa repeats its photographs often; the generated ones span twice this many metres, unless
# a scene says otherwise (mjcf_edit).
_REPEATS = {
    "fixtures/counters/counter/model.xml": 1.0,
    "fixtures/counters/counter_with_opening/model.xml": 1.0,
    "fixtures/cabinets/cabinet_panels/slab.xml": 1.5,
    "fixtures/cabinets/cabinet_panels/shaker.xml": 1.5,
    "fixtures/cabinets/cabinet_panels/raised.xml": 1.5,
    "fixtures/cabinets/panel.xml": 1.5,
}


_PACKAGED = {"accessories", "cabinets", "counters", "fixture_registry", "handles"}
"""The folders of fixtures that come with RoboCasa's package, not with its download."""


def build(root: Path) -> None:
    """Fill the empty folder ``root``; shows progress when stderr is a terminal."""
    robocasa, robosuite = package_folder("robocasa"), package_folder("robosuite")
    copy_package(robocasa, root)
    _mend_fixtures(root)

    pictures = sorted(materials.NAMED)
    panda = robosuite / "models" / "assets" / "robots" / "panda"
    visuals = sorted((panda / "obj_meshes").rglob("*.obj"))
    steps: list[Callable[[], None]] = [
        *(lambda name=name: _write_texture(root, name) for name in pictures),
        lambda: _link_textures(root, materials.named_textures(robocasa, root)),
        *(
            lambda item=item: write_object(root, robosuite / "models" / "assets", item)
            for item in objects.INSTANCES.values()
        ),
        lambda: _copy_panda(root, panda),
        *(lambda path=path: _decimate(root, panda, path) for path in visuals),
    ]
    if parent_process() is not None:
        # tqdm's own lock is a named semaphore, which a worker that is killed leaves behind.
        tqdm.set_lock(RLock())
    for step in track(steps, "dexbench: making textures, objects and meshes"):
        step()


def copy_package(robocasa: Path, root: Path) -> None:
    """Copy the assets that come with RoboCasa's package, without what was downloaded into it.

    Otherwise the pack would depend on the download, and hold its 10 GB.
    """
    source = robocasa / "models" / "assets"
    shutil.copytree(source, root, ignore=_downloaded, dirs_exist_ok=True)


def _downloaded(folder: str, names: list[str]) -> set[str]:
    """Return what in a folder of the RoboCasa package is downloaded, and not to be copied."""
    if Path(folder).name == "assets":
        return {"textures", "generative_textures", "objects"}
    if Path(folder).name == "fixtures":
        return set(names) - _PACKAGED
    # The download adds folders such as CabinetHandle003 to the package's, which are lower case.
    return {name for name in names if name[0].isupper() and "fixtures" in Path(folder).parts}


def _mend_fixtures(root: Path) -> None:
    """Give generated textures their size on RoboCasa's procedural fixtures."""
    for name, metres in _REPEATS.items():
        path = root / name
        repeat = f'texrepeat="{1 / metres:.4g} {1 / metres:.4g}"'
        xml = re.sub(r'texrepeat="[^"]*"', repeat, path.read_text(encoding="utf-8"))
        path.write_text(xml, encoding="utf-8")


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
