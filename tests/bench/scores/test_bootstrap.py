import math

import numpy as np
import pytest

from dexbench.bench.scores.bootstrap import difference, ratio, resamples

DRAWN = resamples(40)


def test_resamples_draw_as_many_clips_as_there_are_and_always_the_same():
    assert DRAWN.shape == (2000, 40)
    assert (DRAWN.sum(1) == 40).all() and DRAWN.std() > 0.5
    assert np.array_equal(DRAWN, resamples(40))


def test_a_mean_has_the_interval_that_its_standard_error_says():
    values = np.random.default_rng(1).normal(5, 2, 40)
    found = ratio(values, np.ones(40), DRAWN)
    assert found.value == pytest.approx(values.mean())
    error = 1.96 * values.std() / math.sqrt(40)
    assert found.low == pytest.approx(values.mean() - error, abs=0.15)
    assert found.high == pytest.approx(values.mean() + error, abs=0.15)


def test_clips_count_by_what_they_hold():
    top, bottom = np.zeros(40), np.ones(40)
    top[0], bottom[0] = 30, 60
    assert ratio(top, bottom, DRAWN).value == pytest.approx(30 / 99)


def test_nothing_to_count_is_not_a_number():
    nothing = ratio(np.zeros(40), np.zeros(40), DRAWN)
    assert all(map(math.isnan, (nothing.value, nothing.low, nothing.high)))
    few = np.zeros(40)
    few[3] = 1  # a third of the resamples leave it out
    found = ratio(few * 0.5, few, DRAWN)
    assert (found.value, found.low, found.high) == (0.5, 0.5, 0.5)


def test_what_is_hard_for_both_cancels_in_a_difference():
    hard, one = np.random.default_rng(2).normal(0, 10, 40), np.ones(40)
    found = difference((hard + 1, one), (hard, one), DRAWN)
    assert found.value == pytest.approx(1) and found.high - found.low < 1e-9
    alone = ratio(hard, one, DRAWN)
    assert alone.high - alone.low > 3
