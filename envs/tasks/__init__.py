"""The three tasks: what counts as success, and how trials are drawn."""

from .base import HELD_STEPS, Goal, Outcome, Rejected, Task
from .grasp import Grasp
from .place import Place
from .reach import Reach

TASKS: dict[str, Task] = {task.name: task for task in (Reach(), Grasp(), Place())}
"""Every task by name."""

__all__ = ["HELD_STEPS", "TASKS", "Goal", "Grasp", "Outcome", "Place", "Reach", "Rejected", "Task"]
