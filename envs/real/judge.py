"""What a person does beside a real robot, and a simulated one can do itself.

It is no part of a driver: nothing that moves the robot or plans for it may ask for it.
"""

from typing import NamedTuple, Protocol, runtime_checkable

import numpy as np
from numpy.typing import NDArray


class Verdict(NamedTuple):
    """How a trial ended."""

    success: bool
    """Whether the task's criterion has held for the last second, as in the benchmark."""
    distance: float
    """The criterion's distance now, in m."""


@runtime_checkable
class Judge(Protocol):
    """Sets a trial up and says whether it was solved; a driver may be one as well."""

    def set_up(self, index: int) -> None:
        """Put robot and objects where a trial begins, and let a robot that was stopped go again.

        Raises:
            UserError: There is no such trial.
        """

    def goal(self) -> NDArray[np.uint8]:
        """Return the camera's picture (height, width, 3) uint8 of the trial's goal."""

    def verdict(self) -> Verdict:
        """Return how the trial stands now."""
