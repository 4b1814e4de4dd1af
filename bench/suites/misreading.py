"""``kinematic`` with an error of perception, which suites are drawn against."""

from typing import Any

from dexbench.agents.reference.kinematic import Kinematic
from dexbench.utils.seeding import rng


class Misreading(Kinematic):
    """Takes the goal's hand for some way off, another way in each play.

    Args:
        deviation: Standard deviation of the offset in m, along each axis of the camera frame.
    """

    def __init__(self, deviation: float):
        super().__init__()
        self._deviation = deviation

    def bind(self, env: Any) -> None:
        """Take the goal's true keypoints, as ``kinematic`` does."""
        super().bind(env)
        self._true = self._goal

    def reset(self, task: str, seed: int) -> None:
        """Begin a play, and draw how far off the hand is taken to be."""
        super().reset(task, seed)
        offset = rng(seed, "misread").normal(0.0, self._deviation, 3)
        self._goal = self._true + self._true.new_tensor(offset)
