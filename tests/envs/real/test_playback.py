import re
from typing import Any

import numpy as np
import pytest
from support.faulty_robot import FaultyRobot

from dexbench.envs.real.limits import Limits
from dexbench.envs.real.playback import interpolate, play
from dexbench.envs.real.stepped import SteppedRobot
from dexbench.envs.real.watched import Watched

INF = np.inf
MEASURED, SEEN = ({name: lambda *args: None} for name in ("measured", "seen"))
"""A check that finds nothing."""


def swing(robot: Any) -> Any:
    """Targets (10, 23) that lift the hand by the arm's first joint, in 2 s."""
    targets = np.repeat(robot.joints()[None], 10, axis=0)
    targets[:, 0] += np.linspace(0.035, 0.35, 10)
    return targets


def test_the_robot_goes_where_it_is_told_in_small_steps(
    robot: SteppedRobot, limits: Limits
) -> None:
    targets, driver = swing(robot), FaultyRobot(robot)
    played = play(driver, targets, limits)
    assert played.reason is None and driver.stops == []
    assert len(played.steps) == round(10 * 0.2 * robot.rate) == len(driver.sent)
    assert np.array_equal(played.commanded[-1], targets[-1])
    assert np.array_equal(played.measured[-1], robot.joints())
    assert np.abs(played.measured[-1] - targets[-1]).max() < 0.08
    robot.wait(robot.time() + 0.5)
    assert np.abs(robot.joints() - targets[-1])[:7].max() < 0.01
    assert np.abs(np.diff(played.commanded, axis=0)).max() <= 1.5 * 0.175 / robot.rate + 1e-9
    assert np.allclose(np.diff(played.times), 1 / robot.rate)
    seen = [look.time for look in played.looks]
    assert len(seen) >= 10 and min(np.diff(seen)) > 0.09
    assert not np.array_equal(played.looks[0].picture, played.looks[-1].picture)


FAULTS: list[tuple[str, str, dict[str, Any]]] = [
    ("not a number", "measured arm joint right_fr3_joint4 is nan rad, no number", MEASURED),
    ("infinite", "measured hand joint joint_13.0 is inf rad, no number", MEASURED),
    ("jump", "measured arm joint right_fr3_joint2 moves at [34].* rad/s, too fast", MEASURED),
    ("deaf", "right_fr3_joint1 is 0.2.* rad from its target", {"arm_error": INF}),
    ("frozen camera", r"newest picture is 0.5\d s old, at most 0.5 s",
     {"picture_age": INF, "frozen": INF}),
    ("frozen picture", "not changed while the hand moved 0.1.* it is frozen", {"frozen": INF}),
    ("two clocks", r"1e\+02 s from now: two clocks", SEEN),
    ("timeless picture", "nan s from now", SEEN),
    ("float picture", r"the camera gave float32 \(224, 392, 3\), expected uint8", SEEN),
    ("no picture", "the camera gave .*NoneType", {**SEEN, "frozen": np.inf}),
    ("short", r"joints \(7,\), expected \(23,\)", {}),
    ("raises", "the driver's command failed: ConnectionError: the controller is gone", {}),
    ("button", "the robot was stopped, and takes no targets", {}),
    ("dead clock", "the robot's clock stands at 0.000 s", {}),
    ("ctrl-c", "the person stopped the robot", {}),
]  # fmt: skip
"""What goes wrong, what is said of it, and the limits or checks without which nothing finds it."""


@pytest.mark.parametrize(("fault", "reason", "without"), FAULTS, ids=[row[0] for row in FAULTS])
def test_a_fault_stops_the_robot_where_it_is(
    fault: str, reason: str, without: dict[str, Any], robot: SteppedRobot, limits: Limits
) -> None:
    driver = FaultyRobot(robot, fault)
    goal = swing(robot)
    played = play(driver, goal, limits)
    assert played.reason is not None
    assert re.search(reason, played.reason), played.reason
    assert len(driver.stops) == 1
    assert len(played.steps) < 40
    there = robot.joints()
    robot.wait(robot.time() + 1)
    assert np.abs(robot.joints() - there)[:7].max() < 0.05
    assert abs(there[0] - goal[-1, 0]) > 0.05
    if without:
        robot.set_up(0)
        driver = FaultyRobot(robot, fault)
        for name, value in without.items():
            object.__setattr__(limits, name, value)
        assert play(driver, goal, limits).reason is None
        assert driver.stops == []


def test_a_plan_out_of_limits_moves_nothing(robot: SteppedRobot, limits: Limits) -> None:
    for change, reason in (
        (1.0, "commanded arm joint right_fr3_joint1 moves at .* too fast"),
        (np.nan, "commanded arm joint right_fr3_joint1 is nan rad, no number"),
        (9.0, "commanded arm joint right_fr3_joint1 is .* out of its range"),
    ):
        driver, targets = FaultyRobot(robot), swing(robot)
        targets[8, 0] += change
        played = play(driver, targets, limits)
        assert re.search(reason, played.reason or ""), played.reason
        assert driver.sent == [] and len(driver.stops) == 1 and played.commanded.shape == (0, 23)
        robot.set_up(0)
    assert "have shape (23,)" in (play(robot, targets[0], limits).reason or "")


def test_what_was_late_is_not_caught_up_with(robot: SteppedRobot, limits: Limits) -> None:
    driver = FaultyRobot(robot, "oversleeps")
    played = play(driver, swing(robot), limits)
    assert played.reason is None
    assert np.allclose(np.diff(played.times)[8:], 0.25)


def test_the_next_motion_begins_where_the_last_target_was(
    robot: SteppedRobot, limits: Limits
) -> None:
    targets = swing(robot)[:3]
    first = play(robot, targets, limits)
    second = play(robot, targets[-1:], limits, start=first.commanded[-1])
    assert np.allclose(second.commanded, targets[-1], atol=1e-12)
    robot.set_up(0)
    play(robot, targets, limits)
    assert not np.allclose(play(robot, targets[-1:], limits).commanded[0], targets[-1], atol=1e-3)


def test_a_stop_that_fails_calls_for_a_person(robot: SteppedRobot, limits: Limits) -> None:
    driver = FaultyRobot(robot, "cannot be stopped")
    targets = np.full((1, 23), np.nan)
    reason = play(driver, targets, limits).reason or ""
    assert "no route" in reason and reason.endswith("PRESS THE EMERGENCY STOP")


def test_a_driver_that_hangs_is_stopped(
    robot: SteppedRobot, limits: Limits, monkeypatch: Any
) -> None:
    # Nothing is simulated, so that every other call is quick on a busy machine too.
    monkeypatch.setattr(robot, "wait", robot.skip)
    driver = FaultyRobot(robot, "hangs")
    watched = Watched(driver, 5.0)
    played = play(watched, swing(robot), limits)
    assert played.reason == "the driver's look has not returned for 5 s"
    assert len(driver.stops) == 1 and len(played.steps) == 6
    driver.released.set()
    watched.leave()


def test_a_program_that_is_told_to_end_stops_the_robot_first(
    robot: SteppedRobot, limits: Limits, monkeypatch: Any
) -> None:
    driver = FaultyRobot(robot)

    def leave(*args: Any) -> None:
        raise SystemExit(143)

    monkeypatch.setattr(Limits, "measured", leave)
    with pytest.raises(SystemExit):
        play(driver, swing(robot), limits)
    assert len(driver.stops) == 1


def test_interpolation_is_smooth_and_never_beyond_a_target() -> None:
    start = np.zeros(23)
    targets = np.zeros((4, 23))
    targets[:, 0], targets[:, 1] = (0.1, 0.3, 0.3, 0.2), 0.4
    path = interpolate(start, targets, rate=100.0, pace=0.2)
    assert path.shape == (80, 23) and np.array_equal(path[-1], targets[-1])
    assert np.allclose(path[19::20], targets)
    steps = np.diff(np.concatenate([start[None], path]), axis=0)
    assert np.abs(steps[:, 0]).max() < 1.5 * 0.2 / 20 and np.abs(steps[:, 1]).max() < 1.6 * 0.4 / 20
    # From rest to rest: hardware refuses a jump of speed.
    assert np.abs(steps[[0, -1]]).max() < 0.25 * np.abs(steps).max()
    assert np.abs(np.diff(steps, axis=0)).max() < 0.25 * np.abs(steps).max()
    assert path[:, 0].max() == pytest.approx(0.3) and path[:, 1].max() == pytest.approx(0.4)
    coarse = interpolate(start, targets, rate=7.0, pace=0.2)
    assert len(coarse) == 6 and np.array_equal(coarse[-1], targets[-1])
