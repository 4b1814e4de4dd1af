"""What the page says, without how it looks: numbers and words taken from ledgers."""

import shlex
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import groupby
from typing import Any

from dexbench.agents.registry import AGENTS
from dexbench.bench.ledger.entries import Entry, check_agree, check_pairable, played_alike
from dexbench.bench.ledger.planning import planner_and_cost
from dexbench.bench.ledger.rows import Row, hides_robot
from dexbench.bench.ledger.task_names import in_order
from dexbench.bench.scores.compare import resolution, show_p
from dexbench.bench.scores.novelty import Count, find_new, tally
from dexbench.bench.scores.ranking import compare_pairs, ranks
from dexbench.bench.scores.summary import summarise
from dexbench.envs.embodiment.robot import CONTROL_HZ
from dexbench.envs.task_names import SUITE_TASKS, TASKS
from dexbench.utils.errors import UserError

COLOURS = 6
"""Colours for competitors in page.css; further ones are told apart by dashes."""
BOUND_COLOURS = (6, 7)
"""Greys for privileged agents."""
DASHES = ((), (4.0, 1.5), (1.2, 1.2), (6.0, 1.5, 1.2, 1.5))


@dataclass(frozen=True)
class Style:
    """How an agent is drawn throughout the page."""

    colour: int
    """Number of the CSS variable: ``var(--c0)`` and so on."""
    dashes: tuple[float, ...] = ()
    """Lengths on and off in line widths; a solid line if empty."""

    @property
    def css(self) -> str:
        """The colour in CSS."""
        return f"var(--c{self.colour})"


@dataclass(frozen=True)
class AgentContent:
    """An agent: a line of every table and a curve of every figure."""

    name: str
    privileged: bool
    style: Style
    entries: dict[str, Entry]
    """By task; a task that it has not played is missing."""
    scores: dict[str, dict[str, Any]]
    """`summarise`'s numbers by task."""
    planner: str
    """Its name, as `planner_and_cost` has it; several are joined."""
    cost: str
    """Likewise."""


@dataclass(frozen=True)
class TaskContent:
    """How the agents without privileges compare on a task."""

    name: str
    ranks: dict[str, int]
    """Rank of each agent, the best first; empty if the trials cannot be paired."""
    pairs: list[dict[str, Any]]
    """Names, counts and p-values, a dict for each two agents."""
    note: str
    """The smallest difference that could have been shown, or why there are no ranks."""
    trials: list[int]
    """Trials that anybody played, those that most agents solved first."""
    novelty: dict[str, dict[tuple[str, bool], Count]]
    """Each agent's counts by what is new to training; empty if that is not known."""

    def rank(self, agent: str) -> int | None:
        """Return the agent's rank; None for privileged agents and where there are none."""
        return self.ranks.get(agent)


def tasks_of(entries: Sequence[Entry]) -> list[str]:
    """Return the tasks that were played: dexbench's in their order, then the user's by name."""
    return in_order(entry.task for entry in entries)


def describe_agents(entries: Sequence[Entry]) -> list[AgentContent]:
    """Return the agents, competitors first, and among them whoever solved most.

    Raises:
        UserError: The entries are of several suites.
    """
    check_agree(entries, ["suite"])
    by_agent: dict[str, dict[str, Entry]] = {}
    for entry in entries:
        by_agent.setdefault(entry.agent, {})[entry.task] = entry
    scores = {
        name: {task: summarise(entry.rows) for task, entry in played.items()}
        for name, played in by_agent.items()
    }
    bounds = {entry.agent for entry in entries if entry.privileged}

    def order(name: str) -> tuple[Any, ...]:
        solved = sum(score["successes"] for score in scores[name].values())
        return name in bounds, -solved, name

    names = sorted(by_agent, key=order)
    split = len(names) - len(bounds)
    return [
        AgentContent(
            name,
            name in bounds,
            _style(index - split if name in bounds else index, name in bounds),
            by_agent[name],
            scores[name],
            *_planners(by_agent[name].values()),
        )
        for index, name in enumerate(names)
    ]


def _planners(entries: Iterable[Entry]) -> tuple[str, str]:
    """Return the names of an agent's planners and of its costs."""
    names = [planner_and_cost(row) for entry in entries for row in entry.rows]
    planners, costs = (" / ".join(sorted(set(column))) for column in zip(*names, strict=True))
    return planners, costs


def _style(index: int, bound: bool) -> Style:
    if bound:
        return Style(BOUND_COLOURS[index % 2], DASHES[1 + index % 3])
    return Style(index % COLOURS, DASHES[index // COLOURS % len(DASHES)])


def describe_task(task: str, agents: Sequence[AgentContent]) -> TaskContent:
    """Rank and pairs of a task, or why there are none."""
    entries = [agent.entries[task] for agent in agents if task in agent.entries]
    all_rivals = [entry for entry in entries if not entry.privileged]
    rivals = played_alike(all_rivals)
    solved = {entry.agent: entry.solved for entry in rivals}
    rank_of: dict[str, int] = {}
    pairs: list[dict[str, Any]] = []
    try:
        check_pairable(rivals)
        rank_of = ranks(solved)
        comparisons = compare_pairs(solved)
        pairs = [
            {
                "better": pair.better,
                "worse": pair.worse,
                "test": pair.test,
                "p": show_p(pair.test.p_value),
                "holm": show_p(pair.holm),
                "separated": pair.separated(),
            }
            for pair in comparisons
        ]
        note = resolution(comparisons) if comparisons else "There are not two agents to compare."
        if left := [entry.agent for entry in all_rivals if entry not in rivals]:
            note += (
                f" Not ranked: {', '.join(left)}, played with another MuJoCo or OpenGL renderer."
            )
    except UserError as error:
        note = f"Not ranked: {error}."
    wins: dict[int, int] = {}
    for entry in entries:
        for trial, success in entry.solved.items():
            wins[trial] = wins.get(trial, 0) + success
    trials = sorted(wins, key=lambda trial: (-wins[trial], trial))
    new = find_new(entries)
    novelty = {entry.agent: tally(entry, new) for entry in entries} if new else {}
    return TaskContent(task, rank_of, pairs, note, trials, novelty)


def describe_trial(row: Row) -> str:
    """Return a line on a trial, for who hovers over it."""
    if row["error"] is not None:
        outcome = f"error: {row['error']}"
    elif row["success"]:
        outcome = f"solved after {row['steps_to_success'] / CONTROL_HZ:.1f} s"
    else:
        outcome = "not solved"
    return (
        f"trial {row['trial']}: {outcome}; distance {100 * row['final_distance']:.1f} cm at the "
        f"end, {100 * row['min_distance']:.1f} cm at the least"
    )


def decision_times(agent: AgentContent) -> dict[str, Any]:
    """Return seconds of a decision by task, the slowest trial's mean, and hours played in all."""
    rows = [row for entry in agent.entries.values() for row in entry.rows]
    timings = [row["timing"] for row in rows if row["timing"]["decisions"]]
    return {
        "tasks": {task: score["decision_seconds"] for task, score in agent.scores.items()},
        "slowest": max((t["decision_s"] / t["decisions"] for t in timings), default=None),
        "hours": sum(row["timing"]["wall_s"] for row in rows) / 3600,
    }


def facts(agents: Sequence[AgentContent]) -> tuple[dict[str, str], dict[str, dict[str, str]]]:
    """With what the trials were played.

    Returns:
        What all rows share, by its name; and what differs, by its name and agent.
    """
    values_of: dict[str, dict[str, set[str]]] = {}
    for agent in agents:
        for entry in agent.entries.values():
            for row in entry.rows:
                for name, value in _facts(row).items():
                    values_of.setdefault(name, {}).setdefault(agent.name, set()).add(value)
    shared: dict[str, str] = {}
    differing: dict[str, dict[str, str]] = {}
    for name, values in values_of.items():
        everything = set().union(*values.values())
        if len(everything) == 1 and len(values) == len(agents):
            shared[name] = everything.pop()
        else:
            differing[name] = {agent: " | ".join(sorted(v)) for agent, v in values.items()}
    return shared, differing


def _facts(row: Row) -> dict[str, str]:
    arguments = " ".join(f"{key}={value}" for key, value in row["agent_args"].items())
    return {
        "suite": str(row["suite"]),
        "suite hash": row["suite_hash"][:16],
        **{name: str(version) for name, version in row["versions"].items()},
        "OpenGL renderer": row["renderer"],
        "threads": str(row["threads"]),
        "dtype": str(row.get("dtype", "-")),
        "arguments": arguments or "-",
        "weights": (row["weights_hash"] or "-")[:16],
        "pre-training": str(row["pretraining"]),
    }


def commands(agents: Sequence[AgentContent]) -> list[str]:
    """Shell lines that play the trials again, into the folder ``runs``, and write the page.

    Ledgers do not say where the module and the suite of a user's task are: MODULE and FOLDER
    stand for them.
    """
    lines = []
    for agent in agents:
        plays = [_play(entry) for entry in agent.entries.values()]
        played = set(agent.entries)
        if len(set(plays)) == 1 and any(played == set(tasks) for tasks in SUITE_TASKS.values()):
            tasks = ["all"]
        else:
            tasks = list(agent.entries)
        for task in tasks:
            play = plays[0] if task == "all" else _play(agent.entries[task])
            asked = task if task in (*TASKS, "all") else f"MODULE:{task}"
            line = f"dexbench run --agent {shlex.quote(agent.name)} --task {asked} {play}"
            known = agent.name in AGENTS or ":" in agent.name
            lines.append(line if known else f"{line}  # a --name: put its agent")
    return [*lines, "dexbench report runs --out report.html"]


def _play(entry: Entry) -> str:
    """Return the options that all trials of an entry share."""
    first = entry.rows[0]
    suite = first["suite"] if entry.task in TASKS else f"FOLDER/{first['suite']}"
    words = ["--trials", str(max(entry.solved) + 1), "--suite", suite]
    if first["threads"] != 1:
        words += ["--threads", str(first["threads"])]
    if hides_robot(first):
        words.append("--hide-robot")
    if first["agent_args"]:
        pairs = (f"{key}={value}" for key, value in first["agent_args"].items())
        words += ["--agent-args", *map(shlex.quote, pairs)]
    return " ".join(words)


def errors(agents: Sequence[AgentContent]) -> list[dict[str, Any]]:
    """Return trials that ended in an error, equal ones of an agent and task in one line."""
    lines = []
    for agent in agents:
        for task, entry in agent.entries.items():
            failed = sorted((row["error"], row["trial"]) for row in entry.rows if row["error"])
            for error, rows in groupby(failed, key=lambda pair: pair[0]):
                trials = ", ".join(str(trial) for _, trial in rows)
                lines.append({"agent": agent.name, "task": task, "trials": trials, "error": error})
    return lines
