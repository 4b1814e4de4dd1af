import gzip
import hashlib
import json

import h5py
import numpy as np
import pytest
from support.small_set import episode

from dexbench.data_collection.store.episode import ARRAYS
from dexbench.data_collection.store.store import EpisodeStore
from dexbench.utils.errors import UserError
from dexbench.utils.video import read_video

CONFIG = {"strategy": "programmatic", "seed": 0}


@pytest.fixture
def store(tmp_path):
    return EpisodeStore(tmp_path / "set", CONFIG)


def test_an_episode_is_read_as_it_was_written(store):
    written = episode()
    row = store.write(7, written)
    with h5py.File(store.root / "episodes" / "000007.h5") as file:
        for name in ARRAYS:
            expected = getattr(written, name)
            assert file[name].dtype == expected.dtype
            assert np.array_equal(file[name][()], expected)
        meta = json.loads(file.attrs["meta"])
    assert meta == written.meta | {"model": row["model"]}
    model = store.root / "models" / f"{row['model']}.xml.gz"
    assert gzip.decompress(model.read_bytes()).decode() == written.xml
    frames = read_video(store.root / "videos" / "000007.mp4")
    assert frames.shape == written.frames.shape
    assert np.abs(frames.astype(int) - written.frames).max() < 8


def test_manifest_lines_hold_checksums_and_a_summary(store):
    row = store.write(3, episode())
    assert {k: row[k] for k in ("id", "frames", "kind", "lifted", "touched")} == {
        "id": 3,
        "frames": 4,
        "kind": "wander",
        "lifted": False,
        "touched": True,
    }
    for key, path in (("h5", "episodes/000003.h5"), ("mp4", "videos/000003.mp4")):
        assert row[key] == hashlib.sha256((store.root / path).read_bytes()).hexdigest()
    assert row["model"] == hashlib.sha256(b"<mujoco/>").hexdigest()


def test_the_same_episode_gives_the_same_files(store, tmp_path):
    row = store.write(0, episode())
    other = EpisodeStore(tmp_path / "other", CONFIG)
    assert other.write(0, episode()) == row
    assert store.write(0, episode()) == row, "writing again changes nothing"
    assert store.write(0, episode(1))["h5"] != row["h5"]
    left = [path.name for path in store.root.rglob("*") if ".tmp" in path.name]
    assert left == []


def test_scenes_are_stored_once(store):
    rows = [store.write(i, episode(i)) for i in range(2)]
    assert rows[0]["model"] == rows[1]["model"]
    store.write(2, episode(2, xml="<mujoco model='b'/>"))
    assert len(list((store.root / "models").iterdir())) == 2


def test_an_episode_exists_once_it_is_committed(store):
    rows = [store.write(i, episode(i)) for i in range(3)]
    assert list(store.rows()) == []
    store.commit(rows[:2])
    assert list(store.rows()) == rows[:2]
    store.commit(rows[2:])
    assert list(EpisodeStore(store.root).rows()) == rows
    store.keep(rows[:1])
    assert list(store.rows()) == rows[:1]


def test_a_line_cut_short_by_a_crash_is_dropped(store):
    rows = [store.write(i, episode(i)) for i in range(2)]
    store.commit(rows)
    manifest = store.root / "manifest.jsonl"
    whole = manifest.read_bytes()
    for cut in (1, 30):
        manifest.write_bytes(whole[:-cut])
        assert list(store.rows()) == rows[:1]
    store.commit(rows[1:])
    assert manifest.read_bytes() == whole


def test_a_set_is_continued_only_with_its_own_settings(store):
    info = json.loads((store.root / "dataset.json").read_text())
    assert info["control_hz"] == 10
    assert info["image_size"] == [224, 392]
    assert info["strategy"] == "programmatic"
    EpisodeStore(store.root, CONFIG)
    with pytest.raises(UserError, match="made with other seed, strategy"):
        EpisodeStore(store.root, {"strategy": "lift", "seed": 1})


def test_other_folders_are_left_alone(tmp_path):
    with pytest.raises(UserError, match="holds no episode set"):
        EpisodeStore(tmp_path / "nothing")
    assert not (tmp_path / "nothing").exists()
    (tmp_path / "letter.txt").write_text("mine")
    with pytest.raises(UserError, match="is not empty"):
        EpisodeStore(tmp_path, CONFIG)
    assert [path.name for path in tmp_path.iterdir()] == ["letter.txt"]
