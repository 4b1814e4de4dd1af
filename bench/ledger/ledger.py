"""The append-only record of a run: one JSON line a trial, its actions beside it.

``<out>/<suite>/<agent>/<task>/trials.jsonl`` holds the rows in the order in which they finished;
``actions/<trial>.npz`` holds ``actions``, (steps, 23) float32 joint targets [rad]. A row is
written after its actions and only once, so whatever is in the ledger is complete; (trial, repeat)
names it. All clocks are under the key ``timing``: without it, the sorted rows are the same for any
number of workers.
"""

import json
import os
import shutil
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from pathlib import Path
from types import TracebackType
from typing import Self

import numpy as np
from numpy.typing import NDArray

from dexbench.utils.errors import UserError
from dexbench.utils.files import atomic_file, open_locked, sync, write_atomic
from dexbench.utils.machine_errors import naming

from .actions import actions_path, encode_actions
from .rows import (
    Row,
    check_compatible,
    difference,
    line_of,
    ordered,
    play_key,
    play_name,
    play_stem,
)

ROWS_FILE = "trials.jsonl"
OF_REAL = ("plans", "motions", "calibrations")
"""Folders beside a real robot's ledger."""

Plays = Iterable[tuple[int, int]]
"""(trial, repeat) of each trial that a run asks for."""


def read_rows(path: Path) -> list[Row]:
    """Return the complete rows of a ledger file; a torn last line is left out.

    Args:
        path: The ``trials.jsonl``.

    Returns:
        The rows in the order in which they were written; none if there is no such file.

    Raises:
        UserError: A line other than the last is damaged, or a trial's repeat is there twice.
    """
    return _parse(path.read_bytes(), path)[0] if path.exists() else []


def _parse(data: bytes, path: Path) -> tuple[list[Row], int]:
    """Return the complete rows in ``data`` and the number of bytes that they take."""
    rows: list[Row] = []
    end = 0
    lines = data.split(b"\n")
    for number, line in enumerate(lines, start=1):
        last = number == len(lines)
        try:
            row = json.loads(line)
            if not isinstance(row, dict):
                raise ValueError("not an object")
            if not isinstance(row.get("trial"), int):
                raise ValueError("no trial number")
        except ValueError as error:
            if last:  # Torn in the writing, or the nothing after the last newline.
                break
            raise UserError(
                f"{path}, line {number} is damaged ({error}); restore the file or start afresh "
                "with --fresh"
            ) from error
        rows.append(row)
        end += len(line) + (0 if last else 1)
    for (trial, repeat), count in Counter(map(play_key, rows)).items():
        if count > 1:
            name = f"trial {trial}" + (f", repeat {repeat}," if repeat else "")
            raise UserError(f"{path} holds {name} more than once; remove one of the lines")
    return rows, end


class Ledger:
    """A task's ledger, open for appending by this process alone."""

    def __init__(
        self,
        folder: Path,
        identity: Row | None = None,
        fresh: bool = False,
        rows_file: str = ROWS_FILE,
    ) -> None:
        """Open or create the ledger in ``folder`` and drop a torn last line.

        Args:
            folder: ``<out>/<suite>/<agent>/<task>``.
            identity: What all rows of the run share, `rows.IDENTITY` among it; each row that is
                appended gets it. By default rows are appended as they are.
            fresh: Delete what the ledger holds.
            rows_file: Name of the file of its rows.

        Raises:
            UserError: It belongs to a run of another identity, it cannot be written, another
                process has it open, or it is damaged.
        """
        self.folder = folder
        self.path = folder / rows_file
        self._identity = identity
        try:
            folder.mkdir(parents=True, exist_ok=True)
            self._file = open_locked(self.path)
        except BlockingIOError as error:
            raise UserError(
                f"another run is writing to {self.path}: wait for it or choose another --out"
            ) from error
        except OSError as error:
            raise UserError(f"cannot write to {folder} ({error}); choose another --out") from error
        try:
            with naming(self.path):
                self._begin(fresh)
        except (UserError, OSError):
            self.close()
            raise

    def _begin(self, fresh: bool) -> None:
        """Read the rows, or delete them, and make the file end with the last whole one."""
        if fresh:
            os.ftruncate(self._file, 0)
            for name in ("actions", "videos", "errors", *OF_REAL):
                shutil.rmtree(self.folder / name, ignore_errors=True)
        self.rows, end = _parse(self.path.read_bytes(), self.path)
        if self._identity is not None:
            check_compatible(self.rows, self._identity, self.path)
        os.ftruncate(self._file, end)
        if end and os.pread(self._file, 1, end - 1) != b"\n":
            os.write(self._file, b"\n")
        sync(self.folder)

    def missing(self, plays: Plays) -> list[tuple[int, int]]:
        """Return which of some plays have no row, in their order."""
        done = set(map(play_key, self.rows))
        return [play for play in plays if play not in done]

    def select(self, plays: Plays) -> list[Row]:
        """Return the rows of some plays, by trial and repeat."""
        wanted = set(plays)
        return sorted((row for row in self.rows if play_key(row) in wanted), key=play_key)

    def append(self, row: Row, actions: NDArray[np.float32]) -> None:
        """Write a trial's actions and then its row; both are on the disk at return.

        Args:
            row: JSON-able, with its ``trial`` number and ``repeat``.
            actions: (steps, 23) float32 joint targets that were sent [rad].

        Raises:
            UserError: The row is of another identity than the ledger, or the disk is full or
                gone. Rows that were there are unharmed.
        """
        row = ordered({**(self._identity or {}), **row})
        if self._identity is not None and (differing := difference(self._identity, row)):
            key, wanted, value = differing
            raise UserError(
                f"{play_name(row['task'], *play_key(row))} was played with {key} {value}, but this "
                f"run has {wanted}: every worker must give the agent the same files and dtype"
            )
        path = actions_path(self.folder, row)
        try:
            write_atomic(path, encode_actions(actions))
            _write(self._file, line_of(row))
        except OSError as error:
            raise self._unwritten(error) from error
        self.rows.append(row)

    def drop_errors(self, plays: Plays) -> None:
        """Take out the rows that hold an error, with their tracebacks, to play them again.

        The file is replaced by one without them: a crash leaves the one or the other, whole.

        Args:
            plays: Whose rows may go.

        Raises:
            UserError: The disk is full or gone.
        """
        wanted = set(plays)
        dropped = [row for row in self.rows if row["error"] is not None and play_key(row) in wanted]
        if not dropped:
            return
        kept = [row for row in self.rows if row not in dropped]
        replacement = None
        try:
            with atomic_file(self.path) as draft:
                replacement = open_locked(draft)
                _write(replacement, b"".join(map(line_of, kept)))
        except BaseException as error:
            if replacement is not None:
                os.close(replacement)
            if isinstance(error, OSError):
                raise self._unwritten(error) from error
            raise
        os.close(self._file)
        self._file = replacement
        for row in dropped:
            name = f"trial-{play_stem(*play_key(row))}.txt"
            (self.folder / "errors" / name).unlink(missing_ok=True)
        self.rows = kept

    def _unwritten(self, error: OSError) -> UserError:
        return UserError(
            f"cannot write to {self.folder} ({error}); mend that and give the command again"
        )

    def close(self) -> None:
        """Close the file and with it give up the lock."""
        os.close(self._file)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()


@contextmanager
def open_ledgers(
    folders: Mapping[str, Path], identity: Row, fresh: bool = False
) -> Iterator[dict[str, Ledger]]:
    """Open the ledgers of a run's tasks; nothing is written if one is of another identity.

    Args:
        folders: Each task's ``<out>/<suite>/<agent>/<task>``.
        identity: What all rows of the run share beside the task.
        fresh: Delete what the ledgers hold.

    Yields:
        The ledgers by task.

    Raises:
        UserError: As `Ledger`.
    """
    identities = {task: {**identity, "task": task} for task in folders}
    if not fresh:
        for task, folder in folders.items():
            path = folder / ROWS_FILE
            check_compatible(read_rows(path), identities[task], path)
    with ExitStack() as stack:
        yield {
            task: stack.enter_context(Ledger(folder, identities[task], fresh))
            for task, folder in folders.items()
        }


def _write(descriptor: int, data: bytes) -> None:
    """Write all of it through to the disk."""
    while data:
        data = data[os.write(descriptor, data) :]
    os.fsync(descriptor)
