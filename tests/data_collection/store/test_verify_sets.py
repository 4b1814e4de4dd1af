import json
import shutil
import time

import pytest
from support.small_set import as_schema_1, contents, fill, fork_and_kill

from dexbench.bench import cli
from dexbench.data_collection.store.manifest import info_bytes
from dexbench.data_collection.store.store import EpisodeStore
from dexbench.data_collection.store.verify import VerifyConfig, main, verify
from dexbench.utils.errors import UserError
from dexbench.utils.seeding import rng


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    return fill(tmp_path_factory.mktemp("verify") / "set")


@pytest.fixture
def copy(whole, tmp_path):
    return shutil.copytree(whole, tmp_path / "set")


def files(folder):
    return sorted(path for path in folder.rglob("*") if path.is_file())


def test_a_collected_set_is_whole(whole, capsys):
    assert verify(whole) == []
    main(VerifyConfig((whole,)))
    assert capsys.readouterr().out == f"{whole}: 12 episodes, all whole\n"
    assert len(files(whole)) == 12 + 12 + 3 + 2, "scenes begun beyond the goal are gone"


def damage(stream, data):
    """The bytes with one flipped: any other value, anywhere."""
    place = int(stream.integers(len(data)))
    other = data[place] ^ int(stream.integers(1, 256))
    return data[:place] + bytes([other]) + data[place + 1 :]


def cut(stream, data):
    return data[: int(stream.integers(len(data)))]


@pytest.mark.parametrize("spoil", [damage, cut])
def test_200_damaged_files_are_all_found(copy, spoil):
    stream = rng("test", "verify", spoil.__name__)
    paths = files(copy)
    for turn in range(200):
        # Every turn of ten the manifest or dataset.json, which are few among many files.
        names = {0: "manifest.jsonl", 1: "dataset.json"}
        path = copy / names[turn % 10] if turn % 10 in names else paths[stream.integers(len(paths))]
        before = path.read_bytes()
        path.write_bytes(spoil(stream, before))
        problems = verify(copy)
        named = {problem.where for problem in problems}
        assert str(path.relative_to(copy)) in named or (
            # Lines cut off whole are known by the files that they named.
            path.name == "manifest.jsonl" and any(n.startswith("episodes/") for n in named)
        ), (turn, path)
        assert all("collect" in problem.mend for problem in problems)
        path.write_bytes(before)
    assert verify(copy) == []


@pytest.mark.parametrize("name", ["manifest.jsonl", "dataset.json", "h5", "mp4", "gz"])
@pytest.mark.parametrize("harm", [damage, cut, "delete"])
def test_collecting_again_mends(whole, copy, name, harm):
    path = next(path for path in files(copy) if path.name.endswith(name))
    if harm == "delete":
        path.unlink()
    else:
        path.write_bytes(harm(rng("test", "mend", name), path.read_bytes()))
    assert verify(copy)
    fill(copy)
    assert contents(copy) == contents(whole)


def test_damage_amid_a_set_is_mended_also_for_a_smaller_goal(tmp_path):
    folder = fill(tmp_path / "set", 32)
    before = contents(folder)
    for name in ("videos/000008.mp4", "episodes/000019.h5"):
        (folder / name).unlink()
    kept = (folder / "episodes/000002.h5").stat()
    fill(folder, 4)
    assert contents(folder) == before
    assert (folder / "episodes/000002.h5").stat() == kept, "what is whole is not made again"


def problems_of(folder):
    return {(problem.where, problem.what) for problem in verify(folder)}


def test_gaps_repeats_and_orphans_are_named(copy):
    store = EpisodeStore(copy)
    rows = list(store.rows())
    store.keep([*rows[:3], rows[4], rows[5], rows[5], *rows[6:]])
    (copy / "videos" / "000099.mp4").write_bytes(b"x")
    (copy / "videos" / ".000098.mp4.77.tmp").write_bytes(b"x")
    (copy / "notes.txt").write_text("mine")
    found = problems_of(copy)
    assert ("manifest.jsonl", "episode 3 is missing") in found
    assert ("manifest.jsonl", "episode 5 is listed 2 times") in found
    for name in ("episodes/000003.h5", "videos/000003.mp4", "videos/000099.mp4"):
        assert (name, "belongs to no episode of the manifest") in found
    assert any(name.endswith(".77.tmp") and "draft" in what for name, what in found)
    assert len(found) == 6
    before = contents(copy)
    verify(copy)
    assert contents(copy) == before, "nothing is changed"


def test_the_mend_is_a_command_that_mends(copy):
    (copy / "videos" / "000003.mp4").unlink()
    (problem,) = verify(copy)
    assert (problem.where, problem.what) == ("videos/000003.mp4", "is missing (episode 3)")
    command = problem.mend.split("`")[1]
    assert command == (
        f"dexbench collect --out {copy} --strategy programmatic --seed 0 --episodes 12 "
        "--size 224x392"
    )
    cli.main(command.split()[1:], {"collect": ("support.small_set:collect_small", "")})
    assert verify(copy) == []


def test_the_mend_names_the_dexbench_that_must_make_it(copy):
    """An older set's: today's would refuse, as it would make other episodes."""
    path = copy / "dataset.json"
    store = EpisodeStore(copy)
    path.write_bytes(info_bytes(store.info | {"assets": "2"}))
    store.keep(list(store.rows()))
    (copy / "videos" / "000003.mp4").unlink()
    (problem,) = verify(copy)
    assert "with the dexbench that recorded the set (version 0" in problem.mend
    assert problem.mend.endswith("asset pack 2)")


def test_exit_codes(copy, tmp_path):
    with pytest.raises(UserError, match="holds no episode set"):
        main(VerifyConfig((tmp_path / "nothing",)))
    with pytest.raises(UserError, match="at least one"):
        main(VerifyConfig(()))
    (copy / "videos" / "000003.mp4").unlink()
    with pytest.raises(SystemExit) as stop:
        main(VerifyConfig((copy,)))
    assert stop.value.code == 1


def test_sets_without_all_checksums_are_checked_as_far_as_they_go(copy, capsys):
    as_schema_1(copy)
    main(VerifyConfig((copy,)))
    assert "no checksums of dataset.json" in capsys.readouterr().out
    model = next((copy / "models").iterdir())
    model.write_bytes(model.read_bytes()[:-9])
    (copy / "episodes" / "000002.h5").write_bytes(b"")
    assert {p.where for p in verify(copy)} == {f"models/{model.name}", "episodes/000002.h5"}
    assert all("anew" in p.mend for p in verify(copy))


def test_a_later_schema_is_bad_input_not_damage(copy):
    store = EpisodeStore(copy)
    rows = list(store.rows())
    (copy / "dataset.json").write_text(json.dumps(store.info | {"schema": 3}))
    store.keep(rows)
    with pytest.raises(UserError, match="install a newer"):
        verify(copy)


@pytest.mark.slow
def test_20_kills_lose_nothing_that_was_complete(tmp_path):
    begun = time.monotonic()
    whole = fill(tmp_path / "whole", 60)
    length = time.monotonic() - begun
    folder, stream, killed = tmp_path / "set", rng("test", "kills"), 0
    for turn in range(20):
        if turn % 4 == 0:
            shutil.rmtree(folder, ignore_errors=True)
        complete = list(EpisodeStore(folder).rows()) if folder.exists() else []
        killed += fork_and_kill(folder, 60, float(stream.uniform(0.05, 0.4)) * length)
        if not (folder / "dataset.json").exists():
            continue
        rows = list(EpisodeStore(folder).rows())
        assert rows[: len(complete)] == complete
        for problem in verify(folder):
            # All that a kill leaves is what was being made: no listed episode is harmed.
            assert problem.what.startswith(("is a draft", "belongs to no", "the last line is cut"))
    assert killed >= 10
    fill(folder, 60)
    assert verify(folder) == []
    assert contents(folder) == contents(whole)
