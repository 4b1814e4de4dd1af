"""The scenes that a set's episodes were recorded in, to be simulated anew."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from dexbench.data_collection.store.masks import object_names
from dexbench.data_collection.store.states import SetStates
from dexbench.data_collection.store.store import EpisodeStore
from dexbench.envs.simulation import Simulation


class Scenes:
    """One is open at a time: ask for the episodes of a scene one after the other.

    Args:
        store: The set.

    Raises:
        UserError: The set is slim, or was recorded with other assets.
    """

    def __init__(self, store: EpisodeStore):
        self._store, self._source = store, SetStates(store.root)
        self._open: Simulation | None = None
        self._name = ""

    def load(self, row: dict[str, Any]) -> Simulation:
        """Return the simulation of an episode's scene, which draws pictures of the set's size.

        Raises:
            UserError: A file is missing or damaged.
        """
        if self._open is None or self._name != row["model"]:
            self.close()
            height, width = self._store.info["image_size"]
            names = object_names(self._store, row)
            self._open = Simulation(self._source.xml(row), names, (height, width))
            self._name = row["model"]
        return self._open

    def state(self, row: dict[str, Any], frame: int) -> NDArray[np.float64]:
        """Return the full state of an episode at a frame, for ``Simulation.set_state``."""
        state: NDArray[np.float64] = self._source.states(row)[frame]
        return state

    def close(self) -> None:
        """Free the simulation's renderer."""
        if self._open is not None:
            self._open.close()
        self._open = None
