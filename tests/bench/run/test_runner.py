import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import av
import pytest
from support import fake
from support.processes import alive, wait_for
from support.runs import SCRIPT, broken_trials, run_fake, without_timing

from dexbench.bench.ledger.ledger import read_rows
from dexbench.envs.suite import Suite
from dexbench.envs.tasks import find_task
from dexbench.utils.errors import UserError
from dexbench.utils.processes import GRACE


def test_rows_do_not_depend_on_the_number_of_workers(tmp_path: Path) -> None:
    rows = run_fake(tmp_path / "1", task="all", trials=4)
    other_rows = run_fake(tmp_path / "2", task="all", trials=4, workers=2)
    assert without_timing(rows) == without_timing(other_rows)
    assert [(row["task"], row["trial"]) for row in rows] == [
        (task, trial) for task in ("reach", "grasp", "place") for trial in range(4)
    ]
    assert {row["success"] for row in rows} == {True, False}
    assert rows[0]["weights_hash"] == "w1" and rows[0]["pretraining"] == "wandering"
    assert rows[0]["dtype"] == "float16" and rows[0]["versions"]["numpy"]
    first, second = (tmp_path / n / "v1/support.fake.Wander/reach/actions/003.npz" for n in "12")
    assert first.read_bytes() == second.read_bytes()


def test_a_killed_run_resumes_to_the_same_rows(tmp_path: Path) -> None:
    whole = run_fake(tmp_path / "whole", agent_args=("pause=0.05",))
    out = tmp_path / "killed"
    options = [
        "--agent",
        "support.fake:Wander",
        "--task",
        "reach",
        "--trials",
        "6",
        "--workers",
        "2",
    ]
    command = [sys.executable, str(SCRIPT), "run", *options, "--out", str(out)]
    process = subprocess.Popen([*command, "--agent-args", "pause=0.05"])
    path = out / "v1/support.fake.Wander/reach/trials.jsonl"
    wait_for(lambda: len(read_rows(path)) >= 2)
    process.kill()
    process.wait(timeout=60)
    done = read_rows(path)
    assert 2 <= len(done) < 6, "it was to be killed in mid-run"
    rows = run_fake(out, agent_args=("pause=0.05",))
    assert without_timing(rows) == without_timing(whole)
    assert read_rows(path)[: len(done)] == done, "finished trials were played again"


def run_and_await_a_worker(folder: Path, **options: Any) -> tuple[subprocess.Popen[str], int]:
    """Start two trials; the process, and its first worker's id once that plays."""
    words = ["--agent", "support.fake:LeavesPid", "--task", "reach", "--trials", "2"]
    words += ["--out", str(folder / "out"), "--agent-args", f"folder={folder}"]
    process = subprocess.Popen([sys.executable, str(SCRIPT), "run", *words], text=True, **options)
    wait_for(lambda: any(path.name.isdigit() for path in folder.iterdir()))
    return process, int(next(path.name for path in folder.iterdir() if path.name.isdigit()))


def test_workers_die_with_a_killed_parent(tmp_path: Path) -> None:
    process, worker = run_and_await_a_worker(tmp_path)
    process.kill()
    process.wait(timeout=60)
    wait_for(lambda: not alive(worker))


def test_ctrl_c_ends_the_run_and_its_workers(tmp_path: Path) -> None:
    # A test run in the background has Ctrl-C ignored, and its children would inherit that.
    process, worker = run_and_await_a_worker(
        tmp_path,
        stderr=subprocess.PIPE,
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
    )
    process.send_signal(signal.SIGINT)
    _, complaint = process.communicate(timeout=60)
    assert process.returncode == 130 and complaint.count("\n") == 1
    assert not alive(worker)


def server_of(folder: Path) -> int:
    """The process that the agent `HasAServer` has started."""
    (path,) = folder.glob("server-*")
    return int(path.name.removeprefix("server-"))


@pytest.mark.parametrize("fault", ["none", "sleep", "hang"])
def test_a_worker_may_clear_up_and_leaves_no_process(tmp_path: Path, fault: str) -> None:
    """Its exit functions run, unless it hangs in native code; its children end with it."""
    rows = run_fake(
        tmp_path / "out",
        "support.fake:HasAServer",
        trials=1,
        agent_args=(f"folder={tmp_path}", f"fault={fault}"),
        decision_timeout=600 if fault == "none" else 0.5,
    )
    assert (rows[0]["error"] is None) == (fault == "none")
    assert (tmp_path / "cleared").exists() == (fault != "hang")
    wait_for(lambda: not alive(server_of(tmp_path)), 5)


def test_a_worker_that_dies_leaves_no_process(tmp_path: Path) -> None:
    run_fake(
        tmp_path / "out",
        "support.fake:HasAServer",
        trials=1,
        agent_args=(f"folder={tmp_path}", "fault=crash"),
    )
    for path in tmp_path.glob("server-*"):
        wait_for(lambda path=path: not alive(int(path.name.removeprefix("server-"))), 5)


@pytest.mark.parametrize("fault", ["sleep", "hang"])
def test_ctrl_c_ends_workers_in_bounded_time_with_what_they_started(
    tmp_path: Path, fault: str
) -> None:
    words = ["--agent", "support.fake:HasAServer", "--task", "reach", "--trials", "1"]
    words += ["--out", str(tmp_path / "out"), "--agent-args", f"folder={tmp_path}"]
    process = subprocess.Popen(
        [sys.executable, str(SCRIPT), "run", *words, f"fault={fault}"],
        stderr=subprocess.PIPE,
        text=True,
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
    )
    wait_for(lambda: (tmp_path / "deciding").exists())
    process.send_signal(signal.SIGINT)
    _, complaint = process.communicate(timeout=GRACE + 20)
    assert process.returncode == 130 and complaint.count("\n") == 1
    assert (tmp_path / "cleared").exists() == (fault == "sleep")
    wait_for(lambda: not alive(server_of(tmp_path)), 5)


@pytest.mark.parametrize("workers", [1, 2])
def test_an_agent_that_raises_fails_its_trial_only(tmp_path: Path, workers: int) -> None:
    arguments = ("fault=raise",)
    rows = run_fake(tmp_path, "support.fake:Sometimes", agent_args=arguments, workers=workers)
    failed = [row["trial"] for row in rows if row["error"]]
    assert failed == broken_trials(6) and 0 < len(failed) < 6
    assert rows[failed[0]]["error"] == "RuntimeError: the agent broke"
    trace = tmp_path / f"v1/support.fake.Sometimes/reach/errors/trial-{failed[0]:03d}.txt"
    assert "the agent broke\nat some place" in trace.read_text()
    # The trial after a fault is that of an agent that never had one.
    sound = run_fake(tmp_path / "sound", "support.fake:Sometimes", agent_args=("fault=none",))
    for row, other in zip(rows, sound, strict=True):
        if not row["error"]:
            assert row["distances"] == other["distances"]


@pytest.mark.parametrize(
    ("fault", "reason"),
    [
        ("hang", "decision timeout: over 1 s"),
        ("crash", "lost 3 workers: worker died (SIGSEGV) while deciding"),
    ],
)
def test_a_lost_worker_fails_its_trial_only(tmp_path: Path, fault: str, reason: str) -> None:
    rows = run_fake(
        tmp_path,
        "support.fake:Sometimes",
        agent_args=(f"fault={fault}",),
        workers=2,
        decision_timeout=1.0,
        trials=4,
    )
    assert [row["trial"] for row in rows if row["error"]] == broken_trials(4)
    for row in rows:
        if row["error"]:
            assert row["error"] == reason and not row["success"]
            assert len(row["distances"]) == 1 and row["trial_hash"]
        else:
            assert len(row["distances"]) == 61
    assert set(rows[0]) == set(rows[1]) == set(rows[2]) == set(rows[3])


def test_a_finished_run_plays_nothing(tmp_path: Path) -> None:
    first = run_fake(tmp_path, trials=2)
    assert run_fake(tmp_path, trials=2) == first
    assert run_fake(tmp_path, trials=3)[:2] == first
    assert run_fake(tmp_path, trials=1) == first[:1]


def test_a_ledger_of_other_weights_is_refused(tmp_path: Path) -> None:
    first = run_fake(tmp_path, trials=1, name="mine")
    with pytest.raises(UserError, match="weights_hash w1, but this run has w2.*--fresh"):
        run_fake(tmp_path, "support.fake:OtherWeights", trials=1, name="mine")
    (path,) = tmp_path.rglob("trials.jsonl")
    assert read_rows(path) == first
    rows = run_fake(tmp_path, "support.fake:OtherWeights", trials=1, name="mine", fresh=True)
    assert read_rows(path) == rows and rows[0]["weights_hash"] == "w2"


def test_a_ledger_of_another_class_is_refused(tmp_path: Path) -> None:
    """Both have no weights, and were given the same name."""
    assert run_fake(tmp_path, "hold", trials=1, name="mine")[0]["entry_point"].endswith(":Hold")
    with pytest.raises(UserError, match="entry_point dexbench.*:Hold, but this run has .*:Rand"):
        run_fake(tmp_path, "random", trials=2, name="mine")


def test_workers_with_different_agents_are_refused(tmp_path: Path) -> None:
    """As on a cluster whose machines have other files, or multiply other formats."""
    flags = tmp_path / "flags"
    flags.mkdir()
    with pytest.raises(UserError, match="was played with dtype float32, but this run has float16"):
        run_fake(
            tmp_path / "out", "support.fake:OtherDtype", workers=2, agent_args=(f"folder={flags}",)
        )
    rows = read_rows(next(tmp_path.rglob("trials.jsonl")))
    assert {row["dtype"] for row in rows} <= {"float16"}


def test_arguments_come_back_from_the_ledger_as_they_were(tmp_path: Path) -> None:
    """A tuple becomes a list, as JSON has it."""
    arguments = ("said=(1, 2)",)
    first = run_fake(tmp_path, "support.fake:Says", trials=1, agent_args=arguments)
    assert first[0]["agent_args"] == {"said": [1, 2]} and first[0]["weights_hash"] == [1, 2]
    assert run_fake(tmp_path, "support.fake:Says", trials=2, agent_args=arguments)[0] == first[0]


def test_an_agent_made_again_is_described_again(tmp_path: Path) -> None:
    """After an error the worker makes a new one, whose weights may be others."""
    with pytest.raises(UserError, match="was played with weights_hash 2, but this run has 1"):
        run_fake(tmp_path / "out", "support.fake:Retrained", agent_args=(f"folder={tmp_path}",))
    rows = read_rows(next(tmp_path.rglob("trials.jsonl")))
    assert {row["weights_hash"] for row in rows} == {1} and rows[-1]["error"]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (
            {"agent": "support.fake:Says", "agent_args": ("said={1}",)},
            "a row cannot hold .*--agent-args",
        ),
        (
            {"agent": "support.fake:Unsayable"},
            "a row cannot hold .* 'support.fake:Unsayable' .*JSON serializable",
        ),
        ({"agent_args": ("pause=1e999",)}, "a row cannot hold --agent-args .*finite numbers"),
        ({"agent": "nosuch"}, "there is no agent 'nosuch'"),
        ({"agent": "support.fake:Nosuch"}, "has no class Nosuch"),
        ({"agent": "no.such.module:Agent"}, "cannot import no.such.module"),
        ({"agent": "support.fake:Unmakeable"}, "weights.safetensors is missing"),
        ({"agent": "support.fake:FakeSuite"}, "no method reset or act"),
        ({"agent": "hold", "planner": "paper"}, "unexpected keyword argument 'planner'"),
        ({"task": "juggle"}, "no task 'juggle'.*or name your own as module:name"),
        ({"task": "nosuch:lift"}, "task 'lift': cannot import 'nosuch'"),
        (
            {"suite": "empty"},
            "suite v1 has no reach trials, but none; choose another --suite or --task",
        ),
        ({"trials": 0}, "--trials is 0"),
        ({"trials": 13}, "suite v1 has 12 reach trials"),
        ({"workers": 0}, "--workers is 0"),
        ({"repeats": 0}, "--repeats is 0"),
        ({"decision_timeout": 0.0}, "--decision-timeout is 0"),
        ({"agent_args": ("pause",)}, "expected KEY=VALUE"),
        ({"name": "../elsewhere"}, "--name is '../elsewhere'"),
    ],
)
def test_bad_input_writes_nothing(tmp_path: Path, change: dict[str, Any], message: str) -> None:
    with pytest.raises(UserError, match=message):
        run_fake(tmp_path / "out", **change)
    assert not list(tmp_path.iterdir())


def test_threads_are_fixed_in_every_worker(tmp_path: Path) -> None:
    rows = run_fake(tmp_path, "support.fake:Threads", trials=2, workers=2)
    goals = [round(float(fake.rng("fake", "reach", trial).uniform(-1, 1)), 6) for trial in (0, 1)]
    assert [row["final_distance"] for row in rows] == pytest.approx([1 - goal for goal in goals])
    assert rows[0]["threads"] == 1
    assert "LP_NUM_THREADS" not in os.environ


def test_a_privileged_agent_is_given_the_environment_and_marked(tmp_path: Path) -> None:
    rows = run_fake(tmp_path, "support.fake:Peeks", trials=2)
    assert all(row["success"] and row["privileged"] for row in rows)
    assert not any(row["privileged"] for row in run_fake(tmp_path, "hold", trials=2))


def test_video(tmp_path: Path) -> None:
    run_fake(tmp_path, "hold", trials=1, video=True)
    (path,) = (tmp_path / "v1/hold/reach/videos").iterdir()
    assert path.name == "trial-000.mp4"
    with av.open(path) as file:
        frames = [frame.to_ndarray(format="rgb24") for frame in file.decode(video=0)]
        assert file.streams.video[0].average_rate == 10
    assert len(frames) == 61 and frames[0].shape == (224, 784, 3)
    assert abs(int(frames[0][100, 600, 0]) - 200) < 5


def test_an_agent_may_change_the_current_directory(tmp_path: Path, monkeypatch: Any) -> None:
    """The suite and the ledger are where the command line says, seen from where it was given."""
    (tmp_path / "suites").mkdir()
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "suites" / "v1").symlink_to(Suite.load("v1").root)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("DEXBENCH_CACHE", "cache")
    (row,) = run_fake(
        Path("runs"),
        "support.fake:Moves",
        trials=1,
        suite="./suites/v1",
        video=True,
        agent_args=(f"folder={tmp_path / 'elsewhere'}",),
    )
    assert row["error"] is None
    assert [path.name for path in (tmp_path / "runs").rglob("*.mp4")] == ["trial-000.mp4"]
    assert not list((tmp_path / "elsewhere").iterdir())


def test_a_task_that_changes_the_current_directory_moves_no_path(
    tmp_path: Path, monkeypatch: Any
) -> None:
    (tmp_path / "moving_task.py").write_text("import os\nos.chdir('/')\n")
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(tmp_path)
    with pytest.raises(UserError, match="no task 'lift'"):
        find_task("moving_task:lift")
    assert Path.cwd() == tmp_path


def test_a_hidden_robot_is_asked_of_every_trial_and_recorded(tmp_path: Path, monkeypatch) -> None:
    rows = run_fake(tmp_path, trials=2, hide_robot=True)
    assert [row["agent"] for row in rows] == ["support.fake:Wander-hidden"] * 2
    assert all(row["hide_robot"] for row in rows)
    assert (tmp_path / "v1/support.fake.Wander-hidden/reach/trials.jsonl").exists()
    shown = run_fake(tmp_path, trials=2)
    assert [row["hide_robot"] for row in shown] == [False, False]
    with pytest.raises(UserError, match="hide_robot True, but this run has False"):
        run_fake(tmp_path, trials=2, name="support.fake:Wander-hidden")
