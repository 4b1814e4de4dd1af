"""Batches have the sets' shares, and epochs cover every clip evenly."""

import dataclasses

import numpy as np
import pytest

from dexbench.agents.learning.clips import Clips
from dexbench.agents.learning.mixture import SEGMENTS, Mixture
from dexbench.utils.errors import UserError
from dexbench.utils.seeding import rng


def clips_of(lengths, rates, source, validation=None):
    """Clips of which only lengths, rates and sets are known."""
    length = np.array(lengths)
    return Clips(
        frames=np.zeros((length.sum(), 1, 1, 3), np.uint8),
        first=np.concatenate([[0], length.cumsum()[:-1]]),
        length=length,
        rate=np.array(rates, float),
        validation=np.array(validation or [False] * len(length)),
        digest="",
        hands=np.zeros((0, 2, 21, 3), np.float32),
        known=np.zeros((0, 2, 21), bool),
        camera=np.zeros((0, 4, 4)),
        view=np.zeros((0, 3, 3)),
        source=np.array(source),
        own=np.zeros(len(length), bool),
    )


CLIPS = clips_of([200, 60, 900, 3, 300], [30, 10, 30, 10, 15], [0, 0, 1, 1, 1], [0, 0, 0, 0, 1])


def mixture(shares=None, most=48, *name):
    return Mixture(CLIPS, shares, most, CLIPS.usable(3, None), "t", *name)


def test_batches_have_the_shares_to_a_window_and_on_the_whole() -> None:
    mixed = mixture([3, 1])
    assert mixed.shares.tolist() == [0.75, 0.25]
    counts = []
    for batch in range(400):
        clip, place = mixed.places(rng("b", batch), batch, 7)
        assert len(clip) == len(place) == 7 and place.min() >= 0 and place.max() < 1
        counts.append(np.bincount(CLIPS.source[clip], minlength=2))
        assert not CLIPS.validation[clip].any() and (CLIPS.length[clip] > 3).all()
    counts = np.array(counts)
    assert set(counts[:, 0]) == {5, 6}, "of 5.25"
    assert abs(counts[:, 0].mean() - 5.25) < 0.08
    assert mixture().shares.tolist() == [2 / 3, 1 / 3], "as many as clips"


def test_an_epoch_has_a_window_of_every_tenth_of_every_clip() -> None:
    mixed = Mixture(CLIPS, [1, 1], 20, CLIPS.usable(3, None), "t")
    seen = []
    for batch in range(2):  # of 11 places a set, each batch; an epoch of set 0 has 20
        clip, place = mixed.places(rng("b", batch), batch, 20)
        seen += [(c, int(p * SEGMENTS)) for c, p in zip(clip, place, strict=True) if c < 2]
    assert len(seen) == 20
    assert len(set(seen[:10])) == 10, "none twice"
    whole = mixed._epoch(0, 5)
    tenths = sorted(zip(whole[0], (whole[1] * SEGMENTS).astype(int), strict=True))
    assert tenths == [(c, s) for c in (0, 1) for s in range(SEGMENTS)]


def test_a_batch_depends_on_its_number_and_the_name_alone() -> None:
    one, other = mixture([1, 1], 48, 0), mixture([1, 1], 48, 0)
    for batch in range(30):
        last = one.places(rng("b", batch), batch, 48)
    again = other.places(rng("b", 29), 29, 48)
    assert all(np.array_equal(a, b) for a, b in zip(last, again, strict=True))
    named = mixture([1, 1], 48, 1).places(rng("b", 29), 29, 48)
    assert not np.array_equal(named[1], again[1])


@pytest.mark.parametrize("span", [None, 40])
def test_gaps_and_spans_are_in_seconds(span) -> None:
    usable = CLIPS.usable(3, span)
    mixed = Mixture(CLIPS, None, 3000, usable, "t")
    draw = rng("windows")
    places = mixed.places(draw, 0, 3000)
    index = CLIPS.windows(draw, 3000, 3, span=span, places=places)
    clip = CLIPS.clip_of(index)
    assert (clip == clip[:, :1]).all() and (clip[:, 0] == places[0]).all()
    rate = CLIPS.rate[clip[:, 0]]
    gaps = np.diff(index, axis=1)
    assert gaps.min() >= 1
    reach = (index[:, -1] - index[:, 0]) / rate
    if span:
        assert reach.max() == 4.0 and reach[rate == 30].max() == 4.0
    else:
        seconds = gaps / rate[:, None]
        # Where a clip has room for three gaps of 2 s nothing shrinks.
        roomy = CLIPS.length[clip[:, 0]] == 900
        assert seconds[roomy].min() == 0.3 and seconds[roomy].max() == 2.0
    last = index[:, -1] - CLIPS.first[clip[:, 0]]
    longest = clip[:, 0] == 2
    assert last[longest].max() > 880 and last[longest].min() < 200


def test_single_frames_have_the_shares_too() -> None:
    index = mixture([1, 3]).frames(rng("f"), 4000)
    clip = CLIPS.clip_of(index)
    assert np.bincount(CLIPS.source[clip]).tolist() == [1000, 3000]
    assert set(clip) == {0, 1, 2}, "neither held-out nor too short ones"


@pytest.mark.parametrize("shares", [[1], [1, 0], [1, -1], [1, float("nan")], [1, 1, 1]])
def test_shares_that_do_not_fit_are_named(shares) -> None:
    with pytest.raises(UserError, match="--data-shares are .* for each of 2 data sets"):
        mixture(shares)


def test_a_set_without_a_long_clip_is_named() -> None:
    short = dataclasses.replace(CLIPS, validation=np.array([False, False, True, False, True]))
    with pytest.raises(UserError, match="no clip of data set 2 has the frames"):
        Mixture(short, None, 8, short.usable(3, None), "t")
