"""The episode store: one immutable file an episode, its video, and a manifest that makes it exist.

    <set>/dataset.json            how the set is made
    <set>/episodes/000123.h5      arrays, one row a frame at 10 Hz
    <set>/videos/000123.mp4       the head camera's frames
    <set>/models/<sha256>.xml.gz  frozen scenes, stored once
    <set>/manifest.jsonl          one line a complete episode, with checksums

Files are written beside their place and renamed; the manifest line comes last, so that an episode
either is there whole or not at all.
"""

import gzip
import hashlib
import json
import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import h5py
import numpy as np

from .. import __version__
from ..envs.embodiment.camera import HEIGHT, WIDTH
from ..envs.errors import UserError
from ..envs.simulation import CONTROL_HZ
from ..envs.video import write_video

SCHEMA = 1


@dataclass(frozen=True)
class Episode:
    """A recorded clip of T frames; row t of every array belongs to frame t."""

    frames: np.ndarray
    """Images (T, 224, 392, 3) uint8."""
    agent_pos: np.ndarray
    """Achieved joint angles (T, 23) float32 in rad."""
    action: np.ndarray
    """Targets (T, 23) float32 in rad commanded from frame t to t + 1; the last row repeats."""
    keypoints: np.ndarray
    """Hand keypoints (T, 21, 3) float32 in the camera frame, in m."""
    state: np.ndarray
    """Full integration states (T, n) float64."""
    object_pos: np.ndarray
    """Object centres (T, k, 3) float64 in the base frame, in m."""
    contact: np.ndarray
    """Whether the hand touches any object, (T,) bool."""
    xml: str
    """Frozen MJCF of the scene."""
    meta: dict[str, Any]
    """JSON-able facts: kind of clip, seed, objects, recipe, whether something was lifted."""


ARRAYS = ("agent_pos", "action", "keypoints", "state", "object_pos", "contact")


class EpisodeStore:
    """A folder of episodes.

    Args:
        root: The set's folder.
        config: How the set is made; a set begun with another config is refused.

    Raises:
        UserError: The folder holds another set, or something else.
    """

    def __init__(self, root: Path, config: dict[str, Any] | None = None):
        self.root = root
        info = root / "dataset.json"
        if config is not None:
            wanted = {
                "schema": SCHEMA, "dexbench": __version__, "control_hz": CONTROL_HZ,
                "image_size": [HEIGHT, WIDTH], **config,
            }  # fmt: skip
            if info.exists():
                found = json.loads(info.read_text())
                differ = ", ".join(sorted(k for k in wanted if found.get(k) != wanted[k]))
                if differ:
                    raise UserError(
                        f"{root} holds a set made with other {differ}; choose another --out"
                    )
            elif root.exists() and any(root.iterdir()):
                raise UserError(
                    f"{root} is not empty and holds no episode set; choose another --out"
                )
            else:
                root.mkdir(parents=True, exist_ok=True)
                _write(info, json.dumps(wanted, indent=1, sort_keys=True).encode())
        elif not info.exists():
            raise UserError(
                f"{root} holds no episode set; `dexbench collect --out {root}` makes one"
            )

    def rows(self) -> Iterator[dict[str, Any]]:
        """Manifest lines of complete episodes, in the order they were written."""
        path = self.root / "manifest.jsonl"
        if not path.exists():
            return
        for line in path.read_bytes().splitlines(keepends=True):
            # A line that a crash cut short has no newline; its episode is made again.
            if line.endswith(b"\n"):
                yield json.loads(line)

    def write(self, index: int, episode: Episode) -> dict[str, Any]:
        """Write an episode's files; `commit` makes it part of the set.

        Returns:
            Its manifest line.
        """
        name = f"{index:06d}"
        model = hashlib.sha256(episode.xml.encode()).hexdigest()
        model_path = self.root / "models" / f"{model}.xml.gz"
        if not model_path.exists():
            _write(model_path, gzip.compress(episode.xml.encode(), mtime=0))
        video = self.root / "videos" / f"{name}.mp4"
        write_video(video, list(episode.frames))
        path = self.root / "episodes" / f"{name}.h5"
        path.parent.mkdir(parents=True, exist_ok=True)
        draft = _draft(path)
        with h5py.File(draft, "w") as file:
            for array in ARRAYS:
                file.create_dataset(
                    array, data=getattr(episode, array), compression="gzip", compression_opts=1
                )
            file.attrs["meta"] = json.dumps(episode.meta | {"model": model}, sort_keys=True)
        draft.replace(path)
        summary = {k: v for k, v in episode.meta.items() if k in ("kind", "lifted", "touched")}
        return {
            "id": index, "frames": len(episode.frames), "model": model, "h5": _sha256(path),
            "mp4": _sha256(video), **summary,
        }  # fmt: skip

    def keep(self, rows: list[dict[str, Any]]) -> None:
        """Make these the only manifest lines; other episodes no longer exist."""
        _write(self.root / "manifest.jsonl", _lines(rows))

    def commit(self, rows: list[dict[str, Any]]) -> None:
        """Append manifest lines; afterwards their episodes exist."""
        path = self.root / "manifest.jsonl"
        if path.exists():
            data = path.read_bytes()
            whole = data[: data.rfind(b"\n") + 1]
            if whole != data:
                _write(path, whole)
        with path.open("ab") as file:
            file.write(_lines(rows))
            file.flush()
            os.fsync(file.fileno())


def _lines(rows: list[dict[str, Any]]) -> bytes:
    return "".join(json.dumps(row, sort_keys=True) + "\n" for row in rows).encode()


def _draft(path: Path) -> Path:
    """A file to write before it takes its place; a worker that outlives its run has its own."""
    return path.with_name(f".{path.name}.{os.getpid()}.tmp")


def _write(path: Path, data: bytes) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    draft = _draft(path)
    with draft.open("wb") as file:
        file.write(data)
        file.flush()
        os.fsync(file.fileno())
    draft.replace(path)


def _sha256(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()
