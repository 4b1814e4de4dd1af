"""A set in DROID's raw layout, kept as whole as a set of robot episodes.

<set>/dexbench/success/<session>/<clip>/metadata_<uuid>.json       camera and its pose
trajectory.h5              states of the robot
recordings/MP4/<serial>.mp4
<set>/dataset.json, <set>/manifest.jsonl   as in every set
"""

import json
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

import h5py
import numpy as np
from numpy.typing import NDArray

from dexbench.envs.embodiment.robot import CONTROL_HZ
from dexbench.utils.files import DRAFT, atomic_file, file_sha256, write_atomic
from dexbench.utils.video import write_video

from .store import EpisodeStore

SERIAL = "00000001"
"""Serial number of the only camera."""
LAB = "dexbench"


@dataclass(frozen=True)
class GripperClip:
    """A clip of T frames; poses are in the robot's base, as position in m and Euler angles."""

    frames: list[NDArray[np.uint8]]
    """Images (H, W, 3) uint8."""
    joints: NDArray[np.float64]
    """Joint angles (T, 7) in rad."""
    tool: NDArray[np.float64]
    """Poses (T, 6) of the point between the fingers."""
    gripper: NDArray[np.float64]
    """(T,), 0 wide open to 1 closed."""
    camera: NDArray[np.float64]
    """Pose (6,) of the camera's optical frame."""
    intrinsic: NDArray[np.float64]
    """Camera matrix (3, 3) in px of the images."""
    task: str
    """What is done, in words."""


class DroidStore(EpisodeStore):
    """A folder of clips in DROID's raw layout; see `EpisodeStore`."""

    layout: ClassVar[str] = "droid"
    kinds: ClassVar[tuple[str, ...]] = ("json", "h5", "mp4")

    def file(self, row: dict[str, Any], kind: str) -> Path:
        """Return where a clip's ``json``, ``h5`` or ``mp4`` is."""
        session = f"session_{row['id'] // 1000:03d}"
        folder = self.root / LAB / "success" / session / f"clip_{row['id']:06d}"
        names = {
            "json": f"metadata_{self._uuid(row['id'])}.json",
            "h5": "trajectory.h5",
            "mp4": f"recordings/MP4/{SERIAL}.mp4",
        }
        return folder / names[kind]

    def held(self) -> Iterable[Path]:
        """Return all files where clips and drafts may be."""
        found = [path for path in (self.root / LAB).rglob("*") if path.is_file()]
        return found + [path for path in self.root.iterdir() if DRAFT.fullmatch(path.name)]

    @staticmethod
    def _uuid(index: int) -> str:
        return f"{LAB}+{index:06d}"

    def write_clip(self, index: int, clip: GripperClip) -> dict[str, Any]:
        """Write a clip's files; `commit` makes it part of the set.

        Args:
            index: Its number in the set, which names its folder.
            clip: What to write.

        Returns:
            Its manifest line.
        """
        row = {"id": index, "frames": len(clip.frames)}
        paths = {kind: self.file(row, kind) for kind in self.kinds}
        write_video(paths["mp4"], clip.frames, fps=CONTROL_HZ)
        with atomic_file(paths["h5"]) as draft, h5py.File(draft, "w") as file:
            self._trajectory(file, clip)
        video = str(paths["mp4"].relative_to(self.root))
        facts = {
            "uuid": self._uuid(index), "lab": LAB, "success": True, "current_task": clip.task,
            "trajectory_length": len(clip.frames), "ext1_cam_serial": SERIAL,
            "ext1_cam_extrinsics": clip.camera.tolist(), "ext1_mp4_path": video,
            "left_mp4_path": video, "hdf5_path": str(paths["h5"].relative_to(self.root)),
        }  # fmt: skip
        write_atomic(paths["json"], json.dumps(facts, indent=1, sort_keys=True))
        return row | {kind: file_sha256(path) for kind, path in paths.items()}

    @staticmethod
    def _trajectory(file: h5py.File, clip: GripperClip) -> None:
        states = {
            "cartesian_position": clip.tool,
            "joint_positions": clip.joints,
            "gripper_position": clip.gripper,
        }
        for name, values in states.items():
            file[f"observation/robot_state/{name}"] = values
            # The action of a step is the state that it leads to.
            file[f"action/{name.replace('positions', 'position')}"] = np.concatenate(
                [values[1:], values[-1:]]
            )
        n = len(clip.frames)
        file[f"observation/camera_extrinsics/{SERIAL}_left"] = np.tile(clip.camera, (n, 1))
        file[f"observation/camera_intrinsics/{SERIAL}_left"] = clip.intrinsic
        file["observation/timestamp/control/step_start"] = np.arange(n) * (1000 // CONTROL_HZ)
