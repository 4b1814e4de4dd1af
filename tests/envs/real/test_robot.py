from typing import Any

import pytest
from support.faulty_robot import FaultyRobot

from dexbench.envs.real.robot import METHODS, Robot, check_driver, load_driver
from dexbench.envs.real.stepped import SteppedRobot
from dexbench.utils.errors import UserError


def test_what_drives_a_robot_is_a_driver(robot: SteppedRobot) -> None:
    assert isinstance(robot, Robot) and check_driver("stepped", robot) is robot
    driver = load_driver("support.faulty_robot:FaultyRobot", {"robot": robot, "fault": "raises"})
    assert isinstance(driver, FaultyRobot) and driver.fault == "raises"


@pytest.mark.parametrize(
    ("name", "complaint"),
    [
        ("simulatd", "no driver 'simulatd'; did you mean 'simulated'"),
        ("arm", "choose one of simulated, stepped, or name your own as package.module:Class"),
        ("nosuch.module:Arm", "cannot import nosuch.module: ModuleNotFoundError"),
        ("support.faulty_robot:Arm", "module support.faulty_robot has no class Arm"),
        ("support.faulty_robot:FaultyRobot", "cannot be made: TypeError"),
        ("threading:Event", "Event has no method joints or look or command or stop or"),
    ],
)
def test_what_is_no_driver_is_refused(name: str, complaint: str) -> None:
    with pytest.raises(UserError, match=complaint):
        load_driver(name)


@pytest.mark.parametrize("rate", [None, 0, -5.0, float("inf"), float("nan"), "10"])
def test_a_rate_must_be_a_number_of_times_a_second(rate: Any) -> None:
    driver = type("Arm", (), {**dict.fromkeys(METHODS, print), "rate": rate})()
    with pytest.raises(UserError, match="its rate is .* in Hz"):
        check_driver("arm", driver)
    driver.rate = 30
    assert check_driver("arm", driver) is driver
