import json
from pathlib import Path

import numpy as np
import pytest

from dexbench.bench.ledger import Ledger, Row, actions_hash, check_compatible, read_rows
from dexbench.envs.errors import UserError


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
    ],
)
def test_rows_that_cannot_be_compared_are_refused(change: Row) -> None:
    path = Path("x")
    check_compatible([row_of(0)], row_of(1), path)
    with pytest.raises(UserError, match="--out.*--fresh"):
        check_compatible([row_of(0)], {**row_of(1), **change}, path)
