"""The append-only record of a run: one JSON line a trial, its actions beside it.

``<out>/<suite>/<agent>/<task>/trials.jsonl`` holds the rows in the order in which they finished;
``actions/<trial>.npz`` holds ``actions``, (steps, 23) float32 joint targets [rad]. A row is
written after its actions and only once, so whatever is in the ledger is complete. All clocks are
under the key ``timing``: without it, the sorted rows are the same for any number of workers.
"""

import fcntl
import hashlib
import io
import json
import os
import shutil
import zipfile
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import numpy as np

from ..envs.errors import UserError

Row = dict[str, Any]

ROWS_FILE = "trials.jsonl"

# What must agree between the rows of one ledger; MuJoCo's version changes trajectories.
IDENTITY = ("agent", "task", "suite", "suite_hash", "weights_hash", "agent_args", "threads")


def _identity(row: Row) -> Row:
    identity = {key: row.get(key) for key in IDENTITY}
    return {**identity, "mujoco": row.get("versions", {}).get("mujoco")}


def _parse(data: bytes, path: Path) -> tuple[list[Row], int]:
    """The complete rows in ``data`` and the number of bytes that they take."""
    rows: list[Row] = []
    end = 0
    lines = data.split(b"\n")
    for number, line in enumerate(lines, start=1):
        last = number == len(lines)
        try:
            row = json.loads(line)
            if not isinstance(row, dict):
                raise ValueError("not an object")
        except ValueError as error:
            if last:  # Torn in the writing, or the nothing after the last newline.
                break
            raise UserError(
                f"{path}, line {number} is damaged ({error}); restore the file or start afresh "
                "with --fresh"
            ) from error
        rows.append(row)
        end += len(line) + (0 if last else 1)
    trials = [row.get("trial") for row in rows]
    for trial in trials:
        if trials.count(trial) > 1:
            raise UserError(f"{path} holds trial {trial} more than once; remove one of the lines")
    return rows, end


def read_rows(path: Path) -> list[Row]:
    """The complete rows of a ledger file; a torn last line is left out.

    Args:
        path: The ``trials.jsonl``.

    Returns:
        The rows in the order in which they were written; none if there is no such file.

    Raises:
        UserError: A line other than the last is damaged, or a trial is there twice.
    """
    return _parse(path.read_bytes(), path)[0] if path.exists() else []


def check_compatible(rows: list[Row], row: Row, path: Path) -> None:
    """Refuses to mix trials that cannot be compared.

    Args:
        rows: What the ledger holds.
        row: A row of the run that wants to go on with it; only its `IDENTITY` matters.
        path: The ledger, for the message.

    Raises:
        UserError: They differ in something that changes what is measured.
    """
    wanted = _identity(row)
    for old in map(_identity, rows):
        for key, value in wanted.items():
            if old[key] != value:
                raise UserError(
                    f"{path} holds rows with {key} {old[key]}, but this run has {value}: choose "
                    "another --out or --name, or delete those rows with --fresh"
                )


class Ledger:
    """A task's ledger, open for appending by this process alone."""

    def __init__(self, folder: Path, fresh: bool = False) -> None:
        """Opens or creates the ledger in ``folder`` and drops a torn last line.

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
            self._file = os.open(self.path, os.O_RDWR | os.O_CREAT | os.O_APPEND, 0o644)
        except OSError as error:
            raise UserError(f"cannot write to {folder} ({error}); choose another --out") from error
        try:
            fcntl.flock(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            os.close(self._file)
            raise UserError(
                f"another run is writing to {self.path}: wait for it or choose another --out"
            ) from error
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
        _sync_folder(folder)

    def append(self, row: Row, actions: np.ndarray) -> None:
        """Writes a trial's actions and then its row; both are on the disk at return.

        Args:
            row: JSON-able, with its ``trial`` number.
            actions: (steps, 23) float32 joint targets that were sent [rad].
        """
        folder = self.folder / "actions"
        folder.mkdir(exist_ok=True)
        path = folder / f"{row['trial']:03d}.npz"
        partial = path.with_suffix(".tmp")
        with partial.open("wb") as file:
            file.write(_npz(actions))
            file.flush()
            os.fsync(file.fileno())
        partial.replace(path)
        _sync_folder(folder)
        line = json.dumps(row, allow_nan=False, separators=(",", ":")) + "\n"
        data = line.encode()
        while data:
            data = data[os.write(self._file, data) :]
        os.fsync(self._file)
        self.rows.append(row)

    def close(self) -> None:
        """Closes the file and with it gives up the lock."""
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
    """The first 16 hexadecimal digits of the sha256 of the float32 actions."""
    return hashlib.sha256(np.ascontiguousarray(actions, "<f4").tobytes()).hexdigest()[:16]


def _npz(actions: np.ndarray) -> bytes:
    """An npz file without the time in it, so that equal actions give equal bytes."""
    array = io.BytesIO()
    np.lib.format.write_array(array, np.ascontiguousarray(actions, "<f4"), allow_pickle=False)
    archive = io.BytesIO()
    with zipfile.ZipFile(archive, "w", zipfile.ZIP_DEFLATED) as file:
        entry = zipfile.ZipInfo("actions.npy", date_time=(1980, 1, 1, 0, 0, 0))
        file.writestr(entry, array.getvalue(), zipfile.ZIP_DEFLATED)
    return archive.getvalue()


def _sync_folder(folder: Path) -> None:
    """Makes new names in ``folder`` durable."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
