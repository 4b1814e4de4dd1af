"""DROID, raw and LeRobot's: a hand in place of the gripper, before the right camera."""

import json
import shutil

import h5py
import numpy as np
import pytest
from scipy.spatial.transform import Rotation
from support.recorded import EXT2, PLACED, write_droid, write_lerobot

from dexbench.data_collection.readers.gripper import gripper_hands, poses_of
from dexbench.data_collection.readers.layouts import open_layout
from dexbench.utils.errors import UserError

CLIP = "AUTOLab/success/2023-07-07/Fri_Jul__7_09:42:23_2023"


def matrix(six):
    """A pose of six numbers, turned about the fixed x, then y, then z."""
    x, y, z = (
        Rotation.from_rotvec(a * e).as_matrix() for a, e in zip(six[3:], np.eye(3), strict=True)
    )
    pose = np.eye(4)
    pose[:3, :3], pose[:3, 3] = z @ y @ x, six[:3]
    return pose


@pytest.mark.parametrize(
    ("gripper", "radii"),
    [
        (0.0, (0.03, 0.04, 0.05, 0.06)),
        (0.49, (0.03, 0.04, 0.05, 0.06)),
        (0.5, (0.03, 0.04, 0.035, 0.03)),
    ],
)
def test_the_fingers_are_on_circles_about_the_end_effector(gripper, radii) -> None:
    pose = matrix([0.4, -0.1, 0.3, 0.7, -0.4, 1.1])
    hands = gripper_hands(pose[None], np.array([gripper]))
    assert hands.shape == (1, 2, 21, 3) and not hands[:, 0].any()
    inside = (np.c_[hands[0, 1], np.ones(21)] @ np.linalg.inv(pose).T)[:, :3]
    assert np.allclose(inside[0], 0, atol=1e-7)
    fingers = inside[1:].reshape(5, 4, 3)
    assert np.allclose(fingers[..., 2], 0, atol=1e-7), "in the end effector's own plane"
    assert np.allclose(np.linalg.norm(fingers, axis=-1), radii, atol=1e-7)
    angles = np.unwrap(np.arctan2(fingers[:, 0, 1], fingers[:, 0, 0]))
    assert np.allclose(np.diff(angles), 2 * np.pi / 5, atol=1e-5) and abs(angles[0]) < 1e-5
    directions = fingers / np.linalg.norm(fingers, axis=-1, keepdims=True)
    assert np.allclose(directions, directions[:, :1], atol=1e-5), "a finger is straight"


def test_a_hand_that_turns_has_an_action(tmp_path) -> None:
    write_droid(tmp_path)
    sample = open_layout(tmp_path).clip(CLIP).sample()
    steps = sample.actions()[:8]  # the gripper closes later, which moves the tips too
    wrist, tip = steps[:, 21], steps[:, 25]
    assert np.abs(wrist - tip).max() > 1e-3
    assert not sample.actions()[:, 42:].any(), "the camera stays"
    assert not sample.actions()[:, :21].any(), "there is no left hand"


def test_droid_is_read_as_it_was_recorded(tmp_path) -> None:
    effector, gripper = write_droid(tmp_path)
    layout = open_layout(tmp_path)
    assert layout.name == "droid" and layout.names() == [CLIP]
    clip = layout.clip(CLIP)
    sample = clip.sample()
    # Of 20 steps the video lacks the last.
    assert len(sample) == 19 and sample.frames.shape == (19, 72, 128, 3)
    levels = sample.frames.mean((1, 2, 3))
    assert np.abs(levels - (120 + np.arange(19))).max() < 2, "the left camera's, in order"
    expected = np.stack([matrix(six) for six in effector[:19]])
    assert np.allclose(poses_of(effector[:19]), expected)
    assert np.allclose(sample.hands, gripper_hands(expected, gripper[:19]))
    assert np.allclose(sample.camera, matrix(PLACED)), "camera to base, of ext2"
    assert sample.intrinsics is None and not sample.seen.any()
    assert np.isclose(sample.rate, 15, atol=1e-3), "by its clock, not the video's 60"
    assert clip.text() == "Move the cup"
    small = clip.sample(np.array([3, 17]), size=(36, 64))
    assert small.frames.shape == (2, 36, 64, 3)
    assert np.array_equal(small.hands, sample.hands[[3, 17]])


def test_the_cameras_matrix_and_rate_if_the_file_has_them(tmp_path) -> None:
    write_droid(tmp_path)
    known = np.array([[100.0, 0, 64], [0, 100, 36], [0, 0, 1]])
    with h5py.File(tmp_path / CLIP / "trajectory.h5", "a") as file:
        file[f"observation/camera_intrinsics/{EXT2}_left"] = np.tile(known, (20, 1, 1))
        del file["observation/timestamp"]
    sample = open_layout(tmp_path).clip(CLIP).sample(np.array([0]), size=(36, 64))
    assert np.allclose(sample.intrinsics, [[50, 0, 32], [0, 50, 18], [0, 0, 1]])
    assert sample.rate == 15.0


def test_lerobots_droid_has_many_episodes_in_a_file(tmp_path) -> None:
    truth = write_lerobot(tmp_path)
    layout = open_layout(tmp_path)
    assert layout.name == "lerobot-droid"
    assert layout.names() == ["episode_000000", "episode_000001", "episode_000002"]
    first = 0
    for number, (effector, gripper) in enumerate(truth):
        clip = layout.clip(f"episode_{number:06d}")
        sample = clip.sample()
        assert len(sample) == len(effector) and sample.rate == 15.0
        levels = sample.frames.mean((1, 2, 3))
        assert np.abs(levels - (20 + 5 * (first + np.arange(len(effector))))).max() < 2
        expected = gripper_hands(np.stack([matrix(six) for six in effector]), gripper)
        assert np.allclose(sample.hands, expected, atol=1e-6)
        assert np.allclose(sample.camera, matrix(np.float32(PLACED)))
        assert clip.text() == f"task {number}" and sample.intrinsics is None
        first += len(effector)


def test_lerobot_sets_of_others_are_refused(tmp_path) -> None:
    write_lerobot(tmp_path / "a", lengths=(4,))
    path = tmp_path / "a" / "meta" / "info.json"
    info = json.loads(path.read_text())
    other = {name: info["features"][name] for name in list(info["features"])[:2]}
    for change, what in (
        ({"codebase_version": "v2.1"}, "v2.1, expected v3"),
        ({"features": other}, "has no camera_extrinsics.exterior_1_left"),
        ({"fps": None}, "is damaged"),
    ):
        path.write_text(json.dumps(info | change))
        with pytest.raises(UserError, match=what):
            open_layout(tmp_path / "a")
    shutil.rmtree(tmp_path / "a" / "meta")
    with pytest.raises(UserError, match="holds no clips"):
        open_layout(tmp_path / "a")
