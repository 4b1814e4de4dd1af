"""What is wrong with a clip's files, said by whichever reader finds it."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import av
import h5py
import numpy as np
from numpy.typing import NDArray

from dexbench.utils.errors import UserError, message
from dexbench.utils.machine_errors import SYSTEM

ROUNDING = 1e-3
"""Farthest that a rotation's or a camera matrix's numbers may be from what they must be."""


class ClipError(UserError):
    """A file of a clip is missing, damaged or at odds with another.

    Args:
        path: The file.
        what: What is wrong with it.
    """

    def __init__(self, path: Path, what: str):
        super().__init__(f"{path} {what}; get or record it again, or leave the clip out")
        self.path, self.what = path, what


@contextmanager
def reading(path: Path) -> Iterator[None]:
    """Turn what goes wrong while a file is read into a ClipError about it.

    Raises:
        ClipError: It is missing or damaged.
        OSError: The machine fails, as for want of open files; that is no fault of the clip.
    """
    if not path.is_file():
        raise ClipError(path, "is missing")
    try:
        yield
    except ClipError:
        raise
    except (av.FFmpegError, OSError, LookupError, ValueError, TypeError, RuntimeError) as error:
        if isinstance(error, OSError) and error.errno in SYSTEM:
            raise
        raise ClipError(path, f"cannot be read ({message(error)})") from error


def numbers(
    file: h5py.File | h5py.Group, name: str, shape: tuple[int | None, ...]
) -> NDArray[np.float64]:
    """Return an array of an HDF5 file, checked.

    Args:
        file: The open file or group.
        name: Of the array.
        shape: What it must have; None stands for any length.

    Raises:
        ClipError: It is missing, has another shape, or holds NaN or infinity.
    """
    path = Path(file.file.filename)
    data = file.get(name)
    if not isinstance(data, h5py.Dataset):
        raise ClipError(path, f"lacks {name}")
    fits = len(data.shape) == len(shape) and all(
        want in (None, have) for want, have in zip(shape, data.shape, strict=True)
    )
    if not fits:
        wanted = "x".join("n" if want is None else str(want) for want in shape)
        raise ClipError(path, f"has {name} of shape {data.shape}, expected {wanted}")
    return finite(path, name, data[()])


def rigid(path: Path, name: str, poses: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return poses ``(n, 4, 4)``, of which each is a rotation and a place.

    Raises:
        ClipError: One is not: its axes are not of length 1 and at right angles, they are
            left-handed, or its last row is not 0 0 0 1.
    """
    turns = poses[:, :3, :3]
    skewed = np.abs(turns @ turns.swapaxes(1, 2) - np.eye(3)).max((1, 2)) > ROUNDING
    wrong = skewed | (np.linalg.det(turns) < 0)
    wrong |= np.abs(poses[:, 3] - [0, 0, 0, 1]).max(1) > ROUNDING
    if wrong.any():
        raise ClipError(path, f"has no rotation in {name}, first at {int(np.argmax(wrong))}")
    return poses


def camera_matrix(path: Path, name: str, matrix: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return a camera matrix (3, 3) in px.

    Raises:
        ClipError: It is none: a focal length is not positive, or its last row is not 0 0 1.
    """
    if min(matrix[0, 0], matrix[1, 1]) <= 0 or np.abs(matrix[2] - [0, 0, 1]).max() > ROUNDING:
        raise ClipError(path, f"has no camera matrix in {name}: {matrix.tolist()}")
    return matrix


def finite(path: Path, name: str, values: NDArray[Any]) -> NDArray[np.float64]:
    """Return values as float64.

    Raises:
        ClipError: One is NaN or infinite.
    """
    array = np.asarray(values, np.float64)
    bad = np.argwhere(~np.isfinite(array))
    if len(bad):
        raise ClipError(path, f"has NaN or infinity in {name}, first at {tuple(map(int, bad[0]))}")
    return array
