"""``dexbench verify``: simulates recorded actions again and compares the outcomes with the rows.

A reviewer who doubts a number needs neither the agent nor its weights, no OpenGL and no GPU.
"""

import math
import os
import signal
import sys
import time
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass
from multiprocessing import get_context
from pathlib import Path

from tyro.conf import Positional

from dexbench.bench.ledger.ledger import ROWS_FILE, read_rows
from dexbench.bench.ledger.rows import Row, play_key
from dexbench.bench.run.worker import versions
from dexbench.bench.scores.summary import text_table
from dexbench.envs.assets import asset_root
from dexbench.envs.suite import Suite
from dexbench.envs.task_names import TASKS
from dexbench.utils.errors import UserError
from dexbench.utils.files import find_files
from dexbench.utils.processes import die_with_parent
from dexbench.utils.progress import track

from .resimulation import DERIVED, Finding, Job, check


@dataclass(frozen=True)
class VerifyConfig:
    """Simulates the actions that ledgers hold again, and compares the outcomes with the rows.

    A row is exact if all its distances and flags come out the same; equal if its success,
    held_at_end and first half second do, as with another family of processors; and else it differs.
    Exits with code 1 if a row differs.
    """

    ledgers: Positional[Path] = Path("results")
    """A trials.jsonl, or a folder that is searched for them."""
    trial: int | None = None
    """Only the trial of this number, in every ledger."""
    task: str = "all"
    """Only this task: one of dexbench's, or your own as module:name; all is all of dexbench's. No
    module is imported because a ledger names it."""
    suite: str | None = None
    """The suite that all rows were played on, by name or path; by default what each row names."""
    workers: int = 2
    """Processes that simulate at the same time; the result does not depend on it."""


def plan(config: VerifyConfig) -> list[Job]:
    """Find the rows, and check that they were played on the suite that is here.

    Raises:
        UserError: There are none, a ledger is damaged, or a row belongs to another suite or trial,
            or is of a task that is not dexbench's.
    """
    if config.workers < 1:
        raise UserError(f"--workers is {config.workers}, expected at least 1")
    source = config.ledgers
    paths = [source] if source.is_file() else find_files(source, ROWS_FILE)
    asked = None if config.task == "all" else config.task.rpartition(":")[2]
    chosen = [
        (path, row)
        for path in paths
        for row in sorted(read_rows(path), key=play_key)
        if config.trial in (None, row["trial"]) and asked in (None, row.get("task"))
    ]
    if not chosen:
        which = "trials" if config.trial is None else f"trial {config.trial}"
        of = "" if asked is None else f" of {asked}"
        raise UserError(f"no {which}{of} in {source}; expected a {ROWS_FILE} or a folder with some")
    suites: dict[str, Suite] = {}
    jobs = []
    for path, row in chosen:
        try:
            jobs.append(_job(path, row, config, suites))
        except (LookupError, TypeError, AttributeError) as error:
            raise UserError(f"{path} is no ledger of this version ({error!r})") from error
    return jobs


def _job(path: Path, row: Row, config: VerifyConfig, suites: dict[str, Suite]) -> Job:
    """Refuse a row whose outcome says nothing about the suite."""
    for key in (*DERIVED[:-1], "actions_hash", "error"):
        row[key]
    if not all(isinstance(d, int | float) and math.isfinite(d) for d in row["distances"] or [None]):
        raise TypeError("distances are not numbers")
    task, index = row["task"], row["trial"]
    if config.task == "all" and task not in TASKS:
        raise UserError(
            f"{path} is of {task}, none of dexbench's tasks; if it is yours, verify it with "
            f"--task MODULE:{task} --suite FOLDER"
        )
    # Not a folder that the ledger names: it must not bring the trials that it is checked by.
    name = config.suite or Path(row["suite"]).name
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
    return Job(path, row, task if config.task == "all" else config.task, name)


def verify(config: VerifyConfig) -> list[tuple[Job, Finding]]:
    """Check all rows.

    Returns:
        Each with what came of it, by ledger and trial.

    Raises:
        UserError: As `plan` and `simulate_again`.
    """
    return simulate_again(plan(config), config.workers)


def simulate_again(
    jobs: Sequence[Job], workers: int, minutes: float | None = None
) -> list[tuple[Job, Finding]]:
    """Check rows in their order, until the time is up; at least one.

    Args:
        jobs: The rows, at least one.
        workers: Processes that simulate at the same time; the findings do not depend on it.
        minutes: Begin no other row after this time; all are checked by default.

    Returns:
        The rows that were checked, each with what came of it.

    Raises:
        UserError: As `check`; the asset cache cannot be written; a worker died.
    """
    end = math.inf if minutes is None else time.monotonic() + 60 * minutes
    workers = min(workers, len(jobs))
    bar = track(total=len(jobs), label="verify", unit="trial")
    findings: list[Finding] = []
    try:
        with bar, ProcessPoolExecutor(workers, get_context("spawn"), _prepare) as pool:
            pool.submit(asset_root).result()  # Once, before all workers need it.
            for finding in pool.map(check, jobs):
                findings.append(finding)
                bar.update()
                if time.monotonic() > end:
                    pool.shutdown(wait=False, cancel_futures=True)
                    break
    except BrokenProcessPool as error:
        raise UserError("a worker process died; is there enough memory? Try --workers 1") from error
    return list(zip(jobs, findings, strict=False))


def _prepare() -> None:
    """Begin a worker."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # The parent decides what Ctrl-C means.
    die_with_parent()
    os.environ["MUJOCO_GL"] = "disable"  # MuJoCo then needs no OpenGL where there is none.


def table(results: Sequence[tuple[Job, Finding]]) -> str:
    """Return a line for each ledger, no newline at the end."""
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
    """Print a table and the rows that differ.

    Raises:
        SystemExit: With code 1 if a row differs.
    """
    results = verify(config)
    print(table(results))
    for job, finding in results:
        for reason in finding.reasons:
            print(f"{job}: {reason}")
    installed = versions().get("mujoco")
    others = {job.row.get("versions", {}).get("mujoco") for job, _ in results} - {installed}
    if others:
        played = ", ".join(sorted(map(str, others)))
        print(
            f"Played with MuJoCo {played}, verified with {installed}: expect differences.",
            file=sys.stderr,
        )
    if any(finding.verdict == "differs" for _, finding in results):
        raise SystemExit(1)
