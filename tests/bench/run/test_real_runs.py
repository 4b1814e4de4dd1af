"""What test_reliability shows of a small fake environment, shown of the real one."""

import json
import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from support.runs import without_timing

from dexbench.bench.ledger.ledger import read_rows
from dexbench.bench.ledger.rows import Row

TRIALS = 15
"""Of the suite mini: five of each task."""


def command(out: Path, workers: int) -> list[str]:
    """Plays the mini suite."""
    words = ["run", "--agent", "random", "--task", "all", "--suite", "mini", "--out", str(out)]
    return [sys.executable, "-m", "dexbench.bench.cli", *words, "--workers", str(workers)]


def rows_of(out: Path) -> list[Row]:
    """The rows of all ledgers, ledger by ledger."""
    return [row for path in sorted(out.rglob("trials.jsonl")) for row in read_rows(path)]


def lines(rows: list[Row]) -> list[str]:
    """Rows without their clocks, sorted."""
    return sorted(map(json.dumps, without_timing(rows)))


@pytest.mark.slow
def test_workers_and_kills_change_no_row_of_a_real_run(tmp_path: Path) -> None:
    subprocess.run(command(tmp_path / "one", 1), check=True, stdout=subprocess.DEVNULL, timeout=300)
    expected = lines(rows_of(tmp_path / "one"))
    assert len(set(expected)) == TRIALS
    for workers in (2, 4):
        out = tmp_path / str(workers)
        subprocess.run(command(out, workers), check=True, stdout=subprocess.DEVNULL, timeout=300)
        assert lines(rows_of(out)) == expected
    instants, out, growing = random.Random(0), tmp_path / "killed", 0
    before: list[Row] = []
    while len(before) < TRIALS - 4:
        process = subprocess.Popen(
            command(out, 2), start_new_session=True, stdout=subprocess.DEVNULL
        )
        until = time.monotonic() + 60
        while len(rows_of(out)) == len(before) and time.monotonic() < until:
            time.sleep(0.05)
        time.sleep(instants.uniform(0, 1.5))
        os.killpg(process.pid, signal.SIGKILL)
        process.wait(timeout=60)
        now = rows_of(out)
        assert {json.dumps(row) for row in before} <= {json.dumps(row) for row in now}
        growing += len(now) > len(before)
        before = now
    assert growing >= 2, "too few kills hit a run"
    subprocess.run(command(out, 2), check=True, stdout=subprocess.DEVNULL, timeout=300)
    assert lines(rows_of(out)) == expected
