"""`dexbench data index`: what a folder of recorded clips holds, and what of it cannot be used."""

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cache, partial
from pathlib import Path
from typing import Annotated

import tyro

from dexbench.utils.cores import usable_cores
from dexbench.utils.errors import at_least
from dexbench.utils.pool import map_in_processes
from dexbench.utils.progress import track

from .clip import ClipFacts
from .errors import ClipError
from .index_file import Index as Index
from .index_file import Problem as Problem
from .layouts import Layout, open_layout

FEW = 64
"""Clips that are looked at sooner than a process starts."""
GRIPPERS = ("droid", "lerobot-droid")
"""Layouts whose hands stand for grippers."""
EXAMPLES = 10
"""Problems that the command prints; the index has all."""


@dataclass(frozen=True)
class IndexConfig:
    """Check clips of robots or people, and write an index of those that are whole.

    Reads dexbench's own sets, EgoDex, DROID (raw, or LeRobot's), and the RoboCasa HDF5 released
    with DexWM. All poses and the first and last picture of every clip are looked at. What is
    missing or damaged is listed with the reason, and left out.
    """

    root: Annotated[Path, tyro.conf.Positional]
    """Folder of clips, at any depth of the published layout; or one released HDF5."""
    out: Path | None = None
    """The index, a JSON; beside the folder, as `<folder>.index.json`, if left out."""
    workers: int = 0
    """Processes; 0 means one a core that may be used. The index does not depend on it."""


def main(config: IndexConfig) -> None:
    """Write the index, and print what there is.

    Raises:
        UserError: The folder holds no clips, none that is whole, or the index cannot be written;
            or --workers is less than 0, or a process was killed.
    """
    at_least(0, workers=config.workers)
    index = make_index(config.root, progress=True, workers=config.workers)
    for problem in index.problems[:EXAMPLES]:
        print(f"{problem.clip}: {problem.file} {problem.what}")
    if len(index.problems) > EXAMPLES:
        print(f"... and {len(index.problems) - EXAMPLES} more")
    index.require_clips()
    root = config.root.resolve()
    out = config.out or root.with_name(f"{root.name}.index.json")
    index.write(out)
    print(summary(index))
    print(f"wrote {out}")


def make_index(root: Path, progress: bool = False, workers: int = 1, decode: bool = True) -> Index:
    """Check all clips of a folder.

    Args:
        root: The folder, or a single file of the released data.
        progress: Whether to show a bar when stderr is a terminal.
        workers: Processes that look at clips, 0 for one a core; few clips need none. The index
            does not depend on it.
        decode: Whether to look at each clip's first and last picture.

    Raises:
        UserError: It holds nothing that dexbench reads, or a process was killed.
    """
    layout = open_layout(root)
    names = layout.names()
    clips, problems = [], []
    looks = _looks(root, layout, names, workers or usable_cores(), decode)
    for found in track(looks, "indexing", len(names), unit="clip", show=progress):
        if isinstance(found, Problem):
            problems.append(found)
        else:
            clips.append(found)
    return Index(root, layout.name, tuple(clips), tuple(problems))


def _looks(
    root: Path, layout: Layout, names: Sequence[str], workers: int, decode: bool
) -> Iterator[ClipFacts | Problem]:
    """Yield what is to be said of each clip, in their order, whoever looks at it."""
    if len(names) < FEW:
        workers = 1
    look = partial(_look_in, root, decode) if workers > 1 else partial(_look, layout, decode)
    yield from map_in_processes(look, names, workers, f"read {root}", chunk=8)


def _look_in(root: Path, decode: bool, name: str) -> ClipFacts | Problem:
    """Look at a clip in a process that opens the folder once."""
    return _look(_opened(root), decode, name)


_opened = cache(open_layout)


def _look(layout: Layout, decode: bool, name: str) -> ClipFacts | Problem:
    try:
        return layout.clip(name).facts(decode)
    except ClipError as error:
        return Problem(name, str(error.path), error.what)


def summary(index: Index) -> str:
    """Return what an index says, in a few lines."""
    lines = facts(index)
    width = max(map(len, lines))
    return "\n".join(f"{name.ljust(width)}  {value}" for name, value in lines.items())


def facts(index: Index) -> dict[str, str]:
    """Return what an index says, as text by the name of the fact, in order."""
    frames = sum(clip.frames for clip in index.clips)
    seconds = sum(clip.frames / clip.rate for clip in index.clips)
    hands = [sum(c.frames * c.hands[side] for c in index.clips) for side in (0, 1)]
    seen = sum(c.frames * sum(c.hands) * c.seen for c in index.clips)
    moving = sum(clip.moving_camera for clip in index.clips)
    return {
        "layout": index.layout,
        "clips": f"{len(index.clips)} ({_counts([clip.split for clip in index.clips])})",
        "hours": f"{seconds / 3600:.3f}",
        "frames": f"{frames}",
        "frames a second": _counts([f"{clip.rate:g}" for clip in index.clips]),
        "picture": _counts(["x".join(map(str, clip.size)) for clip in index.clips]),
        "left hand": f"in {100 * hands[0] / max(frames, 1):.0f} % of the frames",
        "right hand": f"in {100 * hands[1] / max(frames, 1):.0f} % of the frames",
        "keypoints seen": "none, they stand for a gripper"
        if index.layout in GRIPPERS
        else f"{100 * seen / max(sum(hands), 1):.0f} %",
        "camera": f"moves in {moving} clips",
        "left out": f"{len(index.problems)} clips",
    }


def _counts(values: list[str]) -> str:
    """Return how often each value occurs, the most frequent first; the value if there is one."""
    counted = Counter(values).most_common()
    if not counted:
        return "none"
    if len(counted) == 1:
        return counted[0][0]
    return ", ".join(f"{count} of {value}" for value, count in counted[:5])
