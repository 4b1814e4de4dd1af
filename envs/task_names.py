"""dexbench's own tasks by name, for all that need no more: no simulator is imported."""

TASKS = ("reach", "grasp", "place")
"""In the order of every table. `dexbench.envs.tasks.TASKS` holds what they are."""
ENV_ID = "dexbench/{}-v1"
"""Gymnasium's id of a task; the braces stand for the name with a capital."""


def env_id(task: str) -> str:
    """Return Gymnasium's id of one of dexbench's tasks, such as ``dexbench/Reach-v1``."""
    return ENV_ID.format(task.capitalize())
