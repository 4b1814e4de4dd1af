"""Which pixels of training pictures show an object, whether or not the robot is before it."""

import json
import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from dexbench.data_collection.store.masks import SIZE, draw_masks
from dexbench.utils.errors import UserError
from dexbench.utils.files import write_atomic

from .disk import reserved
from .episodes import open_sets
from .footage import Footage

BYTES = math.ceil(SIZE[1] / 8)
"""A mask's row, one bit a pixel."""


class ObjectMasks:
    """The masks of all frames of some episode sets, in the order of their ``Footage``.

    Args:
        folders: The sets.
        episodes: Their frames.
        cache: Folder of the file, which is drawn unless it holds these sets' masks: 2.8 kB a frame.

    Raises:
        UserError: A set is slim or damaged, or was recorded with other assets; the disk is full.
    """

    def __init__(self, folders: Sequence[Path], episodes: Footage, cache: Path):
        path, mark = cache / "objects.bits", cache / "objects.json"
        shape = (len(episodes.frames), SIZE[0], BYTES)
        facts = {"digest": episodes.digest, "frames": shape[0]}
        if not (mark.is_file() and json.loads(mark.read_text(encoding="utf-8")) == facts):
            cache.mkdir(parents=True, exist_ok=True)
            mark.unlink(missing_ok=True)
            with reserved(path, math.prod(shape)):
                bits = np.memmap(path, np.uint8, "w+", shape=shape)
            _draw(folders, episodes, bits)
            bits.flush()
            write_atomic(mark, json.dumps(facts))
        self._bits = np.memmap(path, np.uint8, "r", shape=shape)

    def __getitem__(self, index: NDArray[np.int64]) -> NDArray[np.bool_]:
        """Return masks ``(..., 112, 196)`` bool of frames ``(...)``."""
        masks: NDArray[np.bool_] = np.unpackbits(self._bits[index], axis=-1, count=SIZE[1]).view(
            np.bool_
        )
        return masks


def _draw(
    folders: Sequence[Path], episodes: Footage, bits: "np.memmap[Any, np.dtype[np.uint8]]"
) -> None:
    """Draw the masks of all frames."""
    begin = 0
    for folder in folders:
        members, _ = open_sets([folder])
        wanted = [(row, np.arange(int(row["frames"]))) for _, row in members]
        for number, masks in draw_masks(folder, wanted, alone=True):
            first, length = episodes.first[begin + number], episodes.length[begin + number]
            if len(masks) != length:
                raise UserError(f"{folder} changed while it was read; start again")
            bits[first : first + length] = np.packbits(masks > 0, axis=-1)
        begin += len(members)
