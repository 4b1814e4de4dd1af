"""dexbench's own tasks by name, for all that need no more: no simulator is imported."""

SUITE_TASKS = {
    "v1": ("reach", "grasp", "place"),
    "v2": ("push", "pick", "carry", "avoid"),
}
"""The tasks of each of dexbench's suites, in the order of every table."""
TASKS = tuple(task for tasks in SUITE_TASKS.values() for task in tasks)
"""All of them. `dexbench.envs.tasks.TASKS` holds what they are."""
ENV_ID = "dexbench/{}-v1"
"""Gymnasium's id of a task; the braces stand for the name with a capital."""


def env_id(task: str) -> str:
    """Return Gymnasium's id of one of dexbench's tasks, such as ``dexbench/Reach-v1``."""
    return ENV_ID.format(task.capitalize())


def suite_of(task: str) -> str:
    """Return the name of the suite that a task's frozen trials are in; v1 for tasks of the user."""
    return next((name for name, tasks in SUITE_TASKS.items() if task in tasks), "v1")
