"""What is simulated or sampled for an evaluation, kept beside the set as a video and its arrays.

The video is compressed as the set's own are, so that models see pictures of the same kind.
"""

import hashlib
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import mujoco
import numpy as np
from numpy.typing import NDArray

from dexbench.envs.embodiment.robot import CONTROL_HZ
from dexbench.utils.errors import UserError
from dexbench.utils.files import atomic_file
from dexbench.utils.video import read_video, write_video

VERSION = 1
"""Raise it when what is made, or how it is drawn, changes."""


def place(root: Path, facts: Sequence[Any]) -> Path:
    """Return where the arrays are kept that some facts determine; the video is beside them.

    Args:
        root: Folder of the set; files are in ``<set>.futures``.
        facts: All that they depend on, but `VERSION` and MuJoCo's.
    """
    text = json.dumps([VERSION, mujoco.__version__, *facts])
    name = hashlib.sha256(text.encode()).hexdigest()[:16]
    whole = root.resolve()
    return whole.with_name(whole.name + ".futures") / f"{name}.npz"


def keep(
    path: Path,
    pictures: Sequence[NDArray[np.uint8]],
    arrays: dict[str, NDArray[Any]],
    fps: int = CONTROL_HZ,
) -> None:
    """Write both, the arrays last: the video is there if they are.

    Args:
        path: Of ``place``.
        pictures: (H, W, 3) each.
        arrays: By their names.
        fps: Frames a second at which a player shows the video.

    Raises:
        UserError: They cannot be written.
    """
    try:
        write_video(path.with_suffix(".mp4"), pictures, fps=fps)
        with atomic_file(path) as draft, draft.open("wb") as file:
            np.savez_compressed(file, **arrays)
    except OSError as error:
        raise UserError(
            f"cannot write {path} ({error}); copy the set to where you may write"
        ) from error


def kept(path: Path) -> tuple[NDArray[np.uint8], dict[str, NDArray[Any]]]:
    """Return the pictures ``(n, H, W, 3)`` and the arrays.

    Raises:
        UserError: A file is damaged.
    """
    try:
        pictures = read_video(path.with_suffix(".mp4"))
        with np.load(path, allow_pickle=False) as file:
            return pictures, {name: file[name] for name in file.files}
    except Exception as error:  # zipfile, zlib and numpy each have their own
        raise UserError(
            f"{path} or its video is damaged ({error}); delete both, they are made again"
        ) from error
