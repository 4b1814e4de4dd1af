"""Suites: frozen trials, the same for everybody."""

import hashlib
import json
from functools import cached_property
from pathlib import Path
from typing import Any

from dexbench.utils.errors import UserError

from .trial import Trial

SUITES = Path(__file__).parent / "suites"
"""Where the suites that come with the package are."""
VIEWS = {"mini": ("v1", 5), "mini-v2": ("v2", 5)}
"""Suites without files of their own: the first so many trials of each task of another."""


class Suite:
    """A folder with ``suite.json`` and one file a trial, ``<task>/<index>.npz``.

    Args:
        root: The folder.
        name: Of the suite; the folder's by default.
        first: Only the first so many trials of each task.
    """

    def __init__(self, root: Path, name: str | None = None, first: int | None = None):
        self.root = root
        self.name = name or root.resolve().name
        path = root / "suite.json"
        try:
            self._trials: dict[str, list[str]] = json.loads(path.read_text(encoding="utf-8"))[
                "trials"
            ]
            if not all(isinstance(hashes, list) for hashes in self._trials.values()):
                raise TypeError("trials is not a table of lists")
            self._trials = {task: hashes[:first] for task, hashes in self._trials.items()}
        except (FileNotFoundError, NotADirectoryError):
            names = ", ".join(Suite.names()) or "none"
            raise UserError(
                f"no suite {root.name!r}; there are: {names}; or give a folder, with '/'"
            ) from None
        except (ValueError, LookupError, TypeError, AttributeError) as error:
            raise UserError(f"{path} is damaged ({error}); reinstall dexbench") from error

    @staticmethod
    def load(name: str | Path) -> "Suite":
        """Return a suite by name, or by the path of its folder; one without '/' is a name.

        Raises:
            UserError: There is none.
        """
        name = str(name)
        if name in VIEWS:
            suite, first = VIEWS[name]
            return Suite(SUITES / suite, name, first)
        return Suite(Path(name) if "/" in name else SUITES / name)

    @staticmethod
    def absolute(name: str) -> str:
        """Return what `load` takes in any directory: a folder's path absolute, a name as it is."""
        return str(Path(name).absolute()) if "/" in name else name

    @staticmethod
    def names() -> list[str]:
        """Return the names of the suites that come with the package, sorted."""
        folders = {path.parent.name for path in SUITES.glob("*/suite.json")}
        return sorted(folders | {view for view, (suite, _) in VIEWS.items() if suite in folders})

    @cached_property
    def hash(self) -> str:
        """sha256 (hex) over all trials' hashes."""
        text = json.dumps(self._trials, sort_keys=True)
        return hashlib.sha256(text.encode()).hexdigest()

    @property
    def tasks(self) -> tuple[str, ...]:
        """Tasks in the suite."""
        return tuple(self._trials)

    def trials(self, task: str) -> int:
        """Return the number of trials of a task."""
        return len(self._trials.get(task, ()))

    def trial_hash(self, task: str, index: int) -> str:
        """Return what the trial's hash must be."""
        return self._trials[task][index]

    def trial(self, task: str, index: int) -> Trial:
        """Return a trial, checked against the suite's record.

        Raises:
            UserError: There is no such trial, or its file is not the recorded one.
        """
        count = self.trials(task)
        if not 0 <= index < count:
            numbers = f"{count} {task} trials, 0-{count - 1}" if count else f"no {task} trials"
            raise UserError(f"suite {self.name} has {numbers}; asked for {index}")
        path = self.root / task / f"{index:03d}.npz"
        trial = Trial.load(path)
        if trial.hash != self.trial_hash(task, index):
            raise UserError(
                f"trial {path} is not the one that suite {self.name} records; reinstall dexbench"
            )
        return trial


def write_index(root: Path, hashes: dict[str, list[str]], report: dict[str, Any]) -> None:
    """Write ``suite.json``: trial hashes by task, and how the suite was built."""
    text = json.dumps({"schema": 1, "trials": hashes, "build": report}, indent=1, sort_keys=True)
    (root / "suite.json").write_text(text + "\n", encoding="utf-8")
