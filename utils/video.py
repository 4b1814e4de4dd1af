"""Writes, reads and shrinks H.264 videos."""

from collections.abc import Sequence
from pathlib import Path

import av
import numpy as np
from numpy.typing import NDArray

from .errors import UserError
from .files import atomic_file


def write_video(
    path: Path,
    frames: Sequence[NDArray[np.uint8]],
    fps: int = 10,
    crf: int = 20,
    preset: str = "veryfast",
    gop: int = 10,
    pixels: str = "yuv420p",
) -> None:
    """Write an mp4, complete or not at all; the same frames give the same bytes.

    Args:
        path: The mp4; its folder is made.
        frames: (height, width, 3) uint8 RGB each, of even size.
        fps: Frames a second; the environment's control rate plays in real time.
        crf: x264's constant rate factor; smaller is better and larger.
        preset: x264's preset; slower is smaller.
        gop: Most frames from one that stands by itself to the next.
        pixels: How pixels are stored; yuv420p halves the colours' resolution and plays everywhere.
    """
    with atomic_file(path) as draft:
        _encode(draft, frames, fps, pixels, {"crf": str(crf), "g": str(gop), "preset": preset})


def _encode(
    path: Path, frames: Sequence[NDArray[np.uint8]], fps: int, pixels: str, options: dict[str, str]
) -> None:
    with av.open(str(path), "w", format="mp4") as container:
        stream = container.add_stream("libx264", rate=fps)
        stream.height, stream.width = frames[0].shape[:2]
        stream.pix_fmt = pixels
        # One thread: x264's output depends on the number of threads.
        stream.thread_count = 1
        # x264's macroblock tree reads memory nobody wrote where a side is no multiple of 16,
        # as 392 is none: one clip in a hundred then came out different.
        stream.options = {**options, "x264-params": "mbtree=0"}
        for image in frames:
            frame = av.VideoFrame.from_ndarray(np.ascontiguousarray(image), format="rgb24")
            container.mux(stream.encode(frame))
        container.mux(stream.encode())


def read_video(path: Path) -> NDArray[np.uint8]:
    """Return all frames (n, height, width, 3) uint8 RGB of a video.

    Raises:
        ValueError: It cannot be read, or holds no picture.
    """
    try:
        with av.open(str(path)) as container:
            frames = [frame.to_ndarray(format="rgb24") for frame in container.decode(video=0)]
        return np.stack(frames)
    except (av.FFmpegError, LookupError, ValueError) as error:
        raise ValueError(f"no readable video ({error})") from error


def downsample(pixels: NDArray[np.uint8], size: tuple[int, int] = (112, 196)) -> NDArray[np.uint8]:
    """Average whole blocks of pixels, rounding to the nearest integer.

    Args:
        pixels: ``(..., H, W, 3)`` uint8; H and W are the same whole multiple of ``size``.
        size: Height and width to reach.

    Returns:
        ``(..., *size, 3)`` uint8.

    Raises:
        ValueError: The picture is no whole multiple of ``size``.
    """
    height, width = pixels.shape[-3:-1]
    factor = height // size[0]
    if factor < 1 or (size[0] * factor, size[1] * factor) != (height, width):
        raise ValueError(
            f"pictures must be a whole multiple of {size[0]}x{size[1]} pixels, "
            f"got {height}x{width}; render at 224x392"
        )
    if factor == 1:
        return pixels
    total = np.zeros((*pixels.shape[:-3], *size, 3), np.uint32)
    for row in range(factor):
        for column in range(factor):
            total += pixels[..., row::factor, column::factor, :]
    return ((total + factor * factor // 2) // (factor * factor)).astype(np.uint8)


def parse_size(text: str) -> tuple[int, int]:
    """Height and width in px of text such as 224x392.

    Raises:
        UserError: It is no such text, or a side is odd, which H.264 does not take.
    """
    try:
        height, width = map(int, text.lower().split("x"))
    except ValueError:
        height = width = 0
    if min(height, width) < 2 or height % 2 or width % 2 or max(height, width) > 4096:
        raise UserError(f"--size {text} must be height x width, both even, such as 224x392")
    return height, width
