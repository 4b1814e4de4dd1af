"""The file itself: whole or refused, whatever is in it, and never larger than memory bears."""

import base64
import gzip
import hashlib
import json
import tracemalloc
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from support.submissions import honest

from dexbench.bench.ledger.actions import actions_path, read_actions
from dexbench.bench.ledger.ledger import read_rows
from dexbench.bench.submit.submission import LARGEST, LARGEST_FILE, MAGIC, decode, encode, unpack
from dexbench.utils.errors import UserError


def test_a_file_gives_back_what_was_packed(tmp_path: Path) -> None:
    data = encode(honest())
    assert encode(honest()) == data, "the same content gives the same bytes"
    found = decode(data)
    assert found.statement == honest().statement
    for (row, actions), play in zip(found.plays, honest().plays, strict=True):
        assert row == play.row and np.array_equal(actions, play.actions)
        assert actions.dtype == np.float32
    unpack(found.plays, tmp_path)
    (path,) = tmp_path.rglob("trials.jsonl")
    rows = read_rows(path)
    assert rows == [play.row for play in honest().plays] and path.parent.name == "place"
    for row, play in zip(rows, honest().plays, strict=True):
        assert np.array_equal(read_actions(actions_path(path.parent, row)), play.actions)


def test_every_damage_is_found() -> None:
    data = encode(honest())
    places = np.linspace(0, len(data) - 1, 100).astype(int)
    for place in places:
        for damaged in (
            data[:place],
            data[:place] + bytes([data[place] ^ 1 << place % 8]) + data[place + 1 :],
        ):
            with pytest.raises(UserError, match="no submission of this version|is damaged"):
                decode(damaged)
    with pytest.raises(UserError, match="is damaged"):
        decode(data + b"\n")


def sealed(content: object, body: bytes | None = None) -> bytes:
    """A file with a right sha256, whatever it holds."""
    text = content if isinstance(content, bytes) else json.dumps(content).encode()
    body = gzip.compress(text) if body is None else body
    return MAGIC + hashlib.sha256(body).hexdigest().encode() + b"\n" + body


STATEMENT = {"authors": ["a"], "training_data": "none", "hardware": "cpu"}
PLAY = {"row": {}, "actions": base64.b64encode(bytes(92)).decode()}


def test_the_least_that_is_read() -> None:
    assert decode(sealed({"statement": STATEMENT, "plays": [PLAY]})).plays[0].actions.shape == (
        1,
        23,
    )


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"\xff\xfe",
        b"[1]",
        b"[" * 100_000,
        b'{"statement": {}, "statement": {}}',
        {"statement": STATEMENT},
        {"statement": STATEMENT, "plays": []},
        {"statement": STATEMENT, "plays": {"row": {}}},
        {"statement": STATEMENT, "plays": [PLAY], "more": 1},
        {"statement": STATEMENT, "plays": [{**PLAY, "code": "import os"}]},
        {"statement": STATEMENT, "plays": [{**PLAY, "row": [1]}]},
        {"statement": STATEMENT, "plays": [{**PLAY, "row": {"x": float("nan")}}]},
        {"statement": STATEMENT, "plays": [{**PLAY, "row": {"x": "\ud800"}}]},
        {"statement": STATEMENT, "plays": [{**PLAY, "actions": "AAAA"}]},
        {"statement": STATEMENT, "plays": [{**PLAY, "actions": PLAY["actions"] + "\n"}]},
        {"statement": STATEMENT, "plays": [{**PLAY, "actions": 7}]},
        {"statement": {**STATEMENT, "authors": []}, "plays": [PLAY]},
        {"statement": {**STATEMENT, "authors": "a"}, "plays": [PLAY]},
        {"statement": {**STATEMENT, "hardware": "a\nb"}, "plays": [PLAY]},
        {"statement": {**STATEMENT, "hardware": "\x1b[31m"}, "plays": [PLAY]},
        {"statement": {**STATEMENT, "hardware": "x" * 501}, "plays": [PLAY]},
        {"statement": {**STATEMENT, "hardware": None}, "plays": [PLAY]},
        {"statement": {**STATEMENT, "site": "x"}, "plays": [PLAY]},
    ],
)
def test_what_is_no_submission_is_refused(content: Any) -> None:
    with pytest.raises(UserError, match="the file is no submission"):
        decode(sealed(content))


def test_bombs_do_not_unfold() -> None:
    bomb = gzip.compress(bytes(40 * LARGEST))
    assert len(bomb) < LARGEST_FILE
    tracemalloc.start()
    for data in (sealed(b"", bomb), sealed(b"", bomb[:-9]), sealed(b"", bomb + bomb)):
        with pytest.raises(UserError, match=f"unfolds to more than {LARGEST:,}"):
            decode(data)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 4 * LARGEST
    with pytest.raises(UserError, match="is larger than"):
        decode(sealed(b"", bytes(LARGEST_FILE)))
    with pytest.raises(UserError, match="the file is no submission"):
        decode(sealed(b"", gzip.compress(b"{}") + b"more"))
