"""Recognises whose layout a folder has."""

from pathlib import Path
from typing import Protocol

from dexbench.utils.errors import UserError

from .clip import Clip
from .droid import Droid
from .egodex import EgoDex
from .episodes import EpisodeSet
from .lerobot_droid import LeRobotDroid
from .released import Released


class Layout(Protocol):
    """A folder of clips."""

    name: str
    """Whose layout it is."""

    def names(self) -> list[str]:
        """Return the names of all clips, of damaged ones too, in a fixed order."""

    def clip(self, name: str) -> Clip:
        """Return a clip by its name; nothing is read yet."""


LAYOUTS = (EpisodeSet, LeRobotDroid, Droid, EgoDex, Released)
"""All there are. A folder that has one's own files is not asked whether it is a later one's."""


def open_layout(root: Path) -> Layout:
    """Return what a folder, or the released data's single file, holds.

    Raises:
        UserError: It is none of the layouts, or its description is damaged.
    """
    if not root.exists():
        raise UserError(f"{root} does not exist; name a folder of recorded clips")
    for layout in LAYOUTS:
        if layout.recognises(root):
            return layout(root)
    raise UserError(
        f"{root} holds no clips that dexbench reads; expected an episode set (dataset.json), "
        "EgoDex (<part>/<task>/<i>.hdf5), DROID (metadata_*.json and trajectory.h5), LeRobot's "
        "DROID (meta/info.json) or the released RoboCasa HDF5 (*.hdf5)"
    )
