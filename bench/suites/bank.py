"""Builds the bank of training trials: `dexbench suite build --split train`.

Scene by scene: every task that still wants trials draws one in each. A scene and its trials are
functions of the scene's number, so that a build that was stopped goes on as if it had not been.
"""

from collections import Counter
from collections.abc import Callable, Sequence
from contextlib import closing
from itertools import count, islice
from pathlib import Path
from typing import NamedTuple

from dexbench.envs.robocasa.build import build_scene
from dexbench.envs.scenes.recipe import draw_recipe
from dexbench.envs.simulation import Simulation
from dexbench.envs.tasks import Playback, Rejected, Task, find_task
from dexbench.envs.tasks.bank import Bank, start_key
from dexbench.envs.tasks.redraw import STARTS, redraw
from dexbench.envs.trial import Trial
from dexbench.utils.errors import UserError, at_least
from dexbench.utils.seeding import rng

from .workers import run_all

DRAWS = 2
"""Draws of a task in a scene before the next scene's turn."""
MOST_SCENES = 10
"""Scenes tried for each trial wanted before a task is given up."""


class SceneJob(NamedTuple):
    """A scene to draw trials in."""

    root: Path
    """Folder of the bank."""
    number: int
    """Of the scene."""
    tasks: tuple[str, ...]
    """Names of the tasks that want a trial, or ``module:name``."""


class SceneTrials(NamedTuple):
    """The trials that were found in a scene, and written."""

    number: int
    """Of the scene."""
    hashes: dict[str, str]
    """Hash of the trial, by task."""
    rejected: dict[str, str]
    """Why there is none, by task."""


def build_trials(job: SceneJob) -> SceneTrials:
    """Draw a trial of each task in a scene and write them; a pure function of number and tasks."""
    bank = Bank(job.root)
    if not bank.scene_path(job.number).exists():
        recipe = draw_recipe(rng("bank", "scene", job.number), "train")
        bank.save_scene(job.number, build_scene(recipe))
    scene = bank.scene(job.number)
    built = SceneTrials(job.number, {}, {})
    for name in job.tasks:
        task = find_task(name)
        for draw in range(DRAWS):
            key = ("bank", task.name, job.number, draw)
            try:
                trial = task.draw(scene, rng(*key), key)
                check_redrawn(trial, task)
            except (Rejected, FloatingPointError) as reason:
                built.rejected[task.name] = str(reason)
                continue
            built.rejected.pop(task.name, None)
            built.hashes[task.name] = trial.hash
            bank.save_trial(job.number, trial)
            break
    return built


def check_redrawn(trial: Trial, task: Task) -> None:
    """Check that the expert solves a trial from all starts that seeds will have.

    Raises:
        Rejected: It does not.
    """
    for number in range(STARTS):
        redrawn = redraw(trial, task, start_key(number))
        simulation = Simulation(redrawn.xml, redrawn.objects)
        if not Playback(task, redrawn, simulation).solves(redrawn.expert_actions):
            raise Rejected("the expert fails from another start")


def build_bank(
    root: Path,
    tasks: Sequence[str],
    trials: int,
    workers: int,
    build: Callable[[SceneJob], SceneTrials] = build_trials,
) -> dict[str, dict[str, int]]:
    """Build a bank, or go on with one; the same tasks and number of trials give the same files.

    Args:
        root: Folder of the bank.
        tasks: Names of the tasks; others that the bank has stay as they are.
        trials: Trials a task.
        workers: Processes.
        build: Draws the trials of a scene; called in processes of their own.

    Returns:
        By task, how many scenes have a trial and why others have none.

    Raises:
        UserError: The folder cannot be written, there is no such task, too few scenes have a trial
            of it, or a process died. What is complete is kept.
    """
    at_least(1, trials=trials, workers=workers)
    names = {find_task(task).name: task for task in tasks}
    bank = Bank(root)
    for name in names:
        bank.hashes.setdefault(name, {})
        bank.rejected.setdefault(name, {})
    while jobs := _jobs(bank, names, trials):
        with closing(run_all(jobs, build, workers, unit="scene")) as results:
            for built in results:
                for name, text in built.hashes.items():
                    bank.hashes[name][built.number] = text
                for name, text in built.rejected.items():
                    bank.rejected[name][built.number] = text
                bank.save_index()
    _remove_unused(bank)
    return {
        name: {"accepted": len(bank.hashes[name])} | Counter(bank.rejected[name].values())
        for name in names
    }


def _remove_unused(bank: Bank) -> None:
    """Remove the scenes that no task has a trial in."""
    used = {bank.scene_path(number) for hashes in bank.hashes.values() for number in hashes}
    for path in set(bank.scene_path(0).parent.iterdir()) - used:
        path.unlink()


def _jobs(bank: Bank, names: dict[str, str], trials: int) -> list[SceneJob]:
    """Return the scenes that come next, as many for each task as it wants trials.

    No more, so that a task has trials of the first scenes that have any, whatever was stopped.
    """
    wanted: dict[int, list[str]] = {}
    for name, task in names.items():
        tried = bank.hashes[name].keys() | bank.rejected[name].keys()
        missing = trials - len(bank.hashes[name])
        if missing > 0 and len(tried) >= MOST_SCENES * trials:
            raise UserError(
                f"only {len(bank.hashes[name])} of {len(tried)} scenes have a trial of {name}; "
                "make its stage() less choosy, or ask for fewer --trials"
            )
        untried = (number for number in count() if number not in tried)
        for number in islice(untried, max(missing, 0)):
            wanted.setdefault(number, []).append(task)
    return [SceneJob(bank.root, number, tuple(wanted[number])) for number in sorted(wanted)]
