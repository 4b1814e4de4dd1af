"""The episode store: one immutable file an episode, its video, and a manifest that makes it exist.

    <set>/dataset.json            how the set is made
    <set>/episodes/000123.h5      arrays, one row a frame at 10 Hz
    <set>/videos/000123.mp4       the head camera's frames
    <set>/models/<sha256>.xml.gz  frozen scenes, stored once
    <set>/manifest.jsonl          one line a complete episode, with checksums

Files are written beside their place and renamed; the manifest line comes last, so that an episode
either is there whole or not at all. A line holds the sha256 of the episode (`h5`), of the video
(`mp4`), of the frozen scene (`model_gz` its file, `model` its text), of dataset.json (`set`), and
last of itself (`line`), so that every byte of a set is covered.
"""

import gzip
import hashlib
import json
import os
import re
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import h5py
import numpy as np

from dexbench import __version__
from dexbench.envs.assets.cache import PACK_VERSION
from dexbench.envs.embodiment.camera import HEIGHT, WIDTH
from dexbench.envs.embodiment.robot import CONTROL_HZ
from dexbench.utils.errors import UserError
from dexbench.utils.video import sync, write_video

SCHEMA = 2
"""1 had no checksums of frozen scenes, dataset.json and manifest lines; it can still be read."""

INFO, MANIFEST = "dataset.json", "manifest.jsonl"
FOLDERS = {"h5": "episodes", "mp4": "videos", "model_gz": "models"}
"""The folder of each kind of file, by the manifest's name of its checksum."""
DRAFT = re.compile(r"\..*\.tmp(\.mp4)?")
"""Names of files that are being written; one that nobody writes any more was left by a crash."""


@dataclass(frozen=True)
class Episode:
    """A recorded clip of T frames; row t of every array belongs to frame t."""

    frames: np.ndarray
    """Images (T, H, W, 3) uint8; 224x392 unless the set was made with another --size."""
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
        UserError: The folder holds another set, or something else, or cannot be written.
    """

    def __init__(self, root: Path, config: dict[str, Any] | None = None):
        self.root = root
        if config is None:
            self.info = read_info(root)
            return
        self.info = {
            "schema": SCHEMA,
            "dexbench": __version__,
            "control_hz": CONTROL_HZ,
            "image_size": [HEIGHT, WIDTH],
            "assets": PACK_VERSION,
            **config,
        }
        try:
            self._claim(root / INFO, info_bytes(self.info))
        except OSError as error:
            raise UserError(f"cannot write {root} ({error}); choose another --out") from error

    def _claim(self, path: Path, content: bytes) -> None:
        """Make the folder this set's, or sees that it is."""
        root = path.parent
        if path.exists() and path.read_bytes() == content:
            return
        rows = [row for row in self.lines() if row is not None]
        if rows and all(row.get("set") == sha256(content) for row in rows):
            _write(path, content)  # damaged or lost, and these are the settings it held
        elif path.exists():
            found = read_info(root)
            differ = ", ".join(k for k in sorted(self.info) if found.get(k) != self.info[k])
            raise UserError(
                f"{root} holds a set made with other {differ or 'settings'}; choose another --out"
            )
        elif root.exists() and any(root.iterdir()):
            raise UserError(f"{root} is not empty and holds no episode set; choose another --out")
        else:
            _write(path, content)

    @classmethod
    def salvage(cls, root: Path) -> "EpisodeStore":
        """Return a set to look into whose dataset.json may be damaged; its `info` is empty then."""
        store = cls.__new__(cls)
        store.root = root
        try:
            store.info = read_info(root)
        except UserError:
            store.info = {}
        return store

    def lines(self) -> Iterator[dict[str, Any] | None]:
        """Manifest lines of complete episodes; None stands for one that is damaged."""
        path = self.root / MANIFEST
        for line in path.read_bytes().splitlines(keepends=True) if path.exists() else ():
            # A line that a crash cut short has no newline; its episode is made again.
            if line.endswith(b"\n"):
                yield parse_line(line, checked=self.info.get("schema") != 1)

    def rows(self) -> Iterator[dict[str, Any]]:
        """Yield what the manifest says of complete episodes, in the order they were written.

        Raises:
            UserError: A line is damaged.
        """
        for number, row in enumerate(self.lines(), 1):
            if row is None:
                raise UserError(
                    f"{self.root / MANIFEST} line {number} is damaged; "
                    f"`dexbench data verify {self.root}` says how to mend the set"
                )
            yield {key: value for key, value in row.items() if key != "set"}

    def file(self, row: dict[str, Any], kind: str) -> Path:
        """Return where an episode's ``h5``, ``mp4`` or ``model_gz`` is."""
        names = {
            "h5": f"{row['id']:06d}.h5",
            "mp4": f"{row['id']:06d}.mp4",
            "model_gz": f"{row['model']}.xml.gz",
        }
        return self.root / FOLDERS[kind] / names[kind]

    def files(self, rows: list[dict[str, Any]]) -> set[Path]:
        """Return the files of episodes, and the set's own."""
        named = {self.file(row, kind) for row in rows for kind in FOLDERS}
        return named | {self.root / INFO, self.root / MANIFEST}

    def xml(self, model: str) -> str:
        """Return the frozen MJCF of a scene, by its sha256."""
        return gzip.decompress((self.root / "models" / f"{model}.xml.gz").read_bytes()).decode()

    def write(self, index: int, episode: Episode) -> dict[str, Any]:
        """Write an episode's files; `commit` makes it part of the set.

        Returns:
            Its manifest line.
        """
        name = f"{index:06d}"
        model, packed = sha256(episode.xml.encode()), gzip.compress(episode.xml.encode(), mtime=0)
        model_path = self.root / "models" / f"{model}.xml.gz"
        if not model_path.exists() or model_path.read_bytes() != packed:
            _write(model_path, packed)
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
        sync(draft)
        draft.replace(path)
        summary = {k: v for k, v in episode.meta.items() if k in ("kind", "lifted", "touched")}
        return {
            "id": index,
            "frames": len(episode.frames),
            "model": model,
            "h5": file_sha256(path),
            "mp4": file_sha256(video),
            "model_gz": sha256(packed),
            **summary,
        }

    def keep(self, rows: list[dict[str, Any]]) -> None:
        """Make these the only manifest lines; other episodes no longer exist."""
        path, content = self.root / MANIFEST, self._lines(rows)
        if content != (path.read_bytes() if path.exists() else b""):
            _write(path, content)

    def commit(self, rows: list[dict[str, Any]]) -> None:
        """Append manifest lines; afterwards their episodes exist."""
        path = self.root / MANIFEST
        if path.exists():
            data = path.read_bytes()
            whole = data[: data.rfind(b"\n") + 1]
            if whole != data:
                _write(path, whole)
        with path.open("ab") as file:
            file.write(self._lines(rows))
            file.flush()
            os.fsync(file.fileno())

    def refuse_slim(self) -> None:
        """Raise UserError for a slim set, which lacks states, objects and contacts."""
        if "slim" in self.info:
            raise UserError(f"{self.root} is a slim set, without states; name the set it is of")

    def damaged(self, path: Path, error: object) -> UserError:
        """Return what to raise where one of the set's files cannot be read."""
        return UserError(
            f"{path} is missing or damaged ({error}); "
            f"`dexbench data verify {self.root}` says how to mend the set"
        )

    def unlisted(self) -> list[Path]:
        """Return files that belong to no complete episode: drafts, and what was never committed."""
        rows = [row for row in self.lines() if row is not None]
        named = self.files(rows)
        folders = [self.root / folder for folder in FOLDERS.values()]
        found = [path for folder in folders if folder.is_dir() for path in folder.iterdir()]
        found += [path for path in self.root.iterdir() if DRAFT.fullmatch(path.name)]
        return sorted(path for path in set(found) - named if path.is_file())

    def _lines(self, rows: list[dict[str, Any]]) -> bytes:
        info = file_sha256(self.root / INFO)
        return b"".join(_line(row | {"set": info}) for row in rows)


def refuse_existing(out: Path) -> None:
    """Raise UserError if there is something already where a new set shall be."""
    if out.exists():
        raise UserError(f"{out} exists; choose another --out")


@contextmanager
def new_folder(out: Path) -> Iterator[Path]:
    """Yield a folder to fill, which takes the place of ``out`` whole, or not at all.

    Raises:
        UserError: ``out`` exists or cannot be written.
    """
    refuse_existing(out)
    draft = None
    try:
        out.parent.mkdir(parents=True, exist_ok=True)
        draft = Path(tempfile.mkdtemp(prefix=f".{out.name}-", dir=out.parent))
        yield draft
        draft.chmod(0o755)
        draft.rename(out)
    except OSError as error:
        raise UserError(f"cannot write {out} ({error}); choose another --out") from error
    finally:
        if draft is not None:
            shutil.rmtree(draft, ignore_errors=True)


def info_bytes(info: dict[str, Any]) -> bytes:
    """Return a set's description as dataset.json holds it."""
    return json.dumps(info, indent=1, sort_keys=True).encode()


def read_info(root: Path) -> dict[str, Any]:
    """Return what dataset.json says of a set.

    Raises:
        UserError: There is none, or it is damaged, or a later dexbench wrote it.
    """
    path = root / INFO
    if not path.exists():
        raise UserError(f"{root} holds no episode set; `dexbench collect --out {root}` makes one")
    try:
        info = json.loads(path.read_bytes())
        schema = int(info["schema"])
    except (ValueError, TypeError, LookupError) as error:
        raise UserError(
            f"{path} is damaged ({error}); `dexbench data verify {root}` says how to mend the set"
        ) from error
    if not 1 <= schema <= SCHEMA:
        raise UserError(
            f"{path} has schema {schema}, this dexbench reads 1 to {SCHEMA}; install a newer one"
        )
    return info


def parse_line(line: bytes, checked: bool) -> dict[str, Any] | None:
    """Return a manifest line without its own checksum, or None if it is not as it was written.

    Args:
        line: With its newline.
        checked: Whether it must hold its checksum, as from schema 2 on.
    """
    try:
        row = json.loads(line)
        row["id"] + row["frames"]
    except (ValueError, TypeError, LookupError):
        return None
    if not checked:
        return row
    found = row.pop("line", None)
    return row if found is not None and line == _line(row) else None


def _line(row: dict[str, Any]) -> bytes:
    digest = sha256(json.dumps(row, sort_keys=True).encode())
    return json.dumps(row | {"line": digest}, sort_keys=True).encode() + b"\n"


def _draft(path: Path) -> Path:
    """Return a file to write before it takes its place.

    A worker that outlives its run has its own.
    """
    return path.with_name(f".{path.name}.{os.getpid()}.tmp")


def _write(path: Path, data: bytes) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    draft = _draft(path)
    with draft.open("wb") as file:
        file.write(data)
        file.flush()
        os.fsync(file.fileno())
    draft.replace(path)


def sha256(data: bytes) -> str:
    """Return the sha256 (hex) of bytes."""
    return hashlib.sha256(data).hexdigest()


def file_sha256(path: Path) -> str:
    """Return the sha256 (hex) of a file."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
