"""One recorded clip, and the file of its arrays."""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import h5py
import numpy as np
from numpy.typing import NDArray

from dexbench.utils.files import atomic_file

ARRAYS = ("agent_pos", "action", "keypoints", "state", "object_pos", "contact")
"""What an episode's HDF5 holds."""


@dataclass(frozen=True)
class Episode:
    """A recorded clip of T frames; row t of every array belongs to frame t."""

    frames: NDArray[np.uint8]
    """Images (T, H, W, 3) uint8; 224x392 unless the set was made with another --size."""
    agent_pos: NDArray[np.float32]
    """Achieved joint angles (T, 23) float32 in rad."""
    action: NDArray[np.float32]
    """Targets (T, 23) float32 in rad commanded from frame t to t + 1; the last row repeats."""
    keypoints: NDArray[np.float32]
    """Hand keypoints (T, 21, 3) float32 in the camera frame, in m."""
    state: NDArray[np.float64]
    """Full integration states (T, n) float64."""
    object_pos: NDArray[np.float64]
    """Object centres (T, k, 3) float64 in the base frame, in m."""
    contact: NDArray[np.bool_]
    """Whether the hand touches any object, (T,) bool."""
    xml: str
    """Frozen MJCF of the scene."""
    meta: dict[str, Any]
    """JSON-able facts: kind of clip, seed, objects, recipe, whether something was lifted."""

    def write_arrays(self, path: Path, model: str) -> None:
        """Write the arrays, and as the attribute ``meta`` the facts, into an HDF5.

        Args:
            path: The file, written whole or not at all.
            model: sha256 (hex) of the scene's MJCF, which is stored by itself.
        """
        with atomic_file(path) as draft, h5py.File(draft, "w") as file:
            for array in ARRAYS:
                file.create_dataset(
                    array, data=getattr(self, array), compression="gzip", compression_opts=1
                )
            file.attrs["meta"] = json.dumps(self.meta | {"model": model}, sort_keys=True)
