from xml.etree import ElementTree

import mujoco
import numpy as np
import pytest

from dexbench.data_collection.gripper.arm import CLOSING, OPEN, READY, Arm, add_panda
from dexbench.data_collection.scripted.poses import axes, pose

BASE = np.array([0.1, -0.9, 0.85])


@pytest.fixture(scope="module")
def arm():
    root = ElementTree.fromstring("<mujoco><compiler angle='radian'/><asset/><worldbody/></mujoco>")
    add_panda(root, BASE)
    model = mujoco.MjModel.from_xml_string(ElementTree.tostring(root, encoding="unicode"))
    ahead = np.array([[0.0, -1, 0], [1, 0, 0], [0, 0, 1]])
    arm = Arm(model, mujoco.MjData(model), pose(ahead, BASE))
    arm.model, arm.data = model, arm._data
    return arm


def test_the_base_and_the_fingers_are_where_the_frames_say(arm):
    arm.set(READY, OPEN)
    tool = arm.tool()
    np.testing.assert_allclose(arm.data.body("link0").xpos, BASE, atol=1e-9)
    np.testing.assert_allclose(
        arm.data.body("link0").xmat.reshape(3, 3), arm.base[:3, :3], atol=1e-9
    )
    apart = arm.data.body("leftfinger").xpos - arm.data.body("rightfinger").xpos
    assert abs(abs(apart @ tool[:3, CLOSING]) - 2 * OPEN) < 1e-6
    assert tool[2, 2] < -0.9 and tool[1, 3] > BASE[1] + 0.3  # points down, ahead of the base


def test_joints_lead_to_the_tool_poses_they_follow(arm):
    share = np.linspace(0, 1, 15)[:, None]
    place = np.array([-0.1, -0.5, 1.0]) + share * np.array([0.4, 0.12, 0.15])
    turn = axes(np.array([-0.9, -0.4, 0.0]), np.array([0.05, 0.05, -1.0]))
    goals = pose(turn, place)
    joints, reached = arm.follow(goals)
    assert np.abs(reached - goals).max() < 0.001
    assert np.abs(np.diff(joints, axis=0)).max() < 0.3
    arm.set(joints[7], 0.0)
    np.testing.assert_allclose(arm.tool(), reached[7])


def test_what_cannot_be_reached_is_told(arm):
    far = pose(np.diag([1.0, -1, -1]), np.array([[3.0, 0, 1]]))
    _, reached = arm.follow(far)
    assert np.linalg.norm(reached[0, :3, 3] - far[0, :3, 3]) > 1
