"""Reads EgoDex: people's two hands, seen from a headset (Hoque et al. 2025; paper C.2).

    <part>/<task>/<i>.mp4      video, 1920x1080 at 30 Hz
    <part>/<task>/<i>.hdf5     transforms/<joint>   (n, 4, 4) poses of 68 joints in the world
                               transforms/camera    (n, 4, 4) of the camera's optical frame
                               camera/intrinsic     (3, 3) in px
                               confidences/<joint>  (n,) within 0..1, absent from some files
                               attributes           llm_description and others

Keypoints are the joints' positions; their orientations are not read.
"""

from pathlib import Path

import h5py
import numpy as np
from numpy.typing import NDArray

from .clip import Clip
from .errors import ClipError, camera_matrix, finite, numbers, reading, rigid
from .pictures import Mp4
from .sample import Poses, in_picture

_THUMB = ("Knuckle", "IntermediateBase", "IntermediateTip", "Tip")
_FINGERS = ("IndexFinger", "MiddleFinger", "RingFinger", "LittleFinger")
_OF_HAND = (
    "Hand",
    *(f"Thumb{part}" for part in _THUMB),
    *(f"{finger}{part}" for finger in _FINGERS for part in _THUMB),
)
HANDS = tuple(tuple(f"{side}{part}" for part in _OF_HAND) for side in ("left", "right"))
"""Of either hand the 21 joints in MANO order. EgoDex has 25: the metacarpals of the four fingers
are left out."""
METACARPALS = tuple(f"{side}{f}Metacarpal" for side in ("left", "right") for f in _FINGERS)
"""The joints of the hands that are left out."""
BODY = (
    "hip",
    *(f"spine{i}" for i in range(1, 8)),
    *(f"neck{i}" for i in range(1, 5)),
    *(f"{side}{part}" for side in ("left", "right") for part in ("Shoulder", "Arm", "Forearm")),
)
"""The 18 joints of the upper body."""
CONFIDENT = 0.5
"""Least confidence of a joint that counts as seen; hidden joints are guessed, and have less."""


class EgoDexClip(Clip):
    """A recording of a person.

    Args:
        name: Its name in the folder, without the files' endings.
        stem: Path of its two files without their endings.
        split: "train" or "test".
    """

    def __init__(self, name: str, stem: Path, split: str):
        super().__init__(name, stem.with_name(f"{stem.name}.hdf5"), split)
        self._video = stem.with_name(f"{stem.name}.mp4")

    def pictures(self) -> Mp4:
        """Return the pictures."""
        return Mp4(self._video)

    def poses(self) -> Poses:
        """Return the poses; see `Clip.poses`.

        Both hands are always known, since the headset guesses what it does not see. ``seen`` leaves
        out what is outside the picture or guessed.
        """
        video = self.pictures()
        with reading(self.path), h5py.File(self.path) as file:
            name = "transforms/camera"
            camera = rigid(self.path, name, numbers(file, name, (None, 4, 4)))
            name = "camera/intrinsic"
            intrinsics = camera_matrix(self.path, name, numbers(file, name, (3, 3)))
            hands = np.stack([_points(file, joints, len(camera)) for joints in HANDS], 1)
            body = _points(file, BODY, len(camera))
            sure = _confident(file, len(camera))
        seen = in_picture(hands, camera, intrinsics, video.size) & sure
        return Poses(
            hands=hands.astype(np.float32),
            seen=seen,
            camera=camera,
            intrinsics=intrinsics,
            rate=video.rate,
            body=body.astype(np.float32),
        )

    def text(self) -> str:
        """Return the description that a language model wrote from the annotators' notes."""
        with reading(self.path), h5py.File(self.path) as file:
            # Of a reversible task the attribute says which of two descriptions holds.
            second = str(file.attrs.get("which_llm_description", "1")) == "2"
            return str(file.attrs.get(f"llm_description{'2' if second else ''}", ""))


def _points(file: h5py.File, joints: tuple[str, ...], count: int) -> NDArray[np.float64]:
    """Positions (n, k, 3) in m of joints in the world."""
    columns = []
    for joint in joints:
        name = f"transforms/{joint}"
        data = file.get(name)
        if not isinstance(data, h5py.Dataset):
            raise ClipError(Path(file.filename), f"lacks {name}")
        if data.shape != (count, 4, 4):
            raise ClipError(
                Path(file.filename),
                f"has {name} of shape {data.shape}, expected {(count, 4, 4)} as of its camera",
            )
        columns.append(finite(Path(file.filename), name, data[:, :3, 3]))
    return np.stack(columns, 1)


def _confident(file: h5py.File, count: int) -> NDArray[np.bool_]:
    """Return whether each keypoint (n, 2, 21) is surely where the file says."""
    if "confidences" not in file:
        return np.ones((count, len(HANDS), len(_OF_HAND)), bool)
    values = [[numbers(file, f"confidences/{j}", (count,)) for j in joints] for joints in HANDS]
    sure: NDArray[np.bool_] = np.moveaxis(np.array(values), -1, 0) >= CONFIDENT
    return sure


class EgoDex:
    """The layout of EgoDex: the whole, a part, or a task.

    Args:
        root: The folder.
    """

    name = "egodex"

    def __init__(self, root: Path):
        self._root = root

    @staticmethod
    def recognises(root: Path) -> bool:
        """Return whether a path holds this layout."""
        return any(_numbered(root, "hdf5")) or any(_numbered(root, "mp4"))

    def names(self) -> list[str]:
        """Return the names of all clips, sorted; of those with one of their files too."""
        files = [*_numbered(self._root, "hdf5"), *_numbered(self._root, "mp4")]
        stems = {path.relative_to(self._root).with_suffix("") for path in files}
        ordered = sorted(stems, key=lambda stem: (stem.parent.as_posix(), int(stem.name)))
        return [stem.as_posix() for stem in ordered]

    def clip(self, name: str) -> Clip:
        """Return a clip by its name."""
        stem = self._root / name
        parts = stem.resolve().parts[-3:-1]  # of <part>/<task>/<i>
        return EgoDexClip(name, stem, "test" if "test" in parts else "train")


def _numbered(root: Path, ending: str) -> "filter[Path]":
    """Files whose names are a number, in a folder and below."""
    return filter(lambda path: path.stem.isdecimal(), root.rglob(f"*.{ending}"))
