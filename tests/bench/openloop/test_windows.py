import json

import numpy as np
import pytest
from support.synthetic_store import write_store

from dexbench.agents.learning.holdout import held_out
from dexbench.bench.openloop import windows
from dexbench.bench.openloop.windows import draw_windows
from dexbench.utils.errors import UserError


@pytest.fixture(scope="module")
def store(tmp_path_factory):
    return write_store(tmp_path_factory.mktemp("set") / "set", episodes=6, frames=46)


def test_the_same_set_split_and_seed_give_the_same_windows(store):
    first, again = (draw_windows(store, "all", 0, 200) for _ in range(2))
    assert first.facts == again.facts and len(first.rows) == 6
    assert sorted(row["id"] for row in first.rows) == list(range(6))
    assert all(0 <= start <= 5 for start in first.starts) and len(set(first.starts)) > 1
    other = draw_windows(store, "all", 1, 200)
    assert [pair[0] for pair in other.facts["windows"]] != [row["id"] for row in first.rows]
    assert dict(other.facts["windows"]) != dict(first.facts["windows"])  # other starts too
    assert other.facts["windows_sha256"] != first.facts["windows_sha256"]
    json.dumps(first.facts)


def test_fewer_windows_are_the_first_of_more(store):
    few = draw_windows(store, "all", 0, 3).facts["windows"]
    assert few == draw_windows(store, "all", 0, 200).facts["windows"][:3]


def test_the_hash_knows_the_set_not_its_name(store, tmp_path):
    facts = draw_windows(store, "all", 0, 9).facts
    twin = write_store(tmp_path / "twin", episodes=6, frames=46)
    other = write_store(tmp_path / "other", episodes=6, frames=46, seed=1)
    assert draw_windows(twin, "all", 0, 9).facts["windows_sha256"] == facts["windows_sha256"]
    assert draw_windows(other, "all", 0, 9).facts["windows_sha256"] != facts["windows_sha256"]


def test_held_out_are_the_scenes_that_training_leaves_out(store, monkeypatch):
    monkeypatch.setattr(windows, "HOLDOUT", 0.8)
    drawn = draw_windows(store, "held-out", 0, 200)
    rows = sorted(draw_windows(store, "all", 0, 200).rows, key=lambda row: row["id"])
    out = held_out(rows, np.ones(6, bool), 0.8)
    assert sorted(row["id"] for row in drawn.rows) == np.flatnonzero(out).tolist()
    assert 2 <= len(drawn.rows) < 6


def test_short_clips_are_no_windows(tmp_path):
    store = write_store(tmp_path / "set", episodes=3, frames=40)
    with pytest.raises(UserError, match="0 clips of over 4 s"):
        draw_windows(store, "all", 0, 200)
