"""The tasks: what counts as success, and how trials are drawn."""

import contextlib
import importlib
import os
import re
import sys

from dexbench.envs.trial import HELD_STEPS
from dexbench.utils.errors import UserError, describe

from .avoid import Avoid
from .base import Rejected, Task
from .carry import Carry
from .criterion import Criterion, Goal, Outcome
from .grasp import Grasp
from .pick import Pick
from .place import Place
from .playback import Playback, goal_picture
from .push import Push
from .reach import Reach

TASKS: dict[str, Task] = {
    task.name: task for task in (Reach(), Grasp(), Place(), Push(), Pick(), Carry(), Avoid())
}
"""Every task by name, `register_task`'s too."""

__all__ = [
    "HELD_STEPS",
    "TASKS",
    "Avoid",
    "Carry",
    "Criterion",
    "Goal",
    "Grasp",
    "Outcome",
    "Pick",
    "Place",
    "Playback",
    "Push",
    "Reach",
    "Rejected",
    "Task",
    "find_task",
    "goal_picture",
    "register_task",
]


def register_task(task: Task) -> None:
    """Make a task known by its name.

    Call it where the task is defined: worker processes import that module anew.

    Raises:
        ValueError: The name is not a lower-case identifier, or another task has it; dexbench's own
            are never replaced, since what they count as success is what their scores mean. Or the
            task has no criterion.
    """
    if type(task).evaluate is Task.evaluate and type(task).begin is Task.begin:
        raise ValueError(
            f"task {task.name!r} has no criterion: define evaluate, or begin for one with memory"
        )
    if not re.fullmatch(r"[a-z][a-z0-9_]*", task.name):
        raise ValueError(
            f"a task's name has lower case letters, digits and '_' only; got {task.name!r}"
        )
    old, new = type(TASKS.get(task.name, task)), type(task)
    own = old.__module__.startswith(f"{__name__}.")
    # The same class once more, as in a notebook, replaces the old one.
    if old is not new and (own or old.__qualname__ != new.__qualname__):
        raise ValueError(f"there is a task {task.name!r} already; choose another name")
    TASKS[task.name] = task


def find_task(name: str) -> Task:
    """Return the task of that name.

    Args:
        name: A registered name, or ``module:name`` to import the module that registers it first;
            a module that is not installed is looked for in the current directory.

    Raises:
        UserError: There is no such task.
    """
    module, colon, name = name.rpartition(":")
    if colon:
        if os.getcwd() not in sys.path and "" not in sys.path:
            # Last, so that a folder here never hides an installed package.
            sys.path.append(os.getcwd())
        try:
            with contextlib.chdir(os.getcwd()):  # Paths of the command line stay what they are.
                importlib.import_module(module)
        except Exception as error:  # whatever the user's module raises
            raise UserError(
                f"task {name!r}: cannot import {module!r}: {describe(error)}"
            ) from error
    if name not in TASKS:
        raise UserError(
            f"there is no task {name!r}; choose one of {', '.join(TASKS)}, or name your own as "
            "module:name, where the module calls register_task"
        )
    return TASKS[name]
