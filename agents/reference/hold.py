"""The floor of the benchmark: an agent that stays where it is."""

from typing import Any

import numpy as np
from numpy.typing import NDArray


class Hold:
    """Repeats the last commanded target.

    Repeating the target and not the achieved joints keeps a grip, which is a target inside the
    object. What this agent scores is what a task gives away.
    """

    def __init__(self, chunk: int = 20) -> None:
        """Args: chunk: Control steps for each decision."""
        self.chunk = chunk

    def reset(self, task: str, seed: int) -> None:
        """Do nothing: the agent has no state."""

    def act(self, obs: dict[str, NDArray[Any]]) -> NDArray[np.float32]:
        """(chunk, 23) float32 copies of ``agent_target`` [rad]."""
        return np.repeat(obs["agent_target"][None].astype(np.float32), self.chunk, axis=0)
