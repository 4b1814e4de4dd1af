"""Masks of a real set's frames, drawn again from its states."""

import json
import shutil
from types import SimpleNamespace

import h5py
import numpy as np
import pytest

from dexbench.agents.dexwm.model.object_loss import MASK
from dexbench.agents.learning.object_masks import ObjectMasks
from dexbench.data_collection.store.manifest import INFO, info_bytes
from dexbench.data_collection.store.masks import NEITHER, ROBOT, SIZE, draw_masks, object_masks
from dexbench.data_collection.store.states import SetStates, play_states
from dexbench.data_collection.store.store import EpisodeStore
from dexbench.envs.embodiment.camera import HEIGHT, base_to_camera, project
from dexbench.envs.simulation import Simulation
from dexbench.utils.errors import UserError


@pytest.fixture(scope="module")
def copied(real_set, tmp_path_factory):
    return shutil.copytree(real_set, tmp_path_factory.mktemp("masks") / "set")


@pytest.fixture(scope="module")
def wanted(copied):
    rows = list(EpisodeStore(copied).rows())
    return [(rows[1], np.array([0, rows[1]["frames"] - 1])), (rows[0], np.array([1]))]


@pytest.fixture(scope="module")
def masks(copied, wanted):
    return object_masks(copied, wanted)


def test_processes_draw_what_one_draws(copied, wanted, masks, monkeypatch):
    monkeypatch.setattr("dexbench.data_collection.store.masks.FEW", 0)
    monkeypatch.setattr("dexbench.data_collection.store.masks.usable_cores", lambda: 2)
    assert len({row["model"] for row, _ in wanted}) > 1
    drawn = dict(draw_masks(copied, wanted))
    for number, expected in enumerate(masks):
        np.testing.assert_array_equal(drawn[number], expected)


def test_objects_are_where_the_set_says_they_are(copied, wanted, masks):
    store, checked = EpisodeStore(copied), 0
    for (row, frames), found in zip(wanted, masks, strict=True):
        assert found.shape == (len(frames), *SIZE) and found.dtype == np.int8
        with h5py.File(store.file(row, "h5")) as file:
            places = file["object_pos"][()][frames]
        for frame, place in zip(found, places, strict=True):
            assert set(np.unique(frame)) <= {ROBOT, NEITHER, *range(1, len(place) + 1)}
            for number, pixel in enumerate(project(base_to_camera(place)), 1):
                rows, columns = np.nonzero(frame == number)
                if len(rows) < 60:  # mostly hidden
                    continue
                centre = np.array([columns.mean(), rows.mean()]) + 0.5
                assert np.abs(centre - pixel * SIZE[0] / HEIGHT).max() < 6
                checked += 1
    assert checked >= 4


def test_the_robot_is_told_from_the_rest(copied, wanted, masks):
    row, frames = wanted[0]
    source, store = SetStates(copied), EpisodeStore(copied)
    with h5py.File(store.file(row, "h5")) as file:
        objects = json.loads(file.attrs["meta"])["objects"]
    simulation = Simulation(source.xml(row), objects, SIZE)
    simulation.set_state(source.states(row)[frames[1]])
    seen = simulation.segment()
    simulation.close()
    assert (masks[0][1] == ROBOT).sum() >= seen["hand"] > 50
    for number, name in enumerate(objects, 1):
        assert (masks[0][1] == number).sum() == seen[name]


def test_they_are_kept_beside_the_set(copied, wanted, masks, monkeypatch):
    kept = list(copied.with_name("set.masks").iterdir())
    assert len(kept) == 1
    monkeypatch.setattr(SetStates, "states", None)  # drawing would fail
    again = object_masks(copied, wanted)
    assert all(np.array_equal(a, b) for a, b in zip(again, masks, strict=True))
    monkeypatch.undo()
    other = object_masks(copied, wanted[1:])
    assert np.array_equal(other[0], masks[1])
    assert len(list(copied.with_name("set.masks").iterdir())) == 2
    kept[0].write_bytes(b"PK")
    with pytest.raises(UserError, match="damaged"):
        object_masks(copied, wanted)


def test_a_slim_set_has_no_states(copied, wanted, tmp_path):
    slim = shutil.copytree(copied, tmp_path / "slim")
    info = json.loads((slim / INFO).read_text())
    (slim / INFO).write_bytes(info_bytes(info | {"slim": {"crf": 26}}))
    with pytest.raises(UserError, match="slim set"):
        object_masks(slim, wanted)


def test_states_of_another_scene_are_refused(copied, wanted):
    source = SetStates(copied)
    row = wanted[0][0]
    with pytest.raises(UserError, match="states have 3 numbers"):
        next(play_states(source.model(row), np.zeros((1, 3))))


def test_the_object_loss_asks_for_masks():
    assert MASK == SIZE


def test_alone_objects_are_shown_behind_the_robot_too(copied, wanted, masks):
    alone = object_masks(copied, wanted, alone=True)
    for whole, seen in zip(alone, masks, strict=True):
        assert (whole >= NEITHER).all(), "no robot"
        assert np.array_equal(whole[seen > NEITHER], seen[seen > NEITHER])
        assert not whole[seen == NEITHER].any(), "what is not an object is none either"
    both = zip(alone, masks, strict=True)
    assert sum(((whole > NEITHER) & (seen == ROBOT)).sum() for whole, seen in both) > 10


def test_training_reads_the_masks_of_all_frames_and_draws_them_once(copied, tmp_path, monkeypatch):
    rows = list(EpisodeStore(copied).rows())
    length = np.array([row["frames"] for row in rows])
    frames, first = np.zeros(length.sum()), length.cumsum() - length
    episodes = SimpleNamespace(frames=frames, first=first, length=length, digest="of the set")
    masks = ObjectMasks([copied], episodes, tmp_path)
    wanted = [(row, np.arange(row["frames"])) for row in rows]
    numbers = np.concatenate(object_masks(copied, wanted, alone=True))
    expected = numbers > 0
    index = np.arange(len(episodes.frames))
    cells, centres = masks.numbers(index)
    assert np.array_equal(cells[:, 20, 30], numbers[:, 40:42, 60:62].max((1, 2)))
    assert cells.shape == (len(index), 56, 98) and set(np.unique(cells)) == set(np.unique(numbers))
    for number in range(1, 8):
        place = np.argwhere(numbers[3] == number)
        whole = len(place) and not {*place[:, 0]} & {0, 111} and not {*place[:, 1]} & {0, 195}
        middle = (place.mean(0) + 0.5) / 2 if whole else [np.nan, np.nan]
        assert np.allclose(centres[3, number], middle, equal_nan=True)
    assert np.isnan(centres[:, 0]).all() and not np.isnan(centres[:, 1]).all()
    assert np.array_equal(masks[index], expected) and expected.any()
    windows = index[:4].reshape(2, 2)
    assert np.array_equal(masks[windows], expected[:4].reshape(2, 2, *SIZE))
    monkeypatch.setattr(SetStates, "states", None)  # drawing would fail
    again = ObjectMasks([copied], episodes, tmp_path)
    assert np.array_equal(again[index], expected)
    assert np.array_equal(again.numbers(index)[0], cells)
