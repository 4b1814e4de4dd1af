import numpy as np
import pytest

from dexbench.envs.real.judge import Judge
from dexbench.envs.real.limits import Limits
from dexbench.envs.real.playback import play
from dexbench.envs.real.robot import load_driver
from dexbench.envs.real.stepped import GRASPS, SteppedRobot
from dexbench.envs.suite import Suite
from dexbench.envs.tasks import find_task, goal_picture
from dexbench.utils.errors import UserError

FLAWS = {
    "latency": 0.1,
    "friction": 0.02,
    "offset": 0.01,
    "jitter": 0.002,
    "camera_turn": 0.03,
    "camera_shift": 0.02,
    "seed": 3,
}


@pytest.fixture(scope="module")
def flawed() -> SteppedRobot:
    return SteppedRobot(trials=(2,), camera_rate=5.0, **FLAWS)


def test_it_stands_at_the_trials_start_and_shows_its_goal(robot: SteppedRobot) -> None:
    trial, simulation = Suite.load("v1").trial("grasp", 2), robot.simulation
    assert robot.trial.hash == trial.hash and isinstance(robot, Judge)
    assert np.array_equal(robot.goal(), goal_picture(simulation, find_task("grasp"), trial))
    simulation.set_state(trial.start_state)
    assert np.array_equal(robot.joints(), simulation.joint_positions)
    assert np.array_equal(robot.look().picture, simulation.render())
    assert robot.look().time == robot.time()
    assert not robot.verdict().success and robot.verdict().distance > 0.2


def test_the_experts_play_is_a_success_and_the_same_each_time(
    robot: SteppedRobot, limits: Limits
) -> None:
    actions = robot.trial.expert_actions
    first = play(robot, actions, limits, pace=0.1)
    assert first.reason is None
    verdict, joints, picture = robot.verdict(), robot.joints(), robot.look().picture
    assert verdict.success and verdict.distance < 0.2
    robot.wait(robot.time() + 0.03)  # The next does not begin at a full second.
    robot.set_up(0)
    assert not robot.verdict().success
    play(robot, actions, limits, pace=0.1)
    assert np.array_equal(robot.joints(), joints) and robot.verdict() == verdict
    assert np.array_equal(robot.look().picture, picture)


def test_a_stopped_robot_holds_until_it_is_set_up(robot: SteppedRobot) -> None:
    targets = robot.joints()
    targets[0] += 0.3
    robot.command(targets)
    robot.wait(robot.time() + 0.1)
    robot.stop()
    there = robot.joints()
    with pytest.raises(RuntimeError, match="was stopped"):
        robot.command(targets)
    robot.wait(robot.time() + 1)
    assert np.abs(robot.joints() - there)[:7].max() < 0.1
    assert targets[0] - robot.joints()[0] > 0.05
    robot.set_up(0)
    robot.command(targets)
    robot.wait(robot.time() + 1)
    assert abs(targets[0] - robot.joints()[0]) < 0.01


def test_latency_delays_what_is_done_and_what_is_seen(flawed: SteppedRobot) -> None:
    flawed.set_up(0)
    start, begun = flawed.joints(), flawed.time()
    targets = start.copy()
    targets[0] += 0.2
    flawed.command(targets)
    flawed.wait(begun + 0.1)
    still = flawed.joints()
    assert np.abs(still - start).max() < 1e-3
    flawed.wait(begun + 0.2)
    assert flawed.joints()[0] - still[0] > 0.02
    ages = []
    for _ in range(8):
        flawed.wait(flawed.time() + 0.05)
        ages.append(flawed.time() - flawed.look().time)
    # Pictures come every 0.2 s, and 0.1 s late.
    assert min(ages) >= 0.1 - 1e-6 and max(ages) <= 0.3 + 1e-6 and max(ages) > 0.2


def test_joints_are_off_by_their_zeros(flawed: SteppedRobot, robot: SteppedRobot) -> None:
    flawed.set_up(0)
    zeros = flawed.joints() - flawed.simulation.joint_positions
    assert 0.002 < np.abs(zeros).mean() < 0.02
    targets = flawed.joints()
    targets[0] += 0.1
    flawed.command(targets)
    flawed.wait(flawed.time() + 1.5)
    # What is measured comes to the target, up to what friction holds; what is so does not.
    assert abs(flawed.joints()[0] - targets[0]) < 0.02 * 87 / 600 + 0.002
    true = flawed.simulation.joint_positions[0]
    assert true + zeros[0] == pytest.approx(flawed.joints()[0])
    robot.command(targets)
    robot.wait(robot.time() + 1.5)
    assert abs(robot.joints()[0] - targets[0]) < abs(flawed.joints()[0] - targets[0])


def test_a_camera_that_shakes_and_is_off(flawed: SteppedRobot, robot: SteppedRobot) -> None:
    flawed.set_up(0)
    assert flawed.calibration() == robot.calibration()
    seen, still = (r.look().picture.astype(int) for r in (flawed, robot))
    assert np.abs(seen - still).mean() > 5
    flawed.wait(flawed.time() + 0.5)
    robot.wait(robot.time() + 0.5)
    assert 0.2 < np.abs(flawed.look().picture - seen).mean() < 20
    assert np.abs(robot.look().picture - still).mean() < 0.05
    # The same trial shakes the same.
    flawed.set_up(0)
    assert np.array_equal(flawed.look().picture, seen)


def test_a_large_picture_shows_agents_what_the_benchmark_shows(robot: SteppedRobot) -> None:
    large = SteppedRobot(trials=(2,), width=960, height=600)
    try:
        look = large.look()
        assert look.picture.shape == (600, 960, 3)
        view = large.calibration().view(look.picture).astype(int)
        assert np.abs(view - robot.look().picture).mean() < 4
    finally:
        large.close()


@pytest.mark.parametrize(
    ("args", "complaint"),
    [
        ({"latencyy": 0.1}, "cannot be made: TypeError: .*latencyy"),
        ({"latency": -0.1}, "latency is -0.1, expected a number from 0 on"),
        ({"jitter": float("nan")}, "jitter is nan"),
        ({"trials": (50,)}, "suite v1 has 50 grasp trials"),
        ({"trials": ()}, "the simulated robot has 0 trials"),
        ({"suite": "v9"}, "no suite 'v9'"),
        ({"task": "juggle"}, "no task 'juggle'"),
    ],
)
def test_settings_that_cannot_be_are_refused(args: dict[str, object], complaint: str) -> None:
    with pytest.raises(UserError, match=complaint):
        load_driver("stepped", args)


def test_a_trial_that_is_not_there_is_refused(robot: SteppedRobot) -> None:
    for index in (-1, 1):
        with pytest.raises(UserError, match=f"has 1 trials; asked for {index}"):
            robot.set_up(index)


def test_the_grasps_are_twelve_of_four_objects() -> None:
    suite = Suite.load("v1")
    kinds = [suite.trial("grasp", i).instances[0].rsplit("_", 1)[0] for i in GRASPS]
    assert len(set(GRASPS)) == 12
    assert kinds == 3 * ["pear", "tea_box", "canned_food", "jug"]
