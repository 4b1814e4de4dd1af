"""The numbers that tell how well a planner told its candidates apart."""

from collections.abc import Iterator
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch

from dexbench.agents.planning.optimiser import Plan, Population
from dexbench.bench.diagnose.candidates import (
    SIMULATED,
    Iteration,
    Judged,
    elite_rank,
    judge,
    measure,
    spearman,
    standardised,
)

TRUE = np.array([0.2, 0.1, 0.4, 0.3])


def iteration(predicted: Any, true: Any, elites: Any = (0,)) -> Iteration:
    return Iteration(np.array(predicted, float), np.array(true, float), np.array(elites))


def sheet(*costs: float) -> torch.Tensor:
    """Candidates of one waypoint, told apart by their first joint."""
    return torch.tensor(costs)[:, None, None].expand(-1, 1, 23).clone()


class Simulates:
    """Stands for the oracle: a candidate's true cost is its first joint less where it begins."""

    def __init__(self) -> None:
        self.asked = 0

    def cost(self, sequences: torch.Tensor, begin: float) -> torch.Tensor:
        self.asked += len(sequences)
        return sequences[:, 0, 0] - begin

    def pictures(self, sequences: torch.Tensor, begin: float) -> Iterator[Any]:
        yield from (sequences[:, 0, 0] - begin).tolist()


class Planner:
    """Stands for the agent: it plays one waypoint, and what it sees costs twice the truth."""

    def __init__(self, waypoint: float, looks: bool = False) -> None:
        self.waypoint, self.looks = waypoint, looks

    def chosen(self, plan: Plan) -> torch.Tensor:
        return sheet(self.waypoint)[0]

    def cost_seen(self, sequences: torch.Tensor, pictures: Any, context: Any) -> Any:
        return 2 * torch.tensor(list(pictures)) + context if self.looks else None


def plan_of(*populations: Population) -> Plan:
    zeros = torch.zeros(1, 23)
    return Plan(zeros, zeros, zeros, 0.0, (), populations)


def tried(true: Any, predicted: Any) -> Population:
    costs = torch.tensor(predicted)
    return Population(sheet(*true), costs, costs.argsort()[:2])


def test_the_first_and_the_last_candidates_are_simulated_and_the_plan_chosen() -> None:
    oracle: Any = Simulates()
    agent: Any = Planner(7.0)
    populations = tried([4.0, 5, 6], [3.0, 1, 2]), tried([0.0] * 3, [0.0] * 3), tried([2.0], [9.0])
    judged = judge(agent, plan_of(*populations), None, 0.5, oracle, 1.0)  # type: ignore[arg-type]
    assert judged is not None
    assert judged.first.true.tolist() == [3, 4, 5] and judged.first.predicted.tolist() == [3, 1, 2]
    assert judged.first.elites.tolist() == [1, 2]
    assert judged.last.true.tolist() == [1] and judged.last.predicted.tolist() == [9]
    assert (judged.true, judged.predicted, oracle.asked) == (6.0, 0.5, 5)
    assert judged.first.seen is None and measure(judged)["spearman_seen"] is None


def test_the_first_candidates_are_judged_by_pictures_of_what_came_of_them() -> None:
    oracle, agent = Simulates(), Planner(4.0, looks=True)
    populations = tried([4.0, np.inf, 5], [3.0, 1, 2]), tried([0.0, 1], [0.0, 1])
    judged = judge(agent, plan_of(*populations), 10.0, 0.5, oracle, 1.0)  # type: ignore[arg-type]
    assert judged is not None and judged.first.seen is not None and judged.last.seen is None
    assert judged.first.seen.tolist() == [16, np.inf, 18]
    row = measure(judged)
    assert row["spearman_seen"] == 1.0 and row["spearman_first"] == -1.0


def test_a_single_iteration_is_simulated_once() -> None:
    oracle: Any = Simulates()
    agent: Any = Planner(4.0)
    judged = judge(agent, plan_of(tried([4.0, 5], [1.0, 2])), None, 1.0, oracle, 0.0)  # type: ignore[arg-type]
    assert judged is not None and oracle.asked == 3
    assert judged.first is judged.last


def test_a_plan_that_tried_nothing_has_no_numbers() -> None:
    nothing: Any = SimpleNamespace()
    assert judge(nothing, plan_of(), nothing, 1.0, nothing, nothing) is None
    assert measure(None) == dict.fromkeys(SIMULATED)


def test_every_column_measures_what_it_says() -> None:
    # Predicted costs are of another unit. Both have a standard deviation of sqrt(1.25) steps.
    first = iteration([10, 20, 30, 40], TRUE, (0,))
    last = iteration([7, 5, 6, 8], [0.08, 0.13, 0.09, 0.11], (1, 2))
    row = measure(Judged(first, last, 5.0, 0.12))
    sd = np.sqrt(1.25)
    assert list(row) == list(SIMULATED)
    assert row == pytest.approx(
        {
            "spearman_first": 0.6,
            "spearman_last": -0.4,
            "spearman_seen": None,
            "elites_first": 0.375,
            "elites_last": (0.875 + 0.375) / 2,
            "regret_cm": 4.0,
            "random_regret_cm": 17.0,
            "promised_sd": -2 / sd,
            "realised_sd": -1.3 / sd,
            "gap_sd": -0.7 / sd,
            # The candidates' gaps are -1, 1, -1 and 1 steps.
            "elites_gap_sd": -1 / sd,
            "gap_rank": 0.5,
        }
    )


def test_a_perfect_model_has_no_gap_in_whatever_unit() -> None:
    first = iteration(5 + 300 * TRUE, TRUE, (1,))
    row = measure(Judged(first, first, 5 + 300 * 0.1, 0.1))
    assert row["spearman_first"] == row["spearman_last"] == 1.0
    assert row["elites_first"] == 1 / 8 and row["regret_cm"] == 0
    assert row["promised_sd"] == pytest.approx(-1.5 / np.sqrt(1.25))
    assert row["gap_sd"] == pytest.approx(0) and row["elites_gap_sd"] == pytest.approx(0)


def test_the_mean_of_random_plans_has_no_gap() -> None:
    rng = np.random.default_rng(0)
    first = iteration(rng.normal(3, 9, 50), rng.normal(0.2, 0.1, 50), range(50))
    assert measure(Judged(first, first, 0.0, 0.0))["elites_gap_sd"] == pytest.approx(0)
    assert elite_rank(first) == pytest.approx(0.5)


def test_regret_is_below_zero_where_the_mean_beats_all_candidates() -> None:
    first = iteration([1, 2], [0.3, 0.2])
    assert measure(Judged(first, first, 0.0, 0.15))["regret_cm"] == pytest.approx(-5)


def test_what_diverges_ranks_last_and_counts_in_no_mean() -> None:
    first = iteration([1, 2, 3, 0], [0.1, 0.2, 0.3, np.inf], (3, 0))
    row = measure(Judged(first, first, 1.0, 0.2))
    assert row["elites_first"] == (0.875 + 0.125) / 2
    assert row["random_regret_cm"] == pytest.approx(10) and row["regret_cm"] == pytest.approx(10)
    spread = np.sqrt(2 / 3)
    assert row["promised_sd"] == pytest.approx(-1 / spread)
    assert row["elites_gap_sd"] == pytest.approx(0)
    row = measure(Judged(first, first, 1.0, np.inf))
    empty = {"spearman_seen", "regret_cm", "realised_sd", "gap_sd", "gap_rank"}
    assert {key for key, value in row.items() if value is None} == empty


def test_where_costs_do_not_differ_there_is_nothing_to_tell_apart() -> None:
    first = iteration([0.1] * 3, [0.3, 0.2, 0.1])
    assert spearman(first) is None and standardised(Judged(first, first, 0.1, 0.1)) is None
    row = measure(Judged(first, first, 0.1, 0.2))
    assert row["regret_cm"] == pytest.approx(10) and row["gap_sd"] is None
    lost = iteration([0.1, 0.2], [np.inf, np.inf])
    assert spearman(lost) is None
    assert measure(Judged(lost, lost, 0.1, np.inf))["random_regret_cm"] is None
