"""Reads the episode store: the benchmark's own robot, one hand, and a camera that stays."""

from pathlib import Path
from typing import Any

import h5py
import numpy as np

from dexbench.data_collection.store.layouts import salvage
from dexbench.data_collection.store.manifest import INFO, episode_name, scene_of
from dexbench.data_collection.store.store import EpisodeStore
from dexbench.envs.embodiment.camera import FOCAL, HEIGHT
from dexbench.envs.embodiment.keypoints import N_KEYPOINTS

from .clip import Clip
from .errors import numbers, reading
from .pictures import Mp4
from .sample import RIGHT, Poses, in_picture


class StoredEpisode(Clip):
    """An episode of a set.

    The world frame is the camera's, in which the store has the keypoints: since the camera stays,
    actions are those that training computes from the store, to the last bit.

    Args:
        store: The set.
        row: The episode's manifest row.
    """

    def __init__(self, store: EpisodeStore, row: dict[str, Any]):
        super().__init__(episode_name(row), store.file(row, "h5"))
        self._store, self._row = store, row

    @property
    def scene(self) -> str:
        """Name its scene as the manifest does, else itself."""
        return scene_of(self._row)

    def pictures(self) -> Mp4:
        """Return the pictures."""
        return Mp4(self._store.file(self._row, "mp4"))

    def poses(self) -> Poses:
        """Return the poses; see `Clip.poses`."""
        with reading(self.path), h5py.File(self.path) as file:
            keypoints = numbers(file, "keypoints", (None, N_KEYPOINTS, 3))
        hands = np.zeros((len(keypoints), 2, N_KEYPOINTS, 3), np.float32)
        hands[:, RIGHT] = keypoints
        height, width = self._store.info["image_size"]
        focal = FOCAL * height / HEIGHT
        intrinsics = np.array([[focal, 0, width / 2], [0, focal, height / 2], [0, 0, 1]])
        camera = np.tile(np.eye(4), (len(hands), 1, 1))
        seen = in_picture(hands, camera, intrinsics, (height, width))
        return Poses(
            hands=hands,
            seen=seen,
            camera=camera,
            intrinsics=intrinsics,
            rate=float(self._store.info["control_hz"]),
        )

    def text(self) -> str:
        """Return the kind of clip."""
        return str(self._row.get("kind", ""))

    def caption(self) -> str:
        """Return number, kind and outcome."""
        facts = [name for name in ("touched", "lifted") if self._row.get(name)]
        return " ".join([str(self._row["id"]), self.text(), *facts])


class EpisodeSet:
    """The layout of the episode store: `<set>/dataset.json` and what it names.

    Args:
        root: The set's folder.

    Raises:
        UserError: The set's own files are damaged.
    """

    name = "dexbench"

    def __init__(self, root: Path):
        self._store = EpisodeStore(root)
        self._rows = {episode_name(row): row for row in self._store.rows()}

    @staticmethod
    def recognises(root: Path) -> bool:
        """Return whether a path holds this layout; a stand-in's set has another's."""
        return (root / INFO).is_file() and type(salvage(root)) is EpisodeStore

    def names(self) -> list[str]:
        """Return the names of all clips, sorted."""
        return sorted(self._rows)

    def clip(self, name: str) -> Clip:
        """Return a clip by its name."""
        return StoredEpisode(self._store, self._rows[name])
