"""Pictures come by their number, in any order, from videos of any kind."""

import h5py
import numpy as np
import pytest

from dexbench.data_collection.readers.errors import ClipError
from dexbench.data_collection.readers.pictures import Hdf5Pictures, Mp4
from dexbench.utils.seeding import rng
from dexbench.utils.video import read_video, write_video


@pytest.fixture(scope="module", params=["short groups", "one group", "without b-frames"])
def video(request, tmp_path_factory):
    """60 frames of noise, so that x264 uses all kinds of frames; and what they decode to."""
    path = tmp_path_factory.mktemp("video") / "clip.mp4"
    draw = rng("test", "pictures")
    blocks = draw.integers(0, 256, (60, 4, 6, 3)).astype(np.uint8)
    frames = [np.kron(block, np.ones((16, 16, 1), np.uint8)) for block in blocks]
    frames = [frames[t // 5] if t % 5 else frames[t] for t in range(60)]
    kinds = {
        "short groups": {"gop": 10, "preset": "medium"},
        "one group": {"gop": 500, "preset": "medium"},
        "without b-frames": {"gop": 25, "preset": "ultrafast"},
    }
    write_video(path, frames, fps=10, **kinds[request.param])
    return path, read_video(path)


def test_any_frames_in_any_order(video) -> None:
    path, truth = video
    clip = Mp4(path)
    assert (clip.count, clip.size, clip.rate) == (60, (64, 96), 10.0)
    for index in ([0], [59], [58, 59], [7, 3, 3, 49], [50, 20, 0], [29, 30, 31]):
        assert np.array_equal(clip.read(np.array(index)), truth[index]), index
    for start in range(60):
        assert np.array_equal(clip.read(np.array([start]))[0], truth[start]), start
    assert clip.read(np.array([], int)).shape == (0, 64, 96, 3)


def test_a_stretch_of_a_video(video) -> None:
    path, truth = video
    part = Mp4(path, first=17, count=40)
    assert part.count == 40
    index = np.array([0, 39, 21])
    assert np.array_equal(part.read(index), truth[17 + index])
    with pytest.raises(IndexError):
        part.read(np.array([40]))
    with pytest.raises(ClipError, match="has 60 frames, expected 65"):
        Mp4(path, first=25, count=40)


def test_no_frame_is_made_up(video) -> None:
    path, _ = video
    for index in ([60], [-1]):
        with pytest.raises(IndexError):
            Mp4(path).read(np.array(index))


def test_pictures_of_an_hdf5(tmp_path) -> None:
    path = tmp_path / "pictures.hdf5"
    truth = rng("test", "hdf5").integers(0, 256, (20, 8, 12, 3)).astype(np.uint8)
    with h5py.File(path, "w") as file:
        file["a/pictures"] = truth
        file["a/floats"] = truth.astype(float)
    clip = Hdf5Pictures(path, "a/pictures")
    index = np.array([19, 0, 7, 7])
    assert np.array_equal(clip.read(index), truth[index])
    assert clip.read(index, (4, 6)).shape == (4, 4, 6, 3)
    for name, what in (("a/floats", "of uint8"), ("a/none", "lacks a/none"), ("a", "lacks a")):
        with pytest.raises(ClipError, match=what):
            Hdf5Pictures(path, name)
