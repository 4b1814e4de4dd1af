"""The joint targets of a trial, in a file beside its ledger: ``actions/<trial>.npz``."""

import hashlib
import io
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from dexbench.utils.errors import UserError, describe

from .rows import Row, play_key, play_stem


def actions_path(folder: Path, row: Row) -> Path:
    """Return where the actions of a row are, given the ledger's folder."""
    return folder / "actions" / f"{play_stem(*play_key(row))}.npz"


def actions_hash(actions: NDArray[Any]) -> str:
    """Return the first 16 hexadecimal digits of the sha256 of the float32 actions."""
    return hashlib.sha256(np.ascontiguousarray(actions, "<f4").tobytes()).hexdigest()[:16]


def encode_actions(actions: NDArray[Any]) -> bytes:
    """Return an npz file without the time in it, so that equal actions give equal bytes.

    Args:
        actions: (steps, 23) joint targets [rad]; the file holds them as float32.
    """
    array = io.BytesIO()
    np.lib.format.write_array(array, np.ascontiguousarray(actions, "<f4"), allow_pickle=False)
    archive = io.BytesIO()
    with zipfile.ZipFile(archive, "w", zipfile.ZIP_DEFLATED) as file:
        entry = zipfile.ZipInfo("actions.npy", date_time=(1980, 1, 1, 0, 0, 0))
        file.writestr(entry, array.getvalue(), zipfile.ZIP_DEFLATED)
    return archive.getvalue()


def read_actions(path: Path) -> NDArray[Any]:
    """Return a trial's recorded joint targets [rad], of whatever shape the file holds.

    Raises:
        UserError: The file is missing or damaged.
    """
    try:
        with np.load(path, allow_pickle=False) as file:
            actions: NDArray[Any] = file["actions"]
            return actions
    except Exception as error:  # numpy raises what zip, zlib and its own header reader raise.
        raise UserError(
            f"no actions can be read from {path} ({describe(error)}); restore it, or play the "
            "trial again with `dexbench run --fresh`"
        ) from error
