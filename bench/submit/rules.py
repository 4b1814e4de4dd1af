"""What can be said of submitted rows without simulating: hashes, completeness, what follows."""

from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path

from dexbench.bench.ledger.actions import actions_hash
from dexbench.bench.ledger.ledger import ROWS_FILE, read_rows
from dexbench.bench.ledger.rows import Row, play_key, play_name
from dexbench.bench.run.worker import versions
from dexbench.bench.verify.resimulation import claims, unplayable
from dexbench.envs.suite import Suite
from dexbench.envs.trial import HELD_STEPS
from dexbench.utils.files import find_files

from .submission import Play, Submission
from .verdict import Verdict


def name_of(row: Row) -> str:
    """Return what messages call a row."""
    return play_name(row["task"], *play_key(row))


def hashes(submission: Submission) -> Verdict:
    """Check that the rows are of the suite, trials, actions and MuJoCo that are here."""
    first = submission.plays[0].row
    suite = Suite.load(first["suite"])
    if first["suite_hash"] != suite.hash:
        fault = (
            f"suite {suite.name} has hash {suite.hash}, the rows say {first['suite_hash']!r:.80}"
        )
        return Verdict("hashes", "", [fault])
    return Verdict(
        "hashes",
        f"suite {suite.name} {suite.hash[:12]}, every trial, seed and actions",
        _each(submission, lambda play: _hashes_of(play, suite)),
    )


def complete(submission: Submission) -> Verdict:
    """Check that every trial of each task is there once."""
    plays = Counter((row["task"], *play_key(row)) for row, _ in submission.plays)
    suite = Suite.load(submission.plays[0].row["suite"])
    tasks = sorted({task for task, *_ in plays})
    wanted = {(task, trial, 0) for task in tasks for trial in range(suite.trials(task))}
    faults = [f"{play_name(*play)} is missing" for play in sorted(wanted - plays.keys())]
    for play, count in sorted(plays.items()):
        if play not in wanted:
            faults.append(f"{play_name(*play)} is none that counts")
        elif count > 1:
            faults.append(f"{play_name(*play)} is there {count} times")
    errors = sum(row["error"] is not None for row, _ in submission.plays)
    ended = f"; {errors} ended in an error of the agent and count as failed" if errors else ""
    well = f"{len(wanted)} trials of {', '.join(tasks)}, each once{ended}"
    return Verdict("complete", well, faults)


def name(submission: Submission, against: Path) -> Verdict:
    """Check that no other rows of this suite have the agent's name.

    Args:
        submission: What is checked.
        against: A folder of ledgers. They may hold the very plays that are submitted.
    """
    first = submission.plays[0].row
    plays = {(*_trial(row), row["actions_hash"]) for row, _ in submission.plays}
    faults = []
    for path in find_files(against, ROWS_FILE):
        rows = [row for row in read_rows(path) if owner(row) == owner(first)]
        if any((*_trial(row), row["actions_hash"]) not in plays for row in rows):
            faults.append(
                f"{path} holds other plays of {first['agent']} on {first['suite']}; play under "
                "another --name"
            )
    return Verdict("name", f"nobody else is {first['agent']} on {first['suite']}", faults)


def owner(row: Row) -> tuple[str, str]:
    """Return what an agent's rows on a suite share and no others have."""
    return row["agent"], row["suite_hash"]


def _trial(row: Row) -> tuple[str, int, int]:
    return row["task"], *play_key(row)


def outcomes(submission: Submission) -> Verdict:
    """Check that what a row says follows from its distances, as far as these tell."""
    faults = _each(submission, lambda play: _outcome_of(play.row, len(play.actions)))
    courses: dict[tuple[float, ...], Row] = {}
    for row, actions in submission.plays:
        # Two scenes never give the same course to a micrometre.
        other = courses.setdefault(tuple(row["distances"]), row) if len(actions) else row
        if name_of(other) != name_of(row):
            faults.append(f"{name_of(row)} has the distances of {name_of(other)}")
    return Verdict("outcomes", "every row follows from its own distances", faults)


def _each(submission: Submission, fault_of: Callable[[Play], Iterator[str]]) -> list[str]:
    """Return the first fault of each play that has one."""
    faults = ((play.row, next(fault_of(play), None)) for play in submission.plays)
    return [f"{name_of(row)}: {fault}" for row, fault in faults if fault]


def _hashes_of(play: Play, suite: Suite) -> Iterator[str]:
    row, actions = play
    if not 0 <= row["trial"] < suite.trials(row["task"]):
        yield f"suite {suite.name} has no such trial"
    if row["trial_hash"] != suite.trial_hash(row["task"], row["trial"]):
        yield f"trial_hash is {row['trial_hash']!r:.80}, not the suite's"
    # Of repeat 0; no other is taken.
    if row["seed"] != (seed := suite.trial(row["task"], row["trial"]).seed):
        yield f"seed is {row['seed']}, the trial's is {seed}"
    if row["actions_hash"] != (digest := actions_hash(actions)):
        yield f"actions_hash is {row['actions_hash']!r:.80}, of the actions it is {digest}"
    if complaint := unplayable(actions, row["error"]):
        yield f"actions: {complaint}"
    played, installed = row["versions"].get("mujoco"), versions().get("mujoco")
    if played != installed:
        yield f"played with MuJoCo {played!r:.80}, checked with {installed}"


def _outcome_of(row: Row, steps: int) -> Iterator[str]:
    """Say what does not follow.

    Args:
        row: Of a submission.
        steps: How many actions it has.
    """
    distances, solved, held = row["distances"], row["success"], row["held_distance"]
    if min(distances) < 0:
        yield f"a distance is {min(distances)} m"
    if len(distances) != steps + 1 and not (row["error"] and len(distances) == steps):
        yield f"{len(distances)} distances, expected {steps + 1}"
    if row["error"] and (solved or held is not None):
        yield "an error, and yet something was held"
    if solved and (held is None or row["steps_to_success"] not in range(HELD_STEPS, steps + 1)):
        yield "a success that held nothing, or at no step"
    for key, value in claims(row).items():
        if row[key] != value:
            yield f"{key} is {row[key]}, of its distances it is {value}"
    if row["held_at_end"] and not (solved and held <= max(distances[-HELD_STEPS:])):
        yield "held_at_end without a success, or within a distance that was not held"
    if not row["error"] and not row["timing"]["decisions"]:
        yield "nothing was decided"
