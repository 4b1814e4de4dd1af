import shutil

import pytest
from support.small_set import as_schema_1, contents, fill

from dexbench.data_collection.sets.merge import MergeConfig, main
from dexbench.data_collection.store import store
from dexbench.data_collection.store.store import EpisodeStore
from dexbench.data_collection.store.verify import verify
from dexbench.utils.errors import UserError


@pytest.fixture(scope="module")
def sets(tmp_path_factory):
    root = tmp_path_factory.mktemp("merge")
    return [
        fill(root / name, count, seed)
        for seed, (name, count) in enumerate({"a": 4, "b": 12, "c": 4}.items())
    ]


def merge(out, *roots):
    main(MergeConfig(roots, out))
    return out


def test_a_merged_set_holds_all_and_says_where_it_is_from(sets, tmp_path):
    a, b, _ = sets
    before = contents(a), contents(b)
    out = merge(tmp_path / "ab", a, b)
    assert verify(out) == []
    assert (contents(a), contents(b)) == before
    rows = list(EpisodeStore(out).rows())
    assert [row["id"] for row in rows] == list(range(16))
    assert [row["scene"] for row in rows] == [0] * 4 + [1] * 4 + [2] * 4 + [3] * 4
    assert [row["source"] for row in rows] == [[0, i] for i in range(4)] + [
        [1, i] for i in range(12)
    ]
    sources = EpisodeStore(out).info["sources"]
    assert [(s["strategy"], s["seed"], s["episodes"]) for s in sources] == [
        ("programmatic", 0, 4),
        ("programmatic", 1, 12),
    ]
    for old, new in ((a / "videos/000003.mp4", 3), (b / "videos/000005.mp4", 9)):
        assert (out / f"videos/{new:06d}.mp4").samefile(old), "a hard link"


def test_a_merged_set_that_lost_its_description_still_says_its_mend(sets, tmp_path):
    both = merge(tmp_path / "both", *sets[:2])
    (both / "dataset.json").unlink()
    (both / "videos" / "000999.mp4").write_bytes(b"x")
    problems = {problem.where: problem.mend for problem in verify(both)}
    assert problems == {
        "dataset.json": "make it of its sources again, into another folder",
        "videos/000999.mp4": "nothing needs it: delete it",
    }


def test_merging_is_associative(sets, tmp_path):
    a, b, c = sets
    left = merge(tmp_path / "left", merge(tmp_path / "ab", a, b), c)
    right = merge(tmp_path / "right", a, merge(tmp_path / "bc", b, c))
    assert contents(left) == contents(right) == contents(merge(tmp_path / "all", a, b, c))


def test_mixed_schemas_are_refused_and_old_ones_brought_up_to_date(tmp_path, monkeypatch):
    monkeypatch.setattr(store, "PACK_VERSION", "1")  # sets of schema 1 were made with that pack
    a, b = fill(tmp_path / "a", 4), fill(tmp_path / "b", 12, seed=1)
    old = as_schema_1(shutil.copytree(a, tmp_path / "old"))
    with pytest.raises(UserError, match="schema"):
        merge(tmp_path / "mixed", b, old)
    new = merge(tmp_path / "new", old)
    assert EpisodeStore(new).info["schema"] == 2
    assert verify(new) == []
    assert contents(merge(tmp_path / "again", new, b)) == contents(merge(tmp_path / "ab", a, b))


def test_bad_input_writes_nothing(sets, tmp_path):
    a, b, _ = sets
    with pytest.raises(UserError, match="the same episode"):
        merge(tmp_path / "twice", a, b, a)
    harmed = shutil.copytree(b, tmp_path / "harmed")
    (harmed / "videos" / "000001.mp4").unlink()
    with pytest.raises(UserError, match="not whole"):
        merge(tmp_path / "out", a, harmed)
    with pytest.raises(UserError, match="exists"):
        merge(harmed, a)
    assert [path.name for path in tmp_path.iterdir()] == ["harmed"]
