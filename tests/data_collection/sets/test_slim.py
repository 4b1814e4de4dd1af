import dataclasses

import av
import h5py
import numpy as np
import pytest
from support.small_set import as_schema_1, contents, episode

from dexbench.agents.learning.episodes import load_episodes
from dexbench.data_collection.coverage.page import CoverageConfig
from dexbench.data_collection.coverage.page import main as report
from dexbench.data_collection.export.main import ExportConfig
from dexbench.data_collection.export.main import main as export
from dexbench.data_collection.sets.merge import MergeConfig
from dexbench.data_collection.sets.merge import main as merge
from dexbench.data_collection.sets.rerender import RerenderConfig
from dexbench.data_collection.sets.rerender import main as rerender
from dexbench.data_collection.sets.slim import KEPT, STEP, SlimConfig, main
from dexbench.data_collection.store.store import EpisodeStore
from dexbench.data_collection.store.verify import verify
from dexbench.utils.errors import UserError
from dexbench.utils.video import downsample, read_video


def collected(root, episodes=4, seed=0):
    """A set whose pictures have colours that change from pixel to pixel."""
    store = EpisodeStore(root, {"strategy": "programmatic", "seed": seed})
    v, u = np.mgrid[:224, :392]
    colours = np.stack([u // 2, v, 255 - u // 2], -1).astype(np.uint8)
    for number in range(episodes):
        pictures = np.stack([np.roll(colours, 8 * (number + t), 1) for t in range(6)])
        made = dataclasses.replace(episode(number + 1000 * seed, frames=6), frames=pictures)
        store.commit([store.write(number, made) | {"scene": number}])
    return root


@pytest.fixture(scope="module")
def full(tmp_path_factory):
    return collected(tmp_path_factory.mktemp("slim") / "full")


def slim(full, out, **settings):
    main(SlimConfig(full, out, **settings))
    return out


def test_a_slim_set_holds_what_training_reads(full, tmp_path):
    before = contents(full)
    out = slim(full, tmp_path / "slim")
    assert contents(full) == before
    assert verify(out) == []
    assert EpisodeStore(out).info["image_size"] == [112, 196]
    small = sum(map(len, contents(out).values()))
    assert small < 0.7 * sum(map(len, before.values()))
    for old, new in zip(EpisodeStore(full).rows(), EpisodeStore(out).rows(), strict=True):
        for key in ("id", "scene", "frames", "kind", "lifted", "model"):
            assert new[key] == old[key]
        assert new["source"] == [0, old["id"]]
        name = f"{old['id']:06d}"
        arrays = (h5py.File(root / f"episodes/{name}.h5") for root in (full, out))
        with next(arrays) as a, next(arrays) as b:
            assert sorted(b) == sorted(KEPT)
            assert b.attrs["meta"] == a.attrs["meta"]
            for key in KEPT:
                assert b[key].dtype == a[key].dtype
                assert 0 < np.abs(b[key][()] - a[key][()]).max() <= STEP / 2
                assert np.all(b[key][()] % STEP == 0)
        video = out / f"videos/{name}.mp4"
        with av.open(str(video)) as container:
            assert container.streams.video[0].pix_fmt == "yuv444p"
        wanted = downsample(read_video(full / f"videos/{name}.mp4"), (112, 196)).astype(int)
        assert np.abs(read_video(video) - wanted).mean() < 3


def test_training_reads_it_as_it_reads_the_whole(full, tmp_path):
    a, b = (
        load_episodes([root], tmp_path / f"{root.name}.work", 0.5, (112, 196), False)
        for root in (full, slim(full, tmp_path / "slim"))
    )
    assert np.abs(b.frames.astype(int) - a.frames).mean() < 3
    assert np.abs(b.keypoints - a.keypoints).max() <= STEP / 2
    assert np.array_equal(a.validation, b.validation)
    assert a.digest != b.digest


def test_it_is_the_same_whatever_the_threads(full, tmp_path):
    one, three = (slim(full, tmp_path / str(n), workers=n) for n in (1, 3))
    assert contents(one) == contents(three)


def test_what_cannot_be_made_small_is_refused_and_leaves_nothing(full, tmp_path):
    empty = EpisodeStore(tmp_path / "empty", {"strategy": "programmatic", "seed": 0}).root
    harmed = collected(tmp_path / "harmed", 2)
    (harmed / "videos" / "000001.mp4").write_bytes(b"")
    for root, settings, message in (
        (tmp_path / "nothing", {}, "no episode set"),
        (empty, {}, "no episode;"),
        (harmed, {}, "not whole"),
        (full, {"size": "112x190"}, "no whole part of the set's 224x392"),
        (full, {"size": "448x784"}, "no whole part"),
        (full, {"crf": 60}, "--crf"),
    ):
        with pytest.raises(UserError, match=message):
            slim(root, tmp_path / "out", **settings)
    with pytest.raises(UserError, match="exists"):
        slim(full, harmed)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["empty", "harmed"]


def test_slim_sets_are_merged(full, tmp_path):
    old = collected(tmp_path / "old", 2, seed=1)
    as_schema_1(old)
    a, b = slim(full, tmp_path / "a"), slim(old, tmp_path / "b")
    # The old set did not say which asset pack it was recorded with: there was one then.
    with pytest.raises(UserError, match="assets"):
        merge(MergeConfig((a, b), tmp_path / "both"))
    new = slim(collected(tmp_path / "new", 2, seed=2), tmp_path / "c")
    merge(MergeConfig((a, new), tmp_path / "both"))
    for root in (b, tmp_path / "both"):
        assert verify(root) == []
    assert [s["seed"] for s in EpisodeStore(tmp_path / "both").info["sources"]] == [0, 2]
    coarse = slim(full, tmp_path / "coarse", crf=40)
    with pytest.raises(UserError, match="slim"):
        merge(MergeConfig((new, coarse), tmp_path / "differ"))


def test_what_needs_states_wants_the_whole_set(full, tmp_path):
    out = slim(full, tmp_path / "slim")
    for command in (
        lambda: rerender(RerenderConfig(out, tmp_path / "large")),
        lambda: export(ExportConfig(out, "robomimic", tmp_path / "a.hdf5")),
        lambda: report(CoverageConfig((out,), tmp_path / "a.html")),
        lambda: slim(out, tmp_path / "again"),
    ):
        with pytest.raises(UserError, match="without states"):
            command()
