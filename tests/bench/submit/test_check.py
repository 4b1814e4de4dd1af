"""Whatever is forged in a submission is found: most of it before anything is simulated."""

from collections.abc import Iterator, Sequence
from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from support.submissions import PLACE, RESULTS, changed, honest, never, remembers

from dexbench.bench.ledger.actions import actions_hash, actions_path, read_actions
from dexbench.bench.ledger.ledger import read_rows
from dexbench.bench.ledger.outcome import held_distance
from dexbench.bench.submit import copies, rules
from dexbench.bench.submit.check import CheckConfig, Options, examine, main
from dexbench.bench.submit.submission import Play, Submission, encode, unpack
from dexbench.bench.submit.verdict import well
from dexbench.bench.verify.resimulation import check
from dexbench.bench.verify.verify import VerifyConfig, plan
from dexbench.envs.embodiment.robot import HIGHEST
from dexbench.envs.suite import Suite
from dexbench.envs.trial import Trial
from dexbench.utils.errors import UserError

NOWHERE = Options(against=Path("nowhere"), seed=0)
KEYS = ("suite", "suite_hash", "trial", "trial_hash", "seed")
"""What says of which trial a row is."""


@pytest.fixture(scope="module", autouse=True)
def trials_are_read_once() -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Trial, "load", staticmethod(cache(Trial.load)))
        yield


def refused_by(forged: Submission | bytes, simulate: Any = never, **options: Any) -> str:
    """Return the check that refuses a file."""
    data = forged if isinstance(forged, bytes) else encode(forged)
    _, verdicts = examine(data, replace(NOWHERE, **options), simulate)
    assert all(verdict.lines() for verdict in verdicts)
    return next((verdict.what for verdict in verdicts if verdict.faults), "none")


def rehashed(actions: np.ndarray) -> dict[str, Any]:
    return {"actions": actions, "actions_hash": actions_hash(actions)}


def test_an_honest_submission_is_well() -> None:
    submission, verdicts = examine(encode(honest()), NOWHERE, remembers)
    assert submission and well(verdicts)
    assert [verdict.what for verdict in verdicts] == [
        *("schema", "hashes", "complete", "outcomes", "name", "copies", "simulation")
    ]
    assert verdicts[-1].lines() == [
        "simulation  well     5 of 5 rows simulated again, 5 exact, seed 0"
    ]


def test_errors_are_counted_and_failures_cannot_be_copies() -> None:
    assert "error" not in rules.complete(honest()).found
    failed = changed(0, error="RuntimeError: x", success=False)
    assert "1 ended in an error" in rules.complete(failed).found
    failures = [play._replace(row={**play.row, "success": False}) for play in honest().plays]
    verdict = copies.copies(replace(honest(), plays=tuple(failures)), RESULTS)
    assert not verdict.faults and "no trial is solved" in verdict.found


def forged_rows(index: int) -> Iterator[tuple[str, Submission]]:
    """One play forged in many ways, each with the check that must find it."""
    row, actions = honest().plays[index]
    other = honest().plays[(index + 1) % 5]
    solved = row["success"]
    distances = row["distances"]
    better = [*distances[:-1], distances[-1] / 2]
    out = actions.copy()
    out[7, 3] = HIGHEST[3] + 0.1
    nudged = actions.copy()
    nudged[30, 2] -= 1e-4

    yield "hashes", changed(index, actions=nudged)
    yield "hashes", changed(index, actions=actions[::-1])
    yield "hashes", changed(index, actions=other.actions)
    yield "hashes", changed(index, **rehashed(out))
    yield "hashes", changed(index, **rehashed(actions[:59]))
    yield "hashes", changed(index, **rehashed(np.full_like(actions, np.nan)))
    for key in ("trial_hash", "actions_hash"):
        yield "hashes", changed(index, **{key: other.row[key]})
        yield "hashes", changed(index, **{key: ""})
    yield "hashes", changed(index, seed=row["seed"] + 1)
    yield "hashes", changed(index, trial=(index + 1) % 5)
    yield "hashes", changed(index, trial=5)
    yield "hashes", changed(index, trial=-1)
    yield "hashes", changed(index, task="reach")
    yield "hashes", changed(index, repeat=1, seed=row["seed"] + 1)

    yield "outcomes", changed(index, success=not solved)
    yield "outcomes", changed(index, held_at_end=True, success=False, steps_to_success=None)
    yield "outcomes", changed(index, final_distance=0.0)
    yield "outcomes", changed(index, min_distance=row["min_distance"] / 2)
    yield "outcomes", changed(index, held_distance=0.001)
    yield "outcomes", changed(index, held_distance=None, success=True)
    yield "outcomes", changed(index, steps_to_success=-51, success=True)
    yield "outcomes", changed(index, distances=better)
    yield "outcomes", changed(index, distances=distances[:-1])
    yield "outcomes", changed(index, distances=[*distances[:30], -0.1, *distances[31:]])
    yield "outcomes", changed(index, distances=other.row["distances"])
    yield "outcomes", changed(index, error="RuntimeError: x", success=True)
    # Another trial's whole play: only what says of which trial it is stays.
    of_other = {**other.row, **{key: row[key] for key in KEYS}}
    yield "outcomes", changed(index, row=of_other, actions=other.actions)

    yield "complete", replace(honest(), plays=honest().plays[:index] + honest().plays[index + 1 :])
    yield "complete", replace(honest(), plays=(*honest().plays, honest().plays[index]))
    twice = list(honest().plays)
    twice[(index + 1) % 5] = honest().plays[index]
    yield "complete", replace(honest(), plays=tuple(twice))

    yield "schema", changed(index, agent="other")
    yield "schema", changed(index, agent="../../etc")
    yield "schema", changed(index, suite="../mine")
    yield "schema", changed(index, suite="v1")
    yield "schema", changed(index, suite_hash="0" * 64)
    yield "schema", changed(index, task="my_tasks:lift")
    yield "schema", changed(index, weights_hash="feed")
    yield "schema", changed(index, privileged=True)
    yield "schema", changed(index, hide_robot=True)
    yield "schema", changed(index, versions={"mujoco": "3.2.6"})
    yield "schema", changed(index, versions={"mujoco": 3})
    yield "schema", changed(index, success=1)
    yield "schema", changed(index, trial=True)
    yield "schema", changed(index, trial=0.0)
    yield "schema", changed(index, final_distance="0.1")
    yield "schema", changed(index, distances=[])
    yield "schema", changed(index, distances=["0.1"])
    yield "schema", changed(index, timing={**row["timing"], "decision_s": -1.0})
    yield "schema", changed(index, timing={})
    yield "schema", changed(index, run="import os")
    yield "schema", changed(index, row={key: row[key] for key in row if key != "threads"})

    # From here on all hashes are right, and the row is at one with itself.
    yield "simulation", changed(index, **rehashed(nudged))
    yield "simulation", changed(index, distances=better, **_ends(better))
    yield "simulation", changed(index, held_at_end=False, success=False, steps_to_success=None)
    yield "simulation", changed(index, steps_to_success=row["steps_to_success"] - 1)
    closer = [distance / 10 for distance in distances]
    yield "simulation", changed(index, **_solves(closer))
    # All flags are right as well.
    yield "simulation", rewritten(0.8, 0.0, 0, [index])
    yield "simulation", rewritten(0.8, 0.002, 10, [index])


def rewritten(times: float, plus: float, since: int, which: Sequence[int]) -> Submission:
    """Rows with other distances from a step on, and everything that follows from them; the flags,
    which the simulator gives, stay."""
    plays = list(honest().plays)
    for index in which:
        row, actions = plays[index]
        old = row["distances"]
        new = [*old[:since], *(round(times * d + plus, 6) for d in old[since:])]
        held = held_distance(new[1:], [True] * (len(new) - 1))
        plays[index] = Play({**row, "distances": new, **_ends(new), "held_distance": held}, actions)
    return replace(honest(), plays=tuple(plays))


def test_distances_that_were_rewritten_everywhere_are_found_though_all_flags_are_right() -> None:
    everywhere = range(5)
    assert refused_by(rewritten(1.0, 0.0, 0, everywhere), remembers) == "none"
    for times, plus, since in ((0.7, 0.0, 0), (0.99, 0.0, 0), (0.9, 0.0, 8), (1.0, 0.004, 20)):
        assert refused_by(rewritten(times, plus, since, everywhere), remembers) == "simulation"
    # As another processor might: a little in all rows, or much in one of five.
    assert refused_by(rewritten(1.0, 0.0005, 10, everywhere), remembers) == "none"
    chaotic = rewritten(1.0, 0.0005, 10, everywhere)
    one = rewritten(0.8, 0.0, 12, [3]).plays[3]
    assert (
        refused_by(replace(chaotic, plays=(*chaotic.plays[:3], one, chaotic.plays[4])), remembers)
        == "none"
    )


def _ends(distances: list[float]) -> dict[str, Any]:
    return {"final_distance": distances[-1], "min_distance": min(distances)}


def _solves(distances: list[float]) -> dict[str, Any]:
    """A success at step 60, with all that follows from it."""
    held = max(distances[-10:])
    flags = {"success": True, "held_at_end": True, "steps_to_success": 60, "held_distance": held}
    return {**flags, "distances": distances, **_ends(distances)}


def test_over_two_hundred_forged_files_are_refused() -> None:
    forged = [(what, file) for index in range(5) for what, file in forged_rows(index)]
    assert len(forged) > 250 and encode(honest()) not in [encode(file) for _, file in forged]
    found = [refused_by(file, remembers) for _, file in forged]
    assert found == [what for what, _ in forged]


def test_the_whole_may_be_forged_alike() -> None:
    def everywhere(**keys: Any) -> Submission:
        plays = tuple(Play({**row, **keys}, actions) for row, actions in honest().plays)
        return replace(honest(), plays=plays)

    assert refused_by(everywhere(suite_hash="0" * 64)) == "hashes"
    assert refused_by(everywhere(suite="v1")) == "hashes"
    assert refused_by(everywhere(versions={"mujoco": "3.2.6"})) == "hashes"
    assert refused_by(everywhere(suite="/tmp/mine")) == "schema"
    assert refused_by(everywhere(suite="v1", suite_hash=Suite.load("v1").hash)) == "complete"


def test_solutions_of_others_are_refused(monkeypatch: Any) -> None:
    def all_played_as(actions_of: Any) -> Submission:
        plays = [
            Play({**row, **_solves(row["distances"]), **{"actions_hash": actions_hash(new)}}, new)
            for row, _ in honest().plays
            for new in [actions_of(row)]
        ]
        return replace(honest(), plays=tuple(plays))

    def expert(row: Any) -> np.ndarray:
        return Suite.load("mini").trial("place", row["trial"]).expert_actions

    def shifted(row: Any) -> np.ndarray:
        return expert(row) + np.float32(0.015)

    def of_ledger(row: Any) -> np.ndarray:
        return read_actions(actions_path(PLACE.parents[1] / "keypoint-fk" / "place", row))

    for actions_of in (expert, shifted):
        forged = all_played_as(actions_of)
        inside = tuple(
            Play({**row, "actions_hash": actions_hash(fits)}, fits)
            for row, actions in forged.plays
            for fits in [np.minimum(actions, HIGHEST.astype(np.float32))]
        )
        assert refused_by(replace(forged, plays=inside)) == "copies"
    assert refused_by(all_played_as(of_ledger), against=RESULTS) == "copies"
    with pytest.raises(AssertionError, match="it was simulated"):
        refused_by(all_played_as(of_ledger))  # Nobody to compare with.
    # Where one trial in five may be close, one that is the same is still enough.
    monkeypatch.setattr(copies, "SHARE", 0.5)
    for new, what in ((expert, "copies"), (shifted, "simulation")):
        won = _solves(honest().plays[2].row["distances"])
        actions = np.minimum(new(honest().plays[2].row), HIGHEST.astype(np.float32))
        assert refused_by(changed(2, **won, **rehashed(actions)), remembers) == what
    assert refused_by(honest(), remembers, against=RESULTS) == "copies", "it is dexwm's own ledger"


@pytest.mark.parametrize("delay", [-6, -5, 0, 3, 5, 6])
def test_a_copy_may_be_ahead_or_behind(delay: int) -> None:
    steps = np.random.default_rng(0).normal(0, 0.1, (80, 23)).cumsum(0).astype(np.float32)
    mine, other = steps[10 - delay :][:60], steps[10:70]
    play = Play({"steps_to_success": 40}, mine)
    assert (copies.apart(play, other) == 0) == (abs(delay) <= 5)
    assert copies.apart(play, other[:39]) == float("inf"), "it ended before"


def test_a_name_is_free_or_holds_the_same_plays(tmp_path: Path) -> None:
    unpack(honest().plays, tmp_path)
    assert refused_by(honest(), remembers, against=tmp_path) == "none"
    other = honest().plays[3].actions + np.float32(1e-3)
    assert refused_by(changed(3, **rehashed(other)), remembers, against=tmp_path) == "name"


def test_a_name_excuses_no_copy() -> None:
    """The rows are those of `dexwm` on another suite with the same trials."""
    for name, what in (("dexwm", "copies"), ("dexwm-hidden", "schema"), ("mine", "copies")):
        plays = tuple(Play({**row, "agent": name}, actions) for row, actions in honest().plays)
        forged = replace(honest(), plays=plays)
        assert refused_by(forged, remembers, against=RESULTS) == what


def test_texts_and_numbers_that_pages_could_not_show_are_refused() -> None:
    row = honest().plays[0].row
    for text in ("cem\n```", "a | b", "<b>", "x" * 201, "`", "[free](x)", "\x1b[2J", "\u202e"):
        for key in ("planner", "cost", "pretraining", "renderer", "entry_point", "dtype"):
            assert refused_by(_alike(**{key: text})) == "schema"
        versions = {**row["versions"], "mujoco": text}
        assert refused_by(_alike(versions=versions)) == "schema"
        assert refused_by(_alike(versions={**row["versions"], text: "1"})) == "schema"
        # Of these no page shows anything.
        assert refused_by(_alike(agent_args={"text": text}), remembers) == "none"
    for number in (10**400, 2**64, -(2**64)):
        assert refused_by(changed(0, timing={**row["timing"], "decision_s": number})) == "schema"
        assert refused_by(changed(0, distances=[*row["distances"][1:], number])) == "schema"
        assert refused_by(changed(0, threads=number)) == "schema"


def _alike(**keys: Any) -> Submission:
    """The submission with keys of all rows changed."""
    return replace(
        honest(), plays=tuple(Play({**row, **keys}, actions) for row, actions in honest().plays)
    )


def test_only_what_was_simulated_whole_is_accepted(tmp_path: Path) -> None:
    file = tmp_path / "mine.submission"
    file.write_bytes(encode(honest()))
    with pytest.raises(UserError, match="leave --minutes out"):
        main(CheckConfig(file=file, accept=tmp_path / "place", minutes=0.0), never)
    assert not (tmp_path / "place").exists()


def test_forgeries_with_right_hashes_are_found_by_the_simulator(tmp_path: Path) -> None:
    """The real one: actions that fail where the row says success, and a flag that was turned."""

    def one(plays: Any, workers: int, minutes: Any) -> Any:
        (play,) = (play for play in plays if play.row["trial"] == 1)
        unpack([play], tmp_path)
        (job,) = plan(VerifyConfig(tmp_path))
        return [(play.row, check(job))]

    assert refused_by(honest(), one) == "none"
    still = np.repeat(honest().plays[1].actions[:1], 60, axis=0)
    assert refused_by(changed(1, **rehashed(still)), one) == "simulation"
    far = [0.5 + step / 1000 for step in range(61)]
    failed = {"success": False, "held_at_end": False, "steps_to_success": None}
    hidden = {**failed, "held_distance": far[10], "distances": far, **_ends(far)}
    assert refused_by(changed(1, **hidden), one) == "simulation"


@pytest.mark.parametrize("forgery", ["a joint is off", "held from a second on", "slower"])
def test_altered_actions_with_right_hashes_are_found_by_the_simulator(
    forgery: str, tmp_path: Path
) -> None:
    """The real one again. What alters no distance by 1 mm is not found, and gains nothing."""
    altered = []
    for index in (0, 3):
        row, actions = honest().plays[index]
        new = actions.copy()
        if forgery == "a joint is off":
            new[10:, 0] += 0.05
        elif forgery == "held from a second on":
            new[10:] = new[10]
        else:
            new = actions[np.arange(len(actions)) * 9 // 10]
        altered.append(Play({**row, "actions_hash": actions_hash(new)}, new))
    unpack(altered, tmp_path)
    assert [check(job).verdict for job in plan(VerifyConfig(tmp_path))] != ["exact", "exact"]
    plays = list(honest().plays)
    plays[0], plays[3] = altered
    forged = replace(honest(), plays=tuple(plays))

    def simulate(plays: Any, workers: int, minutes: Any) -> Any:
        return [*((job.row, check(job)) for job in plan(VerifyConfig(tmp_path)))] + remembers(
            [play for play in plays if play.row["trial"] not in (0, 3)]
        )

    assert refused_by(forged, simulate) == "simulation"


def test_the_sample_cannot_be_foreseen_and_can_be_drawn_again() -> None:
    def order(seed: int | None) -> list[int]:
        seen: list[int] = []

        def note(plays: Any, workers: int, minutes: float | None) -> Any:
            seen.extend(row["trial"] for row, _ in plays)
            return remembers(plays[:2])

        _, verdicts = examine(encode(honest()), replace(NOWHERE, seed=seed), note)
        assert "2 of 5 rows simulated again, 2 exact" in verdicts[-1].found
        # Of 5 rows a sample of 2 misses 4 forged ones never, and 3 in one of ten cases.
        assert verdicts[-1].found.endswith(
            "; 4 forged rows or more pass such a sample in fewer than 5 of 100 cases"
        )
        return seen

    assert order(1) == order(1) and sorted(order(1)) == list(range(5))
    assert len({tuple(order(seed)) for seed in range(6)}) > 1
    assert len({tuple(order(None)) for _ in range(12)}) > 1


def test_another_processor_may_round_otherwise_but_not_one_row_alone() -> None:
    def off(by: float, rows: int) -> Any:
        def simulate(plays: Any, workers: int, minutes: Any) -> Any:
            found = remembers(plays)
            far = [
                (row, replace(finding, verdict="equal", apart=by, typical=by / 50))
                for row, finding in found
            ]
            return far[:rows] + found[rows:]

        return simulate

    assert refused_by(honest(), off(0.03, 1)) == "simulation"
    assert refused_by(honest(), off(0.0005, 1)) == "none"
    assert refused_by(honest(), off(0.03, 5)) == "none"


def test_the_command_says_a_verdict_a_line(tmp_path: Path, monkeypatch: Any, capsys: Any) -> None:
    file = tmp_path / "mine.submission"
    file.write_bytes(encode(changed(3, success=1)))
    with pytest.raises(SystemExit) as stop:
        main(CheckConfig(file=file))
    assert stop.value.code == 1
    assert capsys.readouterr().out == "schema      refused  row 3: success is 1, expected bool\n"
    file.write_bytes(b"PK\x03\x04")
    with pytest.raises(SystemExit) as stop:
        main(CheckConfig(file=file))
    assert stop.value.code == 1 and "no submission of this version" in capsys.readouterr().out


def test_the_rows_that_ship_are_at_one_with_themselves() -> None:
    """What is refused above is nothing that an honest run does."""
    from dexbench.bench.submit.rules import outcomes
    from dexbench.bench.submit.schema import faults

    for agent in ("random", "dexwm"):
        for path in sorted((RESULTS / "v2" / agent).rglob("trials.jsonl")):
            rows = read_rows(path)
            assert faults(rows) == []
            plays = tuple(Play(row, np.zeros((60, 23), np.float32)) for row in rows)
            assert outcomes(replace(honest(), plays=plays)).faults == []
