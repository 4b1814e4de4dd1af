"""A set in EgoDex's own layout, kept as whole as a set of robot episodes.

<set>/part1/<task>/<i>.hdf5   transforms of joints and camera, intrinsics, confidences
<set>/part1/<task>/<i>.mp4    the picture
<set>/test/<task>/<i>.*       held-out sessions
<set>/dataset.json, <set>/manifest.jsonl   as in every set; readers of EgoDex pass them over
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

import h5py
import numpy as np
from numpy.typing import NDArray

from dexbench.envs.embodiment.robot import CONTROL_HZ
from dexbench.utils.files import DRAFT, atomic_file, file_sha256
from dexbench.utils.video import write_video

from .store import EpisodeStore

TRAIN, TEST = "part1", "test"
"""EgoDex's names of the first part for training, and of that for tests."""


@dataclass(frozen=True)
class HumanClip:
    """A clip of T frames."""

    frames: list[NDArray[np.uint8]]
    """Images (H, W, 3) uint8."""
    transforms: Mapping[str, NDArray[np.float64]]
    """By joint, and ``camera``: (T, 4, 4) in a world whose y is up, in m."""
    intrinsic: NDArray[np.float64]
    """Camera matrix (3, 3) in px of the images."""
    task: str
    """Name of the task, and of its folder."""
    facts: Mapping[str, str | Sequence[str]]
    """EgoDex's attributes."""


class EgoDexStore(EpisodeStore):
    """A folder of clips in EgoDex's layout; see `EpisodeStore`."""

    layout: ClassVar[str] = "egodex"
    kinds: ClassVar[tuple[str, ...]] = ("hdf5", "mp4")

    def file(self, row: dict[str, Any], kind: str) -> Path:
        """Return where a clip's ``hdf5`` or ``mp4`` is."""
        return Path(self.root, row["part"], row["task"], f"{row['id']}.{kind}")

    def held(self) -> Iterable[Path]:
        """Return all files where clips and drafts may be."""
        parts = [self.root / part for part in (TRAIN, TEST)]
        paths = [path for part in parts for path in part.glob("*/*")]
        return paths + [path for path in self.root.iterdir() if DRAFT.fullmatch(path.name)]

    def write_clip(self, index: int, part: str, clip: HumanClip) -> dict[str, Any]:
        """Write a clip's files; `commit` makes it part of the set.

        Args:
            index: Its number in the set, which names its files.
            part: :data:`TRAIN` or :data:`TEST`.
            clip: What to write.

        Returns:
            Its manifest line.
        """
        row = {"id": index, "part": part, "task": clip.task, "frames": len(clip.frames)}
        paths = {kind: self.file(row, kind) for kind in self.kinds}
        write_video(paths["mp4"], clip.frames, fps=CONTROL_HZ)
        with atomic_file(paths["hdf5"]) as draft, h5py.File(draft, "w") as file:
            packed = {"compression": "gzip", "compression_opts": 1, "shuffle": True}
            for name, poses in clip.transforms.items():
                file.create_dataset(f"transforms/{name}", data=poses.astype(np.float32), **packed)
                if name != "camera":  # nothing was estimated
                    sure = np.ones(len(poses), np.float32)
                    file.create_dataset(f"confidences/{name}", data=sure)
            file.create_dataset("camera/intrinsic", data=clip.intrinsic.astype(np.float32))
            file.attrs.update(clip.facts)
        return row | {kind: file_sha256(path) for kind, path in paths.items()}
