"""What a privileged agent is told of a trial's goal."""

from typing import Any

from ...envs.tasks.playback import Goal


def goal_of(env: Any) -> Goal:
    """The goal of an environment's present trial.

    Args:
        env: The unwrapped environment, after its reset.

    Raises:
        ValueError: The environment has no goal yet.
    """
    if env.goal is None:
        raise ValueError("the environment has no goal yet: call its reset before bind")
    return env.goal
