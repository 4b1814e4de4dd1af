"""The poses in other people's data, read once into one file, clip after clip."""

import hashlib
import io
import json
import math
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from tqdm import tqdm

from dexbench.data_collection.readers.clip import Clip
from dexbench.data_collection.readers.episodes import EpisodeSet
from dexbench.data_collection.readers.errors import ClipError
from dexbench.data_collection.readers.layouts import Layout
from dexbench.data_collection.readers.pictures import Size, fit_intrinsics
from dexbench.data_collection.store.manifest import MANIFEST
from dexbench.envs.embodiment.camera import CENTER, FOCAL, HEIGHT, WIDTH
from dexbench.utils.errors import UserError
from dexbench.utils.files import file_sha256, write_atomic

CAMERA = np.array([[FOCAL, 0, CENTER[0]], [0, FOCAL, CENTER[1]], [0, 0, 1]])
"""Matrix of the benchmark's camera, in px of its 224x392 pictures."""


@dataclass(frozen=True)
class PoseTable:
    """What is known of the clips before a picture is decoded."""

    rows: list[dict[str, Any]]
    """Each clip's ``source``, ``name``, ``frames`` that are kept, ``step`` between them, ``rate``
    after that."""
    arrays: dict[str, NDArray[Any]]
    """``hands``, ``known``, ``camera`` and ``view`` as `Clips` has them."""
    digest: str
    """sha256 over all this, and the sets' manifests if they have one."""


def pose_table(
    folders: Sequence[Path],
    layouts: Sequence[Layout],
    cache: Path,
    size: Size,
    max_rate: float | None,
    progress: bool,
) -> PoseTable:
    """Read the poses of all clips, or find them in the cache.

    Args:
        folders: Of the data.
        layouts: What they hold.
        cache: Folder of the file, which is written unless it holds these clips.
        size: Height and width in px to which pictures are cut and shrunk.
        max_rate: Frames a second to keep at most; all if left out.
        progress: Whether to show a bar, and to say what is left out.

    Raises:
        UserError: A folder has no whole clip, or one of the benchmark's own is damaged.
    """
    manifests = [
        hashlib.sha256(path.read_bytes()).hexdigest()
        if (path := folder / MANIFEST).is_file()
        else ""
        for folder in folders
    ]
    listed = [(n, layout.clip(name)) for n, layout in enumerate(layouts) for name in layout.names()]
    stats = [(n, clip.name, *_stat(clip.path)) for n, clip in listed]
    names = [layout.name for layout in layouts]
    key = hashlib.sha256(json.dumps([names, manifests, stats, size, max_rate]).encode()).hexdigest()
    path = cache / "poses.npz"
    if path.is_file():
        try:
            with np.load(path, allow_pickle=False) as file:
                facts = json.loads(bytes(file["facts"]))
                if facts["key"] == key:
                    arrays = {name: file[name] for name in file.files if name != "facts"}
                    return PoseTable(facts["rows"], arrays, facts["digest"])
        except (OSError, ValueError, LookupError):
            pass  # half written by another version, say: it is made again
    rows, parts, lost = [], [], []
    silent = None if progress else True  # None shows bars on terminals only
    for number, clip in tqdm(listed, "reading poses", unit="clip", disable=silent):
        try:
            row, part = _read(clip, size, max_rate, layouts[number].name == EpisodeSet.name)
        except ClipError as error:
            if layouts[number].name == EpisodeSet.name:
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
    for values in arrays.values():
        digest.update(np.ascontiguousarray(values).data)
    facts = {"key": key, "rows": rows, "digest": digest.hexdigest()}
    buffer = io.BytesIO()
    np.savez(buffer, facts=np.frombuffer(json.dumps(facts).encode(), np.uint8), **arrays)
    cache.mkdir(parents=True, exist_ok=True)
    write_atomic(path, buffer.getvalue())
    return PoseTable(rows, arrays, facts["digest"])


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
    clip: Clip, size: Size, max_rate: float | None, own: bool
) -> tuple[dict[str, Any], dict[str, NDArray[Any]]]:
    """Return what a table has of one clip."""
    pictures, poses = clip.checked()
    # Rates by a clock are not round: 30.0003 are three times 10 all the same.
    step = max(math.ceil(poses.rate / max_rate - 0.01), 1) if max_rate else 1
    kept = poses.at(np.arange(0, len(poses), step))
    view = np.eye(3)
    if not own and poses.intrinsics is not None:
        enlarge = np.diag([WIDTH / size[1], HEIGHT / size[0], 1])
        matrix = enlarge @ fit_intrinsics(poses.intrinsics, pictures.size, size)
        view = np.linalg.solve(CAMERA, matrix)
    # The robot's own hand is known also where it has left the picture.
    known = np.broadcast_to(kept.present[..., None], kept.seen.shape) if own else kept.seen
    row = {"frames": len(kept), "step": step, "rate": poses.rate / step}
    arrays = {"hands": kept.hands, "known": known & kept.present[..., None]}
    return row, {**arrays, "camera": kept.camera, "view": view[None]}
