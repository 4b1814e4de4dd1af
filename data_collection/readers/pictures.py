"""Random access to the pictures of a clip, in an mp4 or an HDF5, at any size."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any, Protocol

import av
import h5py
import numpy as np
from numpy.typing import NDArray
from PIL import Image

from dexbench.utils.video import downsample

from .errors import ClipError, reading

Size = tuple[int, int]
"""Height and width in px."""
JUMP = 2.0
"""Seconds between two frames that are worth looking for a nearer place to decode from."""


class Pictures(Protocol):
    """The pictures of a clip, none of which is read before it is asked for."""

    count: int
    """How many there are."""
    size: Size
    """Height and width in px as stored."""

    def read(self, index: NDArray[np.integer[Any]], size: Size | None = None) -> NDArray[np.uint8]:
        """Return pictures (k, H, W, 3) RGB by their indices (k,), in any order.

        Args:
            index: Within 0 to ``count`` - 1.
            size: If given, they are fitted to it; see `fit`.

        Raises:
            ClipError: The file is damaged.
        """


class Mp4:
    """The frames of a video, or of a stretch of one.

    Args:
        path: The mp4.
        first: The stretch's first frame.
        count: Its frames; all to the end if left out.

    Raises:
        ClipError: There is no such file, no video in it, or it ends before the stretch does.
    """

    def __init__(self, path: Path, first: int = 0, count: int | None = None):
        self.path, self._first = path, first
        with reading(path), av.open(str(path)) as container:
            if not container.streams.video:
                raise ClipError(path, "holds no video")
            stream = container.streams.video[0]
            self.size = (stream.height, stream.width)
            rate, frames = stream.average_rate, stream.frames
        if not rate or not frames or min(self.size) < 1:
            raise ClipError(path, "holds no frames")
        self.rate = float(rate)
        """Frames a second."""
        self.count = frames - first if count is None else count
        if self.count < 1 or first + self.count > frames:
            raise ClipError(path, f"has {frames} frames, expected {first + (count or 1)}")

    def read(self, index: NDArray[np.integer[Any]], size: Size | None = None) -> NDArray[np.uint8]:
        """Return pictures by their indices; see `Pictures.read`."""
        wanted, back = np.unique(np.asarray(index), return_inverse=True)
        check_range(wanted, self.count)
        out = np.empty((len(wanted), *(size or self.size), 3), np.uint8)
        with reading(self.path), av.open(str(self.path)) as container:
            for place, picture in enumerate(self._decode(container, wanted + self._first)):
                out[place] = picture if size is None else fit(picture, size)
        return out[back]

    def _decode(
        self, container: "av.container.InputContainer", wanted: NDArray[np.integer[Any]]
    ) -> Iterator[NDArray[np.uint8]]:
        """Yield frames by their indices, which ascend."""
        stream = container.streams.video[0]
        assert stream.time_base is not None and stream.average_rate is not None
        step = 1 / (stream.average_rate * stream.time_base)
        start = stream.start_time or 0
        frames, at = container.decode(stream), -1
        for number in map(int, wanted):
            if number - at > JUMP * self.rate:
                container.seek(start + round(number * step), stream=stream)
                frames = container.decode(stream)
            for frame in frames:
                at = round((frame.pts - start) / step) if frame.pts is not None else at + 1
                if at >= number:
                    break
            if at != number:
                raise ClipError(self.path, f"cannot be decoded at frame {number}")
            picture: NDArray[np.uint8] = frame.to_ndarray(format="rgb24").astype(
                np.uint8, copy=False
            )
            yield picture


class Hdf5Pictures:
    """Pictures in an array of an HDF5.

    Args:
        path: The file.
        name: The array, (n, H, W, 3) uint8.

    Raises:
        ClipError: The file is damaged or holds no such array.
    """

    def __init__(self, path: Path, name: str):
        self.path, self._name = path, name
        with reading(path), h5py.File(path) as file:
            data = file.get(name)
            if not isinstance(data, h5py.Dataset):
                raise ClipError(path, f"lacks {name}")
            if data.ndim != 4 or data.shape[3] != 3 or data.dtype != np.uint8 or not data.size:
                raise ClipError(
                    path, f"has {name} of shape {data.shape}, expected n x H x W x 3 of uint8"
                )
            self.count, self.size = data.shape[0], (data.shape[1], data.shape[2])

    def read(self, index: NDArray[np.integer[Any]], size: Size | None = None) -> NDArray[np.uint8]:
        """Return pictures by their indices; see `Pictures.read`."""
        wanted, back = np.unique(np.asarray(index), return_inverse=True)
        check_range(wanted, self.count)
        with reading(self.path), h5py.File(self.path) as file:
            pictures: NDArray[np.uint8] = file[self._name][wanted]
        if size is not None:
            pictures = np.stack([fit(picture, size) for picture in pictures])
        return pictures[back]


def check_range(index: NDArray[np.integer[Any]], count: int) -> None:
    """Raise IndexError if an index is not within 0 to ``count`` - 1."""
    if len(index) and not 0 <= index.min() <= index.max() < count:
        raise IndexError(f"frames {index.min()} to {index.max()} of a clip of {count}")


def fit(picture: NDArray[np.uint8], size: Size) -> NDArray[np.uint8]:
    """Return a picture (H, W, 3) at another size: its middle, cut to that shape, then resized.

    A whole multiple is averaged in blocks, as training on the store does.
    """
    height, width = picture.shape[:2]
    if (height, width) == size:
        return picture
    if height % size[0] == 0 and height * size[1] == width * size[0]:
        return downsample(picture, size)
    top, left, cut = crop((height, width), size)
    box = (left, top, left + cut[1], top + cut[0])
    image = Image.fromarray(picture).resize(size[::-1], Image.Resampling.BILINEAR, box)
    return np.asarray(image)


def fit_intrinsics(
    intrinsics: NDArray[np.float64], stored: Size, size: Size
) -> NDArray[np.float64]:
    """Return the camera matrix (3, 3) of pictures that `fit` has brought from one size to another.

    Args:
        intrinsics: In px of the stored size.
        stored: Height and width as stored.
        size: Height and width after.
    """
    top, left, cut = crop(stored, size)
    scale = np.diag([size[1] / cut[1], size[0] / cut[0], 1.0])
    shift = np.array([[1, 0, -left], [0, 1, -top], [0, 0, 1.0]])
    fitted: NDArray[np.float64] = scale @ shift @ intrinsics
    return fitted


def crop(stored: Size, size: Size) -> tuple[float, float, tuple[float, float]]:
    """Return the middle of a picture that has another's shape.

    Args:
        stored: Height and width of the picture.
        size: Height and width whose ratio the middle has.

    Returns:
        Its top, its left, and its height and width, in px.
    """
    height = min(stored[0], stored[1] * size[0] / size[1])
    width = min(stored[1], stored[0] * size[1] / size[0])
    return (stored[0] - height) / 2, (stored[1] - width) / 2, (height, width)
