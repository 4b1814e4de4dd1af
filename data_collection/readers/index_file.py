"""The index of a folder of clips, as it is kept and read."""

import dataclasses
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from dexbench import __version__
from dexbench.utils.errors import UserError
from dexbench.utils.files import write_atomic

from .clip import Clip, ClipFacts
from .layouts import open_layout

SCHEMA = 1


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

    def require_clips(self) -> None:
        """Raise UserError if no clip is whole."""
        if not self.clips:
            first = self.problems[0] if self.problems else None
            reason = f"{first.file} {first.what}" if first else "empty"
            raise UserError(f"{self.root} holds no whole clip ({reason}); get or record some")

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
