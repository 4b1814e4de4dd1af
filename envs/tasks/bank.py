"""The bank: training trials that come with the package, so that a reset is quick.

Drawing a kitchen anew takes many seconds. The bank's were drawn once, by ``dexbench suite build
--split train``, from streams and with layouts, styles and objects that no suite has. A seed picks
one of them and redraws what its way does not depend on.
"""

import gzip
import json
from dataclasses import asdict, replace
from functools import cache
from pathlib import Path
from typing import Any

from dexbench.envs.scenes.scene import Scene
from dexbench.envs.suite import SUITES
from dexbench.envs.trial import Trial
from dexbench.utils.errors import UserError
from dexbench.utils.files import write_atomic
from dexbench.utils.seeding import rng

from .base import Task
from .redraw import STARTS, redraw

BANK = SUITES / "train"
"""Where the bank that comes with the package is."""
INDEX = "bank.json"


def start_key(number: int) -> tuple[str, int]:
    """Return the key that a trial's start ``number`` of `STARTS` is redrawn by."""
    return "check", number


class Bank:
    """A folder with ``bank.json``, ``scenes/<number>.json.gz`` and ``<task>/<number>.npz``.

    A trial has the number of its scene, and the scene's file holds its MJCF: the tasks share it.

    Args:
        root: The folder; without ``bank.json`` the bank is empty.
    """

    def __init__(self, root: Path):
        self.root = root
        self.hashes: dict[str, dict[int, str]] = {}
        """Hash of each trial, by task and scene."""
        self.rejected: dict[str, dict[int, str]] = {}
        """Why a scene has no trial of a task, by task and scene."""
        try:
            index = json.loads((root / INDEX).read_text(encoding="utf-8"))
            for name, table in (("trials", self.hashes), ("rejected", self.rejected)):
                for task, entries in index[name].items():
                    table[task] = {int(number): text for number, text in entries.items()}
        except FileNotFoundError:
            pass
        except (ValueError, LookupError, TypeError, AttributeError) as error:
            raise UserError(f"{root / INDEX} is damaged ({error}); reinstall dexbench") from error

    @staticmethod
    @cache
    def packaged() -> "Bank":
        """Return the bank that comes with the package."""
        return Bank(BANK)

    def numbers(self, task: str) -> list[int]:
        """Return the numbers of a task's trials, sorted; none for a task without a bank."""
        return sorted(self.hashes.get(task, ()))

    def trial(self, task: str, number: int) -> Trial:
        """Return a trial as it was built.

        Raises:
            UserError: Its files are missing or not the recorded ones.
        """
        path = self.trial_path(task, number)
        trial = replace(Trial.load(path), xml=self.scene(number).xml)
        if trial.hash != self.hashes[task][number]:
            raise UserError(f"trial {path} is not the one that {INDEX} records; reinstall dexbench")
        return trial

    def draw(self, task: Task, seed: int) -> Trial:
        """Return the training trial of a seed; a pure function of both.

        Args:
            task: One that the bank has trials of.
            seed: Picks the trial, and what is redrawn of it.
        """
        numbers, stream = self.numbers(task.name), rng("bank", "reset", task.name, seed)
        number = numbers[int(stream.integers(len(numbers)))]
        start = start_key(int(stream.integers(STARTS)))
        return redraw(self.trial(task.name, number), task, ("train", seed), start)

    def scene(self, number: int) -> Scene:
        """Return a scene.

        Raises:
            UserError: Its file is missing or damaged.
        """
        path = self.scene_path(number)
        try:
            fields = json.loads(gzip.decompress(path.read_bytes()))
            return Scene(
                fields["xml"],
                tuple(fields["objects"]),
                tuple(fields["instances"]),
                fields["recipe"],
            )
        except (OSError, EOFError, ValueError, LookupError, TypeError) as error:
            raise UserError(
                f"scene {path} is missing or damaged ({error}); reinstall dexbench"
            ) from error

    def save_scene(self, number: int, scene: Scene) -> None:
        """Write a scene; the same scene gives the same bytes."""
        text = json.dumps(asdict(scene), sort_keys=True)
        write_atomic(self.scene_path(number), gzip.compress(text.encode(), mtime=0))

    def save_trial(self, number: int, trial: Trial) -> None:
        """Write a trial without its scene."""
        replace(trial, xml="").save(self.trial_path(trial.task, number))

    def save_index(self) -> None:
        """Write which trials there are."""
        index: dict[str, Any] = {"schema": 1}
        for name, table in (("trials", self.hashes), ("rejected", self.rejected)):
            index[name] = {
                task: {str(number): entries[number] for number in sorted(entries)}
                for task, entries in sorted(table.items())
            }
        write_atomic(self.root / INDEX, json.dumps(index, indent=1) + "\n")

    def scene_path(self, number: int) -> Path:
        """Return where a scene is."""
        return self.root / "scenes" / f"{number:03d}.json.gz"

    def trial_path(self, task: str, number: int) -> Path:
        """Return where a trial is."""
        return self.root / task / f"{number:03d}.npz"
