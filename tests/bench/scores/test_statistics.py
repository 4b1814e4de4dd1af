from math import comb
from typing import Any

import numpy as np
import pytest
from scipy.stats import binom, binomtest, fisher_exact, multinomial
from statsmodels.stats.contingency_tables import mcnemar as other_mcnemar
from statsmodels.stats.multitest import multipletests
from statsmodels.stats.proportion import proportion_confint

from dexbench.bench.ledger.outcome import outcome
from dexbench.bench.scores.power import smallest_difference, smallest_unpaired_difference
from dexbench.bench.scores.ranking import compare_pairs, holm, ranks
from dexbench.bench.scores.statistics import (
    McNemar,
    mcnemar,
    paired_interval,
    success_curve,
    wilson,
)
from dexbench.envs.trial import HELD_STEPS


@pytest.mark.parametrize(
    ("successes", "low", "high"),
    [(25, 0.366, 0.634), (36, 0.583, 0.825), (45, 0.786, 0.957), (0, 0.0, 0.071), (50, 0.929, 1)],
)
def test_wilson_at_50_trials(successes: int, low: float, high: float) -> None:
    assert wilson(successes, 50) == pytest.approx((low, high), abs=5e-4)


def test_wilson_refuses_more_successes_than_trials() -> None:
    with pytest.raises(ValueError):
        wilson(3, 2)


def test_wilson_agrees_with_statsmodels() -> None:
    for trials in (1, 7, 50):
        for successes in range(trials + 1):
            other = proportion_confint(successes, trials, alpha=0.1, method="wilson")
            assert wilson(successes, trials, 0.9) == pytest.approx(other, abs=1e-12)


def coverage(rates: np.ndarray) -> np.ndarray:
    """How often 50 trials at each rate give a Wilson interval that holds the rate."""
    low, high = np.array([wilson(successes, 50) for successes in range(51)]).T
    inside = (low[:, None] <= rates) & (rates <= high[:, None])
    return (binom.pmf(np.arange(51)[:, None], 50, rates) * inside).sum(axis=0)


def test_wilson_covers_at_50_trials() -> None:
    covered = coverage(np.linspace(0.02, 0.98, 97))
    assert covered.mean() == pytest.approx(0.951, abs=5e-4)
    assert covered.min() == pytest.approx(0.922, abs=5e-4)
    # Between the points of that grid and outside it there are narrow dips.
    ends = np.array([wilson(successes, 50) for successes in range(51)]).ravel()
    ends = np.concatenate([ends - 1e-9, ends + 1e-9])
    assert coverage(ends[(ends > 0.05) & (ends < 0.95)]).min() == pytest.approx(0.931, abs=1e-3)
    assert coverage(ends[(ends > 0.001) & (ends < 0.999)]).min() == pytest.approx(0.84, abs=5e-3)


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


def paired(shared: int, only_first: int, only_second: int) -> McNemar:
    return McNemar(shared, only_first, only_second, 1.0)


def test_the_interval_of_a_paired_difference() -> None:
    # By hand, of 16 and 0 discordant trials: (17 - 1) / 22, and 1.96 standard errors.
    middle, error = 16 / 22, np.sqrt((18 / 22 - (16 / 22) ** 2) / 22)
    low, high = paired(20, 16, 0).interval()
    assert (low, high) == pytest.approx((middle - 1.959964 * error, middle + 1.959964 * error))
    assert paired(20, 16, 0).gap == 0.8 and low < 0.8 < high
    assert paired(20, 0, 16).interval() == pytest.approx((-high, -low))
    assert paired(20, 20, 0).interval()[1] == 1.0 and paired(1, 0, 1).interval()[0] == -1.0
    narrow, wide = (paired(20, 5, 2).interval(level) for level in (0.5, 0.99))
    assert wide[0] < narrow[0] < narrow[1] < wide[1]


@pytest.mark.parametrize("hard", [0.2, 1.0, 5.0])
def test_the_interval_of_means_over_repeats_covers(hard: float) -> None:
    """20 trials of 3 plays, drawn from all; they differ in how hard they are, a lot or hardly."""
    draw = np.random.default_rng(0)

    def chances(count: int) -> np.ndarray:
        both, own = draw.beta(hard, hard, count), draw.beta(hard, hard, (2, count))
        return np.clip(0.7 * both + 0.3 * own + [[0.15], [0.0]], 0, 1)

    first, second = chances(100_000)
    truth = (first - second).mean()
    inside = []
    for _ in range(2000):
        rates = [(draw.random((3, 20)) < p).mean(0) for p in chances(20)]
        low, high = paired_interval(list(rates[0] - rates[1]))
        inside.append(low <= truth <= high)
    assert 0.95 <= np.mean(inside) <= 0.995


def test_the_paired_interval_covers_at_20_trials() -> None:
    counts = np.array([(a, b) for a in range(21) for b in range(21 - a)])
    low, high = np.array([paired(20, int(a), int(b)).interval() for a, b in counts]).T
    covered = []
    for first in np.arange(0, 1.001, 0.05):
        for second in np.arange(0, 1.001 - first, 0.05):
            rates = [first, second, max(1 - first - second, 0.0)]
            probable = multinomial.pmf(np.c_[counts, 20 - counts.sum(1)], 20, rates)
            gap = first - second
            covered.append(probable[(low <= gap + 1e-9) & (gap - 1e-9 <= high)].sum())
    assert np.mean(covered) == pytest.approx(0.960, abs=1e-3)
    assert min(covered) == pytest.approx(0.928, abs=1e-3)


def test_mcnemar_agrees_with_statsmodels() -> None:
    rng = np.random.default_rng(0)
    for _ in range(50):
        solved = rng.random((2, 30)) < rng.random((2, 1))
        first, second = (dict(enumerate(map(bool, row))) for row in solved)
        table = [[sum((solved[0] == a) & (solved[1] == b)) for b in (1, 0)] for a in (1, 0)]
        other = other_mcnemar(table, exact=True).pvalue
        assert mcnemar(first, second).p_value == pytest.approx(other, abs=1e-12)


def test_success_curve_counts_held_distances_below_the_threshold() -> None:
    curve = success_curve([0.05, 0.10, None, 0.30], [0.05, 0.06, 0.2, 1.0])
    assert curve.rate == (0.0, 0.25, 0.5, 0.75)  # 0.05 itself is not below 0.05
    assert (curve.low[2], curve.high[2]) == wilson(2, 4)
    with pytest.raises(ValueError):
        success_curve([], [0.1])


def random_trials(count: int) -> list[tuple[list[float], list[bool]]]:
    """Distances of 61 steps and gates of 60, with and without spells near the goal."""
    rng = np.random.default_rng(1)
    trials = []
    for _ in range(count):
        walk = 0.15 + rng.normal(0, 0.02, 61).cumsum()
        gates = rng.random(60) < rng.choice([0.5, 0.97, 1.0])
        trials.append((np.abs(walk).round(6).tolist(), gates.tolist()))
    return trials


def played(distances: list[float], gates: list[bool], threshold: float) -> dict[str, Any]:
    """The trial's outcome had the task's threshold been another."""
    run, held = 0, []
    for distance, gate in zip(distances[1:], gates, strict=True):
        run = run + 1 if gate and distance < threshold else 0
        held.append(run >= HELD_STEPS)
    return outcome(distances, gates, held, None)


def test_the_curve_is_what_playing_against_each_threshold_gives() -> None:
    thresholds = [0.0, 0.03, 0.08, 0.1, 0.15, 0.2, 0.3, 0.5]
    trials = random_trials(200)
    kept = [played(*trial, 0.15)["held_distance"] for trial in trials]
    curve = success_curve(kept, thresholds)
    for threshold, rate in zip(thresholds, curve.rate, strict=True):
        rows = [played(*trial, threshold) for trial in trials]
        assert rate == sum(row["success"] for row in rows) / 200
        assert all(row["success"] or not row["held_at_end"] for row in rows)
    assert 0.05 < curve.rate[4] < 0.95
    for band in (curve.rate, curve.low, curve.high):
        assert list(band) == sorted(band)
    ends = zip(curve.low, curve.rate, curve.high, strict=True)
    assert all(low <= rate <= high for low, rate, high in ends)


def test_holm_agrees_with_statsmodels() -> None:
    rng = np.random.default_rng(2)
    for count in (1, 2, 6, 21):
        p_values = (rng.random(count) ** 4).tolist()
        other = multipletests(p_values, method="holm")[1]
        assert holm(p_values) == pytest.approx(other.tolist(), abs=1e-12)
    assert holm([]) == []


def solving(*solved: range) -> dict[int, bool]:
    return {trial: any(trial in part for part in solved) for trial in range(50)}


def test_a_rank_counts_the_agents_that_are_better() -> None:
    agents = {
        "low": solving(range(2)),
        "high": solving(range(41)),
        "none": solving(),
        "middle": solving(range(1, 26)),
    }
    assert list(ranks(agents).items()) == [("high", 1), ("middle", 2), ("low", 3), ("none", 3)]
    assert ranks({"only": solving()}) == {"only": 1}
    pair = compare_pairs(agents)[0]
    assert (pair.better, pair.worse) == ("high", "middle")
    assert (pair.test.only_first, pair.test.only_second) == (16, 0)
    assert pair.holm == pytest.approx(2 * 2 / 2**16)  # the fifth of six


def test_the_end_of_a_chain_ranks_behind_its_start() -> None:
    agents = {"a": solving(range(20)), "b": solving(range(15)), "c": solving(range(10))}
    separated = {(p.better, p.worse): p.separated() for p in compare_pairs(agents)}
    assert separated == {("a", "b"): False, ("a", "c"): True, ("b", "c"): False}
    assert ranks(agents) == {"a": 1, "b": 1, "c": 2}


def test_ranks_go_before_rates() -> None:
    """One agent that played few trials is not shown to be worse than the best."""
    agents = {
        "best": solving(range(45)),
        "other": solving(range(20)),
        "few": {trial: trial < 2 for trial in range(8)},
    }
    assert list(ranks(agents).items()) == [("best", 1), ("few", 1), ("other", 2)]


def test_agents_that_share_no_trial_are_not_ranked() -> None:
    with pytest.raises(ValueError, match="share no trial"):
        ranks({"a": {0: True}, "b": {1: True}})


@pytest.mark.parametrize("only_worse", [0.0, 0.04, 0.1])
def test_the_smallest_difference_is_shown_as_often_as_said(only_worse: float) -> None:
    gap = smallest_difference(50, only_worse=only_worse)
    assert gap is not None
    shown = {
        (better, worse): binomtest(worse, worse + better).pvalue <= 0.05
        for worse in range(20)
        for better in range(worse + 1, 51 - worse)
    }

    def power(gap: float) -> float:
        """Every way in which 50 trials can fall, by another road than the code's."""
        total = 0.0
        for worse in range(20):  # more than that are as good as impossible
            chance = binom.pmf(worse, 50, only_worse)
            share = (gap + only_worse) / (1 - only_worse)
            chances = chance * binom.pmf(range(51), 50 - worse, share)
            total += sum(chances[b] for b in range(51) if shown.get((b, worse)))
        return total

    assert power(gap) == pytest.approx(0.8, abs=1e-4)
    assert power(gap - 0.01) < 0.8


def test_the_smallest_unpaired_difference_is_shown_as_often_as_said() -> None:
    gap = smallest_unpaired_difference(20)
    assert gap is not None
    total = 0.0
    for better in range(21):
        for worse in range(better):
            if fisher_exact([[better, 20 - better], [worse, 20 - worse]])[1] <= 0.05:
                rates = binom.pmf(better, 20, 0.5 + gap / 2), binom.pmf(worse, 20, 0.5 - gap / 2)
                total += rates[0] * rates[1]
    assert total == pytest.approx(0.8, abs=1e-4)


def test_smallest_differences_that_the_documents_quote() -> None:
    assert smallest_difference(50) == pytest.approx(0.154, abs=1e-3)
    assert smallest_difference(50, only_worse=0.1) == pytest.approx(0.282, abs=1e-3)
    assert smallest_unpaired_difference(50) == pytest.approx(0.290, abs=1e-3)
    # Fewer than six discordant trials never reach p = 0.05.
    assert smallest_difference(5) is None
    assert smallest_difference(6) is not None
    assert smallest_unpaired_difference(3) is None


def test_a_lead_that_shared_trials_contradict_separates_nobody() -> None:
    often = {trial: trial >= 10 for trial in range(50)}
    short = {trial: trial < 7 for trial in range(10)}
    (pair,) = compare_pairs({"often": often, "short": short})
    assert (pair.better, pair.test.only_first, pair.test.only_second) == ("often", 0, 7)
    assert pair.holm < 0.05 and not pair.separated()
    assert ranks({"often": often, "short": short}) == {"often": 1, "short": 1}
