"""Room on the disk is there before a memory map is written, and places are tried beforehand."""

import errno
import os
from pathlib import Path

import pytest
import torch
from support.synthetic_store import write_store

from dexbench.agents.learning import episodes as episodes_module
from dexbench.agents.learning.disk import check_file, check_folder
from dexbench.agents.learning.episodes import load_episodes
from dexbench.agents.learning.features import cached_features
from dexbench.utils.errors import UserError


@pytest.fixture(scope="module")
def store(tmp_path_factory):
    return write_store(tmp_path_factory.mktemp("store") / "set")


class Encoder(torch.nn.Module):
    """Each picture's pixels, halved; remembers how much room the file has at every call."""

    def __init__(self, folder):
        super().__init__()
        self.folder, self.room = folder, []

    def forward(self, images):
        self.room += [on_disk(path) for path in self.folder.iterdir()]
        return images.float() / 2


def on_disk(path):
    """Bytes that the disk has given to a file, of those it will have."""
    return path.stat().st_blocks * 512 / path.stat().st_size


def features(episodes, folder):
    folder.mkdir(exist_ok=True)
    encoder = Encoder(folder)
    cached_features(episodes, encoder, encoder, folder, "half", torch.device("cpu"), False)
    return encoder.room


def test_maps_have_their_room_before_they_are_written(store, tmp_path, monkeypatch):
    room, read_video = [], episodes_module.read_video

    def watched(video):
        room.append(on_disk(tmp_path / "frames.u8"))
        return read_video(video)

    monkeypatch.setattr(episodes_module, "read_video", watched)
    episodes = load_episodes([store], tmp_path, progress=False)
    assert len(room) == 4 and min(room) >= 1
    room = features(episodes, tmp_path / "f")
    assert len(room) == 1, "the first batch tells the size"
    assert min(room) >= 1


@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EDQUOT, errno.EFBIG])
def test_a_full_disk_is_one_line_and_leaves_no_file(store, tmp_path, monkeypatch, number):
    episodes = load_episodes([store], tmp_path / "before", progress=False)

    def full(*_):
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr(os, "posix_fallocate", full)
    for folder, write in (
        (tmp_path / "w", lambda: load_episodes([store], tmp_path / "w", progress=False)),
        (tmp_path / "f", lambda: features(episodes, tmp_path / "f")),
    ):
        with pytest.raises(UserError, match=r"no room for a file of 0.01 GB .*--work") as error:
            write()
        assert "\n" not in str(error.value) and not list(folder.iterdir())


def test_other_failures_keep_their_own_words(store, tmp_path, monkeypatch):
    def broken(*_):
        raise OSError(errno.EIO, "Input/output error")

    monkeypatch.setattr(os, "posix_fallocate", broken)
    with pytest.raises(OSError, match="Input/output"):
        load_episodes([store], tmp_path / "w", progress=False)


def test_places_that_cannot_be_written_to_are_named(tmp_path):
    file = tmp_path / "file"
    file.write_bytes(b"kept")
    check_file("--out", file)
    check_file("--out", tmp_path / "new" / "w.safetensors")
    assert file.read_bytes() == b"kept" and not list((tmp_path / "new").iterdir())
    with pytest.raises(UserError, match=f"--out {tmp_path} is a folder, expected a file"):
        check_file("--out", tmp_path)
    for folder in (file, file / "below", Path("/proc")):
        with pytest.raises(UserError, match=f"--work: nothing can be written into {folder} "):
            check_folder("--work", folder)
    file.chmod(0o444)
    with pytest.raises(UserError, match="--out .*file is read-only"):
        check_file("--out", file)
