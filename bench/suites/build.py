"""Builds a suite of frozen trials: `dexbench suite build`."""

from collections import Counter
from collections.abc import Callable, Generator
from concurrent.futures import ProcessPoolExecutor, as_completed
from concurrent.futures.process import BrokenProcessPool
from contextlib import ExitStack, closing
from dataclasses import dataclass, replace
from multiprocessing import active_children, get_context
from pathlib import Path
from typing import Literal, NamedTuple

from tqdm import tqdm

from dexbench.envs.assets.download import robocasa_root
from dexbench.envs.task_names import SUITE_TASKS
from dexbench.utils.errors import UserError, at_least
from dexbench.utils.files import atomic_folder

MAX_CANDIDATES = 60
"""Draws tried before a trial index is given up."""


@dataclass(frozen=True)
class SuiteBuildConfig:
    """Draw, solve and freeze the trials of a suite."""

    name: str = "v1"
    """Name of the suite; it names the random streams too."""
    trials: int = 50
    """Trials a task."""
    out: Path | None = None
    """Folder to write; by default the package's own suites."""
    workers: int = 2
    """Processes."""
    tasks: tuple[str, ...] = ()
    """Tasks to build; your own as module:name. By default those of the suite of that name, or of
    v1 where it is a new one."""
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

    at_least(1, trials=config.trials, workers=config.workers)
    root = (config.out or SUITES) / config.name
    if root.exists():
        raise UserError(f"{root} exists; delete it or choose another --name")
    if config.kitchen == "robocasa":
        robocasa_root()
    chosen = config.tasks or SUITE_TASKS.get(config.name, SUITE_TASKS["v1"])
    config = replace(config, tasks=chosen)
    tasks = [find_task(task).name for task in config.tasks]
    hashes: dict[str, list[str]] = {task: [""] * config.trials for task in tasks}
    report: dict[str, Counter[str]] = {task: Counter() for task in tasks}
    with ExitStack() as stack:
        try:
            draft = stack.enter_context(atomic_folder(root))
        except OSError as error:
            raise UserError(f"cannot write {root} ({error}); choose another --out") from error
        built = stack.enter_context(closing(_build_all(config, draft, build)))
        for trial in built:
            hashes[trial.task][trial.number] = trial.hash
            report[trial.task].update(trial.rejected)
            report[trial.task]["accepted"] += 1
        write_index(draft, hashes, {task: dict(sorted(report[task].items())) for task in tasks})
    return {task: dict(counts) for task, counts in report.items()}


def _build_all(
    config: SuiteBuildConfig, folder: Path, build: Callable[[Job], Built]
) -> Generator[Built, None, None]:
    """Write all trials into a folder; yield each as it is made."""
    jobs = [
        Job(config.name, task, number, folder, config.kitchen)
        for task in config.tasks
        for number in range(config.trials)
    ]
    # One process renders one scene at a time; spawn keeps OpenGL contexts apart.
    others = active_children()
    pool = ProcessPoolExecutor(config.workers, get_context("spawn"), _one_thread)
    try:
        results = as_completed([pool.submit(build, job) for job in jobs])
        for result in tqdm(results, total=len(jobs), unit="trial", disable=None):
            yield result.result()
    except BrokenProcessPool as error:
        raise UserError(
            "a process that built trials died, as for want of memory; give fewer --workers"
        ) from error
    finally:
        for child in active_children():  # after an error, trials begun are not wanted
            if child not in others:
                child.terminate()
        pool.shutdown(cancel_futures=True)


def _one_thread() -> None:
    """Begin a worker: the threads of several would mostly wait for one another."""
    import torch

    torch.set_num_threads(1)


def main(config: SuiteBuildConfig) -> None:
    """Build a suite and print what was accepted and rejected."""
    for task, counts in build_suite(config).items():
        often_first = sorted(counts.items(), key=lambda count: -count[1])
        print(f"{task}: " + ", ".join(f"{number} {reason}" for reason, number in often_first))
