"""Reads the episode store for training: frames decoded once, windows drawn with uneven gaps."""

import hashlib
import json
import os
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import h5py
import numpy as np
from tqdm import tqdm

from dexbench.envs.embodiment.keypoints import N_KEYPOINTS
from dexbench.envs.embodiment.robot import N_JOINTS
from dexbench.utils.errors import UserError
from dexbench.utils.files import write_atomic
from dexbench.utils.video import downsample, read_video

GAPS = (3, 20)
"""Shortest and longest gap in frames of 0.1 s; 20 is the planner's waypoint interval."""
WINDOW = 4
"""Most frames of a window: three transitions, as many as a plan has waypoints."""
PLANNER_SHARE = 0.3
"""Share of windows whose gaps are all the longest that fits."""


@dataclass(frozen=True)
class Episodes:
    """All frames of one or more episode sets, one episode after the other."""

    frames: np.ndarray
    """``(N, 112, 196, 3)`` uint8, a read-only memory map."""
    keypoints: np.ndarray
    """``(N, 21, 3)`` float32 right-hand keypoints in metres, camera frame."""
    joints: np.ndarray
    """``(N, 23)`` float32 achieved joint angles in rad."""
    targets: np.ndarray
    """``(N, 23)`` float32 joint targets in rad, commanded from each frame to the next."""
    first: np.ndarray
    """``(E,)`` index of each episode's first frame."""
    length: np.ndarray
    """``(E,)`` frames of each episode."""
    validation: np.ndarray
    """``(E,)`` whether the episode is held out from training."""
    lifted: np.ndarray
    """``(E,)`` whether an object was lifted in it."""
    digest: str
    """Sha256 over the sets' manifests."""

    def frame_indices(self, validation: bool) -> np.ndarray:
        """Return indices of all frames of the training or the validation episodes."""
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
    ) -> np.ndarray:
        """Draw windows of frames with uneven gaps (paper 3.2).

        Without ``span`` gaps are 0.3 to 2 s, and shrink together where they would not fit into the
        episode. An episode is drawn in proportion to its length.

        Args:
            generator: The random stream.
            count: Windows to draw.
            steps: Gaps of a window.
            validation: Whether from the held-out episodes.
            planner_share: Share of windows whose gaps are all the longest that fits.
            span: If given, the frames of a window before its last are any of so many before it
                (paper C.1), or of as many as the episode has.

        Returns:
            ``(count, steps + 1)`` frame indices.

        Raises:
            UserError: No episode is long enough.
        """
        least = WINDOW if span is None else steps + 1
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
            return (self.first[episode] + last)[:, None] - np.pad(back, ((0, 0), (0, 1)))
        gaps = generator.integers(GAPS[0], GAPS[1] + 1, (count, steps))
        gaps = np.where(generator.random((count, 1)) < planner_share, GAPS[1], gaps)
        shrink = np.minimum(room / gaps.sum(1, keepdims=True), 1)
        gaps = np.maximum((gaps * shrink).astype(int), 1)
        # In an episode of a few frames the least gaps may be one too many; the longest gives it.
        over = np.maximum(gaps.sum(1) - room[:, 0], 0)
        gaps[np.arange(count), gaps.argmax(1)] -= over
        start = self.first[episode] + generator.integers(0, room[:, 0] - gaps.sum(1) + 1)
        return start[:, None] + np.concatenate([np.zeros((count, 1), int), gaps.cumsum(1)], 1)


def read_manifest(folder: Path) -> list[dict]:
    """Return the complete episodes of a set, as ``manifest.jsonl`` lists them.

    Raises:
        UserError: The folder holds no manifest, or an empty or damaged one.
    """
    path = folder / "manifest.jsonl"
    if not path.is_file():
        raise UserError(
            f"{folder} is no episode set (no manifest.jsonl); make one with `dexbench collect`"
        )
    rows = []
    for number, line in enumerate(path.read_text().splitlines(), 1):
        try:
            rows.append(json.loads(line))
        except json.JSONDecodeError as error:
            raise UserError(f"{path} line {number} is no JSON ({error})") from error
    if not rows:
        raise UserError(f"{path} lists no episodes; collect some first")
    return rows


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
    rows = [(Path(f), row) for f in folders for row in read_manifest(Path(f))]
    digest = hashlib.sha256(json.dumps([row for _, row in rows], sort_keys=True).encode())
    length = np.array([int(row["frames"]) for _, row in rows])
    first = np.concatenate([[0], length.cumsum()[:-1]])
    total = int(length.sum())
    frames_path, mark = cache / "frames.u8", cache / "frames.json"
    wanted = {"digest": digest.hexdigest(), "size": list(size), "frames": total}
    if not (mark.is_file() and json.loads(mark.read_text()) == wanted):
        cache.mkdir(parents=True, exist_ok=True)
        mark.unlink(missing_ok=True)
        out = np.memmap(frames_path, np.uint8, "w+", shape=(total, *size, 3))

        def decode(index: int) -> None:
            folder, row = rows[index]
            pictures = _pictures(folder, row, size)
            out[first[index] : first[index] + len(pictures)] = pictures

        silent = None if progress else True  # None shows bars on terminals only
        # Decoding leaves Python's lock, so that threads are enough.
        with ThreadPoolExecutor(os.cpu_count() or 1) as pool:
            decoding = pool.map(decode, range(len(rows)))
            try:
                list(tqdm(decoding, "decoding", len(rows), unit="ep", disable=silent))
            finally:
                pool.shutdown(cancel_futures=True)
        out.flush()
        write_atomic(mark, json.dumps(wanted))
    keypoints = np.empty((total, N_KEYPOINTS, 3), np.float32)
    joints, targets = np.empty((2, total, N_JOINTS), np.float32)
    for (folder, row), start, count in zip(rows, first, length, strict=True):
        path = folder / "episodes" / f"{_name(row)}.h5"
        try:
            with h5py.File(path) as file:
                for key, into in (
                    ("keypoints", keypoints),
                    ("agent_pos", joints),
                    ("action", targets),
                ):
                    if len(file[key]) != count:
                        raise ValueError(f"{key} has {len(file[key])} rows instead of {count}")
                    into[start : start + count] = file[key][:]
        except (OSError, KeyError, ValueError) as error:
            raise UserError(f"{path}: {error}; {_verify(folder)}") from error
    scenes = [_scene(row) for _, row in rows]
    validation = np.array([_share(scene) < holdout for scene in scenes])
    usable = length >= WINDOW
    if not (validation & usable).any() or not (~validation & usable).any():
        # Too few scenes for the draw to hold out some but not all: hold out the last name.
        if len(set(scenes)) < 2:
            scenes = [_name(row) for _, row in rows]
        validation = np.array([scene == max(scenes) for scene in scenes])
    if not (validation & usable).any() or not (~validation & usable).any():
        raise UserError(
            f"{[str(f) for f in folders]} hold too few episodes of at least {WINDOW} "
            "frames to train and validate on; collect at least two scenes"
        )
    frames = np.memmap(frames_path, np.uint8, "r", shape=(total, *size, 3))
    lifted = np.array([bool(row.get("lifted")) for _, row in rows])
    return Episodes(
        frames, keypoints, joints, targets, first, length, validation, lifted, digest.hexdigest()
    )


def _pictures(folder: Path, row: dict, size: tuple[int, int]) -> np.ndarray:
    """Return the pictures of an episode at a size, as many as its manifest says."""
    video = folder / "videos" / f"{_name(row)}.mp4"
    try:
        pictures = read_video(video)
    except (OSError, ValueError) as error:
        raise UserError(f"{video}: {error}; {_verify(folder)}") from error
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


def _name(row: dict) -> str:
    """Return the episode's file name, ``000123``."""
    return f"{row['id']:06d}" if isinstance(row["id"], int) else str(row["id"])


def _verify(folder: Path) -> str:
    return f"`dexbench data verify {folder}` says how to mend the set"


def _scene(row: dict) -> str:
    """Return what identifies the episode's scene.

    The episode itself if the manifest does not say.
    """
    scene = row.get("scene", (row.get("meta") or {}).get("scene"))
    return json.dumps(scene, sort_keys=True) if scene is not None else _name(row)


def _share(name: str) -> float:
    """Return a number in 0..1 that depends on the name alone."""
    return int.from_bytes(hashlib.sha256(name.encode()).digest()[:6], "big") / 2**48
