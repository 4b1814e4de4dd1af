"""The script that takes what differs between two pictures to where it has gone."""

import numpy as np
import pytest
import torch

from dexbench.agents.reference.difference import Difference
from dexbench.agents.reference.moved import COUNTER, LIFT, find_moved, locate, robot_mask
from dexbench.agents.registry import make_agent
from dexbench.envs.embodiment import camera
from dexbench.envs.embodiment.kinematics import HandKinematics
from dexbench.envs.embodiment.robot import HIGHEST, INIT_JOINTS, LOWEST, READY_ARM, TIP_LENGTH
from dexbench.envs.motion.grasp import palm_turn, wrist_pose
from dexbench.envs.motion.robot_ik import RobotIK
from dexbench.envs.robocasa.build import build_scene
from dexbench.envs.scenes.recipe import draw_recipe
from dexbench.envs.task_envs import make_env
from dexbench.envs.tasks import Rejected, find_task
from dexbench.utils.seeding import rng

GREY, RED = 150, np.array([200, 40, 40], np.uint8)


@pytest.fixture(scope="module")
def place():
    """At the start of a trial in which the hand holds an object above the counter."""
    env = make_env("place")
    obs, _ = env.reset(options={"trial": 0, "suite": "v1"})
    yield env.simulation, obs
    env.close()


def box(x, y, side=0.07, height=0.08):
    """The pixels of a box on the counter, its middle at (x, y)."""
    steps = np.linspace(-side / 2, side / 2, 60)
    points = np.stack(np.meshgrid(x + steps, y + steps, np.linspace(COUNTER, COUNTER + height, 60)))
    columns, rows = camera.project(camera.base_to_camera(points.reshape(3, -1).T)).astype(int).T
    mask = np.zeros((camera.HEIGHT, camera.WIDTH), bool)
    mask[rows, columns] = True
    return mask


def picture(*masks):
    image = np.full((camera.HEIGHT, camera.WIDTH, 3), GREY, np.uint8)
    for mask in masks:
        image[mask] = RED
    return image


def observation(start, goal, joints=INIT_JOINTS, grip=0.0):
    target = np.clip(joints, LOWEST, HIGHEST).astype(np.float32)
    pos = target.copy()
    pos[10] -= grip
    return {
        "pixels": start,
        "goal": goal,
        "agent_pos": pos,
        "agent_target": target,
        "steps_left": np.array([60]),
    }


def wrist_at(rows):
    return RobotIK().wrist(rows[:, :7].astype(np.float64))[0]


def test_the_mask_covers_the_robot_and_little_else(place):
    simulation, _ = place
    shown = (simulation.render() != simulation.render(robot=False)).any(axis=2)
    mask = robot_mask(simulation.joint_positions)
    assert shown.sum() > 2000
    # What shows beyond the mask is the edge of a shadow, or the shoulder that the picture cuts off.
    assert (shown & ~mask).sum() < 0.08 * shown.sum()
    assert mask.sum() < 2 * shown.sum()


@pytest.mark.parametrize("x, y", [(0.6, 0.1), (0.7, -0.2), (0.8, -0.45)])
def test_an_object_is_located_by_its_foot(x, y):
    seen = locate(box(x, y))
    assert np.linalg.norm(seen.foot - [x, y, COUNTER]) < 0.015
    assert 0.06 < seen.width < 0.11 and 0.05 < seen.height < 0.11


def test_what_moved_is_found_where_it_was_and_where_it_is():
    start, goal = picture(box(0.6, 0.1)), picture(box(0.75, 0.0))
    origin, end = find_moved(start, goal, INIT_JOINTS, holds=False)
    assert np.linalg.norm(origin.foot[:2] - [0.6, 0.1]) < 0.015
    assert np.linalg.norm(end.foot[:2] - [0.75, 0.0]) < 0.015


def test_the_robot_is_no_object_that_moved(place):
    simulation, obs = place
    joints = simulation.joint_positions
    state = simulation.get_state()
    moved = joints.copy()
    moved[:7] = READY_ARM
    simulation.set_joints(moved)
    goal = simulation.render()
    simulation.set_state(state)
    assert find_moved(obs["pixels"], goal, joints, holds=False) == (None, None)


def test_an_object_set_down_is_found_though_the_goal_shows_no_robot():
    robot = robot_mask(INIT_JOINTS)
    start = picture()
    start[robot] = 20
    other = box(0.85, 0.0)  # partly behind the robot, and there all the time
    assert (other & robot).any() and (other & ~robot).any()
    start[other & ~robot] = RED
    origin, end = find_moved(start, picture(box(0.6, 0.2), other), INIT_JOINTS, holds=True)
    assert origin is None
    assert np.linalg.norm(end.foot[:2] - [0.6, 0.2]) < 0.02


def test_an_object_that_left_the_counter_is_lifted_to_where_its_colour_shows():
    robot, start, goal = robot_mask(INIT_JOINTS), picture(box(0.6, 0.1)), picture()
    start[robot] = goal[np.roll(robot, 12, axis=1)] = 20
    height = COUNTER + LIFT + 0.04
    middle = camera.project(camera.base_to_camera(np.array([0.63, 0.12, height])))
    column, row = middle.astype(int)
    goal[row - 3 : row + 3, column - 3 : column + 3] = RED
    origin, end = find_moved(start, goal, INIT_JOINTS, holds=False)
    assert np.linalg.norm(origin.foot[:2] - [0.6, 0.1]) < 0.02
    assert np.linalg.norm(end.foot - [0.63, 0.12, COUNTER + LIFT]) < 0.02


def test_inverse_kinematics_reaches_a_pose_from_the_opposite_rotation():
    ik = RobotIK()
    pos, turn = wrist_pose(np.array([0.65, -0.2, 1.0]), palm_turn(1.3, 0.3))
    for roll in (0.0, 1.5, 3.0):
        start = ik.solve(
            *wrist_pose(np.array([0.6, -0.2, 1.1]), palm_turn(1.3, 0.3, roll)), READY_ARM
        )
        arm = ik.solve(pos, turn, READY_ARM if start is None else start)
        if arm is not None:
            reached, turned = ik.wrist(arm)
            assert np.linalg.norm(reached - pos) < 0.003
            assert np.trace(turned.T @ turn) > 3 - 0.001
    assert ik.solve(pos, turn, READY_ARM) is not None
    assert ik.solve(pos + [2.0, 0.0, 0.0], turn, READY_ARM) is None


def test_bones_end_at_the_keypoints_and_at_the_tips():
    kinematics = HandKinematics(dtype=torch.float64)
    joints = torch.from_numpy(INIT_JOINTS)
    arm, hand = kinematics.bones(joints)
    points = kinematics.keypoints(joints)
    assert arm.shape == (7, 2, 3) and hand.shape == (20, 2, 3)
    torch.testing.assert_close(arm[-1, 1], points[0])
    torch.testing.assert_close(hand[:4, 1], points[5:9])  # the index finger's
    torch.testing.assert_close((hand[4, 1] - hand[4, 0]).norm().item(), TIP_LENGTH["index"])


def test_it_grasps_where_the_object_is_and_takes_it_where_it_goes():
    obs = observation(picture(box(0.6, 0.1)), picture(box(0.75, 0.0)))
    rows = Difference().act(obs)
    wrist, start = wrist_at(rows), wrist_at(obs["agent_target"][None])[0]
    assert rows.shape == (60, 23) and rows.dtype == np.float32
    assert (np.abs(np.diff(rows, axis=0))[:, :7] < 0.11).all()
    assert wrist[:, 2].min() < start[2]
    # The hand keeps its rotation on the way, so the wrist moves as the object has to.
    grasp = wrist[-1] - [0.15, -0.1, 0.0]
    assert np.linalg.norm(wrist - grasp, axis=1).min() < 0.03


def test_neither_the_task_nor_the_seed_makes_a_difference():
    obs = observation(picture(box(0.6, 0.1)), picture(box(0.75, 0.0)))
    agent, played = Difference(), []
    for task, seed in (("push", 0), ("pick", 1), ("no such task", 2)):
        agent.reset(task, seed)
        played.append(agent.act(obs))
    assert (played[0] == played[1]).all() and (played[0] == played[2]).all()
    assert np.ptp(played[0], axis=0).max() > 0.1


def test_it_holds_still_where_nothing_moved():
    obs = observation(picture(box(0.6, 0.1)), picture(box(0.6, 0.1)))
    assert (Difference().act(obs) == obs["agent_target"]).all()


def test_a_grip_is_felt_and_kept():
    start, goal = picture(), picture(box(0.6, 0.2))
    start[robot_mask(INIT_JOINTS)] = 20
    obs = observation(start, goal, grip=0.1)
    rows = Difference().act(obs)
    assert (rows[:, 7:] == obs["agent_target"][7:]).all()
    assert np.abs(rows[-1, :7] - obs["agent_target"][:7]).max() > 0.05


def test_it_is_registered_without_privileges():
    agent, spec = make_agent("difference")
    assert isinstance(agent, Difference) and not spec.privileged


@pytest.mark.slow
def test_it_solves_a_training_trial_that_no_hand_kinematics_solve():
    solved = []
    for attempt in range(12):
        stream = rng("test", "difference", attempt)
        try:
            trial = find_task("carry").draw(
                build_scene(draw_recipe(stream, "train")), stream, ("test", attempt)
            )
        except Rejected:
            continue
        env = make_env("carry")
        obs, info = env.begin(trial)
        agent = Difference()
        agent.reset("carry", 0)
        for row in agent.act(obs):
            *_, info = env.step(row)
        env.close()
        solved.append(info["success"])
        if len(solved) == 3:
            break
    assert sum(solved) >= 1
