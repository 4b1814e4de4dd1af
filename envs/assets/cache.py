"""Where the asset pack lives, and building it once."""

import fcntl
import shutil
from pathlib import Path

from dexbench.utils.errors import UserError
from dexbench.utils.files import atomic_folder, chosen_folder

VARIABLE = "DEXBENCH_CACHE"
"""Names the cache's folder."""
PACK_VERSION = "3"
"""Raised whenever a pixel, vertex or physical property of the pack changes; part of its path."""
CONTAINED = ("2", PACK_VERSION)
"""Versions whose every file is in the present one unchanged: pack 3 added a category to pack 2."""

DONE = "complete"


def cache_folder() -> Path:
    """Return the folder of all that is made once: ``$DEXBENCH_CACHE`` or ``~/.cache/dexbench``.

    Raises:
        UserError: The variable is not set, and the user has no home.
    """
    try:
        return chosen_folder(VARIABLE) or Path.home() / ".cache" / "dexbench"
    except RuntimeError as error:  # No HOME, and a user id that the system has no entry for.
        raise UserError(
            "there is no home folder to keep assets in; set DEXBENCH_CACHE to a folder that can "
            "be written"
        ) from error


def asset_root() -> Path:
    """Return the root of the ``generated`` asset pack, built at first use (about half a minute).

    Needs no network. Of processes that call it at once one builds and the others wait. What a
    killed build left is not used, and the next build removes it.

    Raises:
        UserError: If the cache folder cannot be written; set ``DEXBENCH_CACHE`` to one that can.
    """
    root = cache_folder() / f"assets-{PACK_VERSION}"
    if (root / DONE).exists():
        return root
    from .tree import build  # only a first use pays for its imports

    try:
        root.parent.mkdir(parents=True, exist_ok=True)
        with (root.parent / f"{root.name}.lock").open("w", encoding="utf-8") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)  # until it is closed
            if (root / DONE).exists():
                return root
            for draft in root.parent.glob(f".{root.name}.*.tmp"):
                shutil.rmtree(draft, ignore_errors=True)
            with atomic_folder(root) as draft:
                build(draft)
                (draft / DONE).touch()
    except OSError as error:
        raise UserError(
            f"cannot write the asset cache in {root.parent} ({error}); set {VARIABLE} to a folder "
            "on a disk that can be written, has space and has file locks"
        ) from error
    return root
