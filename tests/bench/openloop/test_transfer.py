"""Actions of a real set's clips, each played in the other's kitchen."""

import dataclasses
import shutil

import h5py
import numpy as np
import pytest

from dexbench.bench.openloop import transfer
from dexbench.bench.openloop.clips import read_clips
from dexbench.bench.openloop.transfer import transfer_clips
from dexbench.bench.openloop.windows import draw_windows
from dexbench.data_collection.readers.sample import RIGHT
from dexbench.data_collection.store.masks import ROBOT, SIZE
from dexbench.envs.embodiment.keypoints import WRIST
from dexbench.utils.errors import UserError


@pytest.fixture(scope="module")
def windows(real_clips, tmp_path_factory):
    copied = shutil.copytree(real_clips, tmp_path_factory.mktemp("transfer") / "set")
    return draw_windows(copied, "all", 0, 200)


@pytest.fixture(scope="module")
def clips(windows):
    return transfer_clips(windows, 0.8, SIZE)


def test_the_other_kitchen_has_the_references_hand(windows, clips):
    own = read_clips(windows, 0.8, SIZE, True)
    assert clips.images.shape == own.images.shape
    np.testing.assert_array_equal(clips.actions["hands"], own.actions["hands"])
    np.testing.assert_array_equal(clips.before, own.points[:, :-1, RIGHT])
    np.testing.assert_allclose(clips.points[:, 0], own.points[:, 0], atol=1e-3)
    robot, before = (it.objects.masks[:, 0] == ROBOT for it in (clips, own))
    assert (robot & before).sum() > 0.8 * robot.sum()
    # Where neither window has the robot, the picture is the other window's.
    rest = ~(robot | robot[::-1] | before | before[::-1])
    here, there = clips.images[:, 0].astype(int), own.images[::-1, 0].astype(int)
    assert np.abs(here - there)[rest].mean() < 4 < np.abs(here - here[::-1])[rest].mean()


def test_the_hand_does_there_what_the_reference_did(windows, clips):
    own = read_clips(windows, 0.8, SIZE, False)
    went, before = (
        points[:, -1, RIGHT, WRIST] - points[:, 0, RIGHT, WRIST]
        for points in (clips.points, own.points)
    )
    moved = np.linalg.norm(before, axis=-1)
    assert moved.max() > 0.03  # the expert's
    assert np.linalg.norm(went - before, axis=-1).max() < 0.02


def test_the_next_run_plays_nothing(windows, clips, monkeypatch):
    monkeypatch.setattr(transfer, "_play", None)
    again = transfer_clips(windows, 0.8, SIZE)
    np.testing.assert_array_equal(again.images, clips.images)
    np.testing.assert_array_equal(again.objects.masks, clips.objects.masks)


def test_a_hand_inside_something_is_left_out(windows, monkeypatch):
    answers = iter([False, True])
    monkeypatch.setattr(transfer, "stuck", lambda simulation: next(answers))
    with pytest.raises(UserError, match="1 of 2 windows can be played in another kitchen"):
        transfer_clips(windows, 4.0, SIZE)


def test_another_kitchen_is_needed(windows):
    rows = tuple(row | {"model": "same"} for row in windows.rows)
    with pytest.raises(UserError, match="are in one scene"):
        transfer_clips(dataclasses.replace(windows, rows=rows), 0.8, SIZE)


def test_a_damaged_reference_is_named(windows):
    path = windows.store.file(windows.rows[0], "h5")
    whole = path.read_bytes()
    with h5py.File(path, "a") as file:
        del file["action"]
    with pytest.raises(UserError, match=f"{path.name} is missing or damaged"):
        transfer_clips(windows, 2.0, SIZE)
    path.write_bytes(whole)
