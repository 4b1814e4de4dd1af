"""Which pixels of training pictures show an object, and which: as if there were no robot."""

import json
import math
from collections.abc import Iterator, Sequence
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
CELL = 2
"""Pixels of a cell's side."""
CELLS = (SIZE[0] // CELL, SIZE[1] // CELL)
"""Rows and columns of cells."""
MOST = 7
"""Objects of a scene that are told apart."""


class ObjectMasks:
    """The masks of all frames of some episode sets, in the order of their ``Footage``.

    Args:
        folders: The sets.
        episodes: Their frames.
        cache: Folder of the files, which are drawn unless they hold these sets' masks: 8.3 kB a
            frame.

    Raises:
        UserError: A set is slim or damaged, or was recorded with other assets; the disk is full.
    """

    def __init__(self, folders: Sequence[Path], episodes: Footage, cache: Path):
        mark, count = cache / "objects.json", len(episodes.frames)
        files: dict[str, tuple[tuple[int, ...], np.dtype[Any]]] = {
            "bits": ((count, SIZE[0], BYTES), np.dtype(np.uint8)),
            "cells": ((count, *CELLS), np.dtype(np.uint8)),
            "centres": ((count, MOST + 1, 2), np.dtype(np.float32)),
        }
        facts = {"digest": episodes.digest, "frames": count, "cells": [*CELLS]}
        if not (mark.is_file() and json.loads(mark.read_text(encoding="utf-8")) == facts):
            cache.mkdir(parents=True, exist_ok=True)
            mark.unlink(missing_ok=True)
            drawn = []
            for name, (shape, kind) in files.items():
                path = cache / f"objects.{name}"
                with reserved(path, math.prod(shape) * kind.itemsize):
                    drawn.append(np.memmap(path, kind, "w+", shape=shape))
            for first, masks in _drawn(folders, episodes):
                frames = slice(first, first + len(masks))
                values = np.packbits(masks > 0, axis=-1), shown_by_cells(masks), centres(masks)
                for array, value in zip(drawn, values, strict=True):
                    array[frames] = value
            for array in drawn:
                array.flush()
            write_atomic(mark, json.dumps(facts))
        self._bits, self._cells, self._centres = (
            np.memmap(cache / f"objects.{name}", kind, "r", shape=shape)
            for name, (shape, kind) in files.items()
        )

    def __getitem__(self, index: NDArray[np.int64]) -> NDArray[np.bool_]:
        """Return masks ``(..., 112, 196)`` bool of frames ``(...)``."""
        masks: NDArray[np.bool_] = np.unpackbits(self._bits[index], axis=-1, count=SIZE[1]).view(
            np.bool_
        )
        return masks

    def numbers(self, index: NDArray[np.int64]) -> tuple[NDArray[np.uint8], NDArray[np.float32]]:
        """Return which object is where in frames ``(...)``.

        Returns:
            The number from 1 of the object that each cell shows, or 0, ``(..., 56, 98)``; and the
            middle of what is seen of each object, ``(..., 8, 2)`` in cells, row first: not a number
            of 0, and of one that is not wholly in the picture.
        """
        return np.array(self._cells[index]), np.array(self._centres[index])

    def moved(self, index: NDArray[np.int64]) -> NDArray[np.float32]:
        """Return how far in cells objects move at most from frame to frame of windows ``(B, F)``.

        Returns:
            ``(B, F - 1)``; 0 where the middle of no object is known both before and after.
        """
        ways = np.diff(self._centres[index], axis=1)
        farthest: NDArray[np.float32] = np.nan_to_num(np.linalg.norm(ways, axis=-1)).max(-1)
        return farthest


def shown_by_cells(masks: NDArray[np.int8]) -> NDArray[np.uint8]:
    """Return the largest number ``(n, 56, 98)`` in each cell of masks ``(n, 112, 196)``."""
    told = np.where((masks > 0) & (masks <= MOST), masks, 0).astype(np.uint8)
    most: NDArray[np.uint8] = told.reshape(len(masks), CELLS[0], CELL, CELLS[1], CELL).max((2, 4))
    return most


def centres(masks: NDArray[np.int8]) -> NDArray[np.float32]:
    """Return the middles ``(n, 8, 2)`` in cells of what masks ``(n, 112, 196)`` show of objects.

    Not a number of those that touch the picture's edge: what is seen of them has another middle.
    """
    edge = np.ones(masks.shape[1:], bool)
    edge[1:-1, 1:-1] = False
    middles = np.full((len(masks), MOST + 1, 2), np.nan, np.float32)
    for number in range(1, MOST + 1):
        frame, row, column = np.nonzero(masks == number)
        count = np.bincount(frame, minlength=len(masks))
        for axis, place in enumerate((row, column)):
            total = np.bincount(frame, place + 0.5, len(masks))
            seen = (count > 0) & ~(masks[:, edge] == number).any(-1)
            middles[seen, number, axis] = total[seen] / count[seen] / CELL
    return middles


def _drawn(folders: Sequence[Path], episodes: Footage) -> Iterator[tuple[int, NDArray[np.int8]]]:
    """Draw the masks of all frames; yield each episode's first frame and its masks."""
    begin = 0
    for folder in folders:
        members, _ = open_sets([folder])
        wanted = [(row, np.arange(int(row["frames"]))) for _, row in members]
        for number, masks in draw_masks(folder, wanted, alone=True):
            first, length = episodes.first[begin + number], episodes.length[begin + number]
            if len(masks) != length:
                raise UserError(f"{folder} changed while it was read; start again")
            yield int(first), masks
        begin += len(members)
