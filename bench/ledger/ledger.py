"""The append-only record of a run: one JSON line a trial, its actions beside it.

``<out>/<suite>/<agent>/<task>/trials.jsonl`` holds the rows in the order in which they finished;
``actions/<trial>.npz`` holds ``actions``, (steps, 23) float32 joint targets [rad]. A row is
written after its actions and only once, so whatever is in the ledger is complete; (trial, repeat)
names it. All clocks are under the key ``timing``: without it, the sorted rows are the same for any
number of workers.
"""

import hashlib
import io
import json
import os
import shutil
import zipfile
from collections import Counter
from collections.abc import Callable, Collection
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import numpy as np

from dexbench.utils.errors import UserError
from dexbench.utils.files import atomic_file, open_locked, sync, write_atomic

Row = dict[str, Any]

ROWS_FILE = "trials.jsonl"

IDENTITY = (
    *("agent", "task", "suite", "suite_hash", "weights_hash", "agent_args", "threads"),
    *("dtype", "privileged", "entry_point", "settings_hash"),
)
"""What must agree between the rows of one ledger, beside MuJoCo, whose version changes
trajectories. Earlier rows lack some of it, which then agrees with anything."""


def play_key(row: Row) -> tuple[int, int]:
    """(trial, repeat) of a row; rows from before there were repeats are repeat 0."""
    return row["trial"], row.get("repeat", 0)


def play_name(task: str, trial: int, repeat: int) -> str:
    """Return what messages call a trial."""
    return f"{task} trial {trial}" + (f", repeat {repeat}" if repeat else "")


def play_stem(trial: int, repeat: int) -> str:
    """Return what the files of a trial are called: ``003``, or ``003-r1`` for its repeat 1."""
    return f"{trial:03d}" + (f"-r{repeat}" if repeat else "")


def _identity(row: Row) -> Row:
    identity = {key: row[key] for key in IDENTITY if key in row}
    return {**identity, "mujoco": row.get("versions", {}).get("mujoco")}


def difference(one: Row, other: Row) -> tuple[str, Any, Any] | None:
    """Return the first of `IDENTITY` in which two rows differ, and what each has there.

    None if none.
    """
    first, second = _identity(one), _identity(other)
    for key in first:
        if key in second and first[key] != second[key]:
            return key, first[key], second[key]
    return None


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


def check_compatible(rows: list[Row], row: Row, path: Path) -> None:
    """Refuse to mix trials that cannot be compared.

    Args:
        rows: What the ledger holds.
        row: A row of the run that wants to go on with it; only its `IDENTITY` matters.
        path: The ledger, for the message.

    Raises:
        UserError: They differ in something that changes what is measured.
    """
    for old in rows:
        if found := difference(old, row):
            key, value, wanted = found
            raise UserError(
                f"{path} holds rows with {key} {value}, but this run has {wanted}: choose "
                "another --out or --name, or delete those rows with --fresh"
            )


def plain(value: Row, what: str) -> Row:
    """Return the value as JSON gives it back, so that it equals what a ledger will hold.

    Args:
        value: To be part of a row.
        what: Its name, for the message.

    Raises:
        UserError: JSON cannot hold it.
    """
    try:
        return json.loads(json.dumps(value, allow_nan=False))
    except (TypeError, ValueError) as error:
        raise UserError(
            f"a row cannot hold {what} ({error}): strings, finite numbers, lists and dicts will do"
        ) from error


def check_complete(rows: list[Row], keys: Collection[str], path: Path) -> None:
    """Refuse rows that lack something.

    Args:
        rows: What the ledger holds.
        keys: What each row must have.
        path: The ledger, for the message.

    Raises:
        UserError: A row lacks one of the keys.
    """
    if missing := {key for key in keys for row in rows if key not in row}:
        raise UserError(
            f"{path} is no ledger of this version: a row lacks {', '.join(sorted(missing))}"
        )


class Ledger:
    """A task's ledger, open for appending by this process alone."""

    def __init__(self, folder: Path, fresh: bool = False) -> None:
        """Open or create the ledger in ``folder`` and drop a torn last line.

        Args:
            folder: ``<out>/<suite>/<agent>/<task>``.
            fresh: Delete what it holds.

        Raises:
            UserError: It cannot be written, another process has it open, or it is damaged.
        """
        self.folder = folder
        self.path = folder / ROWS_FILE
        try:
            folder.mkdir(parents=True, exist_ok=True)
            self._file = open_locked(self.path)
        except BlockingIOError as error:
            raise UserError(
                f"another run is writing to {self.path}: wait for it or choose another --out"
            ) from error
        except OSError as error:
            raise UserError(f"cannot write to {folder} ({error}); choose another --out") from error
        if fresh:
            os.ftruncate(self._file, 0)
            for name in ("actions", "videos", "errors"):
                shutil.rmtree(folder / name, ignore_errors=True)
        try:
            self.rows, end = _parse(self.path.read_bytes(), self.path)
        except UserError:
            self.close()
            raise
        os.ftruncate(self._file, end)
        if end and os.pread(self._file, 1, end - 1) != b"\n":
            os.write(self._file, b"\n")
        sync(folder)

    def append(self, row: Row, actions: np.ndarray) -> None:
        """Write a trial's actions and then its row; both are on the disk at return.

        Args:
            row: JSON-able, with its ``trial`` number and ``repeat``.
            actions: (steps, 23) float32 joint targets that were sent [rad].

        Raises:
            UserError: The disk is full or gone. Rows that were there are unharmed.
        """
        path = self.folder / "actions" / f"{play_stem(*play_key(row))}.npz"
        try:
            write_atomic(path, _npz(actions))
            _write(self._file, _line(row))
        except OSError as error:
            raise self._unwritten(error) from error
        self.rows.append(row)

    def drop(self, unwanted: Callable[[Row], bool]) -> None:
        """Take rows out, with their tracebacks, so that their trials can be played again.

        The file is replaced by one without them: a crash leaves the one or the other, whole.

        Args:
            unwanted: Whether a row goes.

        Raises:
            UserError: The disk is full or gone.
        """
        kept = [row for row in self.rows if not unwanted(row)]
        if len(kept) == len(self.rows):
            return
        replacement = None
        try:
            with atomic_file(self.path) as draft:
                replacement = open_locked(draft)
                _write(replacement, b"".join(map(_line, kept)))
        except BaseException as error:
            if replacement is not None:
                os.close(replacement)
            if isinstance(error, OSError):
                raise self._unwritten(error) from error
            raise
        os.close(self._file)
        self._file = replacement
        for row in filter(unwanted, self.rows):
            name = f"trial-{play_stem(*play_key(row))}.txt"
            (self.folder / "errors" / name).unlink(missing_ok=True)
        self.rows = kept

    def _unwritten(self, error: OSError) -> UserError:
        return UserError(
            f"cannot write to {self.folder} ({error}); mend that and give the command again"
        )

    def close(self) -> None:
        """Close the file and with it gives up the lock."""
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


def actions_hash(actions: np.ndarray) -> str:
    """Return the first 16 hexadecimal digits of the sha256 of the float32 actions."""
    return hashlib.sha256(np.ascontiguousarray(actions, "<f4").tobytes()).hexdigest()[:16]


def _npz(actions: np.ndarray) -> bytes:
    """Return an npz file without the time in it, so that equal actions give equal bytes."""
    array = io.BytesIO()
    np.lib.format.write_array(array, np.ascontiguousarray(actions, "<f4"), allow_pickle=False)
    archive = io.BytesIO()
    with zipfile.ZipFile(archive, "w", zipfile.ZIP_DEFLATED) as file:
        entry = zipfile.ZipInfo("actions.npy", date_time=(1980, 1, 1, 0, 0, 0))
        file.writestr(entry, array.getvalue(), zipfile.ZIP_DEFLATED)
    return archive.getvalue()


def _line(row: Row) -> bytes:
    return json.dumps(row, allow_nan=False, separators=(",", ":")).encode() + b"\n"


def _write(descriptor: int, data: bytes) -> None:
    """Write all of it through to the disk."""
    while data:
        data = data[os.write(descriptor, data) :]
    os.fsync(descriptor)
