"""Reads the RoboCasa data released with the paper, and what `data export` writes like them.

    <set>/combine_demos_<k>.hdf5   data/demo_<i>/obs/robot0_robotview_2_image        (n, H, W, 3)
                                   .../robot0_right_hand_T_world_pose_mat            (n, 16)
                                   .../robot0_right_gripper_keypoint_pose            (n, 66)
                                   .../robot0_base_pos, robot0_base_quat             (n, 3), (n, 4)
    <set>/split_indices_robocasa_pp.json   the release's split of its pick-and-place demos

The right hand is read; the left one is absent, as in the paper.
"""

import json
from functools import cached_property
from pathlib import Path
from typing import Any

import h5py
import numpy as np
from numpy.typing import NDArray
from scipy.spatial.transform import Rotation

from dexbench.envs.embodiment.camera import FOCAL, HEAD_POS, HEIGHT, OPTICAL_IN_BASE, WIDTH
from dexbench.utils.errors import UserError, message

from .clip import Clip
from .errors import ROUNDING, ClipError, numbers, reading
from .pictures import Hdf5Pictures
from .sample import RIGHT, Poses, in_picture

IMAGE = "robot0_robotview_2_image"
RATE = 20.0
"""Frames a second where the file does not say, as in RoboCasa."""
RELEASED_SIZE = (600, 960)
RELEASED_FOCAL = 300 / np.tan(np.radians(40))
"""Height and width in px of the released pictures, and the focal length of their 80 degrees."""
_LINKS = 16
_ORDER = (*range(12, 16), *range(12), *range(8, 12))
"""The links of thumb, index, middle and ring finger, and the ring finger's again as the little
one's; the file has index, middle, ring, thumb."""
SPLIT = "split_indices_robocasa_pp.json"
TRIALS = (
    3, 9, 12, 15, 17, 19, 20, 25, 26, 28, 35, 36, 37, 39, 41, 44, 55, 56, 57, 59, 64, 68, 69, 70,
    83, 86, 87, 88, 104, 109, 110, 111, 112, 115, 120, 129, 131, 134, 141, 145, 146, 149, 151, 152,
    155, 157, 158, 160, 163, 168,
)  # fmt: skip
"""Which of the release's test demos the paper's 50 trials begin from."""


class ReleasedDemo(Clip):
    """A demo of the benchmark's robot in a kitchen; the simulation's world frame is the world's.

    Args:
        name: The file's name and the demo's.
        path: The file.
        demo: The demo's name in it.
        split: What it is for, as published.
    """

    def __init__(self, name: str, path: Path, demo: str, split: str):
        super().__init__(name, path, split)
        self._demo = f"data/{demo}"

    def pictures(self) -> Hdf5Pictures:
        """Return the pictures."""
        return Hdf5Pictures(self.path, f"{self._demo}/obs/{IMAGE}")

    def poses(self) -> Poses:
        """Return the poses; see `Clip.poses`. The left hand is absent, as in the paper."""
        size = self.pictures().size
        with reading(self.path), h5py.File(self.path) as file:
            obs = file[f"{self._demo}/obs"]
            wrist = numbers(obs, "robot0_right_hand_T_world_pose_mat", (None, 16))
            count = len(wrist)
            sites = numbers(obs, "robot0_right_gripper_keypoint_pose", (count, 66))
            place = numbers(obs, "robot0_base_pos", (count, 3))
            quat = numbers(obs, "robot0_base_quat", (count, 4))
            rate = _rate(file)
            uneven = np.abs(np.linalg.norm(quat, axis=1) - 1) > ROUNDING
            if uneven.any():
                raise ClipError(
                    self.path,
                    f"has no rotation in robot0_base_quat, first at {int(np.argmax(uneven))}",
                )
            base = Rotation.from_quat(quat).as_matrix()
        hands = np.zeros((count, 2, 21, 3))
        hands[:, RIGHT, 0] = wrist.reshape(count, 4, 4)[:, :3, 3]
        links = sites.reshape(count, 22, 3)[:, -_LINKS:]
        hands[:, RIGHT, 1:] = links[:, _ORDER]
        camera = np.tile(np.eye(4), (count, 1, 1))
        camera[:, :3, :3] = base @ OPTICAL_IN_BASE
        camera[:, :3, 3] = place + base @ np.array(HEAD_POS)
        intrinsics = self._intrinsics(size)
        seen = in_picture(hands, camera, intrinsics, size)
        seen[:, 1 - RIGHT] = False
        return Poses(
            hands=hands.astype(np.float32),
            seen=seen,
            camera=camera,
            intrinsics=intrinsics,
            rate=rate,
        )

    def text(self) -> str:
        """Return the task in words, if the episode's facts name it."""
        with reading(self.path), h5py.File(self.path) as file:
            meta = _facts(file[self._demo], "ep_meta")
            return str(meta.get("lang", meta.get("kind", "")))

    def _intrinsics(self, size: tuple[int, int]) -> NDArray[np.float64]:
        """Return the camera matrix of pictures of the released shape, or of the benchmark's."""
        height, width = size
        if height * RELEASED_SIZE[1] == width * RELEASED_SIZE[0]:
            focal = RELEASED_FOCAL * height / RELEASED_SIZE[0]
        elif height * WIDTH == width * HEIGHT:
            focal = FOCAL * height / HEIGHT
        else:
            raise ClipError(
                self.path,
                f"has pictures of {height}x{width}, expected the shape of 600x960 or 224x392",
            )
        return np.array([[focal, 0, width / 2], [0, focal, height / 2], [0, 0, 1]])


def _rate(file: h5py.File) -> float:
    """Return the control rate in Hz that the file names."""
    settings = _facts(file["data"], "env_args").get("env_kwargs") or {}
    return float(settings["control_freq"]) if "control_freq" in settings else RATE


def _facts(group: h5py.Group, name: str) -> dict[str, Any]:
    """Return what an attribute says in JSON; nothing without it.

    Raises:
        ValueError: It is no JSON object.
    """
    facts = json.loads(group.attrs.get(name, "{}"))
    if not isinstance(facts, dict):
        raise ValueError(f"{name} is no JSON object")
    return facts


class DamagedFile(Clip):
    """Stands for the demos of a file that cannot be opened, since nobody knows their names.

    Args:
        name: The file's name.
        error: What is wrong with it, raised whenever the clip is read.
    """

    def __init__(self, name: str, error: ClipError):
        super().__init__(name, error.path)
        self._error = error

    def pictures(self) -> Hdf5Pictures:
        """Raise the error."""
        raise self._error

    def poses(self) -> Poses:
        """Raise the error."""
        raise self._error


class Released:
    """The layout of the released HDF5 files.

    Args:
        root: A folder that holds them, or one such file.

    Raises:
        UserError: The file of the split is damaged.
    """

    name = "robocasa-hdf5"

    def __init__(self, root: Path):
        self._files = [root] if root.is_file() else sorted(root.rglob("*.hdf5"))
        self._root = root.parent if root.is_file() else root
        self._splits = _published_split(self._root / SPLIT)

    @staticmethod
    def recognises(root: Path) -> bool:
        """Return whether a path holds this layout."""
        files = [root] if root.is_file() else root.rglob("*.hdf5")
        return any(path.suffix == ".hdf5" and not path.stem.isdecimal() for path in files)

    @cached_property
    def _clips(self) -> dict[str, Clip]:
        """Clips by their names, in the order of files and numbers."""
        found: dict[str, Clip] = {}
        for path in self._files:
            inside = path.relative_to(self._root).as_posix()
            try:
                splits = self._demos(path)
            except ClipError as error:
                found[inside] = DamagedFile(inside, error)
                continue
            for demo, split in splits.items():
                name = f"{inside}/{demo}"
                found[name] = ReleasedDemo(name, path, demo, split)
        return found

    def _demos(self, path: Path) -> dict[str, str]:
        """Return the demos of a file, and the split that each is in."""
        with reading(path), h5py.File(path) as file:
            if not isinstance(file.get("data"), h5py.Group):
                raise ClipError(path, "lacks data")
            demos = sorted(file["data"], key=lambda name: (len(name), name))
            masks = {name: key for key in file.get("mask", ()) for name in _words(file, key)}
        return {
            demo: self._splits.get((path.name, demo), masks.get(demo, "train")) for demo in demos
        }

    def names(self) -> list[str]:
        """Return the names of all clips, by file and number; of damaged files too."""
        return list(self._clips)

    def clip(self, name: str) -> Clip:
        """Return a clip by its name."""
        return self._clips[name]


def _words(file: h5py.File, key: str) -> list[str]:
    """Return the names under a filter key."""
    return [str(name) for name in file[f"mask/{key}"].asstr()[()]]


def _published_split(path: Path) -> dict[tuple[str, str], str]:
    """Return "train", "test" or "trials" by file and demo, nothing without the release's file.

    "trials" are those of "test" that the paper's trials begin from.
    """
    if not path.exists():
        return {}
    try:
        lists: dict[str, Any] = json.loads(path.read_bytes())
        found = {
            (Path(str(file)).name, str(demo)): split
            for split in ("train", "test")
            for file, demo in lists[split]
        }
        test = [(Path(str(file)).name, str(demo)) for file, demo in lists["test"]]
        return found | {test[number]: "trials" for number in TRIALS}
    except (OSError, ValueError, TypeError, LookupError) as error:
        raise UserError(
            f"{path} is damaged ({message(error)}), expected lists `train` and `test` of pairs of "
            "a file and a demo; get it again, or remove it"
        ) from error
