"""Files that are written whole or not at all, files that one process has to itself, checksums.

A file or folder is written as a draft beside its place, under the name ``.<name>.<process>.tmp``,
and then renamed. A crash leaves what was there before.
"""

import fcntl
import hashlib
import os
import re
import shutil
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from .errors import UserError
from .machine_errors import naming

DRAFT = re.compile(r"\..*\.tmp")
"""Names of drafts. One that no running process writes was left by a process that was killed."""


@contextmanager
def atomic_file(path: Path) -> Iterator[Path]:
    """Yield a draft to write, which takes the place of ``path`` when the block ends.

    The draft does not exist yet. It is on the disk before it is renamed, and removed if anything
    fails. The folder is made if need be.

    Args:
        path: The file; an older one is replaced.

    Raises:
        OSError: It cannot be written there.
    """
    draft = _draft(path)
    with naming(path, draft):
        path.parent.mkdir(parents=True, exist_ok=True)
        _remove(draft)
        try:
            yield draft
            sync(draft)
            draft.replace(path)
            sync(path.parent)
        finally:
            _remove(draft)


def write_atomic(path: Path, content: bytes | str) -> None:
    """Write a file whole or not at all; text is UTF-8.

    Raises:
        OSError: It cannot be written there.
    """
    with atomic_file(path) as draft:
        draft.write_bytes(content.encode() if isinstance(content, str) else content)


@contextmanager
def atomic_folder(path: Path) -> Iterator[Path]:
    """Yield an empty folder to fill, which becomes ``path`` when the block ends.

    Its files are on the disk before it is renamed, and it is removed if anything fails. The folder
    above is made if need be.

    Args:
        path: The folder; it must not exist, or be empty.

    Raises:
        OSError: It cannot be written there, or holds something.
    """
    draft = _draft(path)
    with naming(path, draft):
        path.parent.mkdir(parents=True, exist_ok=True)
        _remove(draft)
        try:
            draft.mkdir()
            yield draft
            for written in (*draft.rglob("*"), draft):
                sync(written)
            draft.rename(path)
            sync(path.parent)
        finally:
            _remove(draft)


def sync(path: Path) -> None:
    """Put a file's content, or a folder's names, on the disk, whole even if the machine stops."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        with naming(path):
            os.fsync(descriptor)
    finally:
        os.close(descriptor)


def chosen_folder(variable: str) -> Path | None:
    """Return the folder that an environment variable names, absolute; None if it is not set.

    Args:
        variable: Its name; ``~`` in its value is the user's home.

    Raises:
        UserError: It names a home that is not known.
    """
    chosen = os.environ.get(variable)
    if not chosen:
        return None
    try:
        return Path(chosen).expanduser().resolve()
    except RuntimeError as error:
        raise UserError(
            f"{variable} is {chosen!r}, but there is no such home folder; set {variable} to an "
            "absolute path"
        ) from error


def find_files(folder: Path, name: str) -> list[Path]:
    """Return the files of a name in a folder and all folders below, sorted; none if it is missing.

    Raises:
        PermissionError: A folder cannot be read; its files must not seem to be missing.
    """

    def refuse(error: OSError) -> None:
        if isinstance(error, PermissionError):
            raise error

    tree = os.walk(folder, onerror=refuse)
    return sorted(Path(place, name) for place, _, names in tree if name in names)


def file_sha256(path: str | Path) -> str:
    """Return the sha256 (hex) of a file."""
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def open_locked(path: Path) -> int:
    """Open a file for appending by this process alone, until it closes it or ends.

    Raises:
        BlockingIOError: Another process has it.
        OSError: It cannot be written, or its file system has no locks.
    """
    while True:
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_APPEND, 0o644)
        try:
            with naming(path):
                fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            # Another process may have put a new file in its place before we had the lock.
            if os.path.samestat(os.fstat(descriptor), path.stat()):
                return descriptor
        except OSError:
            os.close(descriptor)
            raise
        os.close(descriptor)


def _draft(path: Path) -> Path:
    """Return where this process drafts ``path``; two processes never write the same draft."""
    return path.with_name(f".{path.name}.{os.getpid()}.tmp")


def _remove(draft: Path) -> None:
    """Remove a draft if it is there; an error that ended the writing is not hidden by another."""
    with suppress(OSError):
        shutil.rmtree(draft) if draft.is_dir() else draft.unlink(missing_ok=True)
