"""Windows cover all of every clip evenly, whatever its length."""

import dataclasses

import numpy as np
import pytest

from dexbench.data_collection.readers.clip import ClipFacts
from dexbench.data_collection.readers.windows import SEGMENTS, segment_windows
from dexbench.utils.errors import UserError


def facts(name, frames, rate=30.0):
    return ClipFacts(name, frames, rate, (224, 392), (1.0, 1.0), 1.0, True)


def test_every_clip_gives_ten_windows_whose_ends_cover_it() -> None:
    clips = [facts("short", 30), facts("long", 9000), facts("too short", 8), facts("least", 9)]
    found = segment_windows(clips, seed=1, epoch=0)
    assert found.frames.shape == (30, 9) and found.clip.shape == (30,)
    assert np.bincount(found.clip, minlength=4).tolist() == [10, 10, 0, 10]
    lasts = np.sort(found.frames[found.clip == 1][:, -1])
    bounds = np.linspace(8, 9000, SEGMENTS + 1)
    for low, last, high in zip(bounds[:-1], lasts, bounds[1:], strict=True):
        assert low - 1 < last < high, "one in each tenth"
    assert (found.frames[found.clip == 3] == np.arange(9)).all()


def test_frames_are_distinct_ascend_and_span_four_seconds_at_most() -> None:
    clips = [facts("a", 2000), facts("b", 400, rate=10.0), facts("c", 12)]
    spans = {0: [], 1: [], 2: []}
    for epoch in range(20):
        found = segment_windows(clips, seed=0, epoch=epoch)
        assert (np.diff(found.frames, axis=1) > 0).all() and found.frames.min() >= 0
        for number, clip in enumerate(clips):
            mine = found.frames[found.clip == number]
            assert mine.max() < clip.frames
            spans[number].extend(mine[:, -1] - mine[:, 0])
            assert max(spans[number]) <= 4 * clip.rate
    assert max(spans[0]) > 110 and max(spans[1]) >= 38, "and reach that far"
    gaps = np.diff(segment_windows(clips, 0, 0).frames, axis=1)
    assert len(np.unique(gaps)) > 5, "uneven"


def test_over_epochs_all_frames_of_a_long_clip_are_last_equally_often() -> None:
    clip = facts("long", 1008)
    lasts = np.concatenate([segment_windows([clip], 3, e).frames[:, -1] for e in range(400)])
    counts, _ = np.histogram(lasts, bins=20, range=(8, 1008))
    assert counts.sum() == 4000
    assert np.abs(counts / 200 - 1).max() < 0.25, "of 200 each, five deviations are 0.35"
    seen = np.concatenate([segment_windows([clip], 3, e).frames.ravel() for e in range(100)])
    assert len(np.unique(seen)) > 1000


def test_what_is_drawn_of_a_clip_depends_on_no_other() -> None:
    clips = [facts("a", 300), facts("b", 500)]
    both, alone = segment_windows(clips, 0, 2), segment_windows(clips[1:], 0, 2)
    mine = both.frames[both.clip == 1]
    assert sorted(map(tuple, mine)) == sorted(map(tuple, alone.frames))
    again = segment_windows(clips, 0, 2)
    assert np.array_equal(both.frames, again.frames) and np.array_equal(both.clip, again.clip)
    for other in (segment_windows(clips, 1, 2), segment_windows(clips, 0, 3)):
        assert not np.array_equal(both.frames, other.frames)
    assert len(np.unique(both.clip[:10])) == 2, "mixed"


def test_clips_that_give_no_window() -> None:
    with pytest.raises(UserError, match="no clip has the 9 frames"):
        segment_windows([facts("a", 8)], 0, 0)
    slow = dataclasses.replace(facts("a", 100), rate=1.0)
    with pytest.raises(UserError, match="4 s do not hold 9"):
        segment_windows([slow], 0, 0)
