"""Which clips are held out from training: whole scenes, drawn by their names alone."""

import hashlib
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from dexbench.data_collection.store.manifest import episode_name, scene_of


def held_out(
    rows: Sequence[dict[str, Any]], usable: NDArray[np.bool_], share: float
) -> NDArray[np.bool_]:
    """Return which episodes are held out; as ``held_out_clips``.

    Args:
        rows: Manifest rows; ``scene`` names an episode's scene, else it is its own.
        usable: ``(E,)`` whether an episode is long enough to train or validate on.
        share: Of scenes, within 0..1.
    """
    names, scenes = [episode_name(row) for row in rows], [scene_of(row) for row in rows]
    return held_out_clips(names, scenes, usable, share)


def held_out_clips(
    names: Sequence[str], scenes: Sequence[str], usable: NDArray[np.bool_], share: float
) -> NDArray[np.bool_]:
    """Return which clips are held out.

    Args:
        names: Of the clips.
        scenes: What identifies each one's scene.
        usable: ``(E,)`` whether a clip is long enough to train or validate on.
        share: Of scenes, within 0..1.

    Returns:
        ``(E,)`` bool.
    """
    validation = np.array([_number(scene) < share for scene in scenes])
    if (validation & usable).any() and (~validation & usable).any():
        return validation
    # Too few scenes for the draw to hold out some but not all: hold out the last name.
    if len(set(scenes)) < 2:
        scenes = names
    return np.array([scene == max(scenes) for scene in scenes])


def _number(name: str) -> float:
    """Return a number in 0..1 that depends on the name alone."""
    return int.from_bytes(hashlib.sha256(name.encode()).digest()[:6], "big") / 2**48
