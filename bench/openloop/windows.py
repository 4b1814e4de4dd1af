"""The frozen windows of a set: which 4 s of which clips every model is measured on.

They are a pure function of the set, the split and the seed, so that two models are compared on the
same ones.
"""

import hashlib
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np

from dexbench.agents.learning.episodes import open_sets
from dexbench.agents.learning.holdout import held_out
from dexbench.data_collection.store.store import EpisodeStore
from dexbench.utils.errors import UserError
from dexbench.utils.seeding import rng

HORIZON = 4.0
"""Seconds that are predicted (paper 4.4)."""
HOLDOUT = 0.06
"""Share of scenes that a training on the set holds out unless told otherwise."""

Split = Literal["all", "held-out"]


@dataclass(frozen=True)
class Windows:
    """Some windows of a set, at most one of each clip."""

    store: EpisodeStore
    """The set."""
    rows: tuple[dict[str, Any], ...]
    """Manifest row of each window's clip."""
    starts: tuple[int, ...]
    """Each window's first frame in its clip."""
    facts: dict[str, Any]
    """The set's name and digest, the split and the seed, the ``windows`` as pairs of a clip's
    number and first frame, and ``windows_sha256`` over all of that but the name."""


def draw_windows(folder: Path, split: Split, seed: int, count: int) -> Windows:
    """Draw the windows of a set.

    The first so many of a larger draw are the smaller one.

    Args:
        folder: The set.
        split: All clips, or only those of scenes that a training on the set holds out.
        seed: Names the draw.
        count: Most windows.

    Raises:
        UserError: The set cannot be read, or fewer than two of its clips are long enough.
    """
    episodes, digest = open_sets([folder])
    store, all_rows = episodes[0][0], [row for _, row in episodes]
    frames = round(HORIZON * store.info["control_hz"])
    long_enough = np.array([row["frames"] > frames for row in all_rows])
    if split == "held-out":
        chosen = held_out(all_rows, long_enough, HOLDOUT) & long_enough
    else:
        chosen = long_enough
    numbers = np.flatnonzero(chosen)
    if len(numbers) < 2:
        raise UserError(
            f"{folder} has {len(numbers)} clips of over {HORIZON:g} s in the split {split!r}, "
            "expected two or more; collect more, or choose --split all"
        )
    order = rng("openloop", "clips", seed).permutation(numbers)[:count]
    rows = tuple(all_rows[number] for number in order)
    starts = tuple(
        int(rng("openloop", "start", seed, row["id"]).integers(row["frames"] - frames))
        for row in rows
    )
    windows = [[row["id"], start] for row, start in zip(rows, starts, strict=True)]
    facts = {"set_sha256": digest, "split": split, "seed": seed, "windows": windows}
    text = json.dumps(facts, sort_keys=True)
    facts["windows_sha256"] = hashlib.sha256(text.encode()).hexdigest()
    return Windows(store, rows, starts, {"set": folder.resolve().name, **facts})
