"""Builds a suite of frozen trials, or the bank of training trials: `dexbench suite build`."""

from collections import Counter
from collections.abc import Callable
from contextlib import ExitStack, closing
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, NamedTuple

from dexbench.envs.assets.download import robocasa_root
from dexbench.envs.task_names import SUITE_TASKS, TASKS
from dexbench.utils.errors import UserError, at_least
from dexbench.utils.files import atomic_folder

from .workers import run_all

SUITE_TRIALS, BANK_TRIALS = 50, 80
"""Trials a task of a suite and of the bank."""
MAX_CANDIDATES = 60
"""Draws tried before a trial index is given up."""


@dataclass(frozen=True)
class SuiteBuildConfig:
    """Draw, solve and freeze the trials of a suite, or of the bank that training draws from."""

    split: Literal["suite", "train"] = "suite"
    """What to build: a suite, or the bank of training trials. The bank's build can be stopped; the
    same command goes on with it, and also adds tasks to it."""
    name: str = "v1"
    """Name of the suite; it names the random streams too. The bank is always called train."""
    trials: int | None = None
    """Trials a task; by default 50 in a suite and 80 in the bank."""
    out: Path | None = None
    """Folder to write; by default the package's own suites."""
    workers: int = 2
    """Processes."""
    tasks: tuple[str, ...] = ()
    """Tasks to build; your own as module:name. By default those of the suite of that name, or of
    v1 where it is a new one. The bank's are those that it has, or all where there is none."""
    kitchen: Literal["generated", "robocasa"] = "generated"
    """Whose kitchens: generated ones, or RoboCasa's own, whose assets are a download of 10 GB."""


class Job(NamedTuple):
    """A trial to build."""

    suite: str
    """Name of the suite, which names the random streams."""
    task: str
    """A task's name, or ``module:name``."""
    number: int
    """Of the trial."""
    folder: Path
    """Of the suite."""
    kitchen: str = "generated"
    """Whose kitchens: a name of ``draw.KITCHENS``."""


class Built(NamedTuple):
    """A trial that has been written."""

    task: str
    """The task's bare name."""
    number: int
    hash: str
    """The trial's."""
    rejected: dict[str, int]
    """How many candidates were rejected, by reason."""


def build_trial(job: Job) -> Built:
    """Draw candidates of a trial until one is accepted; a pure function of suite, task and index.

    Raises:
        UserError: None was accepted among `MAX_CANDIDATES`.
    """
    from dexbench.envs.robocasa.build import build_scene
    from dexbench.envs.robocasa.recipe import NoRoom
    from dexbench.envs.tasks import Rejected, find_task
    from dexbench.envs.tasks.draw import KITCHENS
    from dexbench.utils.seeding import rng

    from .chance import solved_by_chance, solved_by_geometry

    rules = find_task(job.task)
    task = rules.name
    reasons: Counter[str] = Counter()
    for candidate in range(MAX_CANDIDATES):
        key = ("suite", job.suite, task, job.number)
        stream = rng(*key, candidate)
        try:
            scene = build_scene(KITCHENS[job.kitchen](stream, "suite"))
            trial = rules.draw(scene, stream, key)
            if rules.needs_foresight and solved_by_geometry(trial):
                raise Rejected("geometry of the hand solves it")
            if solved_by_chance(trial):
                raise Rejected("chance solves it")
        except (NoRoom, Rejected, FloatingPointError) as reason:
            reasons[str(reason)] += 1
            continue
        trial.save(job.folder / task / f"{job.number:03d}.npz")
        return Built(task, job.number, trial.hash, dict(reasons))
    counts = ", ".join(f"{number} {reason}" for reason, number in reasons.most_common())
    raise UserError(
        f"no {task} trial {job.number} among {MAX_CANDIDATES} candidates, rejected for: {counts}; "
        "make the task's stage() less choosy, or build under another --name"
    )


def build_suite(
    config: SuiteBuildConfig, build: Callable[[Job], Built] = build_trial
) -> dict[str, dict[str, int]]:
    """Build a suite; the same name and number of trials give the same files.

    Args:
        config: What to build.
        build: Builds a trial; called in processes of their own.

    Returns:
        By task, how many candidates were accepted and why others were rejected.

    Raises:
        UserError: The folder exists already or cannot be written, there is no such task, a trial
            of it cannot be drawn, RoboCasa's assets are missing, or a process died. Nothing is left
            behind.
    """
    from dexbench.envs.suite import SUITES, write_index
    from dexbench.envs.tasks import find_task

    count = SUITE_TRIALS if config.trials is None else config.trials
    at_least(1, trials=count, workers=config.workers)
    root = (config.out or SUITES) / config.name
    if root.exists():
        raise UserError(f"{root} exists; delete it or choose another --name")
    if config.kitchen == "robocasa":
        robocasa_root()
    chosen = config.tasks or SUITE_TASKS.get(config.name, SUITE_TASKS["v1"])
    tasks = [find_task(task).name for task in chosen]
    hashes: dict[str, list[str]] = {task: [""] * count for task in tasks}
    report: dict[str, Counter[str]] = {task: Counter() for task in tasks}
    with ExitStack() as stack:
        try:
            draft = stack.enter_context(atomic_folder(root))
        except OSError as error:
            raise UserError(f"cannot write {root} ({error}); choose another --out") from error
        jobs = [
            Job(config.name, task, number, draft, config.kitchen)
            for task in chosen
            for number in range(count)
        ]
        built = stack.enter_context(closing(run_all(jobs, build, config.workers)))
        for trial in built:
            hashes[trial.task][trial.number] = trial.hash
            report[trial.task].update(trial.rejected)
            report[trial.task]["accepted"] += 1
        write_index(draft, hashes, {task: dict(sorted(report[task].items())) for task in tasks})
    return {task: dict(counts) for task, counts in report.items()}


def main(config: SuiteBuildConfig) -> None:
    """Build a suite or the bank, and print what was accepted and rejected."""
    report = build_suite(config) if config.split == "suite" else _build_bank(config)
    for task, counts in report.items():
        often_first = sorted(counts.items(), key=lambda count: -count[1])
        print(f"{task}: " + ", ".join(f"{number} {reason}" for reason, number in often_first))


def _build_bank(config: SuiteBuildConfig) -> dict[str, dict[str, int]]:
    from dexbench.envs.tasks.bank import BANK, Bank

    from .bank import build_bank

    if config.kitchen != "generated":
        raise UserError("the bank has generated kitchens only; leave --kitchen out")
    root = config.out / BANK.name if config.out else BANK
    trials = BANK_TRIALS if config.trials is None else config.trials
    begun = Bank(root).hashes
    tasks = config.tasks or tuple(task for task in TASKS if task in begun) or TASKS
    return build_bank(root, tasks, trials, config.workers)
