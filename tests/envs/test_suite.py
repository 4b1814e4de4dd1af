import dataclasses
import json
import shutil

import numpy as np
import pytest

from dexbench.envs import suite as suite_module
from dexbench.envs.suite import Suite
from dexbench.envs.trial import Trial
from dexbench.utils.errors import UserError


@pytest.fixture
def copy(suite_folder, tmp_path):
    """The tiny suite's folder, to be damaged."""
    return shutil.copytree(suite_folder, tmp_path / "tiny")


def equal(one, other):
    pairs = [(getattr(one, f.name), getattr(other, f.name)) for f in dataclasses.fields(Trial)]
    return all(
        np.array_equal(a, b) and a.dtype == b.dtype if isinstance(a, np.ndarray) else a == b
        for a, b in pairs
    )


@pytest.mark.parametrize("task", ["reach", "grasp", "place"])
def test_a_trial_is_read_as_it_was_written(suite, trials, task):
    found = suite.trial(task, 0)
    assert equal(found, trials[task])
    assert found.hash == trials[task].hash == suite.trial_hash(task, 0)


def test_the_same_trial_gives_the_same_bytes(trials, tmp_path):
    trial = trials["grasp"]
    trial.save(tmp_path / "a" / "1.npz")
    Trial.load(tmp_path / "a" / "1.npz").save(tmp_path / "2.npz")
    assert (tmp_path / "a" / "1.npz").read_bytes() == (tmp_path / "2.npz").read_bytes()


def test_files_hold_no_pickle(suite_folder):
    with np.load(suite_folder / "grasp" / "000.npz", allow_pickle=False) as file:
        assert all(file[name].dtype != object for name in file.files)


@pytest.mark.parametrize(
    "change",
    [
        {"task": "place"},
        {"seed": 1},
        {"xml": "<mujoco/>"},
        {"objects": ("a", "b", "c")},
        {"instances": ("can_0", "can_1", "can_2")},
        {"recipe": {}},
        {"start_state": np.zeros(3)},
        {"goal_state": np.zeros(3)},
        {"expert_actions": np.zeros((60, 23), np.float32)},
    ],
    ids=lambda change: next(iter(change)),
)
def test_the_hash_is_over_all_of_a_trial(trials, change):
    trial = trials["grasp"]
    assert dataclasses.replace(trial, **change).hash != trial.hash
    assert dataclasses.replace(trial).hash == trial.hash


def test_a_suite_counts_its_tasks_and_trials(suite):
    assert suite.name == "tiny"
    assert set(suite.tasks) == {"reach", "grasp", "place"}
    assert [suite.trials(task) for task in ("reach", "grasp", "place", "juggle")] == [1, 1, 1, 0]


def test_the_suite_hash_depends_on_every_trial_and_nothing_else(suite, copy):
    assert len(suite.hash) == 64
    path = copy / "suite.json"
    index = json.loads(path.read_text())
    path.write_text(json.dumps({**index, "build": {"grasp": {"accepted": 9}}}))
    assert Suite(copy).hash == suite.hash
    index["trials"]["place"] = ["0" * 64]
    path.write_text(json.dumps(index))
    assert Suite(copy).hash != suite.hash


@pytest.mark.parametrize("index", [-1, 1, 50])
def test_a_trial_out_of_range_is_refused(suite, index):
    with pytest.raises(UserError, match=f"1 grasp trials, 0-0; asked for {index}"):
        suite.trial("grasp", index)


def test_a_trial_that_is_not_the_recorded_one_is_refused(copy, trials):
    dataclasses.replace(trials["grasp"], seed=1).save(copy / "grasp" / "000.npz")
    with pytest.raises(UserError, match="is not the one that suite tiny records"):
        Suite(copy).trial("grasp", 0)


def test_damaged_and_missing_trials_are_named(copy):
    path = copy / "grasp" / "000.npz"
    whole = path.read_bytes()
    for damage in (whole[: len(whole) // 2], b"", b"nonsense" * 100):
        path.write_bytes(damage)
        with pytest.raises(UserError, match="000.npz is damaged"):
            Suite(copy).trial("grasp", 0)
    middle = bytearray(whole)
    middle[len(whole) // 2] ^= 0xFF
    path.write_bytes(bytes(middle))
    with pytest.raises(UserError, match="000.npz"):
        Suite(copy).trial("grasp", 0)
    path.unlink()
    with pytest.raises(UserError, match="no trial at .*000.npz"):
        Suite(copy).trial("grasp", 0)


def test_suites_are_found_by_name_and_by_path(suite, suite_folder, monkeypatch):
    assert Suite.load(str(suite_folder)).hash == suite.hash
    monkeypatch.setattr(suite_module, "SUITES", suite_folder.parent)
    assert Suite.load("tiny").hash == suite.hash
    with pytest.raises(UserError, match="no suite 'v9'; there are: tiny"):
        Suite.load("v9")
    assert Suite.load(suite_folder).hash == suite.hash, "a Path will do"
    with pytest.raises(UserError, match="no suite 'suite.json'; .* or give a folder"):
        Suite.load(str(suite_folder / "suite.json"))
    monkeypatch.chdir(suite_folder)
    assert Suite.load("./").name == "tiny"


@pytest.mark.parametrize("text", ["{", "", "[]", "{}", '{"trials": 3}'])
def test_a_damaged_index_is_named(copy, text):
    (copy / "suite.json").write_text(text)
    with pytest.raises(UserError, match="suite.json is damaged"):
        Suite(copy)


def test_the_shipped_suite_is_whole():
    shipped = Suite.load("v1")
    assert {task: shipped.trials(task) for task in shipped.tasks} == {
        "reach": 50,
        "grasp": 50,
        "place": 50,
    }
    seeds = set()
    for task in shipped.tasks:
        for index in range(50):
            trial = shipped.trial(task, index)
            assert trial.task == task
            seeds.add(trial.seed)
    assert len(seeds) == 150
