"""`dexbench data index` in several processes, and what it says of attributes that are wrong."""

import json

import h5py
import numpy as np
import pytest
from support.recorded import write_egodex

from dexbench.data_collection.readers import index as module
from dexbench.data_collection.readers.index import IndexConfig, main, make_index
from dexbench.utils.errors import UserError


@pytest.fixture(scope="module")
def many(tmp_path_factory):
    """Clips of which every third is damaged in another way."""
    root = tmp_path_factory.mktemp("many") / "data"
    for number in range(9):
        write_egodex(root, f"part1/fold/{number}", frames=3, seed=number)
    (root / "part1/fold/1.mp4").unlink()
    (root / "part1/fold/4.hdf5").write_bytes(b"")
    with h5py.File(root / "part1/fold/7.hdf5", "a") as file:
        del file["transforms/camera"]
    return root


def test_the_index_does_not_depend_on_the_number_of_processes(many, tmp_path, monkeypatch):
    monkeypatch.setattr(module, "FEW", 2)
    written = []
    for workers in (1, 2, 3):
        main(IndexConfig(many, tmp_path / "index.json", workers))
        written.append((tmp_path / "index.json").read_bytes())
    assert written[1] == written[0] and written[2] == written[0]
    index = make_index(many, workers=2)
    assert [clip.name[-1] for clip in index.clips] == list("023568")
    assert [problem.clip[-1] for problem in index.problems] == list("147")


def test_processes_are_counted(many, tmp_path):
    with pytest.raises(UserError, match="--workers is -1"):
        main(IndexConfig(many, tmp_path / "index.json", -1))
    assert not (tmp_path / "index.json").exists()


def test_without_decoding_the_facts_are_the_same(many):
    assert make_index(many, decode=False) == make_index(many)


def attribute(path, place, name, value):
    with h5py.File(path, "a") as file:
        file[place].attrs[name] = value


@pytest.mark.parametrize(
    ("place", "name", "value", "what"),
    [
        ("data", "env_args", "[]", "env_args is no JSON object"),
        ("data", "env_args", "{", "cannot be read"),
        ("data", "env_args", json.dumps({"env_kwargs": {"control_freq": None}}), "cannot be read"),
        ("data", "env_args", json.dumps({"env_kwargs": {"control_freq": -20}}), "has -20 frames"),
        ("data/demo_0", "ep_meta", "[1]", "ep_meta is no JSON object"),
    ],
)
def test_attributes_of_released_files(tmp_path, place, name, value, what):
    with h5py.File(tmp_path / "demos.hdf5", "w") as file:
        obs = file.create_group("data/demo_0/obs")
        obs["robot0_robotview_2_image"] = np.zeros((2, 60, 96, 3), np.uint8)
        obs["robot0_right_hand_T_world_pose_mat"] = np.zeros((2, 16))
        obs["robot0_right_gripper_keypoint_pose"] = np.ones((2, 66))
        obs["robot0_base_pos"], obs["robot0_base_quat"] = np.zeros((2, 3)), [[0, 0, 0, 1.0]] * 2
    assert len(make_index(tmp_path).clips) == 1
    attribute(tmp_path / "demos.hdf5", place, name, value)
    (problem,) = make_index(tmp_path).problems
    assert what in problem.what


def test_filter_keys_that_are_no_words(tmp_path):
    with h5py.File(tmp_path / "demos.hdf5", "w") as file:
        file.create_group("data/demo_0")
        file["mask/train"] = np.arange(3)
    (problem,) = make_index(tmp_path).problems
    assert problem.clip == "demos.hdf5" and problem.what.startswith("cannot be read")
