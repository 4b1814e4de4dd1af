"""Episode sets as training reads them: all frames in one array, windows with uneven gaps."""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import h5py
import numpy as np
from numpy.typing import NDArray

from dexbench.data_collection.store.manifest import MANIFEST, ROBOT_STRATEGIES, read_info, sha256
from dexbench.data_collection.store.store import EpisodeStore
from dexbench.envs.embodiment.keypoints import N_KEYPOINTS
from dexbench.envs.embodiment.robot import N_JOINTS
from dexbench.utils.errors import UserError

from .frames import decoded
from .holdout import held_out

GAPS = (3, 20)
"""Shortest and longest gap in frames of 0.1 s; 20 is the planner's waypoint interval."""
WINDOW = 4
"""Most frames of a window: three transitions, as many as a plan has waypoints."""
PLANNER_SHARE = 0.3
"""Share of windows whose gaps are all the longest that fits."""


@dataclass(frozen=True)
class Episodes:
    """All frames of one or more episode sets, one episode after the other."""

    frames: NDArray[np.uint8]
    """``(N, 112, 196, 3)`` uint8, a read-only memory map."""
    keypoints: NDArray[np.float32]
    """``(N, 21, 3)`` float32 right-hand keypoints in metres, camera frame."""
    joints: NDArray[np.float32]
    """``(N, 23)`` float32 achieved joint angles in rad."""
    targets: NDArray[np.float32]
    """``(N, 23)`` float32 joint targets in rad, commanded from each frame to the next."""
    first: NDArray[np.int64]
    """``(E,)`` index of each episode's first frame."""
    length: NDArray[np.int64]
    """``(E,)`` frames of each episode."""
    validation: NDArray[np.bool_]
    """``(E,)`` whether the episode is held out from training."""
    lifted: NDArray[np.bool_]
    """``(E,)`` whether an object was lifted in it."""
    digest: str
    """Sha256 over the sets' manifests."""

    def frame_indices(self, validation: bool) -> NDArray[np.int64]:
        """Return indices ``(n,)`` of all frames of the training or the validation episodes."""
        chosen = np.flatnonzero(self.validation == validation)
        return np.concatenate(
            [np.arange(self.first[e], self.first[e] + self.length[e]) for e in chosen]
        )

    def windows(
        self,
        generator: np.random.Generator,
        count: int,
        steps: int = WINDOW - 1,
        validation: bool = False,
        planner_share: float = PLANNER_SHARE,
        span: int | None = None,
        gaps: tuple[int, int] | None = None,
    ) -> NDArray[np.int64]:
        """Draw windows of frames with uneven gaps (paper 3.2).

        Without ``span`` and ``gaps`` gaps are 0.3 to 2 s, and shrink together where they would not
        fit into the episode. An episode is drawn in proportion to its length.

        Args:
            generator: The random stream.
            count: Windows to draw.
            steps: Gaps of a window.
            validation: Whether from the held-out episodes.
            planner_share: Share of windows whose gaps are all the longest that fits.
            span: If given, the frames of a window before its last are any of so many before it
                (paper C.1), or of as many as the episode has.
            gaps: If given, the shortest and the longest gap, between which each is drawn
                log-uniformly: short ones are as usual as long ones. They shrink likewise.

        Returns:
            ``(count, steps + 1)`` frame indices.

        Raises:
            UserError: No episode is long enough.
        """
        least = steps + 1 if span or gaps else WINDOW
        chosen = np.flatnonzero((self.validation == validation) & (self.length >= least))
        if len(chosen) == 0:
            raise UserError(f"no episode has the {least} frames of a window; collect longer ones")
        odds = self.length[chosen] / self.length[chosen].sum()
        episode = generator.choice(chosen, count, p=odds)
        room = self.length[episode][:, None] - 1
        if span is not None:
            # The nearest keys of a random order name the frames; those beyond the episode are last.
            keys = generator.random((count, span)) + (np.arange(span) >= room)
            back = np.sort(keys.argsort(1)[:, :steps] + 1, axis=1)[:, ::-1]
            last = generator.integers(back[:, 0], room[:, 0] + 1)
            last_frames = (self.first[episode] + last)[:, None]
            frames: NDArray[np.int64] = last_frames - np.pad(back, ((0, 0), (0, 1)))
            return frames
        if gaps is not None:
            ratio = (gaps[1] + 1) / gaps[0]
            skips = (gaps[0] * ratio ** generator.random((count, steps))).astype(int)
            skips = np.where(generator.random((count, 1)) < planner_share, gaps[1], skips)
            # Of what is over one frame a gap the episode has so much room.
            over = np.maximum(skips.sum(1, keepdims=True) - steps, 1)
            skips = 1 + ((skips - 1) * np.minimum((room - steps) / over, 1)).astype(int)
        else:
            skips = generator.integers(GAPS[0], GAPS[1] + 1, (count, steps))
            skips = np.where(generator.random((count, 1)) < planner_share, GAPS[1], skips)
            shrink = np.minimum(room / skips.sum(1, keepdims=True), 1)
            skips = np.maximum((skips * shrink).astype(int), 1)
            # In an episode of a few frames the least may be one too many; the longest gives it.
            beyond = np.maximum(skips.sum(1) - room[:, 0], 0)
            skips[np.arange(count), skips.argmax(1)] -= beyond
        start = self.first[episode] + generator.integers(0, room[:, 0] - skips.sum(1) + 1)
        offsets = np.concatenate([np.zeros((count, 1), int), skips.cumsum(1)], 1)
        spread: NDArray[np.int64] = start[:, None] + offsets
        return spread


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


def pretraining_of(before: str, folders: Sequence[Path]) -> str:
    """Return what the leaderboard says of weights: the outside data that they have seen.

    Outside is what does not show the benchmark's own robot, such as human video. More of the
    benchmark's own exploration adds nothing.

    Args:
        before: What it says of the weights that a training begins with.
        folders: Episode sets that the training adds.

    Returns:
        Names joined by " + "; "none" if there are none.

    Raises:
        UserError: A folder holds no set.
    """
    names = [] if before == "none" else before.split(" + ")
    for folder in folders:
        info = read_info(Path(folder))
        strategies = {source.get("strategy") for source in info.get("sources", [info])}
        if not strategies <= ROBOT_STRATEGIES:
            names.append(Path(folder).resolve().name)
    return " + ".join(dict.fromkeys(names)) or "none"


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
    frames = decoded(episodes, digest, cache, size, progress)
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
    return Episodes(frames, keypoints, joints, targets, first, length, validation, lifted, digest)
