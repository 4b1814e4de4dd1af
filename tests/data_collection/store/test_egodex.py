import dataclasses

import numpy as np
import pytest

from dexbench.data_collection.record import collect
from dexbench.data_collection.record.config import CollectConfig
from dexbench.data_collection.record.fill import Recording
from dexbench.data_collection.record.strategies import CLIPS
from dexbench.data_collection.store.egodex import TEST, TRAIN, EgoDexStore, HumanClip
from dexbench.data_collection.store.store import EpisodeStore
from dexbench.data_collection.store.verify import verify
from dexbench.utils.errors import UserError


def clip(number):
    frames = [np.full((32, 32, 3), 10 * number + i, np.uint8) for i in range(3)]
    poses = {name: np.tile(np.eye(4), (3, 1, 1)) for name in ("camera", "leftHand")}
    return HumanClip(frames, poses, np.eye(3), f"task_{number % 2}", {"task": "t", "l": ["a", "b"]})


def record(config, index):
    """A session of tiny clips."""
    store = EgoDexStore(config.out)
    part = TEST if index == 1 else TRAIN
    numbers = range(index * CLIPS, (index + 1) * CLIPS)
    return [store.write_clip(i, part, clip(i)) | {"scene": index} for i in numbers]


def threads(config, workers):
    from concurrent.futures import ThreadPoolExecutor

    return ThreadPoolExecutor(workers)


def fill(folder, episodes=12):
    config = CollectConfig(folder, "egohand", episodes, workers=1, size="32x32")
    collect.main(config, Recording(record, threads))


def contents(folder):
    return {path.relative_to(folder): path.read_bytes() for path in folder.rglob("*.*")}


def test_a_set_is_checked_mended_and_cleared_as_any_other(tmp_path):
    fill(tmp_path)
    whole = contents(tmp_path)
    assert len(whole) == 2 * 12 + 2 and (tmp_path / "test/task_1/5.mp4").exists()
    assert verify(tmp_path) == []
    (tmp_path / "part1/task_0/0.hdf5").write_bytes(b"")
    (tmp_path / "part1/task_1/99.mp4").write_bytes(b"left over")
    (tmp_path / "test/task_1/5.mp4").unlink()
    found = {problem.where for problem in verify(tmp_path)}
    assert found == {"part1/task_0/0.hdf5", "part1/task_1/99.mp4", "test/task_1/5.mp4"}
    fill(tmp_path)
    assert contents(tmp_path) == whole
    fill(tmp_path, 16)
    assert whole.keys() < contents(tmp_path).keys()


def test_commands_for_robot_episodes_refuse_it_by_name(tmp_path):
    fill(tmp_path, 4)
    with pytest.raises(UserError, match="the layout 'egodex'"):
        EpisodeStore(tmp_path)
    with pytest.raises(UserError, match="strategy"):
        collect.main(CollectConfig(tmp_path, "play", 4, size="32x32"), Recording(record, threads))


def test_a_lost_description_is_still_known_for_an_egodex_set(tmp_path):
    fill(tmp_path, 4)
    (tmp_path / "dataset.json").unlink()
    assert [problem.where for problem in verify(tmp_path)] == ["dataset.json"]


def test_robocasas_own_kitchens_are_refused(tmp_path):
    config = dataclasses.replace(CollectConfig(tmp_path / "set", "egohand", 4), kitchen="robocasa")
    with pytest.raises(UserError, match="egohand has generated kitchens only"):
        collect.main(config)
    assert not (tmp_path / "set").exists()
