"""The action of Eq. 2: by hand, in any world frame, and as training computes it today."""

import dataclasses

import numpy as np
import pytest
import torch
from scipy.spatial.transform import Rotation
from support.recorded import INTRINSICS, SIZE, moving_camera
from support.synthetic_store import write_store

from dexbench.agents.dexwm.model.world_model import hand_action
from dexbench.agents.learning.episodes import load_episodes
from dexbench.data_collection.readers.layouts import open_layout
from dexbench.data_collection.readers.pictures import crop, fit, fit_intrinsics
from dexbench.data_collection.readers.sample import Poses, action, in_picture, project
from dexbench.utils.seeding import rng
from dexbench.utils.video import downsample


def some_poses(frames=6, seed=0):
    draw = rng("test", "poses", seed)
    hands = draw.normal(0, 0.3, (frames, 2, 21, 3)).astype(np.float32)
    return Poses(
        hands=hands,
        seen=np.ones((frames, 2, 21), bool),
        camera=moving_camera(frames, seed),
        intrinsics=INTRINSICS,
        rate=30.0,
        body=draw.normal(size=(frames, 18, 3)).astype(np.float32),
    )


def test_the_action_is_what_the_paper_writes() -> None:
    poses = some_poses()
    actions = poses.actions()
    assert actions.shape == (5, 44, 3) and actions.dtype == np.float32
    for k in range(5):
        inverse = np.linalg.inv(poses.camera[k])
        # Both frames' keypoints in the earlier camera's frame, and their difference.
        now, after = (poses.hands[i].reshape(42, 3).astype(float) for i in (k, k + 1))
        local = [np.c_[points, np.ones(42)] @ inverse.T for points in (now, after)]
        assert np.allclose(actions[k, :42], (local[1] - local[0])[:, :3], atol=1e-6)
        moved = inverse @ poses.camera[k + 1]
        assert np.allclose(actions[k, 42], moved[:3, 3], atol=1e-6)
        turn = Rotation.from_euler("xyz", actions[k, 43]).as_matrix()
        assert np.allclose(turn, moved[:3, :3], atol=1e-6)
    left_first = poses.hands[1, 0] - poses.hands[0, 0]
    assert np.allclose(np.linalg.norm(actions[0, :21], axis=1), np.linalg.norm(left_first, axis=1))


def test_the_action_does_not_depend_on_the_world_frame() -> None:
    poses = some_poses()
    world = np.eye(4)
    world[:3, :3] = Rotation.random(random_state=5).as_matrix()
    world[:3, 3] = (3, -1, 2)
    hands = poses.hands @ world[:3, :3].T + world[:3, 3]
    moved = Poses(
        hands=hands.astype(np.float32),
        seen=poses.seen,
        camera=world @ poses.camera,
        intrinsics=INTRINSICS,
        rate=30.0,
    )
    assert np.allclose(moved.actions(), poses.actions(), atol=2e-6)


@pytest.mark.parametrize("angle", [3.1, -3.1, -0.01, 0.01])
def test_angles_are_within_half_a_turn(angle) -> None:
    camera = np.tile(np.eye(4), (2, 1, 1))
    camera[0, :3, :3] = Rotation.from_euler("z", 1.5).as_matrix()
    camera[1, :3, :3] = Rotation.from_euler("z", 1.5 + angle).as_matrix()
    poses = Poses(
        hands=np.zeros((2, 2, 21, 3), np.float32),
        seen=np.zeros((2, 2, 21), bool),
        camera=camera,
        intrinsics=None,
        rate=10.0,
    )
    assert np.allclose(poses.actions()[0, 43], [0, 0, angle], atol=1e-6)


def test_an_absent_hand_does_not_move() -> None:
    poses = some_poses()
    poses.hands[:, 0] = 0
    poses.hands[3, 1] = 0  # known before and after, not in between
    actions = poses.actions()
    assert not actions[:, :21].any(), "zeros although the camera moves"
    assert [bool(rows.any()) for rows in actions[:, 21:42]] == [True, True, False, False, True]
    assert poses.present.tolist() == [[False, i != 3] for i in range(6)]
    assert actions[:, 42:].all()


def test_of_a_robot_set_the_action_is_todays_to_the_last_bit(tmp_path) -> None:
    folder = write_store(tmp_path / "set", episodes=3, frames=24)
    episodes = load_episodes([folder], tmp_path / "cache", progress=False)
    layout = open_layout(folder)
    assert layout.name == "dexbench" and len(layout.names()) == 3
    for number, name in enumerate(layout.names()):
        first, length = episodes.first[number], episodes.length[number]
        index = rng("test", "golden", number).permutation(length)[:9]
        sample = layout.clip(name).sample(np.sort(index), size=(112, 196))
        points = torch.from_numpy(episodes.keypoints[first + np.sort(index)])
        today = hand_action(points[:-1], points[1:]).numpy()
        ours = sample.actions().reshape(8, 132)
        assert ours.dtype == today.dtype and np.array_equal(ours, today)
        assert today.any() and not ours[:, :63].any() and not ours[:, 126:].any()
        assert np.array_equal(sample.frames, episodes.frames[first + np.sort(index)])
        assert sample.rate == 10.0 and sample.present.tolist() == [[False, True]] * 9


def test_a_robot_sets_keypoints_are_where_the_picture_shows_them(tmp_path) -> None:
    folder = write_store(tmp_path / "set", episodes=1, frames=4)
    sample = open_layout(folder).clip("000000").sample()
    pixels, _ = project(sample.hands[:, 1], sample.camera, sample.intrinsics)
    seen = sample.seen[:, 1]
    assert seen.any() and not sample.seen[:, 0].any()
    for t, k in np.argwhere(seen):
        column, row = pixels[t, k].astype(int)
        assert sample.frames[t, row, column, 0] > 150, "the square that the set has there"


def test_points_behind_or_beside_the_camera_are_not_in_the_picture() -> None:
    camera = np.eye(4)[None]
    # The fifth is behind, and would be mirrored into the middle of the picture.
    points = np.array([[[0, 0, 1], [5, 0, 1], [0, 5, 1], [-0.1, 0.1, 0.5], [0, 0, -1]]], float)
    inside = in_picture(points, camera, INTRINSICS, SIZE)
    assert inside.tolist() == [[True, False, False, True, False]]


@pytest.mark.parametrize(
    ("stored", "size"),
    [((1080, 1920), (224, 392)), ((600, 960), (224, 392)), ((224, 398), (224, 392))],
)
def test_a_fitted_picture_has_its_points_where_the_fitted_camera_says(stored, size) -> None:
    matrix = np.array([[700, 0, stored[1] / 2], [0, 700, stored[0] / 2], [0, 0, 1.0]])
    fitted = fit_intrinsics(matrix, stored, size)
    top, left, (height, width) = crop(stored, size)
    assert np.isclose(width / height, size[1] / size[0])
    assert min(top, left) == 0 and np.isclose(top * 2 + height, stored[0])
    rows, columns = np.mgrid[: stored[0], : stored[1]] + 0.5
    for x, y in ((0.1, -0.1), (-0.2, 0.05), (0.0, 0.0)):
        u, v, _ = matrix @ (x, y, 1)
        blob = np.exp(-((columns - u) ** 2 + (rows - v) ** 2) / (2 * 12.0**2))
        picture = np.repeat((255 * blob).astype(np.uint8)[..., None], 3, -1)
        small = fit(picture, size)[..., 0].astype(float)
        assert small.shape == size
        r, c = np.mgrid[: size[0], : size[1]] + 0.5
        centre = (c * small).sum() / small.sum(), (r * small).sum() / small.sum()
        assert np.allclose(centre, (fitted @ (x, y, 1))[:2], atol=0.1)


def test_a_whole_multiple_is_averaged_as_training_does() -> None:
    picture = rng("test", "fit").integers(0, 256, (224, 392, 3)).astype(np.uint8)
    assert np.array_equal(fit(picture, (112, 196)), downsample(picture, (112, 196)))
    assert fit(picture, (224, 392)) is picture
    matrix = np.array([[146.0, 0, 196], [0, 146, 112], [0, 0, 1]])
    halved = fit_intrinsics(matrix, (224, 392), (112, 196))
    assert np.allclose(halved, [[73, 0, 98], [0, 73, 56], [0, 0, 1]])


def test_actions_of_chosen_pairs() -> None:
    poses = some_poses()
    pairs = action(poses.at(np.array([0, 0])), poses.at(np.array([1, 3])))
    assert np.array_equal(pairs[0], poses.actions()[0])
    assert not np.allclose(pairs[1], pairs[0])
    assert not action(poses.at(np.array([2])), poses.at(np.array([2]))).any(), "stays, exactly zero"


def test_the_cameras_action_is_the_end_of_every_other_and_knows_no_hands() -> None:
    poses = some_poses()
    alone = poses.actions("camera")
    assert alone.shape == (5, 2, 3)
    assert np.array_equal(alone, poses.actions()[:, -2:])
    assert np.array_equal(alone, poses.actions("body")[:, -2:])
    others = dataclasses.replace(poses, hands=some_poses(seed=1).hands, body=None)
    assert np.array_equal(others.actions("camera"), alone)
    assert not np.array_equal(others.actions(), poses.actions())


def test_the_bodys_action_by_hand() -> None:
    """The head turns by 60 degrees to the left, with z up, and the body moves 1 cm a joint."""
    camera = np.tile(np.eye(4), (2, 1, 1))
    camera[:, :3, :3] = Rotation.from_euler("x", -90, degrees=True).as_matrix()  # looks along y
    camera[1, :3, :3] = Rotation.from_euler("z", 60, degrees=True).as_matrix() @ camera[0, :3, :3]
    camera[1, :3, 3] = (0.2, 0.1, 0)
    body, hands = np.zeros((2, 18, 3), np.float32), np.ones((2, 2, 21, 3), np.float32)
    body[1, :, 0] = 0.01 * np.arange(1, 19)  # along x, which is to the right in the picture
    hands[1, 0] += (0, 0, 0.3)  # the left hand goes up
    hands[1, 1] += (0, 0.4, 0)  # the right one goes ahead
    seen = np.ones((2, 2, 21), bool)
    poses = Poses(hands=hands, seen=seen, camera=camera, intrinsics=None, rate=30, body=body)
    [rows] = poses.actions("body")
    assert rows.shape == (22, 3)
    assert np.allclose(rows[:18, 0], 0.01 * np.arange(1, 19)) and np.allclose(rows[:18, 1:], 0)
    assert np.allclose(rows[18], (0, -0.3, 0), atol=1e-6), "left wrist"
    assert np.allclose(rows[19], (0, 0, 0.4), atol=1e-6), "right wrist"
    assert np.allclose(rows[20], (0.2, 0, 0.1), atol=1e-6), "camera"
    assert np.allclose(rows[21], (0, -np.pi / 3, 0), atol=1e-6)
    hands[0, 1] = 0
    absent = dataclasses.replace(poses, hands=hands)  # the right one, from the first frame
    assert np.array_equal(absent.actions("body")[0, 19], np.zeros(3))


def test_the_body_has_no_fingers_and_must_be_recorded() -> None:
    poses = some_poses()
    hands = poses.hands.copy()
    hands[:, :, 1:] += rng("test", "fingers").normal(size=hands[:, :, 1:].shape)
    fingers = dataclasses.replace(poses, hands=hands.astype(np.float32))
    assert np.array_equal(fingers.actions("body"), poses.actions("body"))
    assert not np.array_equal(fingers.actions(), poses.actions())
    moved = dataclasses.replace(poses, body=some_poses(seed=2).body)
    assert not np.array_equal(moved.actions("body"), poses.actions("body"))
    with pytest.raises(ValueError, match="not recorded"):
        dataclasses.replace(poses, body=None).actions("body")
