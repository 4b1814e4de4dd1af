"""A recorded clip: what every reader gives, whatever its files look like."""

from abc import ABC, abstractmethod
from dataclasses import dataclass, fields
from pathlib import Path, PurePosixPath
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .errors import ClipError
from .pictures import Pictures, Size, check_range, fit_intrinsics
from .sample import Poses, Sample


@dataclass(frozen=True)
class ClipFacts:
    """What an index says of a clip that is whole."""

    name: str
    """Its name in the folder."""
    frames: int
    """Frames that have both a picture and poses."""
    rate: float
    """Frames a second."""
    size: Size
    """Height and width of the pictures in px."""
    hands: tuple[float, float]
    """Share of the frames in which the left and the right hand are known."""
    seen: float
    """Share of the known hands' keypoints that are in the picture."""
    moving_camera: bool
    """Whether the camera moves by over 1 mm or 1 mrad."""
    split: str = "train"
    """The part of the data that it belongs to, as published."""
    text: str = ""
    """What is done in it, in words, if the data say so."""


class Clip(ABC):
    """A clip, of which nothing is read before it is asked for.

    Args:
        name: Its name in the folder.
        path: The file that errors of the whole clip name.
        split: The part of the data that it belongs to, as published.
    """

    def __init__(self, name: str, path: Path, split: str = "train"):
        self.name, self.path, self.split = name, path, split

    @abstractmethod
    def pictures(self) -> Pictures:
        """Return the pictures.

        Raises:
            ClipError: Their file is missing or damaged.
        """

    @abstractmethod
    def poses(self) -> Poses:
        """Return where hands and camera are in all frames, at the pictures' stored size.

        Raises:
            ClipError: A file is missing or damaged, or lacks something.
        """

    def text(self) -> str:
        """Return what is done in the clip, in words; nothing if the data do not say."""
        return ""

    @property
    def scene(self) -> str:
        """Name what it may share with others, such as place and person: its folder's name."""
        return str(PurePosixPath(self.name).parent)

    def caption(self) -> str:
        """Return its name and what is done in it, in a line to write over its pictures."""
        return f"{self.name} {self.text()}".strip()

    def checked(self) -> tuple[Pictures, Poses]:
        """Return pictures and poses, of as many frames.

        Raises:
            ClipError: A file is missing, damaged or at odds with another.
        """
        pictures, poses = self.pictures(), self.poses()
        if pictures.count != len(poses):
            raise ClipError(
                self.path,
                f"has poses of {len(poses)} frames, but its video has {pictures.count}",
            )
        if not len(poses):
            raise ClipError(self.path, "has no frames")
        if not 0 < poses.rate < np.inf:
            raise ClipError(self.path, f"has {poses.rate:g} frames a second")
        return pictures, poses

    def sample(
        self, index: NDArray[np.integer[Any]] | None = None, size: Size | None = None
    ) -> Sample:
        """Return frames of the clip.

        Args:
            index: Which ones ``(k,)``, in any order; all if left out.
            size: Height and width in px, to which the pictures' middle is cut and resized, and the
                camera matrix with it; as stored if left out.

        Raises:
            ClipError: A file is missing, damaged or at odds with another.
            IndexError: There is no such frame.
        """
        pictures, poses = self.checked()
        chosen = np.arange(len(poses)) if index is None else np.asarray(index)
        check_range(chosen, len(poses))
        parts = poses.at(chosen)
        values = {field.name: getattr(parts, field.name) for field in fields(parts)}
        if size is not None and poses.intrinsics is not None:
            values["intrinsics"] = fit_intrinsics(poses.intrinsics, pictures.size, size)
        return Sample(frames=pictures.read(chosen, size), **values)

    def facts(self, decode: bool = True) -> ClipFacts:
        """Check the clip: all its poses, and its first and last picture.

        Args:
            decode: Whether to look at the pictures; without, only their number and size are read.

        Raises:
            ClipError: A file is missing, damaged or at odds with another.
        """
        pictures, poses = self.checked()
        if decode:
            pictures.read(np.array([0, len(poses) - 1]))
        present = poses.present
        left, right = present.mean(0)
        away = np.abs(poses.camera - poses.camera[:1]).max()
        return ClipFacts(
            name=self.name,
            frames=len(poses),
            rate=round(poses.rate, 3),
            size=pictures.size,
            hands=(round(float(left), 3), round(float(right), 3)),
            seen=round(float(poses.seen.sum() / max(21 * present.sum(), 1)), 3),
            moving_camera=bool(away > 1e-3),
            split=self.split,
            text=self.text(),
        )
