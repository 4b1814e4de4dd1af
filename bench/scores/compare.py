"""``dexbench compare``: which agents are ahead of which, on the trials that they share."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from tyro.conf import Positional

from dexbench.bench.ledger.entries import (
    Entry,
    check_pairable,
    first_trials,
    leave_hidden,
    read_entries,
)
from dexbench.utils.errors import UserError, at_least

from .power import smallest_difference, smallest_unpaired_difference
from .ranking import Pair, by_rate, compare_pairs, ranks
from .statistics import paired_interval
from .summary import text_table

RULE = "An agent's rank is one more than the number of agents that are significantly better."


@dataclass(frozen=True)
class CompareConfig:
    """Compares agents in pairs on the trials of a task that both played (exact McNemar)."""

    task: str
    """Which task: one of dexbench's, or your own."""
    ledgers: Positional[tuple[Path, ...]] = (Path("results"),)
    """Folders that are searched for trials.jsonl files."""
    agents: tuple[str, ...] = ()
    """Which agents; by default all but the privileged ones and those of --hide-robot. The more
    pairs, the stronger Holm's correction."""
    trials: int | None = None
    """Compare on the first so many trials of the suite; on all by default."""


def main(config: CompareConfig) -> None:
    """Print pairs, ranks and the smallest difference that could have been shown.

    Raises:
        UserError: As `choose`, or the trials do not pair.
    """
    entries = choose(read_entries(config.ledgers), config)
    check_pairable(entries)
    agents = {entry.agent: entry.solved for entry in entries}
    pairs = compare_pairs(agents)
    print(pair_table(pairs))
    if any(entry.repeats for entry in entries):
        print(f"\nover all repeats\n{repeat_table(pairs, entries)}")
    print(f"\nrank  agent ({config.task})")
    for name, rank in ranks(agents).items():
        print(f"{rank:4}  {name} {sum(agents[name].values())}/{len(agents[name])}")
    print(f"\n{RULE}\n{resolution(pairs)}")


def choose(entries: Sequence[Entry], config: CompareConfig) -> list[Entry]:
    """Return the entries of the task and agents that were asked for.

    Raises:
        UserError: ``trials`` is below 1, the task or an agent has no trials, or fewer than two
            agents are left.
    """
    at_least(1, trials=config.trials)
    played = [entry for entry in entries if entry.task == config.task]
    if not played:
        tasks = ", ".join(sorted({entry.task for entry in entries}))
        raise UserError(f"there are no {config.task} trials; the ledgers hold {tasks}")
    if config.trials is not None:
        played = first_trials(played, config.trials)
        if not played:
            raise UserError(
                f"nobody played the first {config.trials} {config.task} trials; raise --trials"
            )
    rivals = leave_hidden([entry for entry in played if not entry.privileged])
    names = config.agents or by_rate({entry.agent: entry.solved for entry in rivals})
    chosen = [entry for entry in played if entry.agent in names]
    for name in names:
        if name not in {entry.agent for entry in chosen}:
            known = ", ".join(sorted({entry.agent for entry in played}))
            raise UserError(f"{name} has no {config.task} trials there; choose from {known}")
    if len(chosen) < 2:
        raise UserError(
            f"{len(chosen)} agents to compare on {config.task}, expected 2 or more; privileged "
            "ones take part if --agents names them"
        )
    return chosen


def pair_table(pairs: Sequence[Pair]) -> str:
    """Return a line for each pair: discordant trials, the difference, p-value, and Holm's."""
    header = ["A", "B", "shared", "only A", "only B", "A - B", "95% interval"]
    header += ["p", "p (Holm)", "separated"]
    lines = [
        [
            *(pair.better, pair.worse, str(pair.test.shared)),
            *(str(pair.test.only_first), str(pair.test.only_second)),
            *(f"{pair.test.gap:+.1%}", show_interval(pair)),
            *(show_p(pair.test.p_value), show_p(pair.holm), "yes" if pair.separated() else "no"),
        ]
        for pair in pairs
    ]
    return text_table(header, lines, left=2)


def repeat_table(pairs: Sequence[Pair], entries: Sequence[Entry]) -> str:
    """Return a line for each pair: the difference over all plays of the trials that both played.

    A trial's plays are averaged first: more plays take out an agent's own noise, and do not make
    more trials.
    """
    header = ["A", "B", "shared", "plays of A", "plays of B", "A - B", "95% interval"]
    by_name = {entry.agent: entry for entry in entries}
    lines = []
    for pair in pairs:
        first, second = by_name[pair.better], by_name[pair.worse]
        shared = first.rates.keys() & second.rates.keys()
        differences = [first.rates[trial] - second.rates[trial] for trial in sorted(shared)]
        low, high = paired_interval(differences)
        plays = [
            str(sum(row["trial"] in shared for row in (*entry.rows, *entry.repeats)))
            for entry in (first, second)
        ]
        gap = sum(differences) / len(differences)
        lines.append(
            [
                *(pair.better, pair.worse, str(len(shared)), *plays),
                *(f"{gap:+.1%}", f"{low:+.1%} to {high:+.1%}"),
            ]
        )
    return text_table(header, lines, left=2)


def show_interval(pair: Pair) -> str:
    """Return the paired interval of the difference in points, as the table shows it."""
    low, high = pair.test.interval()
    return f"{low:+.1%} to {high:+.1%}"


def show_p(p_value: float) -> str:
    """Return a p-value with as many digits as it deserves."""
    return "< 0.001" if p_value < 0.001 else f"{p_value:.3f}"


def resolution(pairs: Sequence[Pair]) -> str:
    """Return a sentence on the smallest difference that the pairs' trials can show.

    Args:
        pairs: At least one; the smallest number of shared trials counts.
    """
    trials = min(pair.test.shared for pair in pairs)
    nested = smallest_difference(trials)
    if nested is None:
        return (
            f"{trials} shared trials cannot separate two agents: p is above 0.05 even if one "
            "solves all of them and the other none."
        )
    crossed, unpaired = (
        "no gap is found so often" if gap is None else f"it takes {show_gap(gap)}"
        for gap in (
            smallest_difference(trials, only_worse=0.1),
            smallest_unpaired_difference(trials),
        )
    )
    return (
        f"With {trials} shared trials, a gap of {show_gap(nested)} is found in 4 of 5 cases (one "
        "pair, p < 0.05). This holds if the better agent solves all that the worse one solves. If "
        f"the worse one alone solves 10% of the trials, {crossed}. If the agents play different "
        f"trials, {trials} each, {unpaired}."
    )


def show_gap(gap: float) -> str:
    """Return a gap between success rates in whole points, rounded up."""
    return f"{math.ceil(100 * gap)} points"
