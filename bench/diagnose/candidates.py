"""The candidates of a plan, all simulated: what they were predicted to cost, and what they cost."""

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from dexbench.bench.ledger.rows import Row

if TYPE_CHECKING:
    from dexbench.agents.planning.optimiser import Plan
    from dexbench.agents.planning.waypoint_agent import WaypointAgent
    from dexbench.agents.reference.oracle import Oracle
    from dexbench.agents.reference.sim_cem import Moment

SIMULATED = {
    "spearman_first": "rank correlation of predicted and true cost over the first candidates",
    "spearman_last": "the same over the last iteration's",
    "spearman_seen": "of the first candidates, with pictures of what came of them for predictions",
    "elites_first": "true rank of the first elites: 0 the best candidates, 0.5 chance, 1 the worst",
    "elites_last": "the same of the last ones, among the last candidates",
    "regret_cm": "true cost of the plan chosen less that of the best candidate of both iterations",
    "random_regret_cm": "the same of a random plan: the mean over the first candidates",
    "promised_sd": "predicted cost of the plan chosen, against the first candidates'",
    "realised_sd": "its true cost, against theirs",
    "gap_sd": "promised less realised: 0 for a random plan, below 0 if it costs more than promised",
    "elites_gap_sd": "mean gap of the first elites: what choosing alone makes of it",
    "gap_rank": "share of the first candidates whose gap is below that of the plan chosen",
}
"""What is measured of each decision's candidates. True costs are ``oracle``'s, in cm where a column
says so. Predicted ones have another unit; so either is counted in standard deviations (sd) of the
first candidates' own, from their mean. These are random plans: no prediction has chosen them."""


@dataclass(frozen=True)
class Iteration:
    """The candidates of one iteration."""

    predicted: NDArray[np.float64]
    """``(N,)`` costs that the planner's model predicts."""
    true: NDArray[np.float64]
    """``(N,)`` in m; infinite where the simulation diverges."""
    elites: NDArray[np.int64]
    """``(K,)`` indices of those that the planner went on with."""
    seen: NDArray[np.float64] | None = None
    """``(N,)`` costs by the planner's own cost, had it foreseen what came of them: with pictures of
    it in place of predictions. None where it has no cost of pictures, or was not asked."""


@dataclass(frozen=True)
class Judged:
    """The candidates of one decision."""

    first: Iteration
    last: Iteration
    predicted: float
    """Cost of the plan chosen as the planner's model predicts it."""
    true: float
    """Its cost in m."""


def judge(
    agent: "WaypointAgent",
    plan: "Plan",
    context: Any,
    predicted: float,
    oracle: "Oracle",
    begin: "Moment",
) -> Judged | None:
    """Simulate the candidates of the first iteration and of the last, and the plan chosen.

    Args:
        agent: Made the plan.
        plan: What the optimiser found.
        context: What the plan was based on.
        predicted: Predicted cost of the waypoints that were chosen.
        oracle: Simulates; bound to the trial's environment.
        begin: Where the decision was made.

    Returns:
        What they cost; None of a plan that does not say what it tried.
    """
    if not plan.populations:
        return None
    tried = [plan.populations[0], *plan.populations[1:][-1:]]
    iterations = [
        Iteration(
            population.costs.double().numpy(),
            oracle.cost(population.candidates, begin).double().numpy(),
            population.elites.numpy(),
        )
        for population in tried
    ]
    true = float(oracle.cost(agent.chosen(plan)[None], begin)[0])
    tried_first = plan.populations[0].candidates
    seen = agent.cost_seen(tried_first, oracle.pictures(tried_first, begin), context)
    if seen is None:
        return Judged(iterations[0], iterations[-1], predicted, true)
    costs = np.where(np.isfinite(iterations[0].true), seen.double().numpy(), np.inf)
    return Judged(replace(iterations[0], seen=costs), iterations[-1], predicted, true)


def measure(judged: Judged | None) -> Row:
    """Return the numbers of `SIMULATED`.

    A rollout that diverges has the worst rank, and no part in means.

    Args:
        judged: A decision's candidates; None has no numbers.

    Returns:
        The columns; None where there is no such thing, as where all candidates cost the same.
    """
    row: Row = dict.fromkeys(SIMULATED)
    if judged is None:
        return row
    first, last = judged.first, judged.last
    row |= {
        "spearman_first": spearman(first),
        "spearman_last": spearman(last),
        "spearman_seen": None
        if first.seen is None
        else spearman(replace(first, predicted=first.seen)),
        "elites_first": elite_rank(first),
        "elites_last": elite_rank(last),
    }
    random = _mean(first.true)
    if random is not None:
        best = min(first.true.min(), last.true.min())
        row["regret_cm"] = _known(100 * (judged.true - best))
        row["random_regret_cm"] = float(100 * (random - best))
    standard = standardised(judged)
    if standard is None:
        return row
    gap = standard.predicted - standard.true
    gaps = standard.first.predicted - standard.first.true
    known = gaps[np.isfinite(gaps)]
    return row | {
        "promised_sd": _known(standard.predicted),
        "realised_sd": _known(standard.true),
        "gap_sd": _known(gap),
        "elites_gap_sd": _mean(gaps[first.elites]),
        "gap_rank": float((known < gap).mean()) if np.isfinite(gap) else None,
    }


def standardised(judged: Judged) -> Judged | None:
    """Return all costs in standard deviations of the first candidates', from their mean.

    Returns:
        The same decision, what is infinite as not a number; None if the first candidates' predicted
        or true costs do not differ.
    """
    first, last = judged.first, judged.last
    finite = np.isfinite(first.predicted) & np.isfinite(first.true)
    predicted, true = first.predicted[finite], first.true[finite]
    if min(len(np.unique(predicted)), len(np.unique(true))) < 2:
        return None

    def scale(costs: Any, of: NDArray[np.float64]) -> Any:
        return (np.where(np.isfinite(costs), costs, np.nan) - of.mean()) / of.std()

    def scaled(tried: Iteration) -> Iteration:
        costs = scale(tried.predicted, predicted), scale(tried.true, true)
        return replace(tried, predicted=costs[0], true=costs[1])

    return Judged(
        scaled(first),
        scaled(last),
        float(scale(judged.predicted, predicted)),
        float(scale(judged.true, true)),
    )


def spearman(iteration: Iteration) -> float | None:
    """Return the rank correlation of predicted and true cost; None if either does not differ."""
    from scipy.stats import spearmanr

    if min(len(np.unique(costs)) for costs in (iteration.predicted, iteration.true)) < 2:
        return None
    return float(spearmanr(iteration.predicted, iteration.true).statistic)


def elite_rank(iteration: Iteration) -> float:
    """Return the elites' mean rank by true cost, as a share of the candidates.

    Ranks are counted in the middle, so that chance has 0.5 however many candidates there are, and
    the K best of N have K / 2N.
    """
    from scipy.stats import rankdata

    ranks = (rankdata(iteration.true) - 0.5) / len(iteration.true)
    return float(ranks[iteration.elites].mean())


def _mean(values: NDArray[np.float64]) -> float | None:
    """Return the mean of those that are numbers; None if none is."""
    known = values[np.isfinite(values)]
    return float(known.mean()) if len(known) else None


def _known(value: float) -> float | None:
    """Return the value, or None for what is not finite."""
    return float(value) if np.isfinite(value) else None
