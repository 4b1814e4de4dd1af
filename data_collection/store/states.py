"""Recorded states with the scenes they belong to, read from a set or from a pack of one.

Reading a pack needs neither robosuite nor RoboCasa: it brings the asset files of its scenes.
"""

import gzip
import io
import json
import tempfile
import zipfile
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Protocol

import h5py
import mujoco
import numpy as np
from numpy.typing import NDArray

from dexbench.envs.freeze import load
from dexbench.envs.simulation import STATE
from dexbench.utils.errors import UserError

from .store import EpisodeStore

PACK_SCHEMA = 1


class States(Protocol):
    """Where recorded states come from."""

    rows: list[dict[str, Any]]
    """Manifest rows of the episodes."""
    info: dict[str, Any]
    """The set's description."""

    def states(self, row: dict[str, Any]) -> NDArray[np.float64]:
        """Full integration states (T, n) float64 of an episode."""

    def model(self, row: dict[str, Any]) -> mujoco.MjModel:
        """Return the compiled scene of an episode."""

    def close(self) -> None:
        """Remove temporary files."""


def open_states(path: Path) -> States:
    """Return the states of a set's folder or of a pack's file.

    Raises:
        UserError: It is neither, or it is damaged, or made with another asset pack.
    """
    return PackStates(path) if path.is_file() else SetStates(path)


def play_states(model: mujoco.MjModel, states: NDArray[np.float64]) -> Iterator[mujoco.MjData]:
    """Yield the scene in each of the states (T, n), ready to be looked at.

    Raises:
        UserError: Another version of MuJoCo recorded them.
    """
    data = mujoco.MjData(model)
    if states.shape[1] != mujoco.mj_stateSize(model, STATE):
        raise UserError(
            f"states have {states.shape[1]} numbers, the scene {mujoco.mj_stateSize(model, STATE)};"
            f" render with the MuJoCo that recorded them (here is {mujoco.__version__})"
        )
    for state in states:
        mujoco.mj_setState(model, data, state, STATE)
        mujoco.mj_forward(model, data)
        yield data


class SetStates:
    """The states of an episode set; its scenes use the asset cache.

    Raises:
        UserError: There is no such set, it is slim, or another version of the asset pack was used.
    """

    def __init__(self, root: Path):
        from dexbench.envs.assets.cache import CONTAINED, PACK_VERSION, asset_root

        self._store = EpisodeStore(root)
        self.info, self.rows = self._store.info, list(self._store.rows())
        self._store.refuse_slim()
        assets = self.info.get("assets", "1")  # schema 1 did not name it, there was one
        if assets not in CONTAINED:
            raise UserError(
                f"{root} was recorded with asset pack {assets}, this dexbench has "
                f"{PACK_VERSION}; render with the dexbench that recorded it"
            )
        self.assets = asset_root()
        """Root of the asset files."""

    def xml(self, row: dict[str, Any]) -> str:
        """Return the frozen MJCF of an episode's scene."""
        try:
            return self._store.xml(row["model"])
        except (OSError, EOFError, zlib.error) as error:
            raise self._store.damaged(self._store.file(row, "model_gz"), error) from error

    def states(self, row: dict[str, Any]) -> NDArray[np.float64]:
        """Full integration states (T, n) float64 of an episode."""
        path = self._store.file(row, "h5")
        try:
            with h5py.File(path) as file:
                states: NDArray[np.float64] = file["state"][()]
                return states
        except (OSError, KeyError) as error:
            raise self._store.damaged(path, error) from error

    def model(self, row: dict[str, Any]) -> mujoco.MjModel:
        """Return the compiled scene of an episode."""
        return load(self.xml(row), self.assets)

    def close(self) -> None:
        """Nothing is to be removed."""


class PackStates:
    """The states of a pack, whose asset files are unpacked into a temporary folder.

    Raises:
        UserError: The file is no pack, or a damaged one.
    """

    def __init__(self, path: Path):
        self._path = path
        try:
            self._zip = zipfile.ZipFile(path)
            head = json.loads(self._zip.read("pack.json"))
            if head["pack"] != PACK_SCHEMA:
                raise UserError(f"{path} is a pack of a later dexbench; install a newer one")
            self.info, self.rows = head["info"], head["rows"]
            self._folder = tempfile.TemporaryDirectory(prefix="dexbench-")
            # `extract` leaves no file outside the folder, whatever a member is called.
            for name in self._zip.namelist():
                if name.startswith("assets/"):
                    self._zip.extract(name, self._folder.name)
        except (OSError, ValueError, LookupError, TypeError, zipfile.BadZipFile, zlib.error) as e:
            if isinstance(e, UserError):
                raise
            raise self._damaged(e) from e

    def states(self, row: dict[str, Any]) -> NDArray[np.float64]:
        """Full integration states (T, n) float64 of an episode."""
        try:
            with h5py.File(io.BytesIO(self._zip.read(f"states/{row['id']:06d}.h5"))) as file:
                states: NDArray[np.float64] = file["state"][()]
                return states
        except (OSError, KeyError, zipfile.BadZipFile) as error:
            raise self._damaged(error) from error

    def model(self, row: dict[str, Any]) -> mujoco.MjModel:
        """Return the compiled scene of an episode."""
        try:
            xml = gzip.decompress(self._zip.read(f"models/{row['model']}.xml.gz")).decode()
        except (OSError, KeyError, EOFError, zlib.error, zipfile.BadZipFile) as error:
            raise self._damaged(error) from error
        return load(xml, Path(self._folder.name) / "assets")

    def close(self) -> None:
        """Remove the unpacked asset files."""
        self._zip.close()
        self._folder.cleanup()

    def _damaged(self, error: Exception) -> UserError:
        return UserError(
            f"{self._path} is no pack, or a damaged one ({error}); "
            "`dexbench data pack SET --out FILE` makes one"
        )
