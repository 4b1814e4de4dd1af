"""``expert``: replays the scripted solution that every frozen trial carries."""

from typing import Any

import numpy as np
from numpy.typing import NDArray


class Expert:
    """Privileged: plays the trial's recorded joint targets, which solve it bit for bit."""

    privileged = True

    def bind(self, env: Any) -> None:
        """Take the recorded targets from the environment's trial.

        Args:
            env: The unwrapped environment, after its reset.
        """
        self._actions: NDArray[np.float32] = env.trial.expert_actions

    def reset(self, task: str, seed: int) -> None:
        """Nothing to prepare."""

    def act(self, obs: dict[str, NDArray[Any]]) -> NDArray[np.float32]:
        """Return all recorded targets that are left, (k, 23) in rad."""
        steps_left = int(obs["steps_left"][0])
        return self._actions[len(self._actions) - steps_left :]
