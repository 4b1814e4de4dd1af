"""`dexbench data export`: a set in another project's format."""

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Literal

import tyro

from dexbench.data_collection.store.store import EpisodeStore
from dexbench.data_collection.store.verify import damaged
from dexbench.utils.errors import UserError
from dexbench.utils.files import atomic_file, atomic_folder
from dexbench.utils.machine_errors import explain


@dataclass(frozen=True)
class ExportConfig:
    """Write a set in another format.

    robomimic: one HDF5 with the names and shapes of the data released with DexWM. It cannot carry
    compressed video (a frame is 263 kB before gzip), controls and the solver's warm start (its
    states are time, qpos, qvel: they can be rendered, but do not replay bit for bit), or an
    environment that robomimic could make.

    lerobot: a LeRobotDataset v3 (needs pyarrow: `pip install 'dexbench[export]'`). It cannot carry
    states and scenes: nothing can be rendered or simulated again from it, nor object positions be
    read; statistics are of the whole set, not of each episode.
    """

    set: Annotated[Path, tyro.conf.Positional]
    """Folder of the set."""
    format: Literal["robomimic", "lerobot"]
    """The format; see above for what it cannot carry."""
    out: Path
    """The HDF5 file (robomimic) or folder (lerobot); must not exist."""
    image: Literal["stored", "released"] = "stored"
    """Pictures in robomimic's file: as stored (224x392), or rendered again as released (600x960,
    field of view 80 degrees, of which the stored ones are rows 26 to 574)."""
    normalise_actions: bool = False
    """Map the actions in robomimic's file from the joint limits to [-1, 1], which its policies put
    out. The limits in rad stand beside them, as attributes `action_low` and `action_high`."""


def main(config: ExportConfig) -> None:
    """Export.

    Raises:
        UserError: There is no such set, it is damaged or empty, the output exists, or an optional
            package is missing.
    """
    if config.out.exists():
        raise UserError(f"{config.out} exists; choose another --out")
    store = EpisodeStore(config.set)
    store.refuse_slim()
    rows = list(store.rows())
    if not rows:
        raise UserError(f"{config.set} holds no episodes; collect some first")
    if config.format == "lerobot" and config.image != "stored":
        raise UserError("--image released is for --format robomimic; leave it out")
    if config.format == "lerobot" and config.normalise_actions:
        raise UserError(
            "--normalise-actions is for --format robomimic; leave it out, since lerobot's policies "
            "normalise by the statistics of the set"
        )
    for _, wrong in damaged(store, rows):
        for name, what in wrong.items():
            raise store.damaged(config.set / name, what)
    try:
        if config.format == "robomimic":
            from . import robomimic

            with atomic_file(config.out) as draft:
                released = config.image == "released"
                robomimic.write(config.set, draft, released, config.normalise_actions)
        else:
            from . import lerobot

            with atomic_folder(config.out) as draft:
                lerobot.write(store, draft)
    except (OSError, KeyError, ValueError) as error:
        if isinstance(error, UserError) or (isinstance(error, OSError) and explain(error)):
            raise
        raise UserError(
            f"{config.set} cannot be exported to {config.out} ({error}); "
            f"`dexbench data verify {config.set}` tells if the set is whole"
        ) from error
    print(f"wrote {config.out}: {len(rows)} episodes for {config.format}")
