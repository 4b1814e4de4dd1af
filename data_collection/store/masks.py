"""What the pixels of recorded frames show: which object, the robot, or neither.

It is drawn again from the stored states, as ``dexbench data rerender --segmentation`` does, and
kept beside the set, in ``<set>.masks``, under names that depend on the episodes and frames.
"""

import hashlib
import itertools
import json
from collections.abc import Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import h5py
import mujoco
import numpy as np
from numpy.typing import NDArray

from dexbench.envs.rendering import HeadCamera
from dexbench.envs.simulation import ROBOT_PREFIXES
from dexbench.utils.cores import usable_cores
from dexbench.utils.errors import UserError
from dexbench.utils.files import atomic_file
from dexbench.utils.pool import map_in_processes
from dexbench.utils.progress import track

from .states import SetStates, play_states
from .store import EpisodeStore

SIZE = (112, 196)
"""Height and width of the masks in px."""
ROBOT, NEITHER = -1, 0
"""What a mask holds where there is no object; the k-th object is k + 1."""
FEW = 8
"""Scenes that are drawn sooner than processes start."""

Wanted = Sequence[tuple[dict[str, Any], NDArray[np.int64]]]
"""Episodes, by their manifest rows, and which of their frames."""


def object_masks(root: Path, wanted: Wanted, alone: bool = False) -> list[NDArray[np.int8]]:
    """Return what the head camera's pixels show in some frames.

    Args:
        root: Folder of the set.
        wanted: Episodes and frames.
        alone: Whether nothing but the objects is drawn, so that those behind the robot are shown.

    Returns:
        For each episode ``(frames, 112, 196)`` int8: ``ROBOT``, ``NEITHER``, or the number of an
        object, from 1, in the order of the episode's ``object_pos``.

    Raises:
        UserError: The set is slim or damaged, was recorded with other assets, or nothing can be
            written beside it.
    """
    facts = [SIZE, [[row["h5"], row["model"], frames.tolist()] for row, frames in wanted]]
    facts += ["alone"] if alone else []
    name = hashlib.sha256(json.dumps(facts).encode()).hexdigest()[:16]
    path = root.with_name(root.resolve().name + ".masks") / f"{name}.npz"
    if not path.is_file():
        drawn = dict(draw_masks(root, wanted, alone))
        masks = np.concatenate([drawn[index] for index in range(len(wanted))])
        try:
            with atomic_file(path) as draft, draft.open("wb") as file:
                np.savez_compressed(file, masks=masks)
        except OSError as error:
            raise UserError(
                f"cannot write {path} ({error}); copy the set to where you may write"
            ) from error
    try:
        with np.load(path, allow_pickle=False) as kept:
            masks = kept["masks"]
    except Exception as error:  # zipfile, zlib and numpy each have their own
        raise UserError(f"{path} is damaged ({error}); delete it, it is made again") from error
    return np.split(masks, np.cumsum([len(frames) for _, frames in wanted])[:-1])


def draw_masks(
    root: Path, wanted: Wanted, alone: bool = False
) -> Iterator[tuple[int, NDArray[np.int8]]]:
    """Draw masks as ``object_masks`` does; yield each episode's place among ``wanted`` with them.

    Scenes are shared among the usable cores, as each is compiled once.
    """

    def scene_of(place: int) -> str:
        return str(wanted[place][0]["model"])

    scenes = [
        [(place, *wanted[place]) for place in places]
        for _, places in itertools.groupby(sorted(range(len(wanted)), key=scene_of), key=scene_of)
    ]
    workers = usable_cores() if len(scenes) >= FEW else 1
    with track(total=len(wanted), label="masks", unit="ep") as bar:
        draw = partial(_draw_scene, root, alone)
        for drawn in map_in_processes(draw, scenes, workers, f"drew masks of {root}"):
            yield from drawn
            bar.update(len(drawn))


def _draw_scene(
    root: Path, alone: bool, scene: Sequence[tuple[int, dict[str, Any], NDArray[np.int64]]]
) -> list[tuple[int, NDArray[np.int8]]]:
    """Draw the masks of episodes that share a scene."""
    source, store = SetStates(root), EpisodeStore(root)
    model = source.model(scene[0][1])
    camera = HeadCamera(model, *SIZE)
    drawn = []
    try:
        for place, row, frames in scene:
            of_geom = geom_labels(model, object_names(store, row))
            hidden = of_geom[:-1] <= NEITHER if alone else None
            states = play_states(model, source.states(row)[frames])
            drawn.append(
                (place, np.stack([of_geom[camera.segment(data, hidden)] for data in states]))
            )
    finally:
        camera.close()
    return drawn


def geom_labels(model: mujoco.MjModel, objects: Sequence[str]) -> NDArray[np.int8]:
    """Return what each geom is part of, ``(ngeom + 1,)``, as masks have it; the last stands for -1.

    Args:
        model: The compiled scene.
        objects: Body names of its objects.
    """
    bodies = {model.body(i).name: i for i in range(model.nbody)}
    label = np.full(model.nbody, NEITHER, np.int8)
    label[[i for name, i in bodies.items() if name.startswith(ROBOT_PREFIXES)]] = ROBOT
    for number, name in enumerate(objects, 1):
        label[bodies[name]] = number
    return np.append(label[model.geom_bodyid], np.int8(NEITHER))


def object_names(store: EpisodeStore, row: dict[str, Any]) -> list[str]:
    """Return the body names of an episode's objects, in the order of its ``object_pos``.

    Raises:
        UserError: Its file is missing or damaged.
    """
    path = store.file(row, "h5")
    try:
        with h5py.File(path) as file:
            names: list[str] = json.loads(file.attrs["meta"])["objects"]
            return names
    except (OSError, KeyError, ValueError) as error:
        raise store.damaged(path, error) from error
