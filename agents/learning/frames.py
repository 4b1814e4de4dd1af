"""The pictures of clips, decoded once into one file that is mapped into memory."""

import json
import math
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from dexbench.utils.cores import usable_cores
from dexbench.utils.files import write_atomic
from dexbench.utils.progress import track

from .disk import reserved


def decoded(
    lengths: NDArray[np.int64],
    read: Callable[[int], NDArray[np.uint8]],
    digest: str,
    cache: Path,
    size: tuple[int, int],
    progress: bool = True,
) -> NDArray[np.uint8]:
    """Return the pictures of all clips, one after the other.

    Args:
        lengths: Frames ``(E,)`` of each clip.
        read: Returns a clip's pictures ``(T, *size, 3)`` by its number; called by several threads.
        digest: What tells these clips from others.
        cache: Folder of the file, which is written unless it holds these clips.
        size: Height and width of the pictures in px.
        progress: Whether to show a progress bar.

    Returns:
        ``(N, *size, 3)`` uint8, a read-only memory map.

    Raises:
        UserError: The disk is full; and whatever ``read`` raises.
    """
    ends = np.cumsum(lengths)
    path, mark = cache / "frames.u8", cache / "frames.json"
    shape = (int(ends[-1]), *size, 3)
    facts = {"digest": digest, "size": list(size), "frames": shape[0]}
    if not (mark.is_file() and json.loads(mark.read_text(encoding="utf-8")) == facts):
        cache.mkdir(parents=True, exist_ok=True)
        mark.unlink(missing_ok=True)
        with reserved(path, math.prod(shape)):
            frames = np.memmap(path, np.uint8, "w+", shape=shape)

        def decode(index: int) -> None:
            frames[ends[index] - lengths[index] : ends[index]] = read(index)

        # Decoding leaves Python's lock, so that threads are enough.
        with ThreadPoolExecutor(usable_cores()) as pool:
            decoding = pool.map(decode, range(len(lengths)))
            try:
                list(track(decoding, "decoding", len(lengths), unit="ep", show=progress))
            finally:
                pool.shutdown(cancel_futures=True)
        frames.flush()
        write_atomic(mark, json.dumps(facts))
    return np.memmap(path, np.uint8, "r", shape=shape)
