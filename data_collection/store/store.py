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
import os
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, ClassVar, Self

from dexbench import __version__
from dexbench.envs.assets.cache import PACK_VERSION
from dexbench.envs.embodiment.camera import HEIGHT, WIDTH
from dexbench.envs.embodiment.robot import CONTROL_HZ
from dexbench.utils.errors import UserError
from dexbench.utils.files import DRAFT, atomic_folder, file_sha256, write_atomic
from dexbench.utils.machine_errors import naming
from dexbench.utils.video import write_video

from .episode import Episode
from .manifest import (
    INFO,
    MANIFEST,
    SCHEMA,
    info_bytes,
    line_bytes,
    parse_line,
    read_info,
    sha256,
)

FOLDERS = {"h5": "episodes", "mp4": "videos", "model_gz": "models"}
"""The folder of each kind of file, by the manifest's name of its checksum."""


class EpisodeStore:
    """A folder of episodes.

    Args:
        root: The set's folder.
        config: How the set is made; a set begun with another config is refused.

    Raises:
        UserError: The folder holds another set, or something else, or cannot be written.
    """

    layout: ClassVar[str] = "dexbench"
    """How its folders and files are named."""
    kinds: ClassVar[tuple[str, ...]] = tuple(FOLDERS)
    """What an episode's files are called in the manifest."""

    def __init__(self, root: Path, config: dict[str, Any] | None = None):
        self.root = root
        if config is None:
            self.info = read_info(root)
            if self.info.get("layout", EpisodeStore.layout) != self.layout:
                raise UserError(
                    f"{root} has the layout {self.info.get('layout')!r} and no robot episodes; "
                    "name a set of another strategy"
                )
            return
        self.info = {
            "schema": SCHEMA,
            "dexbench": __version__,
            "control_hz": CONTROL_HZ,
            "image_size": [HEIGHT, WIDTH],
            "assets": PACK_VERSION,
            **({} if self.layout == EpisodeStore.layout else {"layout": self.layout}),
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
            write_atomic(path, content)  # damaged or lost, and these are the settings it held
        elif path.exists():
            recorded = read_info(root)
            both = sorted(recorded | self.info)
            differ = ", ".join(key for key in both if recorded.get(key) != self.info.get(key))
            raise UserError(
                f"{root} holds a set made with other {differ or 'settings'}; choose another --out"
            )
        elif root.exists() and any(root.iterdir()):
            raise UserError(f"{root} is not empty and holds no episode set; choose another --out")
        else:
            write_atomic(path, content)

    @classmethod
    def salvage(cls, root: Path) -> Self:
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
        named = {self.file(row, kind) for row in rows for kind in self.kinds}
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
            write_atomic(model_path, packed)
        video = self.root / "videos" / f"{name}.mp4"
        write_video(video, list(episode.frames))
        path = self.root / "episodes" / f"{name}.h5"
        episode.write_arrays(path, model)
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
            write_atomic(path, content)

    def commit(self, rows: list[dict[str, Any]]) -> None:
        """Append manifest lines; afterwards their episodes exist."""
        path = self.root / MANIFEST
        if path.exists():
            data = path.read_bytes()
            whole = data[: data.rfind(b"\n") + 1]
            if whole != data:
                write_atomic(path, whole)
        with naming(path), path.open("ab") as file:
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
        return sorted(path for path in set(self.held()) - self.files(rows) if path.is_file())

    def held(self) -> Iterable[Path]:
        """Return all files where episodes and drafts may be."""
        folders = [self.root / folder for folder in FOLDERS.values()]
        paths = [path for folder in folders if folder.is_dir() for path in folder.iterdir()]
        return paths + [path for path in self.root.iterdir() if DRAFT.fullmatch(path.name)]

    def _lines(self, rows: list[dict[str, Any]]) -> bytes:
        info = file_sha256(self.root / INFO)
        return b"".join(line_bytes(row | {"set": info}) for row in rows)


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
    try:
        with atomic_folder(out) as draft:
            yield draft
    except OSError as error:
        raise UserError(f"cannot write {out} ({error}); choose another --out") from error
