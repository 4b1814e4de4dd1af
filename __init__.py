"""dexbench: a benchmark of dexterous manipulation by world models in RoboCasa kitchens.

Importing it registers a Gymnasium id for each task, such as ``dexbench/Reach-v1``; PyTorch and
MuJoCo are imported when one of them is made.
"""

import os
import sys

import gymnasium

from .envs.task_names import TASKS as _TASKS
from .envs.task_names import env_id as _env_id
from .envs.trial import STEPS as _STEPS

__version__ = "0.2.0"

# MuJoCo reads the variable when it is first imported; without a display only EGL can render.
if sys.platform == "linux" and not (os.environ.get("DISPLAY") or os.environ.get("WAYLAND_DISPLAY")):
    os.environ.setdefault("MUJOCO_GL", "egl")

for _task in _TASKS:
    gymnasium.register(
        _env_id(_task),
        f"dexbench.envs.task_envs:{_task.capitalize()}Env",
        max_episode_steps=_STEPS,
    )
