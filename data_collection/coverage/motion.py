"""What clips cover whoever recorded them: wrists before the camera, and how fast both move."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.spatial.transform import Rotation

from dexbench.data_collection.readers.clip import Clip, ClipFacts
from dexbench.data_collection.readers.layouts import open_layout
from dexbench.data_collection.readers.sample import LEFT, RIGHT
from dexbench.utils.progress import track

PERIOD = 0.1
"""Time in s over which speeds are taken, whatever the rate."""


@dataclass(frozen=True)
class Motion:
    """What is measured of a clip of n frames, of which m have another 0.1 s later."""

    wrists: NDArray[np.float64]
    """Left and right wrist (n, 2, 3) in m in the camera's optical frame; NaN where absent."""
    speeds: NDArray[np.float64]
    """Of both wrists in the world (m, 2) in m/s; NaN where absent."""
    travel: NDArray[np.float64]
    """Speed of the camera (m,) in m/s."""
    turn: NDArray[np.float64]
    """Speed at which the camera turns (m,) in rad/s."""


@dataclass(frozen=True)
class Motions:
    """What was measured of a set's clips."""

    clips: Sequence[Motion]
    """In any order."""

    def stack(self, get: Callable[[Motion], NDArray[Any]]) -> NDArray[Any]:
        """Return an array of every clip, one after the other."""
        return np.concatenate([get(clip) for clip in self.clips])

    def speeds(self) -> dict[str, NDArray[np.float64]]:
        """Return speeds by what they are of, with the unit; none of what is absent."""
        wrists = self.stack(lambda clip: clip.speeds)
        known = {side: wrists[:, side][np.isfinite(wrists[:, side])] for side in (LEFT, RIGHT)}
        return {
            "left wrist [m/s]": known[LEFT],
            "right wrist [m/s]": known[RIGHT],
            "camera [m/s]": self.stack(lambda clip: clip.travel),
            "camera's turn [rad/s]": self.stack(lambda clip: clip.turn),
        }

    def summary(self) -> dict[str, str]:
        """Return measured figures, as text by their names."""
        wrists = self.stack(lambda clip: clip.wrists)
        known = np.isfinite(wrists).all(-1)
        depth = f"{np.median(wrists[known][:, 2]):.2f}" if known.any() else "no hand"
        return {
            "frames with both hands": f"{100 * known.all(1).mean():.1f}%",
            "median depth of wrists before the camera [m]": depth,
        } | {
            f"median over 0.1 s, {name}": f"{np.median(values):.2f}"
            for name, values in self.speeds().items()
            if len(values)
        }


def measure(root: Path, clips: Sequence[ClipFacts], name: str) -> Motions:
    """Measure clips of a folder.

    Args:
        root: The folder.
        clips: Which of its clips.
        name: What to call the set on the progress bar.

    Raises:
        ClipError: One has been damaged since it was indexed.
    """
    layout = open_layout(root)
    chosen = track(clips, label=f"{name}, motion", unit="clip")
    return Motions([motion(layout.clip(clip.name)) for clip in chosen])


def motion(clip: Clip) -> Motion:
    """Measure a clip.

    Raises:
        ClipError: A file is missing or damaged.
    """
    poses = clip.poses()
    wrists = np.where(poses.present[..., None], poses.hands[:, :, 0], np.nan).astype(np.float64)
    turns, places = poses.camera[:, :3, :3], poses.camera[:, :3, 3]
    step = max(1, round(PERIOD * poses.rate))
    seconds = step / poses.rate
    between = turns[:-step].swapaxes(1, 2) @ turns[step:]
    return Motion(
        wrists=(wrists - places[:, None]) @ turns,
        speeds=np.linalg.norm(wrists[step:] - wrists[:-step], axis=-1) / seconds,
        travel=np.linalg.norm(places[step:] - places[:-step], axis=-1) / seconds,
        turn=Rotation.from_matrix(between).magnitude() / seconds if len(between) else np.zeros(0),
    )
