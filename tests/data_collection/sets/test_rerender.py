import json
import os
import shutil
import subprocess
import sys
import zipfile

import h5py
import numpy as np
import pytest

from dexbench.data_collection.sets.pack import PackConfig
from dexbench.data_collection.sets.pack import main as pack
from dexbench.data_collection.sets.rerender import RerenderConfig, main
from dexbench.data_collection.store.states import open_states
from dexbench.data_collection.store.store import EpisodeStore
from dexbench.envs.assets.cache import PACK_VERSION
from dexbench.envs.embodiment.camera import project
from dexbench.utils.errors import UserError
from dexbench.utils.video import parse_size, read_video


@pytest.fixture(scope="module")
def packed(real_set, tmp_path_factory):
    path = tmp_path_factory.mktemp("pack") / "set.zip"
    pack(PackConfig(real_set, path))
    return path


@pytest.fixture(scope="module")
def again(real_set, tmp_path_factory):
    """The set rendered as it was recorded, with depth and segmentation."""
    out = tmp_path_factory.mktemp("again") / "out"
    main(RerenderConfig(real_set, out, depth=True, segmentation=True))
    return out


def test_as_recorded_it_gives_the_recorded_frames(real_set, again):
    for row in EpisodeStore(real_set).rows():
        name = f"{row['id']:06d}.mp4"
        old, new = read_video(real_set / "videos" / name), read_video(again / name)
        assert old.shape == new.shape == (row["frames"], 224, 392, 3)
        assert np.abs(old.astype(int) - new).mean() < 0.5
        assert np.abs(old[0].astype(int) - new[-1]).mean() > 0.5, "frames do differ"


@pytest.mark.parametrize(
    ("version", "opens"), [(None, False), ("1", False), ("2", True), (PACK_VERSION, True)]
)
def test_sets_of_packs_that_this_one_contains_can_be_rendered(tmp_path, version, opens):
    facts = {"strategy": "lift", "seed": 0, "image_size": [224, 392]}
    EpisodeStore(tmp_path / "old", facts)
    path = tmp_path / "old" / "dataset.json"
    info = json.loads(path.read_text()) | {"assets": version}
    if version is None:
        del info["assets"]
    path.write_text(json.dumps(info))
    if opens:
        assert open_states(tmp_path / "old").assets.name == f"assets-{PACK_VERSION}"
    else:
        with pytest.raises(UserError, match="asset pack 1, this dexbench has"):
            open_states(tmp_path / "old")


def test_depth_is_metres_and_segmentation_names_bodies(real_set, again):
    """Where a keypoint is seen, the surface before it is a link of the hand, at its depth."""
    with h5py.File(real_set / "episodes" / "000000.h5") as file:
        keypoints = file["keypoints"][()]
    depth = np.load(again / "000000.depth.npz", allow_pickle=False)["depth"]
    found = np.load(again / "000000.segmentation.npz", allow_pickle=False)
    assert depth.shape == found["body"].shape == (len(keypoints), 224, 392)
    assert depth.dtype == np.float32
    assert found["bodies"].dtype.kind == "U"
    checked = 0
    for t, points in enumerate(keypoints):
        for (u, v), point in zip(project(points).astype(int), points, strict=True):
            if not (0 <= u < 392 and 0 <= v < 224):
                continue
            name = found["bodies"][found["body"][t, v, u]]
            if name.startswith("gripper0_right"):
                assert -0.06 < point[2] - depth[t, v, u] < 0.2  # another finger may be before it
                checked += 1
    assert checked > 10


def test_a_pack_renders_the_same(packed, again, tmp_path):
    main(RerenderConfig(packed, tmp_path / "out", episodes=(1,)))
    assert (tmp_path / "out" / "000001.mp4").read_bytes() == (again / "000001.mp4").read_bytes()
    assert not (tmp_path / "out" / "000000.mp4").exists()


def test_other_cameras_and_sizes(packed, again, tmp_path):
    main(RerenderConfig(packed, tmp_path / "big", size="448x784", episodes=(0,)))
    big = read_video(tmp_path / "big" / "000000.mp4")
    small = read_video(again / "000000.mp4")
    assert big.shape[1:] == (448, 784, 3)
    halved = big.reshape(len(big), 224, 2, 392, 2, 3).mean((2, 4))
    assert np.abs(halved - small).mean() < 5, "the same view"
    main(RerenderConfig(packed, tmp_path / "front", camera="robot0_robotview", episodes=(0,)))
    front = read_video(tmp_path / "front" / "000000.mp4")
    assert np.abs(front.astype(int) - small).mean() > 10


def test_what_is_there_is_not_rendered_again(packed, again):
    before = (again / "000000.mp4").stat()
    main(RerenderConfig(packed, again, depth=True, segmentation=True))
    assert (again / "000000.mp4").stat() == before
    with pytest.raises(UserError, match="not empty"):
        main(RerenderConfig(packed, again, size="112x196"))


def test_pictures_of_another_set_are_not_taken_for_this_ones(real_set, packed, tmp_path):
    other = shutil.copytree(real_set, tmp_path / "other")
    path = other / "dataset.json"
    path.write_text(path.read_text().replace('"seed": 0', '"seed": 1'))
    EpisodeStore(other).keep(list(EpisodeStore(real_set).rows()))
    main(RerenderConfig(packed, tmp_path / "out", episodes=(0,)))
    main(RerenderConfig(real_set, tmp_path / "out", episodes=(0,)))
    with pytest.raises(UserError, match="pictures of another set"):
        main(RerenderConfig(other, tmp_path / "out"))


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ({"camera": "nowhere"}, "the scenes have .*robot0_head"),
        ({"size": "225x392"}, "both even"),
        ({"episodes": (7,)}, "no episode 7"),
    ],
)
def test_bad_input_writes_nothing(packed, tmp_path, settings, said):
    with pytest.raises(UserError, match=said):
        main(RerenderConfig(packed, tmp_path / "out", **settings))
    assert not (tmp_path / "out").exists()


def test_a_folder_that_cannot_be_made_is_the_users_error(packed, tmp_path):
    (tmp_path / "file").write_text("mine")
    with pytest.raises(UserError, match="cannot write .*; choose another --out"):
        main(RerenderConfig(packed, tmp_path / "file" / "below"))


def test_sizes_are_height_by_width():
    assert parse_size("224x392") == (224, 392)
    for text in ("", "10", "0x10", "-2x10", "10x10x10", "9999x2", "axb"):
        with pytest.raises(UserError, match="--size"):
            parse_size(text)


def test_a_pack_holds_states_and_scenes_only_and_each_once(real_set, packed, tmp_path):
    with zipfile.ZipFile(packed) as file:
        names = file.namelist()
    assert len(names) == len(set(names))
    assert not any(name.endswith(".mp4") or ".." in name for name in names)
    source, states = open_states(packed), open_states(real_set)
    for row in source.rows:
        assert np.array_equal(source.states(row), states.states(row))
    source.close()
    pack(PackConfig(real_set, tmp_path / "again.zip"))
    assert (tmp_path / "again.zip").read_bytes() == packed.read_bytes()


def test_a_pack_keeps_to_its_limit(real_set, packed, tmp_path, capsys):
    size = packed.stat().st_size
    pack(PackConfig(real_set, tmp_path / "part.zip", max_mb=0.97 * size / 1e6))
    assert "1 of 2 episodes" in capsys.readouterr().out
    assert (tmp_path / "part.zip").stat().st_size < 0.97 * size
    # A hair below what both take: what a scene adds is never reckoned too small.
    pack(PackConfig(real_set, tmp_path / "part.zip", max_mb=(size - 1) / 1e6))
    assert (tmp_path / "part.zip").stat().st_size < size
    with pytest.raises(UserError, match="not one scene"):
        pack(PackConfig(real_set, tmp_path / "none.zip", max_mb=0.01))
    assert [path.name for path in tmp_path.iterdir()] == ["part.zip"]


def test_a_damaged_pack_is_named(packed, tmp_path):
    path = tmp_path / "bad.zip"
    data = packed.read_bytes()
    for spoilt in (b"no zip", data[: len(data) // 2], data[:2000] + b"\0" * 9000 + data[11000:]):
        path.write_bytes(spoilt)
        with pytest.raises(UserError, match="is no pack, or a damaged one"):
            main(RerenderConfig(path, tmp_path / "out"))


WITHOUT = """
import sys
class Refuse:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in ("robosuite", "robocasa"):
            raise ImportError(f"{name} is not installed here")
sys.meta_path.insert(0, Refuse())
from pathlib import Path
from dexbench.data_collection.sets.rerender import RerenderConfig, main
main(RerenderConfig(Path(sys.argv[1]), Path(sys.argv[2]), episodes=(0,)))
"""


@pytest.mark.slow
def test_a_pack_needs_neither_robosuite_nor_an_asset_cache(packed, again, tmp_path):
    command = [sys.executable, "-c", WITHOUT, str(packed), str(tmp_path / "out")]
    cache = tmp_path / "cache"
    subprocess.run(
        command, check=True, env=os.environ | {"DEXBENCH_CACHE": str(cache)}, timeout=300
    )
    assert (tmp_path / "out" / "000000.mp4").read_bytes() == (again / "000000.mp4").read_bytes()
    assert not cache.exists()
