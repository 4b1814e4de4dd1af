import hashlib
import multiprocessing
import os
import subprocess
import sys
import time

import pytest

from dexbench.utils.files import DRAFT, atomic_file, atomic_folder, file_sha256, write_atomic


@pytest.fixture
def old(tmp_path):
    path = tmp_path / "old.txt"
    path.write_text("old")
    return path


def names(folder):
    return sorted(path.name for path in folder.iterdir())


def test_a_file_is_replaced_at_the_end_of_the_block(old):
    with atomic_file(old) as draft:
        draft.write_text("new")
        assert old.read_text() == "old"
        assert DRAFT.fullmatch(draft.name) and str(os.getpid()) in draft.name
    assert old.read_text() == "new"
    assert names(old.parent) == ["old.txt"]


def test_folders_on_the_way_are_made(tmp_path):
    write_atomic(tmp_path / "a/b/c.txt", "é")
    assert (tmp_path / "a/b/c.txt").read_bytes() == b"\xc3\xa9"
    write_atomic(tmp_path / "a/b/c.txt", b"\x00")
    assert (tmp_path / "a/b/c.txt").read_bytes() == b"\x00"
    assert names(tmp_path / "a/b") == ["c.txt"]


@pytest.mark.parametrize("error", [ValueError, KeyboardInterrupt])
def test_an_error_leaves_the_old_file_and_nothing_else(old, error):
    with pytest.raises(error), atomic_file(old) as draft:
        draft.write_text("half")
        raise error
    assert old.read_text() == "old"
    assert names(old.parent) == ["old.txt"]


@pytest.mark.parametrize("step", ["os.fsync", "pathlib.Path.replace"])
def test_a_disk_that_fails_leaves_the_old_file_and_nothing_else(old, step, monkeypatch):
    def fail(*_):
        raise OSError("no disk")

    monkeypatch.setattr(step, fail)
    with pytest.raises(OSError, match="no disk"):
        write_atomic(old, "new")
    assert old.read_text() == "old"
    assert names(old.parent) == ["old.txt"]


def test_a_file_is_on_the_disk_before_its_name_is(old, monkeypatch):
    done = []
    sync, replace = os.fsync, type(old).replace

    def synced(descriptor):
        done.append(os.path.basename(os.readlink(f"/proc/self/fd/{descriptor}")))
        sync(descriptor)

    def replaced(draft, path):
        done.append("replace")
        return replace(draft, path)

    monkeypatch.setattr(os, "fsync", synced)
    monkeypatch.setattr(type(old), "replace", replaced)
    with atomic_file(old) as draft:
        draft.write_text("new")
    assert done == [draft.name, "replace", old.parent.name]


KILLED = """
import os, signal, sys
from pathlib import Path
from dexbench.utils.files import atomic_file, atomic_folder

path, kind = Path(sys.argv[1]), sys.argv[2]
with (atomic_file if kind == "file" else atomic_folder)(path) as draft:
    (draft if kind == "file" else draft / "part").write_text("half")
    os.kill(os.getpid(), signal.SIGKILL)
"""


@pytest.mark.parametrize("kind", ["file", "folder"])
def test_a_killed_process_leaves_the_old_file_and_a_draft(old, kind):
    path = old if kind == "file" else old.with_name("new")
    killed = subprocess.run([sys.executable, "-c", KILLED, path, kind], check=False, timeout=300)
    assert killed.returncode == -9
    assert old.read_text() == "old"
    assert not old.with_name("new").exists()
    (leftover,) = (path for path in old.parent.iterdir() if path != old)
    assert DRAFT.fullmatch(leftover.name)


def test_a_draft_that_an_earlier_process_of_the_same_number_left_is_not_used(old):
    leftover = old.with_name(f".{old.name}.{os.getpid()}.tmp")
    leftover.write_text("half")
    with atomic_file(old) as draft:
        assert draft == leftover and not draft.exists()
        draft.write_text("new")
    assert old.read_text() == "new"


def _write_often(path, letter):
    for _ in range(50):
        write_atomic(path, letter * 100_000)


def test_of_writers_at_once_one_wins_whole(tmp_path):
    path = tmp_path / "file"
    context = multiprocessing.get_context("spawn")
    writers = [context.Process(target=_write_often, args=(path, letter)) for letter in "abc"]
    for writer in writers:
        writer.start()
    seen: set[str] = set()
    deadline = time.monotonic() + 60
    while any(writer.is_alive() for writer in writers):
        assert time.monotonic() < deadline, "they wrote for more than 60 s"
        if path.exists():
            seen.add(path.read_text())
    assert [writer.exitcode for writer in writers] == [0, 0, 0]
    assert seen | {path.read_text()} <= {letter * 100_000 for letter in "abc"}
    assert names(tmp_path) == ["file"]


@pytest.mark.parametrize(("umask", "file", "folder"), [(0o22, 0o644, 0o755), (0o77, 0o600, 0o700)])
def test_permissions_are_as_the_umask_says(tmp_path, umask, file, folder):
    before = os.umask(umask)
    try:
        write_atomic(tmp_path / "file", "")
        with atomic_folder(tmp_path / "folder"):
            pass
    finally:
        os.umask(before)
    assert (tmp_path / "file").stat().st_mode & 0o777 == file
    assert (tmp_path / "folder").stat().st_mode & 0o777 == folder


def test_a_folder_is_there_at_the_end_of_the_block(tmp_path):
    path = tmp_path / "above" / "new"
    with atomic_folder(path) as draft:
        (draft / "in").mkdir()
        (draft / "in" / "file").write_text("whole")
        assert DRAFT.fullmatch(draft.name) and not path.exists()
    assert (path / "in" / "file").read_text() == "whole"
    assert names(path.parent) == ["new"]


@pytest.mark.parametrize("error", [ValueError, KeyboardInterrupt])
def test_an_error_leaves_no_folder(tmp_path, error):
    with pytest.raises(error), atomic_folder(tmp_path / "new") as draft:
        (draft / "file").write_text("half")
        raise error
    assert names(tmp_path) == []


def test_a_folder_that_holds_something_is_not_replaced(tmp_path):
    (tmp_path / "new").mkdir()
    (tmp_path / "new" / "mine").write_text("mine")
    with pytest.raises(OSError, match="not empty"), atomic_folder(tmp_path / "new") as draft:
        (draft / "file").write_text("whole")
    assert names(tmp_path) == ["new"] and names(tmp_path / "new") == ["mine"]


def test_the_sha256_is_that_of_the_content(old):
    assert file_sha256(old) == file_sha256(str(old)) == hashlib.sha256(b"old").hexdigest()
