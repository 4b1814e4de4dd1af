"""Errors of the machine: full disks, files that may not be touched, limits of the system.

They are nobody's mistake in the code, so the command line tells them in a line, without a
traceback. An error that code can cause by a mistake, such as a closed file, is not among them.
"""

import errno
import os
import re
import traceback
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

_SPACE = "free some space there, or choose a folder on another disk"
_RIGHTS = "get the right to it (chmod, chown), or choose another place"
_LOCKS = "its file system has no file locks; choose a folder on a local disk"
_FILES = "raise the limit of open files, as by `ulimit -n 4096`, or give fewer --workers"
_DEVICE = "the disk or its network fails; mend it or choose a folder on another disk"

SYSTEM = {
    errno.ENOSPC: _SPACE,
    errno.EDQUOT: _SPACE,
    errno.EFBIG: "raise the limit of file sizes (`ulimit -f`), or choose a folder on another disk",
    errno.EROFS: "that file system is read-only; choose another place",
    errno.ENOLCK: _LOCKS,
    errno.EOPNOTSUPP: _LOCKS,
    errno.EMFILE: _FILES,
    errno.ENFILE: _FILES,
    errno.EIO: _DEVICE,
    errno.ESTALE: _DEVICE,
    errno.ENOMEM: "give fewer --workers, or use a machine with more memory",
}
"""How to mend an error that only the machine causes."""
PATH = {
    errno.EACCES: _RIGHTS,
    errno.EPERM: _RIGHTS,
    errno.ENOENT: "check that it exists, or choose another path",
    errno.ENOTDIR: "a part of that path is a file; choose another path",
    errno.EISDIR: "it is a folder; name a file",
    errno.EEXIST: "delete it, or choose another path",
    errno.ENOTEMPTY: "delete it, or choose another path",
    errno.ENAMETOOLONG: "choose a shorter path",
    errno.ELOOP: "its links lead in a circle; choose another path",
    errno.ENOSYS: _LOCKS,
}
"""How to mend an error that is the machine's if it names a file."""


def explain(error: OSError) -> str | None:
    """Return what is wrong with the machine, where, and how to mend it; None if nothing is."""
    number = _number(error)
    if number is None:
        return None
    reason = os.strerror(number)
    if "usable temporary directory" in str(error):
        return "there is no folder for temporary files; set TMPDIR to one that can be written"
    if error.filename is not None and number in SYSTEM | PATH:
        path = os.fsdecode(error.filename) if isinstance(error.filename, str | bytes) else "a file"
        return f"cannot read or write {path}: {reason}; {(SYSTEM | PATH)[number]}"
    if _makes_semaphore(error):
        return (
            f"cannot share memory between processes through /dev/shm: {reason}; mount it so that "
            "you may write to it (docker: --ipc=host or --shm-size=1g)"
        )
    if number in SYSTEM:
        return f"cannot write the output or read or write a file: {reason}; {SYSTEM[number]}"
    return None


@contextmanager
def naming(path: Path, draft: Path | None = None) -> Iterator[None]:
    """Give a machine's error inside the ``with`` the file it is about, if it names none.

    Args:
        path: The file or folder that is read or written.
        draft: What stands in for it meanwhile; an error that names that names ``path`` instead.

    Raises:
        OSError: As raised inside.
    """
    try:
        yield
    except OSError as error:
        number, named = _number(error), error.filename
        if number is None or _makes_semaphore(error):
            raise
        if named is None:
            place = path
        elif draft is not None and Path(os.fsdecode(named)).is_relative_to(draft):
            place = path / Path(os.fsdecode(named)).relative_to(draft)
        else:
            raise
        raise OSError(number, os.strerror(number), str(place)) from error


def _number(error: OSError) -> int | None:
    """Return the system's number of the error, which HDF5 has in its text only."""
    if error.errno is not None:
        return error.errno
    found = re.search(r"errno = (\d+)", str(error))
    return int(found[1]) if found else None


def _makes_semaphore(error: OSError) -> bool:
    """Return whether it came about when `multiprocessing` made a lock."""
    places = traceback.extract_tb(error.__traceback__)
    return any(Path(place.filename).match("multiprocessing/synchronize.py") for place in places)
