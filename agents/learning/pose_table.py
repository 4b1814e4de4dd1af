"""The poses in other people's data, read once into one file, clip after clip."""

import hashlib
import io
import json
import math
import sys
import zipfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from dexbench.data_collection.readers.clip import Clip
from dexbench.data_collection.readers.episodes import EpisodeSet
from dexbench.data_collection.readers.errors import ClipError
from dexbench.data_collection.readers.layouts import Layout
from dexbench.data_collection.readers.pictures import Size, fit_intrinsics
from dexbench.data_collection.store.manifest import MANIFEST
from dexbench.envs.embodiment.camera import CENTER, FOCAL, HEIGHT, WIDTH
from dexbench.utils.errors import UserError
from dexbench.utils.files import file_sha256, write_atomic
from dexbench.utils.progress import track

CAMERA = np.array([[FOCAL, 0, CENTER[0]], [0, FOCAL, CENTER[1]], [0, 0, 1]])
"""Matrix of the benchmark's camera, in px of its 224x392 pictures."""


@dataclass(frozen=True)
class PoseTable:
    """What is known of the clips before a picture is decoded."""

    rows: list[dict[str, Any]]
    """Each clip's ``source``, ``name``, ``frames`` that are kept, ``step`` between them, ``rate``
    after that."""
    arrays: dict[str, NDArray[Any]]
    """``hands``, ``known``, ``camera``, ``view`` and, if wanted, ``body`` as `Clips` has them."""
    digest: str
    """sha256 over all this but the body, and the sets' manifests if they have one. So it is the
    same for all kinds of actions, which then share decoded pictures and features."""

    def write(self, path: Path, key: str) -> None:
        """Write the table, whole or not at all, under the key of what it was read from."""
        facts = {"key": key, "rows": self.rows, "digest": self.digest}
        buffer, text = io.BytesIO(), json.dumps(facts).encode()
        np.savez(buffer, facts=np.frombuffer(text, np.uint8), **self.arrays)
        path.parent.mkdir(parents=True, exist_ok=True)
        write_atomic(path, buffer.getvalue())


def pose_table(
    folders: Sequence[Path],
    layouts: Sequence[Layout],
    cache: Path,
    size: Size,
    max_rate: float | None,
    progress: bool,
    body: bool = False,
) -> PoseTable:
    """Read the poses of all clips, or find them in the cache.

    Args:
        folders: Of the data.
        layouts: What they hold.
        cache: Folder of the file, which is written unless it holds these clips.
        size: Height and width in px to which pictures are cut and shrunk.
        max_rate: Frames a second to keep at most; all if left out.
        progress: Whether to show a bar, and to say what is left out.
        body: Whether the upper body is wanted.

    Raises:
        UserError: A folder has no whole clip, or none with an upper body if that is wanted; or one
            of the benchmark's own is damaged.
    """
    listed = [(n, layout.clip(name)) for n, layout in enumerate(layouts) for name in layout.names()]
    manifests = [_manifest(folder) for folder in folders]
    stats = [(n, clip.name, *_stat(clip.path)) for n, clip in listed]
    asked = [[layout.name for layout in layouts], manifests, stats, size, max_rate]
    if body:
        asked.append("body")
    key, path = hashlib.sha256(json.dumps(asked).encode()).hexdigest(), cache / "poses.npz"
    if (known := _cached(path, key)) is not None:
        return known
    rows: list[dict[str, Any]] = []
    parts: list[dict[str, NDArray[Any]]] = []
    lost: list[ClipError] = []
    for number, clip in track(listed, "reading poses", unit="clip", show=progress):
        own = layouts[number].name == EpisodeSet.name
        try:
            row, part = _read(clip, size, max_rate, own, body)
        except ClipError as error:
            if own:
                raise
            lost.append(error)
            continue
        rows.append({"source": number, "name": clip.name, **row})
        parts.append(part)
    if lost and progress:
        print(f"{len(lost)} clips are left out; the first: {lost[0]}", file=sys.stderr)
    for number, folder in enumerate(folders):
        if not any(row["source"] == number for row in rows):
            raise UserError(
                f"{folder} holds no whole clip; `dexbench data index {folder}` says why"
            )
    arrays = {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}
    digest = hashlib.sha256(json.dumps([manifests, rows]).encode())
    for name, values in arrays.items():
        if name != "body":
            digest.update(np.ascontiguousarray(values).data)
    table = PoseTable(rows, arrays, digest.hexdigest())
    table.write(path, key)
    return table


def _cached(path: Path, key: str) -> PoseTable | None:
    """Return the table in a file; None if there is none under that key."""
    if not path.is_file():
        return None
    try:
        with np.load(path, allow_pickle=False) as file:
            facts = json.loads(bytes(file["facts"]))
            if facts["key"] != key:
                return None
            arrays = {name: file[name] for name in file.files if name != "facts"}
            return PoseTable(facts["rows"], arrays, facts["digest"])
    except (OSError, ValueError, LookupError, EOFError, zipfile.BadZipFile):
        return None  # damaged: it is made again


def _manifest(folder: Path) -> str:
    """Return the sha256 of a set's manifest; nothing where there is none."""
    path = folder / MANIFEST
    return file_sha256(path) if path.is_file() else ""


def _stat(path: Path) -> tuple[int, int]:
    """Return size and time of a file; zeros if it is missing."""
    if not path.exists():
        return 0, 0
    status = path.stat()
    return status.st_size, status.st_mtime_ns


def _read(
    clip: Clip, size: Size, max_rate: float | None, own: bool, body: bool
) -> tuple[dict[str, Any], dict[str, NDArray[Any]]]:
    """Return what a table has of one clip."""
    pictures, poses = clip.checked()
    if body and poses.body is None:
        raise UserError(
            f"{clip.path} has no upper body, and the model's actions tell how it moves; train on "
            "data in EgoDex's layout alone, or without --model.action body"
        )
    # Rates by a clock are not round: 30.0003 are three times 10 all the same.
    step = max(math.ceil(poses.rate / max_rate - 0.01), 1) if max_rate else 1
    kept = poses.at(np.arange(0, len(poses), step))
    view = np.eye(3)
    if not own and poses.intrinsics is not None:
        view = view_of(fit_intrinsics(poses.intrinsics, pictures.size, size), size)
    # The robot's own hand is known also where it has left the picture.
    known = np.broadcast_to(kept.present[..., None], kept.seen.shape) if own else kept.seen
    row = {"frames": len(kept), "step": step, "rate": poses.rate / step}
    arrays = {"hands": kept.hands, "known": known & kept.present[..., None]}
    arrays |= {"camera": kept.camera, "view": view[None]}
    if body and kept.body is not None:
        arrays["body"] = kept.body
    return row, arrays


def view_of(intrinsics: NDArray[np.float64], size: Size) -> NDArray[np.float64]:
    """Return `Clips.view` of a camera: its points' way to those of the benchmark's camera.

    Args:
        intrinsics: Its matrix ``(3, 3)`` in px of its pictures.
        size: Their height and width in px, of the benchmark's shape.
    """
    enlarge = np.diag([WIDTH / size[1], HEIGHT / size[0], 1])
    view: NDArray[np.float64] = np.linalg.solve(CAMERA, enlarge @ intrinsics)
    return view
