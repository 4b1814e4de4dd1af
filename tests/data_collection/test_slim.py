import h5py
import numpy as np
import pytest
from small_set import contents, fill
from test_store import episode

from dexbench.agents.dexwm.data import load_episodes
from dexbench.data_collection.coverage.page import CoverageConfig
from dexbench.data_collection.coverage.page import main as report
from dexbench.data_collection.export.main import ExportConfig
from dexbench.data_collection.export.main import main as export
from dexbench.data_collection.merge import MergeConfig
from dexbench.data_collection.merge import main as merge
from dexbench.data_collection.rerender import RerenderConfig
from dexbench.data_collection.rerender import main as rerender
from dexbench.data_collection.slim import KEPT, STEP, SlimConfig, main
from dexbench.data_collection.store import EpisodeStore
from dexbench.data_collection.verify import verify
from dexbench.envs.errors import UserError
from dexbench.envs.video import read_video


@pytest.fixture(scope="module")
def full(tmp_path_factory):
    return fill(tmp_path_factory.mktemp("slim") / "full", 12)


def slim(full, out, **settings):
    main(SlimConfig(full, out, size="16x16", **settings))
    return out


def test_a_slim_set_holds_what_training_reads(full, tmp_path):
    before = contents(full)
    out = slim(full, tmp_path / "slim")
    assert contents(full) == before
    assert verify(out) == []
    assert EpisodeStore(out).info["image_size"] == [16, 16]
    for old, new in zip(EpisodeStore(full).rows(), EpisodeStore(out).rows(), strict=True):
        # Scene and number stay: the same episodes are held out from training.
        assert [new[k] for k in ("id", "scene", "frames")] == [
            old[k] for k in ("id", "scene", "frames")
        ]
        assert new["source"] == [0, old["id"]]
        name = f"{old['id']:06d}"
        with h5py.File(full / f"episodes/{name}.h5") as a, h5py.File(
            out / f"episodes/{name}.h5"
        ) as b:
            assert sorted(b) == sorted(KEPT)
            for key in KEPT:
                assert b[key].dtype == a[key].dtype
                assert np.abs(b[key][()] - a[key][()]).max() <= STEP / 2
        pictures = read_video(out / f"videos/{name}.mp4")
        wanted = read_video(full / f"videos/{name}.mp4")[:, ::2, ::2].astype(float)
        assert pictures.shape == wanted.shape
        assert np.abs(pictures - wanted).max() <= 4


def test_training_reads_it_as_it_reads_the_whole(tmp_path):
    whole = EpisodeStore(tmp_path / "whole", {"strategy": "programmatic", "seed": 0})
    whole.commit([whole.write(i, episode(i)) | {"scene": i} for i in range(4)])
    main(SlimConfig(whole.root, tmp_path / "slim"))
    a, b = (
        load_episodes([root], tmp_path / f"{root.name}.work", 0.5, (112, 196), False)
        for root in (whole.root, tmp_path / "slim")
    )
    assert np.abs(b.frames.astype(int) - a.frames).max() <= 3
    assert np.abs(b.keypoints - a.keypoints).max() <= STEP / 2
    assert np.array_equal(a.validation, b.validation)
    assert a.digest != b.digest


def test_it_goes_on_where_it_stopped_and_comes_out_the_same(full, tmp_path):
    whole = slim(full, tmp_path / "whole", workers=3)
    part = tmp_path / "part"
    store = EpisodeStore(slim(full, part, workers=1))
    store.keep(list(store.rows())[:5])
    for path in store.unlisted():
        path.unlink()
    slim(full, part)
    assert contents(part) == contents(whole)


def test_what_cannot_be_made_small_is_refused(full, tmp_path):
    with pytest.raises(UserError, match="episode set"):
        slim(tmp_path / "nothing", tmp_path / "out")
    with pytest.raises(UserError, match="crf"):
        slim(full, tmp_path / "out", crf=60)
    with pytest.raises(UserError, match="whole multiple"):
        main(SlimConfig(full, tmp_path / "out", size="18x18"))
    out = slim(full, tmp_path / "slim")
    with pytest.raises(UserError, match="other image_size"):
        main(SlimConfig(full, out, size="8x8"))
    for command in (
        lambda: rerender(RerenderConfig(out, tmp_path / "large")),
        lambda: export(ExportConfig(out, "robomimic", tmp_path / "a.hdf5")),
        lambda: report(CoverageConfig((out,), tmp_path / "a.html")),
    ):
        with pytest.raises(UserError, match="without states"):
            command()


def test_slim_sets_are_merged(full, tmp_path):
    a, b = slim(full, tmp_path / "a"), slim(fill(tmp_path / "b", 6, seed=1), tmp_path / "b-slim")
    merge(MergeConfig((a, b), tmp_path / "both"))
    assert verify(tmp_path / "both") == []
    assert [s["episodes"] for s in EpisodeStore(tmp_path / "both").info["sources"]] == [12, 6]
