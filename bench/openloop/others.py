"""Windows of other people's data: what a reader finds, instead of the benchmark's own sets."""

import hashlib
import json
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from dexbench.agents.learning.clips import in_view
from dexbench.agents.learning.footage import WINDOW
from dexbench.agents.learning.pose_table import view_of
from dexbench.agents.learning.recordings import held_out_of
from dexbench.data_collection.readers.clip import Clip
from dexbench.data_collection.readers.errors import ClipError
from dexbench.data_collection.readers.layouts import open_layout
from dexbench.data_collection.readers.sample import RIGHT, ActionKind, Sample
from dexbench.utils.errors import UserError
from dexbench.utils.progress import track
from dexbench.utils.seeding import rng

from .clips import Clips
from .windows import HOLDOUT, HORIZON, Split

LEAST = 1e-3
"""Frames by which a step may be shorter than one: rates by a clock are not round."""


@dataclass(frozen=True)
class OtherWindows:
    """Some windows of a data set, at most one of each clip."""

    clips: tuple[Clip, ...]
    """Each window's clip."""
    starts: tuple[int, ...]
    """Its first frame there."""
    rates: tuple[float, ...]
    """Its frames a second."""
    body: bool
    """Whether the upper body is known in all of them."""
    facts: dict[str, Any]
    """As those of ``windows.Windows``, with the clips' names instead of numbers."""


def draw_others(folder: Path, split: Split, seed: int, count: int) -> OtherWindows:
    """Draw the windows of a data set; the first so many of a larger draw are the smaller one.

    Clips that are missing or damaged are left out.

    Args:
        folder: Whatever `dexbench data index` reads.
        split: All clips, or those that a training on the folder holds out.
        seed: Names the draw.
        count: Most windows.

    Raises:
        UserError: The folder holds nothing that is read, or fewer than two of its clips are long
            enough.
    """
    layout = open_layout(folder)
    clips: list[Clip] = []
    length, rate, bodies = [], [], []
    lost: list[ClipError] = []
    digest = hashlib.sha256()
    for name in track(layout.names(), "reading poses", unit="clip"):
        clip = layout.clip(name)
        try:
            _, poses = clip.checked()
        except ClipError as error:
            lost.append(error)
            continue
        clips.append(clip)
        length.append(len(poses))
        rate.append(poses.rate)
        bodies.append(poses.body is not None)
        digest.update(json.dumps([name, len(poses), poses.rate]).encode())
        for values in (poses.hands, poses.seen, poses.camera):
            digest.update(np.ascontiguousarray(values).data)
    if lost:
        print(f"{len(lost)} clips are left out; the first: {lost[0]}", file=sys.stderr)
    frames = np.array([round(HORIZON * hz) for hz in rate])
    long_enough = np.array(length) > frames
    if split == "held-out":
        long_enough &= held_out_of(clips, np.array(length) >= WINDOW, HOLDOUT)
    numbers = np.flatnonzero(long_enough)
    if len(numbers) < 2:
        raise UserError(
            f"{folder} has {len(numbers)} whole clips of over {HORIZON:g} s in the split "
            f"{split!r}, expected two or more; record longer ones, or choose --split all"
        )
    order = rng("openloop", "clips", seed).permutation(numbers)[:count]
    starts = tuple(
        int(rng("openloop", "start", seed, clips[i].name).integers(length[i] - frames[i]))
        for i in order
    )
    windows = [[clips[i].name, start] for i, start in zip(order, starts, strict=True)]
    facts: dict[str, Any] = {"set_sha256": digest.hexdigest(), "split": split, "seed": seed}
    facts["windows"] = windows
    text = json.dumps(facts, sort_keys=True)
    facts["windows_sha256"] = hashlib.sha256(text.encode()).hexdigest()
    return OtherWindows(
        clips=tuple(clips[i] for i in order),
        starts=starts,
        rates=tuple(rate[i] for i in order),
        body=all(bodies[i] for i in order),
        facts={"set": folder.resolve().name, **facts},
    )


def read_others(windows: OtherWindows, interval: float, size: tuple[int, int]) -> Clips:
    """Read the windows; frames are those nearest to the times asked for.

    Args:
        windows: Which.
        interval: Seconds between frames.
        size: Height and width in px to which the pictures' middle is cut and shrunk.

    Raises:
        UserError: The interval is no whole part of 4 s, or shorter than a frame of a clip; or a
            file is damaged.
    """
    steps = HORIZON / interval
    if abs(steps - round(steps)) > 1e-6 or interval * min(windows.rates) < 1 - LEAST:
        raise UserError(
            f"--interval {interval:g} must be a whole part of {HORIZON:g} s and no shorter than a "
            f"frame, {1 / min(windows.rates):.3g} s here, such as 0.2 or 0.4"
        )
    times = interval * np.arange(round(steps) + 1)
    kinds: tuple[ActionKind, ...] = ("hands", "camera", *(("body",) if windows.body else ()))
    samples = []
    wanted = list(zip(windows.clips, windows.starts, windows.rates, strict=True))
    for clip, start, rate in track(wanted, "reading", unit="clip"):
        samples.append(clip.sample(start + (times * rate).round().astype(int), size))
    points = np.stack([_points(sample, size) for sample in samples])
    known = np.stack([sample.seen & sample.present[..., None] for sample in samples])
    actions = {
        kind: np.stack([sample.actions(kind).reshape(len(sample) - 1, -1) for sample in samples])
        for kind in kinds
    }
    images = np.stack([sample.frames for sample in samples])
    return Clips(interval, images, points, known, actions, points[:, :-1, RIGHT], None)


def _points(sample: Sample, size: tuple[int, int]) -> NDArray[np.float32]:
    """Return both hands' keypoints ``(n, 2, 21, 3)`` as the benchmark's camera would show them."""
    view = np.eye(3) if sample.intrinsics is None else view_of(sample.intrinsics, size)
    return in_view(sample, view[None])
