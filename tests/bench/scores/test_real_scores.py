import csv
from pathlib import Path
from typing import Any

import pytest
from support.ledgers import write_ledger, write_real

from dexbench.bench.ledger.entries import read_entries
from dexbench.bench.ledger.real import read_real
from dexbench.bench.scores.leaderboard import LeaderboardConfig, derive, main
from dexbench.bench.scores.real import COLUMNS, real_table, score_real
from dexbench.bench.scores.statistics import wilson
from dexbench.envs.real.robot import is_simulated
from dexbench.utils.errors import UserError


def test_real_trials_are_scored_with_intervals(tmp_path: Path) -> None:
    write_real(tmp_path, "dexwm", 10, trials=12)
    write_real(tmp_path, "hold", 0)
    first, second = score_real(read_real([tmp_path]))
    low, high = wilson(10, 12)
    assert first == {
        "driver": "lab.arm:Arm",
        "simulated": False,
        "agent": "dexwm",
        "task": "grasp",
        "trials": 12,
        "successes": 10,
        "rate": 0.8333,
        "ci_low": round(low, 4),
        "ci_high": round(high, 4),
        "stopped": 1,
        "judge": "person",
        "decision_seconds": 2.5,
        "planner": "paper-real",
        "cost": "paper",
        "pretraining": "none",
        "weights_hash": "feed",
        "calibration": "feedfacecafe",
        "versions": "dexbench 0.1.0",
    }
    assert tuple(first) == COLUMNS
    # A driver that ships is a simulation by whatever name it is called.
    for name in ("stepped", "dexbench.envs.real.stepped:SteppedRobot"):
        assert is_simulated(name)
        assert f"{name}, simulated" in real_table([first | {"driver": name, "simulated": True}])
    assert not is_simulated("lab.arm:Arm") and "simulated" not in real_table([first])
    assert second["agent"] == "hold" and second["rate"] == 0


def test_real_and_simulated_trials_do_not_mix(tmp_path: Path, capsys: Any) -> None:
    write_ledger(tmp_path, "hold", "grasp", 1, distances=[], steps_to_success=None)
    write_real(tmp_path, "hold", 3)
    assert [line["trials"] for line in derive(tmp_path)] == [4]
    assert [len(entry.rows) for entry in read_entries([tmp_path])] == [4]
    main(LeaderboardConfig(tmp_path))
    simulated, real = capsys.readouterr().out.split("\n\n")
    assert "25.0%" in simulated and "75.0%" not in simulated
    (row,) = (line.split() for line in real.splitlines()[1:2])
    assert row[:8] == ["lab.arm:Arm", "hold", "grasp", "3/4", "75.0%", "30.1%", "to", "95.4%"]
    assert row[8:10] == ["1", "person"]
    with (tmp_path / "leaderboard-real.csv").open(newline="") as file:
        (line,) = csv.DictReader(file)
    assert line["successes"] == "3" and line["ci_low"] == "0.3006"
    with (tmp_path / "leaderboard.csv").open(newline="") as file:
        (line,) = csv.DictReader(file)
    assert line["successes"] == "1"


def test_real_trials_can_be_shown_alone(tmp_path: Path, capsys: Any) -> None:
    write_real(tmp_path, "hold", 3)
    main(LeaderboardConfig(tmp_path))
    alone = capsys.readouterr().out
    assert alone.startswith("real robot") and not (tmp_path / "leaderboard.csv").exists()
    write_ledger(tmp_path, "hold", "grasp", 1)
    main(LeaderboardConfig(tmp_path, suite="real"))
    assert capsys.readouterr().out == alone
    main(LeaderboardConfig(tmp_path, suite="v1"))
    assert "lab.arm" not in capsys.readouterr().out
    with pytest.raises(UserError, match="no trials of suite v7; the ledgers hold v1, real"):
        main(LeaderboardConfig(tmp_path, suite="v7"))


def test_real_ledgers_that_cannot_be_told_apart_are_refused(tmp_path: Path) -> None:
    write_real(tmp_path / "one", "hold", 3)
    write_real(tmp_path / "two", "hold", 3)
    with pytest.raises(UserError, match="both hold hold on grasp with lab.arm:Arm"):
        read_real([tmp_path])
    assert len(read_real([tmp_path / "one"])) == 1


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"kind": "film"}, "rows of kind 'film', expected 'real'"),
        ({"note": 0, "trial": "x"}, "is damaged"),
    ],
)
def test_what_is_no_real_ledger_is_named(tmp_path: Path, change: Any, said: str) -> None:
    write_real(tmp_path, "hold", 3, **change)
    with pytest.raises(UserError, match=said):
        read_real([tmp_path])


def test_rows_of_two_robots_do_not_share_a_ledger(tmp_path: Path) -> None:
    path = write_real(tmp_path, "hold", 3)
    other = write_real(tmp_path / "other", "hold", 3, trials=5, driver_args={"latency": 0.2})
    path.write_text(path.read_text() + other.read_text().splitlines()[-1] + "\n")
    with pytest.raises(UserError, match="holds rows with driver_args"):
        read_real([tmp_path / "real"])
