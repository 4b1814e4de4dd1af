"""Opens data of any layout for training: poses are read once, pictures are decoded once."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from dexbench.data_collection.readers.clip import Clip
from dexbench.data_collection.readers.episodes import EpisodeSet
from dexbench.data_collection.readers.layouts import open_layout
from dexbench.data_collection.readers.pictures import Size
from dexbench.data_collection.readers.sample import ActionKind
from dexbench.data_collection.store.manifest import ROBOT_STRATEGIES, read_info
from dexbench.utils.errors import UserError

from .clips import Clips, own_clips
from .episodes import load_episodes
from .footage import WINDOW
from .frames import decoded
from .holdout import held_out_clips
from .pose_table import pose_table


def is_own(folder: Path) -> bool:
    """Return whether a folder holds an episode set of the benchmark's own robot."""
    return EpisodeSet.recognises(folder)


def pretraining_of(before: str, folders: Sequence[Path]) -> str:
    """Return what the leaderboard says of weights: the outside data that they have seen.

    Outside is what does not show the benchmark's own robot, such as human video. More of the
    benchmark's own exploration adds nothing.

    Args:
        before: What it says of the weights that a training begins with.
        folders: Data that the training adds.

    Returns:
        Names joined by " + "; "none" if there are none.

    Raises:
        UserError: A folder holds nothing that dexbench reads.
    """
    names = [] if before == "none" else before.split(" + ")
    for folder in folders:
        if not _shows_robot(Path(folder)):
            names.append(Path(folder).resolve().name)
    return " + ".join(dict.fromkeys(names)) or "none"


def _shows_robot(folder: Path) -> bool:
    """Return whether a folder holds what the benchmark recorded of its own robot."""
    if not is_own(folder):
        open_layout(folder)
        return False
    info = read_info(folder)
    strategies = {source.get("strategy") for source in info.get("sources", [info])}
    return strategies <= ROBOT_STRATEGIES


def load_clips(
    folders: Sequence[Path],
    cache: Path,
    holdout: float = 0.06,
    size: Size = (112, 196),
    mixed: bool = False,
    max_rate: float | None = None,
    progress: bool = True,
    action: ActionKind = "hands",
    commanded: bool = False,
) -> Clips:
    """Open data sets of any layout that a reader knows.

    Of other people's data what is missing or damaged is left out, and said so. Where they name
    clips for tests, those are held out; else whole scenes are, as of the benchmark's own sets.

    Args:
        folders: Episode sets, or whatever `dexbench data index` reads.
        cache: A folder for poses (0.7 kB a frame) and decoded frames (66 kB).
        holdout: Share of scenes held out from training.
        size: Height and width in px to cut and shrink the pictures to.
        mixed: Whether sets of the benchmark's own robot are told apart too.
        max_rate: Frames a second to keep at most, evenly spaced; all if left out.
        progress: Whether to show progress bars.
        action: What actions tell.
        commanded: Whether they tell of the hand that joint targets ask for, instead of the one that
            was reached.

    Raises:
        UserError: A folder holds nothing to train on, or no upper body or joint targets where
            actions tell of them; or a video ends early.
    """
    folders, body = [Path(folder) for folder in folders], action == "body"
    if not mixed and max_rate is None and not body and all(map(is_own, folders)):
        return own_clips(load_episodes(folders, cache, holdout, size, progress), action, commanded)
    if commanded:
        raise UserError(
            "model.commanded needs joint targets, which only the benchmark's own sets have, and "
            "neither --data-shares nor --max-rate; leave it out, or merge the sets with "
            "`dexbench data merge`"
        )
    layouts = [open_layout(folder) for folder in folders]
    table = pose_table(folders, layouts, cache, size, max_rate, progress, body)
    rows, arrays = table.rows, table.arrays
    clips = [layouts[row["source"]].clip(row["name"]) for row in rows]
    length = np.array([row["frames"] for row in rows])

    def read(number: int) -> NDArray[np.uint8]:
        index = np.arange(length[number]) * rows[number]["step"]
        pictures: NDArray[np.uint8] = clips[number].pictures().read(index, size)
        return pictures

    source = np.array([row["source"] for row in rows])
    return Clips(
        frames=decoded(length, read, table.digest, cache, size, progress),
        first=np.concatenate([[0], length.cumsum()[:-1]]),
        length=length,
        rate=np.array([row["rate"] for row in rows]),
        validation=_validation(folders, clips, source, length >= WINDOW, holdout),
        digest=table.digest,
        hands=arrays["hands"],
        known=arrays["known"],
        camera=arrays["camera"],
        view=arrays["view"],
        source=source,
        own=np.array([layouts[number].name == EpisodeSet.name for number in source]),
        action=action,
        body=arrays.get("body"),
    )


def _validation(
    folders: Sequence[Path],
    clips: Sequence[Clip],
    source: NDArray[np.int64],
    usable: NDArray[np.bool_],
    holdout: float,
) -> NDArray[np.bool_]:
    """Return which clips are held out; every set keeps some to train on."""
    validation = np.zeros(len(clips), bool)
    for number, folder in enumerate(folders):
        mine = np.flatnonzero(source == number)
        validation[mine] = held_out_of([clips[i] for i in mine], usable[mine], holdout)
        if not (usable[mine] & ~validation[mine]).any():
            raise UserError(f"{folder} holds no whole clip of {WINDOW} frames to train on")
    if not (usable & validation).any():
        raise UserError(
            f"{[str(f) for f in folders]} hold too few clips of at least {WINDOW} frames to train "
            "and validate on; give two or more"
        )
    return validation


def held_out_of(
    clips: Sequence[Clip], usable: NDArray[np.bool_], holdout: float
) -> NDArray[np.bool_]:
    """Return which clips of one data set are held out, ``(E,)``.

    Args:
        clips: All of it. Those that it names for tests are held out; if it names none, scenes.
        usable: ``(E,)`` whether a clip is long enough.
        holdout: Share of scenes.
    """
    published = np.array([clip.split != "train" for clip in clips], bool)
    if published.any() or usable.sum() < 2:
        return published
    names, scenes = [clip.name for clip in clips], [clip.scene for clip in clips]
    return held_out_clips(names, scenes, usable, holdout)
