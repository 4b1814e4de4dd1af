"""`dexbench data rerender`: pictures of recorded states by another camera, size or kind.

    <out>/000123.mp4               frames
    <out>/000123.depth.npz         `depth` (T, height, width) float32, in m along the optical axis
    <out>/000123.segmentation.npz  `body` (T, height, width) int16, -1 for none, and `bodies`, names
    <out>/rerender.json            which set, camera and size

An episode whose files are there is not rendered again, so that an interrupted run goes on.
"""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

import mujoco
import numpy as np
import tyro
from numpy.typing import NDArray

from dexbench.data_collection.store.manifest import info_bytes, sha256
from dexbench.data_collection.store.states import States, open_states, play_states
from dexbench.envs.embodiment.camera import HEIGHT, WIDTH
from dexbench.envs.rendering import CAMERA, HeadCamera
from dexbench.utils.errors import UserError
from dexbench.utils.files import atomic_file, write_atomic
from dexbench.utils.progress import track
from dexbench.utils.video import parse_size, write_video


@dataclass(frozen=True)
class RerenderConfig:
    """Render a set again from its recorded states: other cameras, sizes, depth, segmentation."""

    set: Annotated[Path, tyro.conf.Positional]
    """Folder of a set, or a pack that `dexbench data pack` made of one."""
    out: Path
    """Folder for what is rendered."""
    camera: str = CAMERA
    """A camera of the scenes: robot0_head, as recorded, or robot0_robotview, which looks level."""
    size: str = f"{HEIGHT}x{WIDTH}"
    """Height x width in px, such as 448x784; both even. The vertical field of view stays."""
    depth: bool = False
    """Also write depth in m."""
    segmentation: bool = False
    """Also write which body each pixel shows."""
    episodes: tuple[int, ...] = ()
    """Numbers of the episodes; all by default."""


class Camera(HeadCamera):
    """A camera that also sees depth."""

    def depth(self, data: mujoco.MjData) -> NDArray[np.float32]:
        """Distance along the optical axis (height, width) float32, in m."""
        self._renderer.enable_depth_rendering()
        self._renderer.update_scene(data, self._name, self._option)
        distances: NDArray[np.float32] = self._renderer.render().copy()
        self._renderer.disable_depth_rendering()
        return distances


def main(config: RerenderConfig) -> None:
    """Render.

    Raises:
        UserError: There is no such set, episode or camera, the size is no size, or the folder
            holds pictures of another set, camera or size.
    """
    height, width = parse_size(config.size)
    source = open_states(config.set)
    try:
        numbers = {row["id"] for row in source.rows}
        if missing := set(config.episodes) - numbers:
            raise UserError(f"{config.set} has no episode {min(missing)}")
        rows = [row for row in source.rows if not config.episodes or row["id"] in config.episodes]
        if rows:
            check_camera(source.model(rows[0]), config.camera)
        # Sets of one description have the same episodes, as far as they go; so has a pack of one.
        set_digest = sha256(info_bytes(source.info))
        facts = {"set": set_digest, "camera": config.camera, "height": height, "width": width}
        _claim(config.out, facts)
        for row in track(rows, "rendering", unit="episode"):
            _render(config, source, row, height, width)
    finally:
        source.close()
    print(f"wrote {config.out}: {len(rows)} episodes, {config.camera}, {height}x{width} px")


def _render(
    config: RerenderConfig, source: States, row: dict[str, Any], height: int, width: int
) -> None:
    name = f"{row['id']:06d}"
    video = config.out / f"{name}.mp4"
    depth = config.out / f"{name}.depth.npz"
    segmentation = config.out / f"{name}.segmentation.npz"
    wanted = [video] + [depth] * config.depth + [segmentation] * config.segmentation
    if all(path.exists() for path in wanted):
        return
    model = source.model(row)
    camera = Camera(model, height, width, config.camera)
    frames, distances, bodies = [], [], []
    of_geom = np.append(model.geom_bodyid, -1).astype(np.int16)  # geom -1 is the last: none
    try:
        for data in play_states(model, source.states(row)):
            frames.append(camera.render(data))
            if config.depth:
                distances.append(camera.depth(data))
            if config.segmentation:
                bodies.append(of_geom[camera.segment(data)])
    finally:
        camera.close()
    if config.depth:
        _save(depth, depth=np.array(distances))
    if config.segmentation:
        names = np.array([model.body(i).name for i in range(model.nbody)])
        _save(segmentation, body=np.array(bodies), bodies=names)
    write_video(video, frames)


def check_camera(model: mujoco.MjModel, name: str) -> None:
    """Raise UserError, naming those there are, if a scene has no camera of that name."""
    names = [model.camera(i).name for i in range(model.ncam)]
    if name not in names:
        raise UserError(f"there is no camera {name!r}; the scenes have {', '.join(names)}")


def _claim(out: Path, facts: dict[str, Any]) -> None:
    """Make the folder, or see that it holds pictures of the same kind."""
    path, text = out / "rerender.json", json.dumps(facts, sort_keys=True)
    if path.exists() and path.read_text(encoding="utf-8") == text:
        return
    if out.exists() and (not out.is_dir() or any(out.iterdir())):
        raise UserError(
            f"{out} is not empty and holds other things, or pictures of another set, camera or "
            "size; choose another --out"
        )
    try:
        write_atomic(path, text)
    except OSError as error:
        raise UserError(f"cannot write {out} ({error}); choose another --out") from error


def _save(path: Path, **arrays: NDArray[Any]) -> None:
    """Write an npz whole or not at all."""
    with atomic_file(path) as draft, draft.open("wb") as file:
        np.savez_compressed(file, **arrays)
