import json
import shutil
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import gymnasium
import numpy as np
import pytest

from dexbench.bench.ledger.actions import actions_hash
from dexbench.bench.ledger.ledger import Ledger
from dexbench.bench.ledger.rows import Row
from dexbench.bench.run.trial import Played, play
from dexbench.bench.verify.resimulation import Finding, Job, check, compare, simulate
from dexbench.bench.verify.verify import VerifyConfig, main, plan, simulate_again, table, verify
from dexbench.envs.suite import Suite
from dexbench.envs.tasks import TASKS, Outcome
from dexbench.utils.errors import UserError

SUITE = Suite.load("v1")


class Replays:
    """Plays the recorded solution, and breaks after 20 steps if it is told to."""

    def __init__(self, actions: np.ndarray, breaks: bool) -> None:
        self.actions, self.breaks, self.asked = actions, breaks, 0

    def reset(self, task: str, seed: int) -> None:
        pass

    def act(self, obs: dict[str, np.ndarray]) -> np.ndarray:
        self.asked += 1
        if self.breaks and self.asked > 1:
            raise RuntimeError("the agent broke")
        return self.actions[:20] if self.breaks else self.actions


def play_real(task: str, trial: int, breaks: bool = False) -> Played:
    env = gymnasium.make(f"dexbench/{task.capitalize()}-v1")
    agent = Replays(SUITE.trial(task, trial).expert_actions, breaks)
    try:
        return play(env, agent, suite="v1", task=task, trial=trial)
    finally:
        env.close()


@pytest.fixture(scope="module")
def recorded(tmp_path_factory: Any) -> Path:
    """A ledger as `dexbench run` writes it: place trial 0, and trial 1 that ended in an error."""
    folder = tmp_path_factory.mktemp("ledgers") / "v1" / "my" / "place"
    head = {"agent": "my", "suite": "v1", "suite_hash": SUITE.hash, "versions": {}}
    with Ledger(folder) as ledger:
        for trial, breaks in ((0, False), (1, True)):
            played = play_real("place", trial, breaks)
            ledger.append({**head, **played.row}, played.actions)
    return folder


@pytest.fixture
def folder(recorded: Path, tmp_path: Path) -> Path:
    """A copy to spoil."""
    return Path(shutil.copytree(recorded, tmp_path / "v1" / "my" / "place"))


def jobs(folder: Path, **options: Any) -> list[Job]:
    return plan(VerifyConfig(folder, **options))


def edit(folder: Path, trial: int, change: Callable[[Row], object]) -> Job:
    """Changes a row on the disk and returns it."""
    path = folder / "trials.jsonl"
    rows = [json.loads(line) for line in path.read_text().splitlines()]
    change(rows[trial])
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return Job(path, rows[trial], "place", "v1")


def save_actions(folder: Path, trial: int, actions: np.ndarray) -> None:
    np.savez(folder / "actions" / f"{trial:03d}.npz", actions=actions)


def test_real_rows_are_exact_in_spawned_workers_without_opengl(
    recorded: Path, monkeypatch: Any, capsys: Any
) -> None:
    monkeypatch.setenv("MUJOCO_GL", "nonsense")  # MuJoCo cannot be imported with this.
    results = verify(VerifyConfig(recorded.parents[2]))
    assert [(job.row["trial"], finding) for job, finding in results] == [
        (0, Finding("exact")),
        (1, Finding("exact")),
    ]
    assert results[0][0].row["success"] and results[0][0].row["held_distance"] < 0.1
    assert results[1][0].row["error"] and len(results[1][0].row["distances"]) == 21


def test_the_time_is_kept_and_a_row_is_checked_all_the_same(folder: Path) -> None:
    both = jobs(folder)
    assert simulate_again(both * 10, workers=1, minutes=0) == [(both[0], Finding("exact"))]


def test_a_flipped_success_differs(folder: Path) -> None:
    finding = check(edit(folder, 0, lambda row: row.update(success=False)))
    assert finding.verdict == "differs"
    assert finding.reasons == ("success: recorded False, found True",)


def test_success_is_denied_to_a_row_with_an_error(folder: Path) -> None:
    finding = check(edit(folder, 1, lambda row: row.update(success=True)))
    assert finding.reasons == ("success: recorded True, found False",)


@pytest.mark.parametrize("trial", [0, 1], ids=["played", "error"])
def test_an_edited_distance_is_told(folder: Path, trial: int) -> None:
    def change(row: Row) -> None:
        row["distances"][7] += 0.03

    finding = check(edit(folder, trial, change))
    assert finding.verdict == "equal" and finding.apart == pytest.approx(0.03)


def test_altered_actions_differ_by_their_hash(folder: Path) -> None:
    actions = np.load(folder / "actions" / "000.npz")["actions"]
    actions[30, 2] += 1e-4
    save_actions(folder, 0, actions)
    (first, _) = jobs(folder)
    (reason,) = check(first).reasons
    assert reason == (
        f"actions_hash: recorded {first.row['actions_hash']}, found {actions_hash(actions)}"
    )


def test_other_actions_are_found_out_though_their_hash_fits(folder: Path) -> None:
    actions = np.repeat(SUITE.trial("place", 0).expert_actions[:1], 60, axis=0)
    save_actions(folder, 0, actions)
    finding = check(edit(folder, 0, lambda row: row.update(actions_hash=actions_hash(actions))))
    assert finding.verdict == "differs" and finding.apart > 0.1
    assert "success: recorded True, found False" in finding.reasons


@pytest.mark.parametrize("content", [None, b"", b"PK\x03\x04 torn"])
def test_missing_or_damaged_actions_differ(folder: Path, content: bytes | None) -> None:
    path = folder / "actions" / "000.npz"
    path.unlink()
    if content is not None:
        path.write_bytes(content)
    finding = check(jobs(folder)[0])
    assert finding.verdict == "differs"
    assert finding.reasons[0].startswith("actions_hash: recorded ")
    assert f"found none: no actions can be read from {path} (" in finding.reasons[0]


@pytest.mark.parametrize(
    ("change", "complaint"),
    [
        (lambda a: a[:59], "59 steps without an error, expected 60"),
        (lambda a: np.concatenate([a, a]), "120 steps without an error, expected 60"),
        (lambda a: a[:, :22], "shape (60, 22), expected (steps, 23)"),
        (lambda a: np.where(np.arange(60)[:, None] == 4, 9, a), "those of step 5 are out of joint"),
        (lambda a: np.where(np.arange(60)[:, None] == 4, np.nan, a), "those of step 5 are out of"),
    ],
)
def test_actions_that_the_environment_refuses_differ(
    folder: Path, change: Any, complaint: str
) -> None:
    actions = change(SUITE.trial("place", 0).expert_actions).astype(np.float32)
    save_actions(folder, 0, actions)
    finding = check(edit(folder, 0, lambda row: row.update(actions_hash=actions_hash(actions))))
    assert finding.verdict == "differs" and complaint in finding.reasons[0]


def outcome_of(distances: list[float], **fields: Any) -> Row:
    flags = {"success": False, "held_at_end": False, "steps_to_success": None}
    own = {"final_distance": distances[-1], "min_distance": min(distances), "held_distance": 0.5}
    return {**flags, **own, "distances": distances, **fields}


def test_the_same_distances_must_have_the_same_consequences() -> None:
    simulated = outcome_of([0.5, 0.4, 0.3])
    assert compare(simulated, simulated) == Finding("exact")
    old = {key: value for key, value in simulated.items() if key != "held_distance"}
    assert compare(old, simulated) == Finding("exact"), "rows from before it was recorded"
    for field in ("steps_to_success", "final_distance", "min_distance", "held_distance"):
        finding = compare({**simulated, field: 0.25}, simulated)
        assert finding.verdict == "differs" and finding.reasons[0].startswith(f"{field}: ")


def test_other_distances_are_equal_if_flags_and_the_row_itself_agree() -> None:
    distances = [0.5, 0.4, *[0.12] * 10, *[0.1] * 3]
    simulated = outcome_of([*distances[:-1], 0.3], success=True, steps_to_success=11)
    row = outcome_of(distances, success=True, steps_to_success=11, held_distance=0.12)
    assert compare(row, simulated) == Finding(
        "equal", pytest.approx(0.2), (), pytest.approx(0.2 / len(distances))
    )
    assert compare({**row, "steps_to_success": 14}, simulated).verdict == "equal", (
        "contact came late"
    )
    assert compare({**row, "held_at_end": True}, simulated).verdict == "differs"
    (reason,) = compare({**row, "final_distance": 0.0}, simulated).reasons
    assert reason == "final_distance: recorded 0.0, found 0.1"
    (reason, *_) = compare({**row, "distances": [0.5, 0.1, *[0.12] * 10]}, simulated).reasons
    assert reason == "distances: recorded 12 of them, found 15"
    # What curves over thresholds and time are drawn from cannot be better than the distances.
    for forged in (
        {"held_distance": 0.0},
        {"held_distance": 0.1},
        {"steps_to_success": 1},
        {"steps_to_success": None},
    ):
        (reason,) = compare({**row, **forged}, simulated).reasons
        assert reason.startswith(next(iter(forged)))
    assert compare({**row, "success": False}, {**simulated, "success": False}).verdict == "differs"


@pytest.mark.parametrize("step", [0, 5])
def test_the_first_distances_are_the_same_on_every_processor(step: int) -> None:
    simulated = outcome_of([0.5 - 0.01 * step for step in range(20)])

    def off(by: float, since: int) -> Finding:
        distances = [d + by * (i >= since) for i, d in enumerate(simulated["distances"])]
        row = outcome_of(distances)
        del row["held_distance"]  # It follows from the distances.
        return compare(row, simulated)

    assert off(0.0009, step).verdict == "equal" == off(-0.05, 6).verdict
    finding = off(-0.0011, step)
    assert finding.verdict == "differs"
    assert finding.reasons[0].startswith(f"distances, step {step}: recorded ")


def test_a_diverged_simulation_differs(monkeypatch: Any) -> None:
    trial = SUITE.trial("place", 0)
    outcomes = iter([Outcome(False, 0.3)] * 5 + [Outcome(False, float("nan"))])
    monkeypatch.setattr(TASKS["place"], "evaluate", lambda *_: next(outcomes))
    simulated = simulate(TASKS["place"], trial, trial.expert_actions)
    assert simulated["distances"] == [0.3] * 5 and not simulated["success"]
    assert simulated["error"].startswith("FloatingPointError")


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"suite_hash": "abc"}, f"v1 with hash abc, the one installed has {SUITE.hash}"),
        ({"trial_hash": "abc"}, f"has hash abc, in suite v1 it is {SUITE.trial_hash('place', 0)}"),
        ({"suite": "v9"}, "no suite 'v9'"),
        ({"trial": 50}, "suite v1 has no place trial 50"),
        ({"task": "juggle"}, "none of dexbench's tasks; if it is yours, verify it with --task MOD"),
        ({"suite": "/elsewhere/v9"}, "no suite 'v9'"),
        ({"distances": []}, "is no ledger of this version"),
        ({"distances": ["x"]}, "is no ledger of this version"),
        ({"suite": None}, "is no ledger of this version"),
    ],
)
def test_rows_of_another_suite_are_refused(folder: Path, fields: Row, message: str) -> None:
    edit(folder, 0, lambda row: row.update(fields))
    with pytest.raises(UserError) as error:
        jobs(folder)
    # Which suite there is none of says enough: no row of the ledger is the odd one.
    assert message in str(error.value)
    assert "trials.jsonl" in str(error.value) or "v9" in message


def test_bad_input_is_refused(folder: Path, tmp_path: Path) -> None:
    with pytest.raises(UserError, match="no trials in .*nowhere"):
        jobs(tmp_path / "nowhere")
    with pytest.raises(UserError, match="no trial 7 in"):
        jobs(folder, trial=7)
    with pytest.raises(UserError, match="--workers is 0"):
        jobs(folder, workers=0)
    edit(folder, 0, lambda row: row.pop("success"))
    with pytest.raises(UserError, match="no ledger of this version .*success"):
        jobs(folder)
    path = folder / "trials.jsonl"
    path.write_text("{torn\n" + path.read_text())
    with pytest.raises(UserError, match="line 1 is damaged"):
        jobs(folder)


def test_one_trial_or_task_may_be_chosen(folder: Path) -> None:
    assert [job.row["trial"] for job in jobs(folder / "trials.jsonl", trial=1)] == [1]
    assert [job.row["trial"] for job in jobs(folder)] == [0, 1]
    edit(folder, 1, lambda row: row.update(task="juggle"))
    (job,) = jobs(folder, task="place")
    assert (job.row["trial"], job.task, job.suite) == (0, "place", "v1")
    with pytest.raises(UserError, match="no trials of reach in"):
        jobs(folder, task="reach")


def test_the_table_and_the_exit_code(monkeypatch: Any, capsys: Any) -> None:
    row = {"task": "place", "versions": {"mujoco": "2.0"}}
    first, second = Path("a/trials.jsonl"), Path("b/trials.jsonl")
    job = partial(Job, task="place", suite="v1")
    results = [
        (job(first, {**row, "trial": 0}), Finding("exact")),
        (job(first, {**row, "trial": 1}), Finding("equal", 0.012)),
        (job(second, {**row, "trial": 4, "repeat": 2}), Finding("differs", 0.5, ("success: x",))),
    ]
    header, *lines = table(results).splitlines()
    assert header.split()[:5] == ["ledger", "rows", "exact", "equal", "differs"]
    assert [line.split() for line in lines] == [
        ["a", "2", "1", "1", "0", "0.012000"],
        ["b", "1", "0", "0", "1", "0.500000"],
    ]
    monkeypatch.setattr("dexbench.bench.verify.verify.verify", lambda config: results)
    with pytest.raises(SystemExit) as stop:
        main(VerifyConfig())
    out, err = capsys.readouterr()
    assert stop.value.code == 1
    assert out == table(results) + "\nb, place trial 4, repeat 2: success: x\n"
    assert "Played with MuJoCo 2.0" in err
    results.pop()
    main(VerifyConfig())  # Exits with 0.
