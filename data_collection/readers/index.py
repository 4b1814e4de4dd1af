"""`dexbench data index`: what a folder of recorded clips holds, and what of it cannot be used."""

import dataclasses
import json
from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

import tyro
from tqdm import tqdm

from dexbench import __version__
from dexbench.utils.errors import UserError
from dexbench.utils.files import write_atomic

from .clip import Clip, ClipFacts
from .errors import ClipError
from .layouts import open_layout

SCHEMA = 1
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


@dataclass(frozen=True)
class Problem:
    """A clip that cannot be used."""

    clip: str
    """Its name in the folder."""
    file: str
    """The file at fault."""
    what: str
    """What is wrong with it."""


@dataclass(frozen=True)
class Index:
    """What a folder holds."""

    root: Path
    """The folder."""
    layout: str
    """Whose layout it has."""
    clips: tuple[ClipFacts, ...]
    """The clips that are whole, in a fixed order."""
    problems: tuple[Problem, ...]
    """Those that are not."""

    def clip(self, name: str) -> Clip:
        """Return a clip to read, by its name.

        Raises:
            UserError: The folder is no longer there.
        """
        return open_layout(self.root).clip(name)

    def write(self, path: Path) -> None:
        """Write the index, whole or not at all.

        Raises:
            UserError: It cannot be written there.
        """
        head: dict[str, Any] = {
            "schema": SCHEMA,
            "dexbench": __version__,
            "root": str(self.root.resolve()),
            "layout": self.layout,
        }
        rows = [json.dumps(dataclasses.asdict(clip)) for clip in self.clips]
        problems = [json.dumps(dataclasses.asdict(problem)) for problem in self.problems]
        # A line a clip, so that the file can be read and compared by eye.
        text = json.dumps(head)[:-1] + ', "clips": [\n' + ",\n".join(rows)
        text += '\n], "problems": [\n' + ",\n".join(problems) + "\n]}\n"
        try:
            write_atomic(path, text)
        except OSError as error:
            raise UserError(f"cannot write {path} ({error}); choose another --out") from error

    @classmethod
    def read(cls, path: Path) -> "Index":
        """Return an index that was written.

        Raises:
            UserError: There is none, or it is damaged or of another version.
        """
        try:
            data = json.loads(path.read_bytes())
            if data["schema"] != SCHEMA:
                raise ValueError(f"schema {data['schema']}, expected {SCHEMA}")
            clips = tuple(
                ClipFacts(**row | {"size": tuple(row["size"]), "hands": tuple(row["hands"])})
                for row in data["clips"]
            )
            problems = tuple(Problem(**row) for row in data["problems"])
            return cls(Path(data["root"]), str(data["layout"]), clips, problems)
        except (OSError, ValueError, TypeError, LookupError) as error:
            raise UserError(
                f"{path} is no index or a damaged one ({error}); `dexbench data index` makes one"
            ) from error


def main(config: IndexConfig) -> None:
    """Write the index, and print what there is.

    Raises:
        UserError: The folder holds no clips, none that is whole, or the index cannot be written.
    """
    index = make_index(config.root, progress=True)
    for problem in index.problems[:EXAMPLES]:
        print(f"{problem.clip}: {problem.file} {problem.what}")
    if len(index.problems) > EXAMPLES:
        print(f"... and {len(index.problems) - EXAMPLES} more")
    if not index.clips:
        reason = f"{index.problems[0].file} {index.problems[0].what}" if index.problems else "empty"
        raise UserError(f"{config.root} holds no whole clip ({reason}); get the files again")
    root = config.root.resolve()
    out = config.out or root.with_name(f"{root.name}.index.json")
    index.write(out)
    print(summary(index))
    print(f"wrote {out}")


def make_index(root: Path, progress: bool = False) -> Index:
    """Check all clips of a folder.

    Args:
        root: The folder, or a single file of the released data.
        progress: Whether to show a bar when stderr is a terminal.

    Raises:
        UserError: It holds nothing that dexbench reads.
    """
    layout = open_layout(root)
    clips, problems = [], []
    silent = None if progress else True
    for name in tqdm(layout.names(), "indexing", unit="clip", disable=silent):
        try:
            clips.append(layout.clip(name).facts())
        except ClipError as error:
            problems.append(Problem(name, str(error.path), error.what))
    return Index(root, layout.name, tuple(clips), tuple(problems))


def summary(index: Index) -> str:
    """Return what an index says, in a few lines."""
    frames = sum(clip.frames for clip in index.clips)
    seconds = sum(clip.frames / clip.rate for clip in index.clips)
    shares = [sum(c.frames * c.hands[side] for c in index.clips) / frames for side in (0, 1)]
    moving = sum(clip.moving_camera for clip in index.clips)
    lines = {
        "layout": index.layout,
        "clips": f"{len(index.clips)} ({_counts([clip.split for clip in index.clips])})",
        "hours": f"{seconds / 3600:.3f}",
        "frames": f"{frames}",
        "frames a second": _counts([f"{clip.rate:g}" for clip in index.clips]),
        "picture": _counts(["x".join(map(str, clip.size)) for clip in index.clips]),
        "left hand": f"in {100 * shares[0]:.0f} % of the frames",
        "right hand": f"in {100 * shares[1]:.0f} % of the frames",
        "camera": f"moves in {moving} clips",
        "left out": f"{len(index.problems)} clips",
    }
    width = max(map(len, lines))
    return "\n".join(f"{name.ljust(width)}  {value}" for name, value in lines.items())


def _counts(values: list[str]) -> str:
    """Return how often each value occurs, the most frequent first; the value if there is one."""
    counted = Counter(values).most_common()
    if len(counted) == 1:
        return counted[0][0]
    return ", ".join(f"{count} of {value}" for value, count in counted[:5])
