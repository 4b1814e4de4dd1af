"""Machines on which system calls fail, for files below a folder."""

import builtins
import fcntl
import io
import os
import resource
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

OPERATIONS = {
    "mkdir": (os, "mkdir"),
    "replace": (os, "replace"),
    "rename": (os, "rename"),
    "fsync": (os, "fsync"),
    "flock": (fcntl, "flock"),
    "scandir": (os, "scandir"),
    "os.open": (os, "open"),
    "open": (builtins, "open"),
    "io.open": (io, "open"),
}
"""Where Python calls the system, by name."""


def fail(patch: Any, names: str, number: int, below: Path, reading: bool = False) -> None:
    """Let operations fail with an error of the system.

    Args:
        patch: pytest's ``monkeypatch``.
        names: Of `OPERATIONS`, separated by blanks.
        number: The error's, of `errno`.
        below: Only on this folder and what is below it.
        reading: Opening fails for reading too.
    """
    for name in names.split():
        module, attribute = OPERATIONS[name]
        patch.setattr(
            module, attribute, _failing(getattr(module, attribute), number, below, reading)
        )


def _failing(call: Callable[..., Any], number: int, below: Path, reading: bool) -> Any:
    opens = call.__name__ == "open"

    def attempt(path: Any = ".", *args: Any, **kwargs: Any) -> Any:
        names_file = not isinstance(path, int) and not hasattr(path, "fileno")
        descriptor = path if isinstance(path, int) else None if names_file else path.fileno()
        place = Path(
            os.fsdecode(path) if names_file else os.readlink(f"/proc/self/fd/{descriptor}")
        )
        how = [*args, *kwargs.values()][:1] if opens else []
        writes = any(_writes(mode) for mode in how)
        if (not opens or reading or writes) and place.absolute().is_relative_to(below):
            named = (str(place),) if names_file else ()
            raise OSError(number, os.strerror(number), *named)
        return call(path, *args, **kwargs)

    return attempt


def _writes(mode: Any) -> bool:
    if isinstance(mode, str):
        return any(letter in mode for letter in "wax+")
    return isinstance(mode, int) and bool(mode & (os.O_WRONLY | os.O_RDWR))


@contextmanager
def no_room() -> Iterator[None]:
    """The system itself writes no byte to any file, as on a full disk."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (0, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
