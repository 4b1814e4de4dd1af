"""Reads DROID as recorded: an arm with a parallel gripper, seen from outside (Khazatsky 2024).

    <lab>/<success or failure>/<date>/<time>/metadata_<uuid>.json   cameras and their poses
                                             trajectory.h5          15 Hz
                                             recordings/MP4/<serial>.mp4

The gripper stands for a right hand; the left one is absent.
"""

import json
from pathlib import Path
from typing import Any

import h5py
import numpy as np
from numpy.typing import NDArray

from dexbench.utils.errors import message

from .clip import Clip
from .errors import ClipError, camera_matrix, finite, numbers, reading
from .gripper import gripper_hands, poses_of
from .pictures import Mp4
from .sample import Poses

RATE = 15.0
"""Frames a second where the file has no times; the mp4's own rate is the camera's."""


class DroidClip(Clip):
    """A recording of a robot.

    Its camera is the one outside that the metadata name as the left one. The world frame is the
    robot's base.

    Args:
        name: Its folder's name.
        folder: Its folder.
    """

    def __init__(self, name: str, folder: Path):
        super().__init__(name, folder / "trajectory.h5")
        self._folder = folder
        self._metadata = next(iter(sorted(folder.glob("metadata_*.json"))), folder / "metadata")

    def pictures(self) -> Mp4:
        """Return the pictures."""
        left = self._field(self._read_metadata(), "left_mp4_path", str)
        # The path is that of the machine where the file was made; only its name holds here.
        return Mp4(self._folder / "recordings" / "MP4" / Path(left).name)

    def poses(self) -> Poses:
        """Return the poses; see `Clip.poses`.

        The hand is a stand-in for the gripper, so that no keypoint of it is seen.
        """
        metadata = self._read_metadata()
        serial, placed = self._camera(metadata)
        count = self.pictures().count
        with reading(self.path), h5py.File(self.path) as file:
            state = "observation/robot_state"
            effector = numbers(file, f"{state}/cartesian_position", (None, 6))
            gripper = numbers(file, f"{state}/gripper_position", (len(effector),))
            intrinsics = _intrinsics(file, serial)
            rate = _rate(file)
        if len(effector) == count + 1:
            # DROID's videos lack the last step's picture.
            effector, gripper = effector[:count], gripper[:count]
        hands = gripper_hands(poses_of(effector), gripper)
        return Poses(
            hands=hands,
            seen=np.zeros(hands.shape[:3], bool),
            camera=np.tile(poses_of(placed[None]), (len(hands), 1, 1)),
            intrinsics=intrinsics,
            rate=rate,
        )

    def text(self) -> str:
        """Return the task that the operator was given."""
        return str(self._read_metadata().get("current_task") or "")

    def _read_metadata(self) -> dict[str, Any]:
        if not self._metadata.is_file():
            raise ClipError(self._folder, "lacks its metadata_*.json")
        try:
            data = json.loads(self._metadata.read_bytes())
        except (OSError, ValueError) as error:
            raise ClipError(self._metadata, f"cannot be read ({message(error)})") from error
        if not isinstance(data, dict):
            raise ClipError(self._metadata, "is no JSON object")
        return data

    def _field(self, metadata: dict[str, Any], key: str, kind: type) -> Any:
        value = metadata.get(key)
        if not isinstance(value, kind):
            raise ClipError(self._metadata, f"has {key} {value!r}, expected a {kind.__name__}")
        return value

    def _camera(self, metadata: dict[str, Any]) -> tuple[str, NDArray[np.float64]]:
        """Return the serial number of the left outer camera, and its pose (6,) in the base."""
        left = Path(self._field(metadata, "left_mp4_path", str)).name
        for camera in ("ext1", "ext2"):
            if Path(str(metadata.get(f"{camera}_mp4_path"))).name == left:
                key = f"{camera}_cam_extrinsics"
                values = self._field(metadata, key, list)
                try:
                    placed = np.asarray(values, np.float64)
                except (TypeError, ValueError):
                    placed = np.empty(0)
                if placed.shape != (6,):
                    raise ClipError(self._metadata, f"has {key} {values}, expected six numbers")
                return Path(left).stem, finite(self._metadata, key, placed)
        raise ClipError(self._metadata, f"has no camera for the video {left}")


def _intrinsics(file: h5py.File, serial: str) -> NDArray[np.float64] | None:
    """Return a camera's matrix (3, 3) in px; the published files have none."""
    name = f"observation/camera_intrinsics/{serial}_left"
    if name not in file:
        return None
    data = file[name]
    matrix = numbers(file, name, (3, 3) if data.ndim == 2 else (None, 3, 3)).reshape(-1, 3, 3)[0]
    return camera_matrix(Path(file.filename), name, matrix)


def _rate(file: h5py.File) -> float:
    """Return the frames a second by the times in ms at which steps began.

    Raises:
        ClipError: The times do not rise.
    """
    name = "observation/timestamp/control/step_start"
    if name not in file:
        return RATE
    gaps = np.diff(numbers(file, name, (None,)))
    if not len(gaps):
        return RATE
    between = float(np.median(gaps))
    if between <= 0:
        raise ClipError(Path(file.filename), f"has times in {name} that do not rise")
    return 1000 / between


class Droid:
    """The layout of DROID's raw files.

    Args:
        root: A folder that holds recordings, at any depth.
    """

    name = "droid"

    def __init__(self, root: Path):
        self._root = root

    @staticmethod
    def recognises(root: Path) -> bool:
        """Return whether a path holds this layout."""
        return any(root.rglob("metadata_*.json")) or any(root.rglob("trajectory.h5"))

    def names(self) -> list[str]:
        """Return the names of all clips, sorted; of those with one of their files too."""
        files = [*self._root.rglob("metadata_*.json"), *self._root.rglob("trajectory.h5")]
        return sorted({path.parent.relative_to(self._root).as_posix() for path in files})

    def clip(self, name: str) -> Clip:
        """Return a clip by its name."""
        return DroidClip(name, self._root / name)
