"""The tasks that a command is about: dexbench's, or one of the user's own."""

from collections.abc import Iterable

from dexbench.envs.task_names import TASKS


def resolve(task: str, of_suite: Iterable[str] = TASKS) -> tuple[str, ...]:
    """Return names of the tasks that ``--task`` asks for.

    Args:
        task: A task's name, all, or ``module:name``, which imports the user's module and so makes
            its task known to this process.
        of_suite: What all stands for: the tasks of the suite that is played.

    Raises:
        UserError: There is no such task.
    """
    return tuple(in_order(map(_known, of_suite))) if task == "all" else (_known(task),)


def _known(task: str) -> str:
    """Return the name of a task that this process knows or can import."""
    if task in TASKS:
        return task
    # Imports MuJoCo, which a parent of workers does without.
    from dexbench.envs.tasks import find_task

    return find_task(task).name


def rank(task: str) -> tuple[int, str]:
    """Sort names of tasks: dexbench's in their order, then the users' by name."""
    return (TASKS.index(task) if task in TASKS else len(TASKS)), task


def in_order(tasks: Iterable[str]) -> list[str]:
    """Return each task once, by `rank`."""
    return sorted(set(tasks), key=rank)
