import numpy as np
import pytest

from dexbench.utils.video import read_video, write_video


def frames(count=12):
    """Smooth moving colours; noise would not survive any codec."""
    row, column = np.mgrid[0:224, 0:392]
    return [
        np.stack([row, column * 0.6, np.full(row.shape, 8 * i)], axis=-1).astype(np.uint8)
        for i in range(count)
    ]


def test_a_video_shows_its_frames_in_order_and_upright(tmp_path):
    written = frames()
    path = tmp_path / "new" / "a.mp4"
    write_video(path, written)
    read = read_video(path)
    assert read.shape == (12, 224, 392, 3)
    assert read.dtype == np.uint8
    assert np.abs(read.astype(int) - np.array(written)).mean() < 3
    assert [p.name for p in path.parent.iterdir()] == ["a.mp4"]


def test_the_same_frames_give_the_same_bytes(tmp_path):
    for name in ("a", "b"):
        write_video(tmp_path / f"{name}.mp4", frames())
    write_video(tmp_path / "c.mp4", frames()[::-1])
    a, b, c = ((tmp_path / f"{name}.mp4").read_bytes() for name in "abc")
    assert a == b
    assert b"mbtree=0" in a, "with x264's macroblock tree one in a hundred differs"
    assert a != c


def test_a_video_that_fails_halfway_replaces_nothing(tmp_path):
    path = tmp_path / "a.mp4"
    write_video(path, frames(2))
    before = path.read_bytes()
    with pytest.raises(ValueError, match="uint8"):
        write_video(path, [*frames(3), np.zeros((224, 392), np.float64)])
    assert path.read_bytes() == before


def test_what_is_no_video_is_a_value_error(tmp_path):
    path = tmp_path / "a.mp4"
    with pytest.raises(ValueError, match="no readable video"):
        read_video(path)
    write_video(path, frames(3))
    whole = path.read_bytes()
    silent = whole.replace(b"trak", b"free")  # a file without a video stream
    assert silent != whole
    for spoilt in (b"", whole[:100], whole[: len(whole) // 2], silent):
        path.write_bytes(spoilt)
        with pytest.raises(ValueError, match="no readable video"):
            read_video(path)
