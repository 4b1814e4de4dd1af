"""Futures of a real set's windows."""

import errno
import shutil

import numpy as np
import pytest
from support.broken_machine import fail

from dexbench.bench.openloop import futures
from dexbench.bench.openloop.futures import FRAMES, HAND, read_futures, simulate
from dexbench.bench.openloop.motions import APPROACH, CLOSE, DIRECTIONS, KINDS
from dexbench.bench.openloop.windows import draw_windows
from dexbench.data_collection.store.masks import ROBOT, SIZE, object_masks
from dexbench.envs.embodiment.camera import camera_to_base
from dexbench.envs.embodiment.keypoints import TIPS, WRIST
from dexbench.utils.errors import UserError


@pytest.fixture(scope="module")
def windows(real_clips):
    windows = draw_windows(real_clips, "all", 0, 200)
    simulate(windows)
    return windows


@pytest.fixture(scope="module")
def made(windows):
    return list(read_futures(windows, (112, 196)))


def test_the_hand_goes_straight_one_centimetre_a_frame(made):
    speeds = []
    for future in made:
        wrist = camera_to_base(future.keypoints[:, :, WRIST].astype(float))
        for number, (kind, axis) in enumerate(DIRECTIONS.items()):
            went = wrist[number] - wrist[number, 0]
            along = went @ axis
            assert future.valid[number] and 0.02 < along[40] < 0.21, kind
            if not future.contact[number].any() and kind != "down":  # there the counter is
                assert np.linalg.norm(went - along[:, None] * axis, axis=-1).max() < 0.015, kind
                speeds.append(along[20] - along[10])  # in the second second
    # To the right the arm soon reaches its limit.
    assert sum(abs(speed - 0.05) < 0.01 for speed in speeds) >= 4, speeds


def test_it_approaches_and_comes_back_with_an_open_hand(made):
    [*_, future] = made
    points = camera_to_base(future.keypoints[KINDS.index(APPROACH)].astype(float))
    away = np.linalg.norm(points[:, WRIST] - points[0, WRIST], axis=-1)
    assert away.max() > 0.05 and away.argmax() in range(10, 30) and away[40] < 0.03
    fist = camera_to_base(future.keypoints[KINDS.index(CLOSE)].astype(float))

    def span(hand):
        return np.linalg.norm(hand[list(TIPS)] - hand[WRIST], axis=-1).mean()

    assert span(points[40]) > span(fist[40]) + 0.01
    assert np.linalg.norm(fist[40, WRIST] - fist[0, WRIST]) < 0.03


def test_masks_and_pictures_are_of_the_same_moment(windows, made):
    for row, start, future in zip(windows.rows, windows.starts, made, strict=True):
        assert future.masks.shape == (len(KINDS), len(FRAMES), *SIZE)
        assert future.images.shape == (len(KINDS), len(FRAMES) - 1, *SIZE, 3)
        assert (future.masks[:, 1:] == HAND).any((1, 2, 3)).all()
        # The first is the set's own frame, in which the hand is a part of the robot.
        [own] = object_masks(windows.store.root, [(row, np.array([start]))])
        assert (np.maximum(future.masks[:, 0], ROBOT) == own[0]).all()
        changed = np.abs(np.diff(future.images.astype(int), axis=1)).max(-1) > 60
        hands = (future.masks[:, 1:-1] <= ROBOT) | (future.masks[:, 2:] <= ROBOT)
        assert (changed & hands).sum() > 10 * (changed & ~hands).sum()


def test_they_are_kept_and_made_again_alike(windows, made, monkeypatch):
    kept = sorted(windows.store.root.with_name("set.futures").iterdir())
    assert [path.suffix for path in kept] == [".mp4", ".npz"] * 2
    before = [path.read_bytes() for path in kept]
    with monkeypatch.context() as patch:
        patch.setattr(futures, "_play", None)
        simulate(windows)
    for path in kept[:2]:
        path.unlink()
    simulate(windows)
    assert [path.read_bytes() for path in kept[::2]] == before[::2]
    for again, first in zip(read_futures(windows, SIZE), made, strict=True):
        for name, value in vars(first).items():
            np.testing.assert_array_equal(getattr(again, name), value)


def test_a_damaged_file_is_named(windows):
    kept = sorted(windows.store.root.with_name("set.futures").glob("*.npz"))[0]
    whole = kept.read_bytes()
    kept.write_bytes(whole[: len(whole) // 2])
    with pytest.raises(UserError, match=f"{kept.name} or its video is damaged"):
        list(read_futures(windows, SIZE))
    kept.write_bytes(whole)


def test_where_nothing_can_be_written_it_says_so(real_clips, tmp_path, monkeypatch):
    copied = shutil.copytree(real_clips, tmp_path / "set")
    count = len(KINDS) * (len(FRAMES) - 1)
    made = [np.zeros((32, 32, 3), np.uint8)] * count, {"valid": np.zeros(len(KINDS), bool)}
    monkeypatch.setattr(futures, "_play", lambda *_: made)
    beside = tmp_path / "set.futures"
    with monkeypatch.context() as patch:
        fail(patch, "mkdir", errno.EROFS, beside)
        with pytest.raises(UserError, match=r"cannot write .*set\.futures.*Read-only"):
            simulate(draw_windows(copied, "all", 0, 200))
    assert not beside.exists()
