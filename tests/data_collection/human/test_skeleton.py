import numpy as np
import pytest

from dexbench.data_collection.human.skeleton import (
    FINGERS,
    FIST,
    HAND_JOINTS,
    JOINTS,
    STRAIGHT,
    hand_joints,
)
from dexbench.data_collection.scripted.poses import axes


def test_the_joints_are_egodexs():
    assert len(JOINTS) == len(set(JOINTS)) == 68 and len(HAND_JOINTS) == 25
    assert {"hip", "spine7", "neck4", "leftShoulder", "rightArm", "leftForearm"} <= set(JOINTS)
    assert {"rightHand", "leftThumbTip", "rightLittleFingerMetacarpal"} <= set(JOINTS)
    assert "leftThumbMetacarpal" not in JOINTS


def at(name, angles, side="right"):
    return hand_joints(angles[None], side)[0, HAND_JOINTS.index(name)]


def test_fingers_bend_to_the_palm_and_the_thumb_lies_on_its_side():
    for finger in FINGERS[1:]:
        straight, bent = (at(f"{finger}Tip", angles)[:3, 3] for angles in (STRAIGHT, FIST))
        assert bent[2] < straight[2] - 0.005 and bent[0] < straight[0] - 0.05
    assert at("ThumbTip", STRAIGHT)[1, 3] > 0.06 > at("IndexFingerKnuckle", STRAIGHT)[1, 3]
    assert 0.18 < at("MiddleFingerTip", STRAIGHT)[0, 3] < 0.20


def test_bones_keep_their_length_and_a_left_hand_is_a_right_one_mirrored():
    angles = np.random.default_rng(0).uniform(-0.3, 1.2, (50, 20))
    joints = {side: hand_joints(angles, side, 1.1) for side in ("left", "right")}
    places = joints["right"][:, :, :3, 3]
    for finger in FINGERS:
        for first, second in (("Knuckle", "IntermediateBase"), ("IntermediateTip", "Tip")):
            a, b = (places[:, HAND_JOINTS.index(finger + part)] for part in (first, second))
            assert np.ptp(np.linalg.norm(a - b, axis=1)) < 1e-9
    np.testing.assert_allclose(joints["left"][:, :, :3, 3], places * [1, -1, 1], atol=1e-12)
    for turns in (joint[..., :3, :3] for joint in joints.values()):
        np.testing.assert_allclose(np.linalg.det(turns), 1)


def test_axes_puts_x_along_and_z_as_near_as_can_be():
    turn = axes(np.array([0, 2.0, 0]), np.array([0, 1.0, 3.0]))
    np.testing.assert_allclose(turn, [[0, -1, 0], [1, 0, 0], [0, 0, 1]], atol=1e-12)
    with pytest.raises(AssertionError):
        np.testing.assert_allclose(turn, np.eye(3))
