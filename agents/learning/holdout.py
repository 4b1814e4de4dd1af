"""Which episodes are held out from training: whole scenes, drawn by their names alone."""

import hashlib
import json
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray


def held_out(
    rows: Sequence[dict[str, Any]], usable: NDArray[np.bool_], share: float
) -> NDArray[np.bool_]:
    """Return which episodes are held out.

    Args:
        rows: Manifest rows; ``scene`` names an episode's scene, else it is its own.
        usable: ``(E,)`` whether an episode is long enough to train or validate on.
        share: Of scenes, within 0..1.

    Returns:
        ``(E,)`` bool.
    """
    scenes = [_scene(row) for row in rows]
    validation = np.array([_number(scene) < share for scene in scenes])
    if (validation & usable).any() and (~validation & usable).any():
        return validation
    # Too few scenes for the draw to hold out some but not all: hold out the last name.
    if len(set(scenes)) < 2:
        scenes = [_name(row) for row in rows]
    return np.array([scene == max(scenes) for scene in scenes])


def _name(row: dict[str, Any]) -> str:
    """Return the name of an episode's files."""
    return f"{row['id']:06d}"


def _scene(row: dict[str, Any]) -> str:
    """Return what identifies an episode's scene, the episode itself if the manifest does not."""
    scene = row.get("scene", (row.get("meta") or {}).get("scene"))
    return json.dumps(scene, sort_keys=True) if scene is not None else _name(row)


def _number(name: str) -> float:
    """Return a number in 0..1 that depends on the name alone."""
    return int.from_bytes(hashlib.sha256(name.encode()).digest()[:6], "big") / 2**48
