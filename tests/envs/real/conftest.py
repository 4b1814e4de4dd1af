"""One simulated robot, that takes seconds to make, for all tests of a run."""

from collections.abc import Iterator

import pytest

from dexbench.envs.real.limits import Limits
from dexbench.envs.real.stepped import SteppedRobot


@pytest.fixture(scope="session")
def made() -> Iterator[SteppedRobot]:
    """The robot at a trial with a pear; use ``robot``."""
    robot = SteppedRobot(trials=(2,), camera_rate=5.0)
    yield robot
    robot.close()


@pytest.fixture
def robot(made: SteppedRobot) -> SteppedRobot:
    """It stands at the start."""
    made.set_up(0)
    return made


@pytest.fixture
def limits() -> Limits:
    """The defaults, on machines of any speed."""
    return Limits(answer=60.0)
