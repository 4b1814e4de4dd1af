"""Runs that nothing can spoil: lost workers, kills, orders, repeats."""

import json
import os
import random
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import gymnasium
import numpy as np
import pytest
from support import fake
from support.processes import wait_for
from support.runs import SCRIPT, broken_trials, run_fake, without_timing

from dexbench.bench.ledger.ledger import read_rows
from dexbench.bench.ledger.rows import Row
from dexbench.bench.run import pool as pool_module
from dexbench.bench.run.pool import Pool
from dexbench.bench.run.progress import Progress
from dexbench.bench.run.runner import RunConfig, check
from dexbench.bench.run.trial import play
from dexbench.bench.run.worker import Job, Setup, seed_global_generators
from dexbench.bench.scores.summary import score_table, summarise
from dexbench.envs.suite import Suite
from dexbench.envs.task_names import SUITE_TASKS
from dexbench.utils.errors import UserError
from dexbench.utils.seeding import seed_for


def ledger_of(out: Path, agent: str = "Wander", task: str = "reach") -> Path:
    return out / f"v1/support.fake.{agent}/{task}/trials.jsonl"


def sorted_bytes(out: Path) -> list[str]:
    """The lines of all ledgers without their clocks, sorted."""
    rows = [row for path in out.rglob("trials.jsonl") for row in read_rows(path)]
    return sorted(map(json.dumps, without_timing(rows)))


# Lost workers


@pytest.mark.parametrize(
    ("fault", "reason"),
    [
        ("hang", "worker hung simulating: over 3 s"),
        ("crash", "worker died (SIGSEGV) while simulating"),
    ],
)
def test_a_trial_fails_only_with_its_third_lost_worker(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: Any, fault: str, reason: str
) -> None:
    monkeypatch.setattr(pool_module, "SIMULATING_TIMEOUT", 3.0)
    arguments = (f"fault={fault}", f"folder={tmp_path}")
    rows = run_fake(tmp_path / "out", "support.fake:Unlucky", trials=3, agent_args=arguments)
    notes = capfd.readouterr().err
    for trial in (1, 2):
        assert notes.count(f"reach trial {trial}: {reason}; it is played again\n") == 2
    assert len(list(tmp_path.glob("lost-1-*"))) == 2 and len(list(tmp_path.glob("lost-2-*"))) == 3
    for trial in (0, 1):
        seed_global_generators(trial)
        env = gymnasium.make("fake/Reach-v1")
        sound = play(env, fake.Wander(), suite="v1", task="reach", trial=trial)
        assert {key: rows[trial][key] for key in sound.row if key != "timing"} == {
            key: value for key, value in sound.row.items() if key != "timing"
        }
    assert rows[2]["error"] == f"lost 3 workers: {reason}" and not rows[2]["success"]
    assert set(rows[2]) == set(rows[1]) and len(rows[2]["distances"]) == 1


def test_a_slow_disk_is_not_taken_for_a_hang(tmp_path: Path, capfd: Any) -> None:
    """While one result is written down, another worker's decision may seem to take too long."""
    log = tmp_path / "log"
    log.mkdir()
    arguments = {"pause": 0.4, "folder": str(log)}
    setup = Setup("support.fake:BeginsWithAnother", "reach", "v1", arguments, backend=fake.BACKEND)
    with Pool(setup, 2, decision_timeout=1.2) as pool:
        results = pool.play([Job("reach", 1, tmp_path), Job("reach", 0, tmp_path)])
        quick_row, _ = next(results)
        time.sleep(1.5)  # So long does it take to write the result.
        slow_row, _ = next(results)
    assert (quick_row["success"], slow_row["success"]) == (False, True)
    assert slow_row["error"] is None
    assert "played again" not in capfd.readouterr().err


def test_errors_are_played_again_on_request_only(tmp_path: Path) -> None:
    flag = tmp_path / "mended"
    agent, arguments = "support.fake:Mendable", (f"flag={flag}",)
    first = run_fake(tmp_path, agent, agent_args=arguments, trials=12)
    path = ledger_of(tmp_path, "Mendable")
    assert [row["trial"] for row in first if row["error"]] == broken_trials(12) == [0, 11]
    assert len(list((path.parent / "errors").iterdir())) == 2
    flag.touch()
    assert run_fake(tmp_path, agent, agent_args=arguments, trials=12) == first
    # Only trials that the run asks for lose their row.
    run_fake(tmp_path, agent, agent_args=arguments, trials=11, retry_errors=True)
    assert [row["trial"] for row in read_rows(path) if row["error"]] == [11]
    rows = run_fake(tmp_path, agent, agent_args=arguments, retry_errors=True, trials=None)
    assert not any(row["error"] for row in rows) and len(rows) == len(read_rows(path)) == 12
    for old, new in zip(first, rows, strict=True):
        assert old["error"] or old == new, "a sound trial was played again"
    assert not list((path.parent / "errors").iterdir()), "tracebacks of errors that are gone"


# Repeats


def test_repeats_have_seeds_and_files_of_their_own(tmp_path: Path) -> None:
    once = run_fake(tmp_path, trials=3)
    path = ledger_of(tmp_path)
    # A ledger from before there were repeats.
    old = [{key: value for key, value in row.items() if key != "repeat"} for row in read_rows(path)]
    path.write_text("".join(json.dumps(row) + "\n" for row in old))
    rows = run_fake(tmp_path, trials=3, repeats=3, workers=2)
    assert [(row["trial"], row.get("repeat", 0)) for row in rows] == [
        (trial, repeat) for trial in range(3) for repeat in range(3)
    ]
    assert [row["timing"] for row in rows[::3]] == [row["timing"] for row in once]
    for row in rows:
        own = fake.seed_of("reach", row["trial"])
        repeat = row.get("repeat", 0)
        assert row["seed"] == (seed_for(own, "repeat", repeat) if repeat else own)
    assert len({tuple(row["distances"]) for row in rows}) == 9, "repeats are not independent"
    assert sorted(p.name for p in (path.parent / "actions").iterdir()) == sorted(
        f"{trial:03d}{end}.npz" for trial in range(3) for end in ("", "-r1", "-r2")
    )
    fresh = run_fake(tmp_path / "fresh", trials=3, repeats=3)
    assert [r["distances"] for r in fresh] == [r["distances"] for r in rows]
    assert run_fake(tmp_path, trials=3)[1]["distances"] == once[1]["distances"]
    assert [row["trial"] for row in run_fake(tmp_path, trials=3)] == [0, 1, 2]


def row_of(trial: int, repeat: int, success: bool) -> Row:
    return {
        **({"repeat": repeat} if repeat else {}),
        "trial": trial,
        "success": success,
        "held_at_end": success,
        "final_distance": 0.1 + repeat,
        "min_distance": 0.1,
        "error": None,
        "timing": {"decisions": 3, "decision_s": 0.3},
    }


def test_the_headline_is_repeat_0_and_repeats_tell_its_noise() -> None:
    played = {0: "1100", 1: "1000", 2: "111"}  # Repeat 2 has yet to play trial 3.
    rows = [
        row_of(trial, repeat, outcome == "1")
        for repeat, outcomes in played.items()
        for trial, outcome in enumerate(outcomes)
    ]
    alone = summarise(rows[:4])
    scores = summarise(rows)
    assert "repeats" not in alone
    assert {key: scores[key] for key in alone} == alone
    assert (scores["trials"], scores["successes"], scores["median_final_distance_m"]) == (4, 2, 0.1)
    # Over trials 0 to 2: rates 2/3, 1/3 and 1; trials 1 and 2 change.
    assert (scores["repeats"], scores["repeat_rate_sd"], scores["repeat_changes"]) == (
        3,
        0.3333,
        0.6667,
    )
    table = score_table([{"agent": "a", "task": "reach", **s} for s in (scores, alone)])
    header, first, second = table.splitlines()
    assert header.endswith("repeats  sd of rate  changing")
    assert first.split()[-3:] == ["3", "33.3%", "66.7%"] and second.split()[-3:] == ["-"] * 3
    assert "repeats" not in score_table([{"agent": "a", "task": "reach", **alone}])


# Order, workers, kills


ORDERS: dict[str, Callable[[list[Job]], list[Job]]] = {
    "reversed": lambda jobs: jobs[::-1],
    "shuffled": lambda jobs: random.Random(0).sample(jobs, len(jobs)),
}


@pytest.mark.slow
def test_ledgers_depend_on_neither_order_nor_workers(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    options: dict[str, Any] = {"task": "all", "trials": 5, "repeats": 2}
    run_fake(tmp_path / "forward", **options)
    expected = sorted_bytes(tmp_path / "forward")
    assert len(expected) == 30
    for workers in (2, 4):
        run_fake(tmp_path / str(workers), workers=workers, **options)
        assert sorted_bytes(tmp_path / str(workers)) == expected
    play_in_order = Pool.play
    for name, order in ORDERS.items():
        monkeypatch.setattr(
            Pool, "play", lambda pool, jobs, order=order: play_in_order(pool, order(list(jobs)))
        )
        run_fake(tmp_path / name, workers=2 if name == "shuffled" else 1, **options)
        assert sorted_bytes(tmp_path / name) == expected
    first, last = (
        [(row["trial"], row["repeat"]) for row in read_rows(ledger_of(tmp_path / name))]
        for name in ("forward", "reversed")
    )
    assert first == last[::-1], "the order was not reversed"


@pytest.mark.slow
def test_kill_9_at_20_random_instants_loses_at_most_a_trial_a_worker(tmp_path: Path) -> None:
    workers, trials, repeats, kills = 2, 12, 12, 20
    log = tmp_path / "log"
    log.mkdir()
    words = [
        "--agent",
        "support.fake:SlowSuccess",
        "--task",
        "reach",
        "--out",
        str(tmp_path / "out"),
    ]
    words += ["--workers", str(workers), "--trials", str(trials), "--repeats", str(repeats)]
    words += ["--agent-args", "pause=0.08", f"folder={log}"]
    path = ledger_of(tmp_path / "out", "SlowSuccess")
    instants = random.Random(1)
    before: list[Row] = []
    in_play = 0
    for _ in range(kills):
        begun = len(list(log.iterdir()))
        # A session of its own, so that parent and workers are killed at the same instant.
        process = subprocess.Popen(
            [sys.executable, str(SCRIPT), "run", *words],
            start_new_session=True,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        if instants.random() < 0.75:  # The others die while they start up, or soon after.
            wait_for(lambda begun=begun: len(list(log.iterdir())) > begun)
        time.sleep(instants.uniform(0, 1.5))
        os.killpg(process.pid, signal.SIGKILL)
        process.wait(timeout=60)
        rows = read_rows(path)
        assert rows[: len(before)] == before, "rows were lost or changed"
        assert len({(row["trial"], row["repeat"]) for row in rows}) == len(rows)
        lost = len(list(log.iterdir())) - begun - (len(rows) - len(before))
        assert 0 <= lost <= workers
        in_play += lost > 0
        before = rows
    assert in_play >= kills / 2, "too few kills hit a trial"
    assert len(before) < trials * repeats, "it was over before the kills were"
    arguments = ("pause=0.08", f"folder={log}")
    options: dict[str, Any] = {"trials": trials, "repeats": repeats, "agent_args": arguments}
    resumed = run_fake(tmp_path / "out", "support.fake:SlowSuccess", workers=workers, **options)
    assert len(resumed) == trials * repeats
    arguments = ("pause=0.0", f"folder={log}")
    whole = run_fake(
        tmp_path / "whole", "support.fake:SlowSuccess", **{**options, "agent_args": arguments}
    )
    for row, other in zip(without_timing(resumed), without_timing(whole), strict=True):
        assert {**row, "agent_args": 0} == {**other, "agent_args": 0}


@pytest.mark.parametrize("workers", [1, 3])
def test_trials_that_succeed_slowly_count_as_much_as_others(tmp_path: Path, workers: int) -> None:
    """A pool that counts what finishes first is biased against them; so it is shown to be here."""
    arguments = ("pause=0.3",)
    options: dict[str, Any] = {"trials": 12, "workers": workers, "agent_args": arguments}
    rows = run_fake(tmp_path, "support.fake:SlowSuccess", **options)
    assert [row["trial"] for row in rows] == list(range(12))
    assert [row["success"] for row in rows] == [True, False] * 6
    finished = read_rows(ledger_of(tmp_path, "SlowSuccess"))
    if workers == 3:
        assert [row["trial"] for row in finished] != list(range(12)), "nothing overtook"


# Other


def test_the_time_left_is_that_of_all_workers(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys.stderr, "isatty", lambda: True, raising=False)
    monkeypatch.setattr("tqdm.std.time", lambda: now)
    now = 0.0
    lost = {"success": False}
    progress = Progress("hold all", 100, [lost] * 20)  # 20 of 120 were done before.
    bar = progress.bar
    bar.start_t = bar.last_print_t = 0.0
    for burst in range(1, 11):  # Four workers, 10 s a trial, done half a second apart.
        for worker in range(4):
            now = 10.0 * burst + 0.5 * worker
            progress.update(lost)
    state = bar.format_dict
    rate = state["rate"] or (state["n"] - state["initial"]) / state["elapsed"]
    assert (state["total"] - state["n"]) / rate == pytest.approx(60 / 4 * 10, rel=0.02)
    bar.close()


@pytest.mark.parametrize(("name", "of"), [("mini", "v1"), ("mini-v2", "v2")])
def test_mini_is_a_suite_of_its_own_made_of_the_first_trials(name: str, of: str) -> None:
    whole, mini = Suite.load(of), Suite.load(name)
    assert mini.name == name and mini.hash != whole.hash and name in Suite.names()
    assert mini.tasks == whole.tasks
    for task in whole.tasks:
        assert mini.trials(task) == 5
        assert mini.trial_hash(task, 4) == whole.trial_hash(task, 4)
        assert mini.trial(task, 4).hash == whole.trial(task, 4).hash
    with pytest.raises(UserError, match=f"suite {name} has 5 {task} trials, 0-4"):
        mini.trial(task, 5)


def test_a_tasks_own_suite_is_played_by_default() -> None:
    suites = {task: check(RunConfig("hold", task)).suite for task in ("reach", "push", "all")}
    assert suites == {"reach": "v1", "push": "v2", "all": "v1"}
    assert set(check(RunConfig("hold", "all", suite="v2")).tasks) == set(SUITE_TASKS["v2"])
    with pytest.raises(UserError, match="suite v1 has no push trials"):
        check(RunConfig("hold", "push", suite="v1"))


def test_a_run_of_mini_has_a_folder_of_its_own() -> None:
    plan = check(RunConfig("hold", "all", suite="mini"))
    assert plan.trials == {"reach": 5, "grasp": 5, "place": 5}
    assert plan.folder("reach") == Path("runs/mini/hold/reach").absolute()
    with pytest.raises(UserError, match="--trials is 6, but suite mini has 5 reach trials"):
        check(RunConfig("hold", "reach", suite="mini", trials=6))


def test_all_global_generators_are_seeded_by_trial_and_repeat() -> None:
    import torch

    def draws(*key: int) -> list[float]:
        seed_global_generators(*key)
        return [random.random(), np.random.rand(), float(torch.rand(1))]

    state = random.getstate(), np.random.get_state(), torch.get_rng_state()
    try:
        first = draws(3)
        assert draws(3) == first and draws(3, 0) == first
        for other in (draws(4), draws(3, 1)):
            assert all(one != two for one, two in zip(other, first, strict=True))
    finally:
        random.setstate(state[0])
        np.random.set_state(state[1])
        torch.set_rng_state(state[2])
