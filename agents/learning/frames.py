"""The pictures of episode sets, decoded once into one file that is mapped into memory."""

import json
import math
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from tqdm import tqdm

from dexbench.data_collection.store.store import EpisodeStore
from dexbench.utils.cores import usable_cores
from dexbench.utils.errors import UserError
from dexbench.utils.files import write_atomic
from dexbench.utils.video import downsample, read_video

from .disk import reserved


def decoded(
    episodes: Sequence[tuple[EpisodeStore, dict[str, Any]]],
    digest: str,
    cache: Path,
    size: tuple[int, int],
    progress: bool = True,
) -> NDArray[np.uint8]:
    """Return the pictures of all episodes, one after the other.

    Args:
        episodes: Each one's store and manifest row.
        digest: What tells these episodes from others.
        cache: Folder of the file, which is written unless it holds these episodes.
        size: Height and width in px to average down to.
        progress: Whether to show a progress bar.

    Returns:
        ``(N, *size, 3)`` uint8, a read-only memory map.

    Raises:
        UserError: The disk is full; or a video is missing or damaged, of another length than its
            manifest says, or of a size that is no whole multiple.
    """
    ends = np.cumsum([row["frames"] for _, row in episodes])
    path, mark = cache / "frames.u8", cache / "frames.json"
    shape = (int(ends[-1]), *size, 3)
    facts = {"digest": digest, "size": list(size), "frames": shape[0]}
    if not (mark.is_file() and json.loads(mark.read_text(encoding="utf-8")) == facts):
        cache.mkdir(parents=True, exist_ok=True)
        mark.unlink(missing_ok=True)
        with reserved(path, math.prod(shape)):
            frames = np.memmap(path, np.uint8, "w+", shape=shape)

        def decode(index: int) -> None:
            pictures = _pictures(*episodes[index], size)
            frames[ends[index] - len(pictures) : ends[index]] = pictures

        silent = None if progress else True  # None shows bars on terminals only
        # Decoding leaves Python's lock, so that threads are enough.
        with ThreadPoolExecutor(usable_cores()) as pool:
            decoding = pool.map(decode, range(len(episodes)))
            try:
                list(tqdm(decoding, "decoding", len(episodes), unit="ep", disable=silent))
            finally:
                pool.shutdown(cancel_futures=True)
        frames.flush()
        write_atomic(mark, json.dumps(facts))
    return np.memmap(path, np.uint8, "r", shape=shape)


def _pictures(store: EpisodeStore, row: dict[str, Any], size: tuple[int, int]) -> NDArray[np.uint8]:
    """Return the pictures ``(T, *size, 3)`` of an episode, as many as its manifest says."""
    video = store.file(row, "mp4")
    try:
        pictures = read_video(video)
    except (OSError, ValueError) as error:
        raise store.damaged(video, error) from error
    try:
        frames = downsample(pictures, size)
    except ValueError as error:
        raise UserError(f"{video}: {error}, or train with another size") from error
    if len(frames) != row["frames"]:
        raise UserError(
            f"{video} has {len(frames)} frames, its manifest says "
            f"{row['frames']}; collect the set again"
        )
    return frames
