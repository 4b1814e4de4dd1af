"""What a training needs of the disk, asked for before it is used: room, and places to write."""

import errno
import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from dexbench.utils.errors import UserError

NO_ROOM = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)
"""The disk is full, the user's share of it is, or it takes no file of that size."""


@contextmanager
def reserved(path: Path, size: int) -> Iterator[None]:
    """Give the file of a memory map its room on the disk, as soon as the block has made it.

    The file is sparse. A later write that finds the disk full would end the process by SIGBUS,
    without a word.

    Args:
        path: The file, which the block makes; removed if there is no room.
        size: Its bytes, about.

    Raises:
        UserError: The disk has no room for it.
    """
    try:
        yield
        with open(path, "r+b") as file:
            os.posix_fallocate(file.fileno(), 0, path.stat().st_size)
    except OSError as error:
        path.unlink(missing_ok=True)
        if error.errno not in NO_ROOM:
            raise
        free = shutil.disk_usage(path.parent).free
        raise UserError(
            f"{path.parent} has no room for a file of {size / 1e9:.2f} GB ({free / 1e9:.2f} GB are "
            "free); free some, or choose a folder on another disk with --work or --features"
        ) from error


def check_folder(option: str, folder: Path) -> None:
    """Make a folder, and refuse one that nothing can be written into.

    Args:
        option: What names it on the command line.
        folder: Made with those above it if need be.

    Raises:
        UserError: It cannot be made, or no file in it.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=folder):
            pass
    except OSError as error:
        raise UserError(
            f"{option}: nothing can be written into {folder} ({error.strerror}); choose another "
            "place or mend its permissions"
        ) from error


def check_file(option: str, path: Path) -> None:
    """Refuse a file that could not be written when its time comes.

    Args:
        option: What names it on the command line.
        path: The file; an older one may be there.

    Raises:
        UserError: It is a folder or read-only, or its folder is as ``check_folder`` refuses it.
    """
    if path.is_dir():
        raise UserError(f"{option} {path} is a folder, expected a file; add the file's name")
    check_folder(option, path.parent)
    if path.exists() and not path.stat().st_mode & 0o222:
        raise UserError(f"{option} {path} is read-only; choose another or make it writable")
