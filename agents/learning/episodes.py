"""Episode sets as training reads them: the benchmark's own robot, with its joints."""

import functools
import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import h5py
import numpy as np
from numpy.typing import NDArray

from dexbench.data_collection.store.manifest import MANIFEST, sha256
from dexbench.data_collection.store.store import EpisodeStore
from dexbench.envs.embodiment.keypoints import N_KEYPOINTS
from dexbench.envs.embodiment.robot import N_JOINTS
from dexbench.utils.errors import UserError
from dexbench.utils.video import downsample, read_video

from .footage import WINDOW, Footage
from .frames import decoded
from .holdout import held_out


@dataclass(frozen=True, kw_only=True)
class Episodes(Footage):
    """All frames of one or more episode sets, one episode after the other."""

    keypoints: NDArray[np.float32]
    """``(N, 21, 3)`` float32 right-hand keypoints in metres, camera frame."""
    joints: NDArray[np.float32]
    """``(N, 23)`` float32 achieved joint angles in rad."""
    targets: NDArray[np.float32]
    """``(N, 23)`` float32 joint targets in rad, commanded from each frame to the next."""
    lifted: NDArray[np.bool_]
    """``(E,)`` whether an object was lifted in it."""


def open_sets(folders: Sequence[Path]) -> tuple[list[tuple[EpisodeStore, dict[str, Any]]], str]:
    """Return the complete episodes of sets, each one's store and manifest row, and their digest.

    Raises:
        UserError: A folder holds no set, an empty one, or one whose manifest is damaged.
    """
    episodes: list[tuple[EpisodeStore, dict[str, Any]]] = []
    lines = []
    for folder in folders:
        store = EpisodeStore(Path(folder))
        rows = list(store.rows())
        if not rows:
            raise UserError(f"{folder} holds no complete episode; collect some first")
        episodes += [(store, row) for row in rows]
        # Of the lines as they are written, checksums too: older checkpoints hold that digest.
        manifest = (store.root / MANIFEST).read_bytes().splitlines(keepends=True)
        lines += [json.loads(line) for line in manifest if line.endswith(b"\n")]
    return episodes, sha256(json.dumps(lines, sort_keys=True).encode())


def load_episodes(
    folders: Sequence[Path],
    cache: Path,
    holdout: float = 0.06,
    size: tuple[int, int] = (112, 196),
    progress: bool = True,
) -> Episodes:
    """Open episode sets; decode their videos into ``cache`` unless it already holds them.

    Episodes are held out by scene where the manifest names it (``scene``), so that validation
    scenes are unseen; whether one is depends on its name alone, not on what else the set holds.

    Args:
        folders: Episode sets.
        cache: A folder for the decoded frames (66 kB each).
        holdout: Share of scenes held out from training.
        size: Height and width in pixels to keep.
        progress: Whether to show a progress bar.

    Raises:
        UserError: A set is missing, damaged or too small, or a video and its rows disagree.
    """
    episodes, digest = open_sets(folders)
    rows = [row for _, row in episodes]
    length = np.array([int(row["frames"]) for row in rows])
    first = np.concatenate([[0], length.cumsum()[:-1]])
    validation = held_out(rows, length >= WINDOW, holdout)
    if not all((chosen & (length >= WINDOW)).any() for chosen in (validation, ~validation)):
        raise UserError(
            f"{[str(f) for f in folders]} hold too few episodes of at least {WINDOW} "
            "frames to train and validate on; collect at least two scenes"
        )
    total = int(length.sum())
    read = functools.partial(_pictures, episodes, size)
    frames = decoded(length, read, digest, cache, size, progress)
    keypoints = np.empty((total, N_KEYPOINTS, 3), np.float32)
    joints, targets = np.empty((2, total, N_JOINTS), np.float32)
    arrays = {"keypoints": keypoints, "agent_pos": joints, "action": targets}
    for (store, row), start, count in zip(episodes, first, length, strict=True):
        path = store.file(row, "h5")
        try:
            with h5py.File(path) as file:
                for key, array in arrays.items():
                    if len(file[key]) != count:
                        raise ValueError(f"{key} has {len(file[key])} rows instead of {count}")
                    array[start : start + count] = file[key][:]
        except (OSError, KeyError, ValueError) as error:
            raise store.damaged(path, error) from error
    lifted = np.array([bool(row.get("lifted")) for row in rows])
    return Episodes(
        frames=frames,
        first=first,
        length=length,
        rate=np.array([float(store.info["control_hz"]) for store, _ in episodes]),
        validation=validation,
        digest=digest,
        keypoints=keypoints,
        joints=joints,
        targets=targets,
        lifted=lifted,
    )


def _pictures(
    episodes: Sequence[tuple[EpisodeStore, dict[str, Any]]], size: tuple[int, int], number: int
) -> NDArray[np.uint8]:
    """Return the pictures ``(T, *size, 3)`` of an episode, as many as its manifest says."""
    store, row = episodes[number]
    video = store.file(row, "mp4")
    try:
        pictures = read_video(video)
    except (OSError, ValueError) as error:
        raise store.damaged(video, error) from error
    try:
        frames = downsample(pictures, size)
    except ValueError as error:
        raise UserError(f"{video}: {error}, or train with another size") from error
    if len(frames) != row["frames"]:
        raise UserError(
            f"{video} has {len(frames)} frames, its manifest says "
            f"{row['frames']}; collect the set again"
        )
    return frames
