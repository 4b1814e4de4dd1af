"""EgoDex: what is read is what the file and its pictures show, frame by frame."""

import h5py
import numpy as np
import pytest
from support.recorded import INTRINSICS, JOINTS, SIZE, dot, write_egodex

from dexbench.data_collection.readers.egodex import BODY, HANDS, METACARPALS
from dexbench.data_collection.readers.layouts import open_layout
from dexbench.data_collection.readers.sample import project

FINGERS = ("Thumb", "IndexFinger", "MiddleFinger", "RingFinger", "LittleFinger")


def centre(image):
    """Centre of mass (column, row) of a picture's red."""
    red = image[..., 0].astype(float) - 25
    red[red < 0] = 0
    rows, columns = np.mgrid[: image.shape[0], : image.shape[1]] + 0.5
    return np.array([(columns * red).sum(), (rows * red).sum()]) / red.sum()


def pixel_of(point, camera):
    """A world point's pixel, by way of the inverse of the camera's pose."""
    local = np.linalg.inv(camera) @ [*point, 1]
    u, v, w = INTRINSICS @ local[:3]
    return u / w, v / w


def test_the_joints_are_egodexs_68() -> None:
    named = [*HANDS[0], *HANDS[1], *METACARPALS, *BODY]
    assert sorted(named) == sorted(JOINTS) and len(set(named)) == 68
    assert [len(hand) for hand in HANDS] == [21, 21] and HANDS[0][0] == "leftHand"
    assert all(name.startswith("right") for name in HANDS[1])
    for finger, name in enumerate(FINGERS):
        parts = [joint.removeprefix(f"left{name}") for joint in HANDS[0][1 + 4 * finger :][:4]]
        assert parts == ["Knuckle", "IntermediateBase", "IntermediateTip", "Tip"], name


@pytest.mark.parametrize("joint", ["leftThumbTip", "rightHand", "rightLittleFingerTip"])
def test_keypoints_land_on_what_the_picture_shows(tmp_path, joint) -> None:
    def draw(image, t, places, camera):
        dot(image, pixel_of(places[joint][t], camera[t]), (255, 40, 40))

    write_egodex(tmp_path, frames=8, draw=draw)
    clip = open_layout(tmp_path).clip("part1/stack_cups/0")
    side = 0 if joint in HANDS[0] else 1
    place = HANDS[side].index(joint)
    for size in (None, (112, 196)):
        sample = clip.sample(size=size)
        pixels, depth = project(sample.hands[:, side], sample.camera, sample.intrinsics)
        assert (depth > 0).all() and sample.seen.all()
        for t in range(8):
            assert np.abs(pixels[t, place] - centre(sample.frames[t])).max() < 1, (t, size)
    assert sample.frames.shape == (8, 112, 196, 3)


def test_hands_body_and_camera_are_the_files(tmp_path) -> None:
    places, camera = write_egodex(tmp_path, frames=5, fps=10)
    clip = open_layout(tmp_path).clip("part1/stack_cups/0")
    sample = clip.sample()
    for side in (0, 1):
        for k, joint in enumerate(HANDS[side]):
            assert np.allclose(sample.hands[:, side, k], places[joint], atol=1e-5), joint
    for k, joint in enumerate(BODY):
        assert np.allclose(sample.body[:, k], places[joint], atol=1e-5), joint
    assert np.allclose(sample.camera, camera, atol=1e-6)
    assert np.allclose(sample.intrinsics, INTRINSICS, rtol=1e-6), "from the file"
    assert sample.rate == 10.0, "from the video"
    assert sample.frames.shape == (5, *SIZE, 3) and sample.present.all()
    assert clip.text() == "Stack the cups."


def test_the_second_description_holds_where_the_file_says_so(tmp_path) -> None:
    write_egodex(tmp_path, frames=3)
    with h5py.File(tmp_path / "part1/stack_cups/0.hdf5", "a") as file:
        file.attrs["which_llm_description"] = "2"
    assert open_layout(tmp_path).clip("part1/stack_cups/0").text() == "Unstack the cups."


def test_guessed_and_hidden_keypoints_are_not_seen(tmp_path) -> None:
    write_egodex(tmp_path, frames=6)
    path = tmp_path / "part1/stack_cups/0.hdf5"
    with h5py.File(path, "a") as file:
        file["confidences/rightThumbTip"][2:4] = 0.2
        points = file["transforms/leftHand"][()]
        # Behind the camera, on its axis: dividing by the depth alone would put it in the middle.
        points[5, :3, 3] -= 2 * (points[5, :3, 3] - file["transforms/camera"][5, :3, 3])
        file["transforms/leftHand"][...] = points
    sample = open_layout(tmp_path).clip("part1/stack_cups/0").sample()
    expected = np.ones((6, 2, 21), bool)
    expected[2:4, 1, 4] = False
    expected[5, 0, 0] = False
    assert np.array_equal(sample.seen, expected)
    assert sample.present.all(), "known, if not seen"
    with h5py.File(path, "a") as file:
        del file["confidences"]
    sample = open_layout(tmp_path).clip("part1/stack_cups/0").sample()
    expected[2:4, 1, 4] = True
    assert np.array_equal(sample.seen, expected), "a file without confidences is trusted"


def test_parts_tasks_and_splits(tmp_path) -> None:
    names = ["part1/stack_cups/0", "part1/stack_cups/2", "part1/stack_cups/10", "test/fold/0"]
    for seed, name in enumerate(names):
        write_egodex(tmp_path, name, frames=3, seed=seed)
    layout = open_layout(tmp_path)
    assert layout.name == "egodex" and layout.names() == names, "by number, not by letters"
    splits = [layout.clip(name).facts().split for name in names]
    assert splits == ["train", "train", "train", "test"]
    part = open_layout(tmp_path / "test")
    assert part.names() == ["fold/0"] and part.clip("fold/0").facts().split == "test"
    task = open_layout(tmp_path / "part1" / "stack_cups")
    assert task.names() == ["0", "2", "10"]
    one = task.clip("10").sample(np.array([1]))
    other = layout.clip("part1/stack_cups/10").sample(np.array([1]))
    assert np.array_equal(one.hands, other.hands) and np.array_equal(one.frames, other.frames)
