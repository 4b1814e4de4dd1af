from dataclasses import replace

import h5py
import numpy as np
import pytest
from PIL import Image
from support.small_set import episode, fill

from dexbench.data_collection.sets.info import (
    InfoConfig,
    _episodes,
    displacement,
    facts,
    main,
    table,
)
from dexbench.data_collection.sets.opened import open_set
from dexbench.data_collection.sets.preview import LINE, TILE, PreviewConfig, mosaic
from dexbench.data_collection.sets.preview import main as preview
from dexbench.data_collection.store.store import EpisodeStore
from dexbench.utils.errors import UserError
from dexbench.utils.video import read_video


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return fill(tmp_path_factory.mktemp("info") / "set")


def test_facts_are_the_sets(folder):
    found = facts(open_set(folder))
    assert found["strategy"] == "programmatic"
    assert found["seed"] == "0"
    assert found["layout"] == "dexbench" and found["clips"] == "12 (train)"
    assert found["frames"] == "36"
    assert found["hours"] == "0.001"
    assert found["clips wander"] == "12"
    assert found["clips touched"] == "12 (100 %)"
    assert found["clips lifted"] == "0 (0 %)"
    assert found["scenes"] == "3"
    assert found["scenes with can"] == "3"
    size = sum(path.stat().st_size for path in folder.glob("*/*"))
    assert float(found["GB"]) == pytest.approx(size / 1e9, abs=1e-4)


def test_contacts_and_moved_objects_are_counted_from_stored_arrays(tmp_path):
    """So that a set tells them whenever it was recorded."""
    still = np.tile([[0.6, 0.0, 0.9], [0.7, -0.2, 0.9]], (4, 1, 1))
    there_and_back, nudged = still.copy(), still.copy()
    there_and_back[2, 1] += [0.0, 0.0, 0.031]
    nudged[:, 0, 0] += [0.0, 0.014, 0.028, 0.014]
    store, rows = EpisodeStore(tmp_path / "set", {"strategy": "play", "seed": 0}), []
    for number, (positions, contact) in enumerate(
        [(still, [0, 0, 0, 0]), (there_and_back, [1, 1, 0, 1]), (nudged, [0, 1, 0, 0])]
    ):
        clip = replace(episode(), object_pos=positions, contact=np.array(contact, bool))
        rows.append(store.write(number, clip) | {"scene": 0})
    store.commit(rows)
    found = facts(open_set(store.root))
    assert found["clips moved"] == "1 (33 %)"
    assert found["frames in contact"] == "4 (33 %)"
    assert displacement(nudged) == pytest.approx(0.028)
    assert displacement(still) == displacement(still[:, :0]) == 0


def test_a_slim_set_which_lacks_objects_and_contacts_has_no_such_facts(folder):
    store = EpisodeStore(folder)
    store.info["slim"] = {}
    assert not {"clips moved", "frames in contact"} & set(_episodes(store))


def test_the_table_is_aligned_and_has_a_column_a_set(folder, capsys):
    main(InfoConfig((folder,)))
    lines = capsys.readouterr().out.splitlines()
    assert len({len(line) for line in lines}) == 1
    text = table({"a": {"one": "1", "two": "22"}, "long name": {"one": "3", "only": "4"}})
    assert text.splitlines() == [
        "       a  long name",
        "one    1          3",
        "two   22          -",
        "only   -          4",
    ]


def test_a_damaged_set_is_named(folder, tmp_path):
    with pytest.raises(UserError, match="holds no clips that dexbench reads"):
        main(InfoConfig((tmp_path,)))
    other = fill(tmp_path / "set", 4)
    (other / "episodes" / "000000.h5").write_bytes(b"")
    with pytest.raises(UserError, match="000000.h5 is missing or damaged.*data verify"):
        main(InfoConfig((other,)))
    other = fill(tmp_path / "other", 4)
    with h5py.File(other / "episodes" / "000000.h5", "a") as file:
        file.attrs["meta"] = file.attrs["meta"][:-1]
    with pytest.raises(UserError, match="000000.h5 is missing or damaged.*data verify"):
        main(InfoConfig((other,)))


def test_a_mosaic_holds_the_last_frame_of_shorter_clips():
    clips = [np.full((n, *TILE, 3), 10 * n, np.uint8) for n in (2, 4)]
    clips[0][-1] = 200
    pages = mosaic(clips, ["a", "b"], 2)
    assert len(pages) == 4
    assert all(page.shape == (TILE[0] + LINE, 2 * TILE[1], 3) for page in pages)
    assert [int(page[-1, 0, 0]) for page in pages] == [20, 200, 200, 200]
    assert [int(page[-1, -1, 0]) for page in pages] == [40] * 4
    assert (pages[0][:LINE] < 128).any(), "captions"


def test_previews_are_written(folder, tmp_path):
    preview(PreviewConfig(folder, tmp_path / "a" / "all.mp4", columns=4, rows=2))
    assert read_video(tmp_path / "a" / "all.mp4").shape == (3, 2 * (TILE[0] + LINE), 784, 3)
    preview(PreviewConfig(folder, tmp_path / "all.png", columns=3, rows=2))
    page = np.asarray(Image.open(tmp_path / "all.png"))
    assert page.shape == (2 * (TILE[0] + LINE), 3 * TILE[1], 3)
    # The clips spread from the first, all 0, to the last, all 11.
    assert page[LINE + 5, 5].max() <= 3
    assert abs(int(page[-5, 5].mean()) - 11) <= 3


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ({"out": "x.gif"}, "must end in .mp4 or .png"),
        ({"kind": "lift"}, "it has wander"),
        ({"rows": 0}, "at least 1"),
    ],
)
def test_bad_input(folder, tmp_path, settings, said):
    settings = {"out": "x.png"} | settings
    settings["out"] = tmp_path / settings["out"]
    with pytest.raises(UserError, match=said):
        preview(PreviewConfig(folder, **settings))
    assert list(tmp_path.iterdir()) == []
