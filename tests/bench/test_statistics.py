from math import comb

import pytest

from dexbench.bench.statistics import mcnemar, wilson


@pytest.mark.parametrize(
    ("successes", "low", "high"),
    [(25, 0.366, 0.634), (36, 0.583, 0.825), (45, 0.786, 0.957), (0, 0.0, 0.071), (50, 0.929, 1)],
)
def test_wilson_at_50_trials(successes: int, low: float, high: float) -> None:
    assert wilson(successes, 50) == pytest.approx((low, high), abs=5e-4)


def test_wilson_refuses_more_successes_than_trials() -> None:
    with pytest.raises(ValueError):
        wilson(3, 2)


def test_mcnemar_is_the_two_sided_binomial_on_discordant_trials() -> None:
    first = {trial: trial < 12 for trial in range(50)}  # solves 0..11
    second = {trial: trial in (0, 1, 20, 21) for trial in range(50)}
    result = mcnemar(first, second)
    assert (result.shared, result.only_first, result.only_second) == (50, 10, 2)
    tail = sum(comb(12, k) for k in range(3)) / 2**12
    assert result.p_value == pytest.approx(2 * tail)


def test_mcnemar_uses_shared_trials_only() -> None:
    result = mcnemar({0: True, 1: True, 2: False}, {1: True, 2: False, 3: True})
    assert (result.shared, result.only_first, result.only_second) == (2, 0, 0)
    assert result.p_value == 1.0
    with pytest.raises(ValueError, match="share no trial"):
        mcnemar({0: True}, {1: True})
