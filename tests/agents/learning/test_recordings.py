"""Data of every layout become clips whose hands are where the pictures show them."""

import numpy as np
import pytest
from support.recorded import INTRINSICS, dot, write_droid, write_egodex
from support.synthetic_store import write_store

from dexbench.agents.learning import pose_table
from dexbench.agents.learning.episodes import load_episodes
from dexbench.agents.learning.recordings import load_clips, pretraining_of
from dexbench.data_collection.readers.egodex import HANDS
from dexbench.data_collection.readers.layouts import open_layout
from dexbench.envs.embodiment import camera as benchmark
from dexbench.utils.errors import UserError

JOINT = "rightIndexFingerTip"


def draw_joint(image, t, places, camera):
    """A dot where a joint is, by way of the inverse of the camera's pose."""
    local = np.linalg.inv(camera[t]) @ [*places[JOINT][t], 1]
    u, v, w = INTRINSICS @ local[:3]
    dot(image, (u / w, v / w), (255, 40, 40))


@pytest.fixture(scope="module")
def folders(tmp_path_factory):
    root = tmp_path_factory.mktemp("data")
    for number in range(3):
        write_egodex(root / "people", f"part1/stack/{number}", 24, number, draw_joint)
    for number in range(2):
        write_droid(root / "arms", f"AUTOLab/success/2023-07-0{number}/a", 20)
    return write_store(root / "robot", episodes=3), root / "people", root / "arms"


@pytest.fixture(scope="module")
def clips(folders, tmp_path_factory):
    return load_clips(folders, tmp_path_factory.mktemp("cache"), progress=False)


def test_sets_keep_their_rates_and_are_told_apart(clips):
    assert clips.source.tolist() == [0, 0, 0, 1, 1, 1, 2, 2]
    assert clips.rate == pytest.approx([10] * 3 + [30] * 3 + [15] * 2, rel=1e-4)
    assert clips.length.tolist() == [24] * 6 + [19] * 2
    assert clips.own.tolist() == [True] * 3 + [False] * 5
    assert clips.frames.shape == (24 * 6 + 19 * 2, 112, 196, 3)
    for number in range(3):
        assert (~clips.validation & (clips.source == number)).sum() > 0
    assert clips.validation.any()


def test_only_true_keypoints_are_asked_for(clips):
    known = {n: clips.known[clips.first[n] : clips.first[n] + clips.length[n]] for n in range(8)}
    assert known[0][:, 1].all() and not known[0][:, 0].any(), "the robot has a right hand"
    assert known[3].all(), "all joints of the synthetic people are in view"
    assert not known[6].any(), "the gripper's hand is a stand-in"


def test_hands_are_where_the_benchmarks_camera_shows_the_same_pixels(clips):
    """Of another size, field of view and crop, and a camera that moves."""
    index = clips.first[3:6, None] + np.arange(0, 24, 5)
    points = clips.hands_at(index).points[:, :, 1, HANDS[1].index(JOINT)]
    pixels = benchmark.project(points.astype(float))
    for pixel, picture in zip(pixels.reshape(-1, 2), clips.frames[index.reshape(-1)], strict=True):
        red = np.clip(picture[..., 0].astype(float) - 60, 0, None)
        rows, columns = np.mgrid[:112, :196] + 0.5
        found = np.array([(columns * red).sum(), (rows * red).sum()]) / red.sum()
        assert np.abs(pixel / 2 - found).max() < 1


def test_actions_are_those_of_the_reader(clips, folders):
    for number, folder in ((0, folders[0]), (3, folders[1]), (6, folders[2])):
        layout = open_layout(folder)
        poses = layout.clip(layout.names()[0]).poses()
        index = clips.first[number] + np.array([[0, 1, 4, 9]])
        actions = clips.hands_at(index).actions
        expected = poses.at(np.array([0, 1, 4, 9])).actions().reshape(1, 3, 132)
        assert np.array_equal(actions, expected) and expected.any()


def test_the_benchmarks_own_sets_alone_are_read_as_ever(folders, tmp_path):
    clips = load_clips([folders[0]], tmp_path, progress=False)
    episodes = load_episodes([folders[0]], tmp_path, progress=False)
    assert clips.digest == episodes.digest and not (tmp_path / "poses.npz").exists()
    index = np.array([[0, 3, 20], [24, 25, 30]])
    hands = clips.hands_at(index)
    assert np.array_equal(hands.points[:, :, 1], episodes.keypoints[index])
    assert not hands.points[:, :, 0].any() and hands.known[:, :, 1].all()


def test_in_a_mixture_own_sets_are_what_they_are_alone(clips, folders, tmp_path):
    alone = load_clips([folders[0]], tmp_path, progress=False)
    index = np.array([[0, 3, 20], [48, 49, 71]])
    for mine, theirs in zip(clips.hands_at(index), alone.hands_at(index), strict=True):
        assert np.array_equal(mine, theirs)
    assert np.array_equal(clips.frames[:72], alone.frames)
    assert np.array_equal(clips.validation[:3], alone.validation)


def test_poses_and_pictures_are_read_once(folders, tmp_path, monkeypatch):
    first = load_clips(folders, tmp_path, progress=False)
    written = {path.name: path.stat().st_mtime_ns for path in tmp_path.iterdir()}
    assert set(written) == {"frames.json", "frames.u8", "poses.npz"}
    monkeypatch.setattr(pose_table, "_read", lambda *_: pytest.fail("it reads again"))
    second = load_clips(folders, tmp_path, progress=False)
    assert {path.name: path.stat().st_mtime_ns for path in tmp_path.iterdir()} == written
    assert second.digest == first.digest and np.array_equal(second.hands, first.hands)


@pytest.mark.parametrize("kept", [0, 100, 3000])
def test_a_damaged_cache_is_made_again(folders, tmp_path, kept):
    first = load_clips(folders[1:2], tmp_path, progress=False)
    cache = tmp_path / "poses.npz"
    cache.write_bytes(cache.read_bytes()[:kept])
    assert np.array_equal(load_clips(folders[1:2], tmp_path, progress=False).hands, first.hands)


def test_changed_files_are_read_anew(tmp_path):
    for number in range(2):
        write_egodex(tmp_path / "people", f"part1/stack/{number}", 8)
    first = load_clips([tmp_path / "people"], tmp_path / "w", progress=False)
    write_egodex(tmp_path / "people", "part1/stack/1", 8, seed=5)
    second = load_clips([tmp_path / "people"], tmp_path / "w", progress=False)
    assert second.digest != first.digest
    assert not np.array_equal(second.hands, first.hands)


def test_faster_data_may_be_thinned_out(folders, tmp_path):
    clips = load_clips(folders[1:], tmp_path, max_rate=10, progress=False)
    assert clips.rate == pytest.approx([10] * 3 + [7.5] * 2, rel=1e-4)
    assert clips.length.tolist() == [8] * 3 + [10] * 2
    whole = open_layout(folders[1])
    poses = whole.clip(whole.names()[0]).poses()
    assert np.array_equal(clips.hands[:8], poses.hands[::3])


def test_published_test_clips_are_held_out_and_else_whole_scenes(tmp_path):
    for name in ("part1/stack/0", "part1/stack/1", "test/stack/2"):
        write_egodex(tmp_path / "people", name, 6)
    clips = load_clips([tmp_path / "people"], tmp_path / "w", progress=False)
    assert clips.validation.tolist() == [False, False, True]
    for day in range(2):
        for take in range(2):
            write_droid(tmp_path / "arms", f"LAB/success/2023-07-0{day}/{take}", 10)
    clips = load_clips([tmp_path / "arms"], tmp_path / "v", progress=False)
    assert clips.validation.tolist() in ([True] * 2 + [False] * 2, [False] * 2 + [True] * 2)


def test_a_damaged_clip_is_left_out_and_said_so_but_not_of_the_benchmarks_own(tmp_path, capsys):
    for number in range(3):
        write_egodex(tmp_path / "people", f"part1/stack/{number}", 6)
    (tmp_path / "people/part1/stack/1.hdf5").write_bytes(b"no HDF5")
    clips = load_clips([tmp_path / "people"], tmp_path / "w")
    assert len(clips.length) == 2
    assert "1 clips are left out; the first: " in capsys.readouterr().err
    robot = write_store(tmp_path / "robot", frames=6)
    (robot / "episodes/000002.h5").unlink()
    with pytest.raises(UserError, match=r"000002.h5 is missing"):
        load_clips([robot, tmp_path / "people"], tmp_path / "v", progress=False)


def test_data_without_a_whole_clip_or_of_no_layout_are_named(tmp_path):
    write_egodex(tmp_path / "people", "part1/stack/0", 6)
    with pytest.raises(UserError, match="too few clips"):
        load_clips([tmp_path / "people"], tmp_path / "w", progress=False)
    (tmp_path / "people/part1/stack/0.hdf5").unlink()
    with pytest.raises(UserError, match="people holds no whole clip; `dexbench data index"):
        load_clips([tmp_path / "people"], tmp_path / "w", progress=False)
    with pytest.raises(UserError, match="nothing does not exist"):
        load_clips([tmp_path / "nothing"], tmp_path / "w", progress=False)


def test_pretraining_names_what_the_benchmark_did_not_record(folders):
    robot, people, arms = folders
    assert pretraining_of("none", [robot]) == "none"
    assert pretraining_of("none", [robot, people, arms]) == "people + arms"
    assert pretraining_of("people + arms", [robot]) == "people + arms"
