"""A submission: an agent's rows on one suite with their actions, in one file.

The file's first line names the format and the sha256 of the rest, which is JSON, compressed by
gzip. Nothing of it is ever run, and one that would fill the memory is refused while it unfolds.
"""

import base64
import binascii
import gzip
import hashlib
import json
import zlib
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from dexbench.bench.ledger.actions import actions_path, encode_actions
from dexbench.bench.ledger.ledger import ROWS_FILE
from dexbench.bench.ledger.rows import Row, line_of, ordered, play_key
from dexbench.envs.embodiment.robot import N_JOINTS
from dexbench.utils.errors import UserError
from dexbench.utils.files import write_atomic

MAGIC = b"dexbench submission 1 sha256 "
"""What a file begins with; the digest (hex) and a newline follow."""
LARGEST_FILE, LARGEST = 8_000_000, 16_000_000
"""Bytes of a file, and of what it unfolds to: eight times what a suite of 200 trials takes."""
LONGEST = 500
"""Characters of a line of the statement."""


@dataclass(frozen=True)
class Statement:
    """What no row says of itself, and nothing proves."""

    authors: tuple[str, ...]
    training_data: str
    """What the weights were trained on."""
    hardware: str
    """What the times were taken on."""


class Play(NamedTuple):
    """A trial as it was played."""

    row: Row
    actions: NDArray[np.float32]
    """(steps, 23) joint targets [rad]."""


@dataclass(frozen=True)
class Submission:
    """What a file holds."""

    statement: Statement
    plays: tuple[Play, ...]
    """At least one."""


def encode(submission: Submission) -> bytes:
    """Return the file.

    Raises:
        UserError: A row holds what JSON cannot, or actions are not numbers.
    """
    try:
        content = {
            "statement": asdict(submission.statement),
            "plays": [
                {"row": ordered(row), "actions": base64.b64encode(_bytes(actions)).decode()}
                for row, actions in submission.plays
            ],
        }
        text = json.dumps(content, allow_nan=False, separators=(",", ":"))
    except (TypeError, ValueError) as error:
        raise UserError(f"this cannot be submitted ({error}); restore the ledger") from error
    body = gzip.compress(text.encode(), mtime=0)
    return MAGIC + hashlib.sha256(body).hexdigest().encode() + b"\n" + body


def read(path: Path) -> bytes:
    """Return a submitted file's bytes, and at most one more than a file may have.

    Raises:
        UserError: There is no such file.
    """
    try:
        with path.open("rb") as file:
            return file.read(LARGEST_FILE + 1)
    except (FileNotFoundError, IsADirectoryError) as error:
        raise UserError(
            f"there is no submission {path}; `dexbench submit` writes such files"
        ) from error


def decode(data: bytes) -> Submission:
    """Return what a file holds. Its rows are dicts of finite JSON, and else unchecked.

    Raises:
        UserError: It is damaged, too large or no submission.
    """
    if len(data) > LARGEST_FILE:
        raise UserError(f"the file is larger than {LARGEST_FILE:,} bytes; send one agent's rows")
    head, newline, body = data.partition(b"\n")
    if not head.startswith(MAGIC) or not newline:
        raise UserError("the file is no submission of this version; `dexbench submit` writes one")
    if head[len(MAGIC) :] != hashlib.sha256(body).hexdigest().encode():
        raise UserError("the file is damaged: its sha256 is another; send it again")
    try:
        content = json.loads(_unfold(body), object_pairs_hook=_unique)
        # Infinite numbers and lone surrogates, which JSON's reader lets pass, cannot be written.
        json.dumps(content, allow_nan=False, ensure_ascii=False).encode()
        return Submission(
            _statement(**content.pop("statement")),
            tuple(_play(**play) for play in _only(content, "plays")),
        )
    except (ValueError, TypeError, LookupError, AttributeError, RecursionError) as error:
        raise UserError(f"the file is no submission ({error}); make it by `dexbench submit`") from (
            error
        )


def unpack(plays: Sequence[Play], folder: Path) -> None:
    """Write the plays' ledgers, ``<task>/trials.jsonl`` with actions; rows must be checked."""
    lines: dict[str, list[bytes]] = {}
    for row, actions in sorted(plays, key=lambda play: play_key(play.row)):
        write_atomic(actions_path(folder / row["task"], row), encode_actions(actions))
        lines.setdefault(row["task"], []).append(line_of(row))
    for task, rows in lines.items():
        write_atomic(folder / task / ROWS_FILE, b"".join(rows))


def _bytes(actions: NDArray[Any]) -> bytes:
    return np.ascontiguousarray(actions, "<f4").tobytes()


def _unfold(body: bytes) -> bytes:
    """Decompress, and stop where it gets too large."""
    stream = zlib.decompressobj(wbits=31)
    try:
        text = stream.decompress(body, LARGEST)
    except zlib.error as error:
        raise ValueError(str(error)) from error
    if not stream.eof or stream.unused_data:
        raise ValueError(f"torn, or it unfolds to more than {LARGEST:,} bytes")
    return text


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """Return an object, each key once: else two readers may see two things."""
    found = dict(pairs)
    if len(found) < len(pairs):
        raise ValueError("a key is there twice")
    return found


def _only(content: dict[str, Any], key: str) -> list[Any]:
    """Return the list that is all there is."""
    if set(content) != {key} or not isinstance(content[key], list) or not content[key]:
        raise ValueError(f"expected {key} and nothing else beside the statement")
    found: list[Any] = content[key]
    return found


def _statement(authors: list[str], training_data: str, hardware: str) -> Statement:
    if not isinstance(authors, list | tuple) or not authors:
        raise ValueError("expected authors")
    for text in (*authors, training_data, hardware):
        if not (isinstance(text, str) and 0 < len(text.strip()) <= LONGEST and text.isprintable()):
            raise ValueError(
                f"the statement has {text!r:.80}, expected one printable line of at most "
                f"{LONGEST} characters"
            )
    return Statement(tuple(authors), training_data, hardware)


def _play(row: Row, actions: str) -> Play:
    if not isinstance(row, dict) or not isinstance(actions, str):
        raise ValueError("a play is not a row with its actions")
    try:
        data = base64.b64decode(actions, validate=True)
    except binascii.Error as error:
        raise ValueError(f"actions that are not base64: {error}") from error
    if len(data) % (4 * N_JOINTS) or base64.b64encode(data).decode() != actions:
        raise ValueError(f"actions that are not {N_JOINTS} float32 a step")
    return Play(row, np.frombuffer(data, "<f4").reshape(-1, N_JOINTS).astype(np.float32))
