"""The tasks that a command is about: dexbench's three, or one of the user's own."""

from collections.abc import Iterable

from dexbench.envs.task_names import TASKS


def resolve(task: str) -> tuple[str, ...]:
    """Return names of the tasks that ``--task`` asks for.

    Args:
        task: reach, grasp, place, all, or ``module:name``, which imports the user's module and so
            makes its task known to this process.

    Raises:
        UserError: There is no such task.
    """
    if task == "all":
        return TASKS
    if task in TASKS:
        return (task,)
    # Imports MuJoCo, which a parent of workers does without.
    from dexbench.envs.tasks import find_task

    return (find_task(task).name,)


def rank(task: str) -> tuple[int, str]:
    """Sort names of tasks: dexbench's in their order, then the users' by name."""
    return (TASKS.index(task) if task in TASKS else len(TASKS)), task


def in_order(tasks: Iterable[str]) -> list[str]:
    """Return each task once, by `rank`."""
    return sorted(set(tasks), key=rank)
