"""``dexbench verify``: simulates recorded actions again and compares the outcomes with the rows.

What a trial scored is a function of its frozen start and of the joint targets that were sent. So a
reviewer who doubts a number needs neither the agent nor its weights, no OpenGL and no GPU.
"""

import math
import os
import signal
import sys
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass
from multiprocessing import get_context
from pathlib import Path
from typing import Literal

import numpy as np
from tqdm import tqdm
from tyro.conf import Positional

from ..envs.assets import asset_root
from ..envs.embodiment.robot import HIGHEST, LOWEST, N_JOINTS
from ..envs.errors import UserError
from ..envs.suite import Suite
from ..envs.trial import STEPS, Trial
from .ledger import ROWS_FILE, Row, actions_hash, play_key, play_name, play_stem, read_rows
from .summary import text_table
from .trial import describe, outcome, to_micrometre
from .worker import die_with_parent, versions

FLAGS = ("success", "held_at_end")
DERIVED = (*FLAGS, "steps_to_success", "final_distance", "min_distance", "held_distance")
"""What follows from the distances; rows of old ledgers lack ``held_distance``."""


@dataclass(frozen=True)
class VerifyConfig:
    """Simulates the actions that ledgers hold again, and compares the outcomes with the rows.

    A row is exact if all its distances and flags come out the same; equal if its success and
    held_at_end do, as with another family of processors; and else it differs. Exits with code 1
    if a row differs.
    """

    ledgers: Positional[Path] = Path("results")
    """A trials.jsonl, or a folder that is searched for them."""
    trial: int | None = None
    """Only the trial of this number, in every ledger."""
    workers: int = 2
    """Processes that simulate at the same time; the result does not depend on it."""


@dataclass(frozen=True)
class Job:
    """A row to check."""

    path: Path
    """The ledger that it is in."""
    row: Row

    def __str__(self) -> str:
        return f"{self.path.parent}, {play_name(self.row['task'], *play_key(self.row))}"


@dataclass(frozen=True)
class Finding:
    """What came of a row."""

    verdict: Literal["exact", "equal", "differs"]
    apart: float = 0.0
    """Largest difference between a recorded distance and the one found [m]."""
    reasons: tuple[str, ...] = ()
    """Why it differs: each names a field, what was recorded and what was found."""


def plan(config: VerifyConfig) -> list[Job]:
    """Finds the rows, and checks that they were played on the suite that is installed.

    Raises:
        UserError: There are none, a ledger is damaged, or a row belongs to another suite or trial.
    """
    if config.workers < 1:
        raise UserError(f"--workers is {config.workers}, expected at least 1")
    source = config.ledgers
    paths = [source] if source.is_file() else sorted(source.rglob(ROWS_FILE))
    suites: dict[str, Suite] = {}
    jobs = [
        Job(path, row)
        for path in paths
        for row in sorted(read_rows(path), key=play_key)
        if config.trial in (None, row["trial"])
    ]
    if not jobs:
        which = "trials" if config.trial is None else f"trial {config.trial}"
        raise UserError(f"no {which} in {source}; expected a {ROWS_FILE} or a folder with some")
    for job in jobs:
        try:
            _check_identity(job, suites)
        except (LookupError, TypeError, AttributeError) as error:
            raise UserError(f"{job.path} is no ledger of this version ({error!r})") from error
    return jobs


def _check_identity(job: Job, suites: dict[str, Suite]) -> None:
    """Refuses a row whose outcome says nothing about the installed suite."""
    path, row = job.path, job.row
    for key in (*DERIVED[:-1], "actions_hash", "error"):
        row[key]
    if not all(isinstance(d, int | float) and math.isfinite(d) for d in row["distances"] or [None]):
        raise TypeError("distances are not numbers")
    name, task, index = row["suite"], row["task"], row["trial"]
    if name not in suites:
        suites[name] = Suite.load(name)
    suite = suites[name]
    if row["suite_hash"] != suite.hash:
        raise UserError(
            f"{path} was played on suite {name} with hash {row['suite_hash']}, the one installed "
            f"has {suite.hash}; verify it with the version of dexbench that it was played with"
        )
    if not 0 <= index < suite.trials(task):
        raise UserError(f"{path}: suite {name} has no {task} trial {index}; restore the file")
    if row["trial_hash"] != suite.trial_hash(task, index):
        raise UserError(
            f"{path}: {task} trial {index} has hash {row['trial_hash']}, in suite {name} it is "
            f"{suite.trial_hash(task, index)}; restore the file"
        )


def check(job: Job) -> Finding:
    """Simulates a row's actions and compares.

    Raises:
        UserError: The trial's file is damaged.
    """
    row = job.row
    path = job.path.parent / "actions" / f"{play_stem(*play_key(row))}.npz"
    try:
        with np.load(path, allow_pickle=False) as file:
            actions = file["actions"]
        found = actions_hash(actions)
    except Exception as error:  # numpy raises what zip, zlib and its own header reader raise.
        found = f"none in {path} ({describe(error)})"
    if found != row["actions_hash"]:
        return Finding("differs", 0, (_reason("actions_hash", row["actions_hash"], found),))
    if complaint := _unplayable(actions, row["error"]):
        return Finding("differs", 0, (f"actions: {complaint}",))
    trial = Suite.load(row["suite"]).trial(row["task"], row["trial"])
    return compare(row, simulate(trial, actions, row["error"]))


def _unplayable(actions: np.ndarray, error: str | None) -> str | None:
    """Why the environment would not have taken the actions, if it would not."""
    if actions.ndim != 2 or actions.shape[1] != N_JOINTS:
        return f"shape {actions.shape}, expected (steps, {N_JOINTS})"
    if len(actions) > STEPS or (error is None and len(actions) < STEPS):
        return f"{len(actions)} steps without an error, expected {STEPS}"
    within = ((actions >= LOWEST) & (actions <= HIGHEST)).all(axis=1)
    return None if within.all() else f"those of step {within.argmin() + 1} are out of joint limits"


def simulate(trial: Trial, actions: np.ndarray, error: str | None = None) -> Row:
    """Plays joint targets as the environment does, without pictures.

    Args:
        trial: Where.
        actions: (steps, 23) float32 joint targets within the limits [rad].
        error: Why the recorded trial ended early, if it did.

    Returns:
        The row's part about success and distance, up to where the simulation diverged if it did.
    """
    from ..envs.simulation import Simulation
    from ..envs.tasks import Playback, find_task

    playback = Playback(find_task(trial.task), trial, Simulation(trial.xml, trial.objects))
    distances = [to_micrometre(playback.outcome.distance)]
    gates: list[bool] = []
    held: list[bool] = []
    try:
        for action in actions:
            now = playback.step(action)
            distances.append(to_micrometre(now.distance))
            gates.append(now.gate)
            held.append(playback.held)
    except FloatingPointError as diverged:
        error = error or describe(diverged)
    return outcome(distances, gates, held, error)


def compare(row: Row, found: Row) -> Finding:
    """Compares what was recorded with what was found.

    Args:
        row: Of the ledger.
        found: As `simulate` returns it.
    """
    old, new = row["distances"], found["distances"]
    apart = max(abs(a - b) for a, b in zip(old, new, strict=False))
    reasons = []
    if len(old) != len(new):
        reasons.append(_reason("distances", f"{len(old)} of them", f"{len(new)}"))
    # From the same distances the same must follow. From others steps_to_success may be another,
    # but the flags may not, and what the row says of its own distances must be so.
    wanted = found if apart == 0 else {
        **{flag: found[flag] for flag in FLAGS},
        "final_distance": old[-1],
        "min_distance": min(old),
    }  # fmt: skip
    reasons += [
        _reason(key, row[key], wanted[key])
        for key in DERIVED
        if key in row and key in wanted and row[key] != wanted[key]
    ]
    if reasons:
        return Finding("differs", apart, tuple(reasons))
    return Finding("exact" if apart == 0 else "equal", apart)


def _reason(field: str, recorded: object, found: object) -> str:
    return f"{field}: recorded {recorded}, found {found}"


def verify(config: VerifyConfig) -> list[tuple[Job, Finding]]:
    """Checks all rows.

    Returns:
        Each with what came of it, by ledger and trial.

    Raises:
        UserError: As `plan`; a trial's file is damaged; the asset cache cannot be written; a worker
            died.
    """
    jobs = plan(config)
    workers = min(config.workers, len(jobs))
    bar = tqdm(total=len(jobs), desc="verify", unit="trial", smoothing=0, disable=None)
    try:
        with bar, ProcessPoolExecutor(workers, get_context("spawn"), _prepare) as pool:
            pool.submit(asset_root).result()  # Once, before all workers need it.
            findings = []
            for finding in pool.map(check, jobs):
                findings.append(finding)
                bar.update()
    except BrokenProcessPool as error:
        raise UserError("a worker process died; is there enough memory? Try --workers 1") from error
    except OSError as error:
        raise UserError(str(error)) from error
    return list(zip(jobs, findings, strict=True))


def _prepare() -> None:
    """Begins a worker."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # The parent decides what Ctrl-C means.
    die_with_parent()
    os.environ["MUJOCO_GL"] = "disable"  # MuJoCo then needs no OpenGL where there is none.


def table(results: Sequence[tuple[Job, Finding]]) -> str:
    """A line for each ledger, no newline at the end."""
    header = ["ledger", "rows", "exact", "equal", "differs", "largest difference [m]"]
    lines = []
    for path in dict.fromkeys(job.path for job, _ in results):
        findings = [finding for job, finding in results if job.path == path]
        counts = [
            sum(finding.verdict == verdict for finding in findings)
            for verdict in ("exact", "equal", "differs")
        ]
        largest = max(finding.apart for finding in findings)
        lines.append([str(path.parent), *map(str, (len(findings), *counts)), f"{largest:.6f}"])
    return text_table(header, lines)


def main(config: VerifyConfig) -> None:
    """Prints a table and the rows that differ.

    Raises:
        SystemExit: With code 1 if a row differs.
    """
    results = verify(config)
    print(table(results))
    for job, finding in results:
        for reason in finding.reasons:
            print(f"{job}: {reason}")
    here = versions().get("mujoco")
    others = {job.row.get("versions", {}).get("mujoco") for job, _ in results} - {here}
    if others:
        played = ", ".join(sorted(map(str, others)))
        print(f"Played with MuJoCo {played}, verified with {here}: expect differences.",
              file=sys.stderr)  # fmt: skip
    if any(finding.verdict == "differs" for _, finding in results):
        raise SystemExit(1)
