import errno
import fcntl
import json
import os
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from dexbench.bench.ledger.actions import actions_hash
from dexbench.bench.ledger.ledger import Ledger, open_ledgers, read_rows
from dexbench.bench.ledger.rows import Row, check_compatible, suite_label
from dexbench.utils.errors import UserError


def row_of(trial: int) -> Row:
    return {
        "agent": "hold",
        "task": "reach",
        "suite_hash": "abc",
        "trial": trial,
        "error": 'says "é"\n' if trial == 1 else None,
        "versions": {"mujoco": "3.3.1"},
        "timing": {"wall_s": 1.5},
    }


def actions_of(trial: int) -> np.ndarray:
    return np.full((60, 23), trial, np.float32)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    with Ledger(tmp_path / "reach") as ledger:
        for trial in (2, 0, 1):
            ledger.append(row_of(trial), actions_of(trial))
    return tmp_path / "reach"


def test_rows_and_actions_come_back(folder: Path) -> None:
    assert read_rows(folder / "trials.jsonl") == [row_of(2), row_of(0), row_of(1)]
    with np.load(folder / "actions/002.npz", allow_pickle=False) as file:
        assert file["actions"].dtype == np.float32
        assert np.array_equal(file["actions"], actions_of(2))


def test_equal_actions_are_equal_bytes(folder: Path, tmp_path: Path) -> None:
    with Ledger(tmp_path / "again") as ledger:
        ledger.append(row_of(2), actions_of(2))
    again = (tmp_path / "again/actions/002.npz").read_bytes()
    assert again == (folder / "actions/002.npz").read_bytes()
    assert actions_hash(actions_of(2)) != actions_hash(actions_of(1))


def test_truncated_at_every_byte_all_complete_rows_are_recovered(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("os.fsync", lambda descriptor: None)  # Some thousand would take seconds.
    path = folder / "trials.jsonl"
    data = path.read_bytes()
    ends = [index for index, byte in enumerate(data) if byte == ord("\n")]
    for size in range(len(data) + 1):
        complete = sum(end <= size for end in ends)  # A row without its newline is complete.
        path.write_bytes(data[:size])
        assert len(read_rows(path)) == complete
        assert path.stat().st_size == size, "reading changed the file"
        with Ledger(folder) as ledger:
            assert [row["trial"] for row in ledger.rows] == [2, 0, 1][:complete]
            ledger.append(row_of(7), actions_of(7))
        lines = path.read_text().splitlines()
        assert [json.loads(line)["trial"] for line in lines] == [2, 0, 1][:complete] + [7]


def test_damage_before_the_last_line_is_refused(folder: Path) -> None:
    path = folder / "trials.jsonl"
    lines = path.read_bytes().splitlines(keepends=True)
    path.write_bytes(lines[0] + lines[1][:9] + b"\n" + lines[2])
    with pytest.raises(UserError, match="line 2 is damaged"):
        read_rows(path)
    with pytest.raises(UserError, match="line 2 is damaged"):
        Ledger(folder)
    with Ledger(folder, fresh=True) as ledger:
        assert ledger.rows == []


def test_a_trial_that_is_there_twice_is_refused(folder: Path) -> None:
    path = folder / "trials.jsonl"
    path.write_bytes(path.read_bytes() + path.read_bytes().splitlines(keepends=True)[0])
    with pytest.raises(UserError, match="trial 2 more than once"):
        read_rows(path)


def test_repeats_of_a_trial_are_rows_of_their_own(folder: Path) -> None:
    repeat = {**row_of(2), "repeat": 1}
    with Ledger(folder) as ledger:
        ledger.append(repeat, actions_of(5))
    path = folder / "trials.jsonl"
    assert read_rows(path)[-1] == repeat
    for name, value in (("002", 2), ("002-r1", 5)):
        with np.load(folder / f"actions/{name}.npz", allow_pickle=False) as file:
            assert np.array_equal(file["actions"], actions_of(value))
    path.write_bytes(path.read_bytes() + path.read_bytes().splitlines(keepends=True)[-1])
    with pytest.raises(UserError, match="trial 2, repeat 1, more than once"):
        read_rows(path)


def test_dropped_rows_are_gone_and_others_unharmed(folder: Path) -> None:
    path = folder / "trials.jsonl"
    lines = path.read_bytes().splitlines(keepends=True)
    (folder / "errors").mkdir()
    (folder / "errors/trial-001.txt").touch()
    (folder / "errors/trial-002.txt").touch()
    (folder / "trials.tmp").write_text("left by a crash")
    with Ledger(folder) as ledger:
        ledger.drop_errors([(0, 0), (1, 0), (2, 0)])
        assert path.read_bytes() == lines[0] + lines[1]
        assert [file.name for file in (folder / "errors").iterdir()] == ["trial-002.txt"]
        with pytest.raises(UserError, match="another run"):  # The new file is locked too.
            Ledger(folder)
        ledger.append(row_of(1), actions_of(1))
        assert ledger.rows == read_rows(path) == [row_of(2), row_of(0), row_of(1)]
    Ledger(folder).close()


def test_a_crash_while_rows_are_dropped_loses_none(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = folder / "trials.jsonl"
    data = path.read_bytes()

    def crash(*args: Any) -> None:
        raise KeyboardInterrupt

    for target in ("os.write", "os.fsync", "pathlib.Path.replace"):
        with monkeypatch.context() as patch, Ledger(folder) as ledger:
            patch.setattr(target, crash)
            with pytest.raises(KeyboardInterrupt):
                ledger.drop_errors([(0, 0), (1, 0), (2, 0)])
        assert path.read_bytes() == data


def test_a_file_that_was_replaced_before_it_was_locked_is_not_written(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path, lock, locked = folder / "trials.jsonl", fcntl.flock, []

    def replace_then_lock(descriptor: int, flags: int) -> None:
        if not locked:
            (folder / "new").write_bytes(path.read_bytes().splitlines(keepends=True)[0])
            (folder / "new").replace(path)
        locked.append(descriptor)
        lock(descriptor, flags)

    monkeypatch.setattr(fcntl, "flock", replace_then_lock)
    with Ledger(folder) as ledger:
        assert ledger.rows == [row_of(2)] and len(locked) == 2
        ledger.append(row_of(7), actions_of(7))
    assert read_rows(path) == [row_of(2), row_of(7)]


def test_a_full_disk_is_told_and_costs_one_row(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write = os.write

    def fill(descriptor: int, data: bytes) -> int:
        if len(data) < 50:
            raise OSError(errno.ENOSPC, "No space left on device")
        return write(descriptor, data[:50])

    with Ledger(folder) as ledger, monkeypatch.context() as patch:
        patch.setattr(os, "write", fill)
        with pytest.raises(UserError, match="No space left on device.*give the command again"):
            ledger.append(row_of(7), actions_of(7))
    with Ledger(folder) as ledger:
        assert ledger.rows == [row_of(2), row_of(0), row_of(1)]
        ledger.append(row_of(7), actions_of(7))
    assert len(read_rows(folder / "trials.jsonl")) == 4


def test_a_second_writer_is_refused(folder: Path) -> None:
    with Ledger(folder), pytest.raises(UserError, match="another run"):
        Ledger(folder)
    Ledger(folder).close()


def test_a_folder_that_cannot_be_made_is_refused(folder: Path) -> None:
    with pytest.raises(UserError, match="choose another --out"):
        Ledger(folder / "trials.jsonl" / "below")


@pytest.mark.parametrize(
    "change",
    [
        {"suite_hash": "def"},
        {"weights_hash": "w"},
        {"versions": {"mujoco": "3.4.0"}},
        {"agent_args": {"planner": "paper"}},
        {"privileged": True},
        {"dtype": "bfloat16"},
        {"entry_point": "mine:Other"},
        {"threads": 2},
        {"settings_hash": "b"},
        {"planner": "paper"},
        {"cost": "paper"},
    ],
)
def test_rows_that_cannot_be_compared_are_refused(change: Row) -> None:
    path = Path("x")
    whole = {
        "weights_hash": None,
        "agent_args": {},
        "dtype": "float32",
        "privileged": False,
        "entry_point": "mine:Agent",
    }
    whole |= {"threads": 1, "settings_hash": "a", "planner": "compact", "cost": None}
    old = {**row_of(0), **whole}
    check_compatible([old], {**row_of(1), **whole}, path)
    check_compatible([row_of(0)], {**row_of(1), **whole}, path)  # of a version without them
    with pytest.raises(UserError, match="--out.*--fresh"):
        check_compatible([old], {**row_of(1), **whole, **change}, path)


def test_a_runs_identity_is_in_every_row_and_no_other_gets_in(tmp_path: Path) -> None:
    identity = {"agent": "hold", "dtype": "float32", "versions": {"mujoco": "3.3.1"}}
    own = {"task": "reach", "trial": 4, "repeat": 0, "error": None, "timing": {}}
    with Ledger(tmp_path, identity) as ledger:
        ledger.append(own, actions_of(4))
        with pytest.raises(UserError, match="reach trial 5 was played with dtype float16, but"):
            ledger.append({**own, "trial": 5, "dtype": "float16"}, actions_of(5))
        assert not (tmp_path / "actions/005.npz").exists()
    (line,) = (tmp_path / "trials.jsonl").read_text().splitlines()
    assert json.loads(line) == {**identity, **own}
    keys = ["agent", "task", "trial", "repeat", "dtype", "versions", "error", "timing"]
    assert list(json.loads(line)) == keys
    with pytest.raises(UserError, match="dtype float32, but this run has float16.*--fresh"):
        Ledger(tmp_path, {**identity, "dtype": "float16"})
    assert (tmp_path / "trials.jsonl").read_text() == f"{line}\n"
    Ledger(tmp_path, identity).close()  # The refused one has given up the lock.


def test_ledgers_of_a_run_are_opened_all_or_none(folder: Path) -> None:
    folders = {"grasp": folder.parent / "grasp", "reach": folder}
    identity = {"agent": "other", "versions": {"mujoco": "3.3.1"}}
    rows = read_rows(folder / "trials.jsonl")
    refused = pytest.raises(UserError, match="agent hold, but this run has other")
    with refused, open_ledgers(folders, identity):
        pass
    assert read_rows(folder / "trials.jsonl") == rows and not folders["grasp"].exists()
    with open_ledgers(folders, identity, fresh=True) as ledgers:
        assert list(ledgers) == ["grasp", "reach"]
        own = {"trial": 0, "error": None, "timing": {}}
        for ledger in ledgers.values():
            ledger.append(own, actions_of(0))
    tasks = [read_rows(path / "trials.jsonl")[0]["task"] for path in folders.values()]
    assert tasks == ["grasp", "reach"]


def test_a_ledger_says_what_is_missing_and_selects_what_is_asked_for(folder: Path) -> None:
    plays = [(trial, repeat) for repeat in range(2) for trial in range(2)]
    with Ledger(folder) as ledger:
        assert ledger.missing(plays) == [(0, 1), (1, 1)]
        assert [row["trial"] for row in ledger.select(plays)] == [0, 1]
        ledger.drop_errors([(0, 0), (1, 1)])  # The error is in (1, 0).
        assert len(ledger.rows) == 3
        ledger.drop_errors([(1, 0)])
        assert ledger.missing(plays) == [(1, 0), (0, 1), (1, 1)]


def test_a_kill_between_actions_and_row_leaves_no_row(folder: Path, monkeypatch: Any) -> None:
    rows = read_rows(folder / "trials.jsonl")

    def killed(*_: Any) -> None:
        raise KeyboardInterrupt

    with Ledger(folder) as ledger:
        monkeypatch.setattr(Path, "replace", killed)
        with pytest.raises(KeyboardInterrupt):
            ledger.append(row_of(3), actions_of(3))
    assert read_rows(folder / "trials.jsonl") == rows, "a row comes after its actions"


def test_rows_with_a_hidden_robot_do_not_mix_with_others(folder: Path) -> None:
    path = folder / "trials.jsonl"
    shown, hidden = ({**row_of(3), "hide_robot": value} for value in (False, True))
    check_compatible(read_rows(path), shown, path)  # rows of before say nothing: it was shown
    with pytest.raises(UserError, match="hide_robot False, but this run has True"):
        check_compatible(read_rows(path), hidden, path)
    with pytest.raises(UserError, match="hide_robot True, but this run has False"):
        check_compatible([hidden], row_of(4), path)
    assert suite_label({**hidden, "suite": "v1"}) == "v1-hidden"
    assert suite_label({**row_of(3), "suite": "v1"}) == "v1"
