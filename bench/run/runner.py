"""``dexbench run``: plays an agent on a suite's frozen trials and keeps a ledger.

A trial that is in the ledger is not played again, so a run that was interrupted goes on where it
stopped when the same command is given again.
"""

import ast
import importlib
import math
import re
import sys
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from tqdm import tqdm

from dexbench.agents.registry import find_agent
from dexbench.bench.ledger.ledger import (
    ROWS_FILE,
    Ledger,
    Row,
    check_compatible,
    difference,
    plain,
    play_key,
    play_name,
    read_rows,
)
from dexbench.bench.ledger.task_names import rank, resolve
from dexbench.bench.scores.summary import score_table, summarise
from dexbench.envs.suite import DEFAULT
from dexbench.utils.errors import UserError

from .pool import Pool
from .worker import Backend, Job, Setup

if TYPE_CHECKING:
    from .ray_pool import RayPool


@dataclass(frozen=True)
class RunConfig:
    """Plays an agent on frozen trials, write a ledger and print the scores.

    Given again, the command plays only the trials that are missing in the ledger.
    """

    agent: str
    """A registered name (hold, random, prior, keypoint-fk, kinematic, sim-cem, expert, dexwm,
    diffusion-policy, diffusion-policy-lift), or your own as package.module:Class."""
    task: str
    """Which task: reach, grasp, place, all three (all), or your own as module:name."""
    trials: int | None = None
    """Play the first so many trials of the suite; all by default."""
    suite: str = DEFAULT
    """Name of the frozen suite, or the path of its folder; "mini" is v1's first five trials of each
    task, for a quick look."""
    repeats: int = 1
    """Play every trial so many times, with other seeds for the agent. Scores count the first;
    the others tell how much of a score is the agent's own noise."""
    workers: int = 1
    """Processes that play at the same time; the rows do not depend on it."""
    out: Path = Path("runs")
    """Folder of ledgers: OUT/SUITE/AGENT/TASK/trials.jsonl."""
    video: bool = False
    """Write an mp4 of every trial that is played: what the robot sees beside the goal."""
    fresh: bool = False
    """Delete the ledgers of this agent and task first, instead of resuming."""
    retry_errors: bool = False
    """Play the trials again that ended in an error; their rows are deleted first."""
    executor: Literal["local", "ray"] = "local"
    """Where the workers are: on this machine, or on those of a Ray cluster. dexbench and the agent
    must be on all of them, and paths in other options be absolute."""
    ray_address: str | None = None
    """Address of the Ray cluster; by default that in $RAY_ADDRESS, or one made of this machine."""
    decision_timeout: float = 600.0
    """Longest time for one decision in seconds; the trial then fails and the run goes on."""
    threads: int = 1
    """Threads of each worker; recorded, because the order of sums depends on it."""
    planner: str | None = None
    """Planning budget for agents that have several, such as dexwm: "cold", "paper", "paper-real".
    Short for --agent-args planner=NAME."""
    agent_args: tuple[str, ...] = ()
    """Arguments of the agent's class as KEY=VALUE, recorded with every row."""
    name: str | None = None
    """The agent's name in ledger and leaderboard, to keep variants apart."""


@dataclass(frozen=True)
class Run:
    """A checked `RunConfig`."""

    config: RunConfig
    tasks: tuple[str, ...]
    name: str
    """The agent's."""
    agent_args: dict[str, Any]
    suite_name: str
    suite_hash: str
    trials: dict[str, int]
    """How many of each task."""
    backend: Backend = field(default_factory=Backend)

    def folder(self, task: str) -> Path:
        """Return the folder of a task's ledger."""
        return self.config.out / self.suite_name / self.name.replace(":", ".") / task

    def asks_for(self, row: Row) -> bool:
        """Return whether the row's trial and repeat are part of the run."""
        trial, repeat = play_key(row)
        return trial < self.trials[row["task"]] and repeat < self.config.repeats


def check(config: RunConfig, backend: Backend | None = None) -> Run:
    """Check all that can be checked without making the agent.

    Args:
        config: What the user asked for.
        backend: Where environments and suites come from; dexbench's own by default.

    Returns:
        The run.

    Raises:
        UserError: Something in it is wrong. Nothing has been written.
    """
    backend = backend or Backend()
    find_agent(config.agent)
    for key in ("trials", "workers", "threads", "repeats"):
        number = getattr(config, key)
        if number is not None and number < 1:
            raise UserError(f"--{key} is {number}, expected at least 1")
    if not (config.decision_timeout > 0 and math.isfinite(config.decision_timeout)):
        raise UserError(
            f"--decision-timeout is {config.decision_timeout:g}, expected seconds, more than 0"
        )
    if config.ray_address is not None and config.executor != "ray":
        raise UserError("--ray-address is of use with --executor ray only; give both or neither")
    name = config.name or config.agent
    if not re.fullmatch(r"[\w.-]+(:\w+)?", name) or set(name) == {"."}:
        raise UserError(f"--name is {name!r}, expected letters, digits, '.', '_' and '-' only")
    tasks = resolve(config.task)
    module, _, class_name = backend.suite.partition(":")
    suite = getattr(importlib.import_module(module), class_name).load(config.suite)
    trials = {task: config.trials or suite.trials(task) for task in tasks}
    for task in tasks:
        if not suite.trials(task):
            raise UserError(
                f"suite {suite.name} has no {task} trials; choose another --suite or --task"
            )
        if trials[task] > suite.trials(task):
            raise UserError(
                f"--trials is {config.trials}, but suite {suite.name} has {suite.trials(task)} "
                f"{task} trials"
            )
    if config.out.exists() and not config.out.is_dir():
        raise UserError(f"--out {config.out} is a file, expected a folder")
    arguments = _agent_args(config)
    plain(arguments, "--agent-args")
    return Run(config, tasks, name, arguments, suite.name, suite.hash, trials, backend)


def run(config: RunConfig, backend: Backend | None = None) -> list[Row]:
    """Play the missing trials.

    Args:
        config: What the user asked for.
        backend: Where environments and suites come from; dexbench's own by default.

    Returns:
        The rows of the asked-for trials, by task, trial and repeat.

    Raises:
        UserError: The configuration is wrong, the ledger belongs to another suite or other
            weights, the environment cannot be made, or two workers have different agents.
    """
    plan = check(config, backend)
    setup = Setup(
        config.agent, config.task, config.suite, plan.agent_args, config.threads, plan.backend
    )
    with _pool(config, setup) as pool, ExitStack() as stack:
        header = _header(plan, pool.describe_agent())
        if not config.fresh:
            for task in plan.tasks:
                path = plan.folder(task) / ROWS_FILE
                check_compatible(read_rows(path), {**header, "task": task}, path)
        ledgers = {
            task: stack.enter_context(Ledger(plan.folder(task), fresh=config.fresh))
            for task in plan.tasks
        }
        if config.retry_errors:
            for ledger in ledgers.values():
                ledger.drop(lambda row: row["error"] is not None and plan.asks_for(row))
        jobs = list(_missing(plan, ledgers))
        with _progress(plan, len(jobs)) as bar:
            for row, actions in pool.play(jobs):
                row = {**header, **row}
                if found := difference({**header, "task": row["task"]}, row):
                    raise UserError(
                        f"the first worker has {found[0]} {found[1]}, another one {found[2]}: the "
                        "machines of a run must give an agent the same files and the same dtype"
                    )
                ledgers[row["task"]].append(_ordered(row), actions)
                bar.update()
    rows = [row for ledger in ledgers.values() for row in ledger.rows]
    asked = filter(plan.asks_for, rows)
    return sorted(asked, key=lambda row: (rank(row["task"]), play_key(row)))


def main(config: RunConfig) -> None:
    """Run and print the table."""
    rows = run(config)
    tasks = list(dict.fromkeys(row["task"] for row in rows))
    scores = [
        {
            "agent": rows[0]["agent"],
            "task": task,
            **summarise([row for row in rows if row["task"] == task]),
        }
        for task in tasks
    ]
    print(score_table(scores))
    for row in rows:
        if row["error"] is not None:
            name = play_name(row["task"], *play_key(row))
            print(f"{name} failed: {row['error']}", file=sys.stderr)
    if any(row["error"] is not None for row in rows):
        print(
            "Tracebacks are in the folders errors/ beside the ledgers; --retry-errors plays these "
            "trials again.",
            file=sys.stderr,
        )


def _pool(config: RunConfig, setup: Setup) -> "Pool | RayPool":
    if config.executor == "local":
        return Pool(setup, config.workers, config.decision_timeout)
    from .ray_pool import RayPool

    return RayPool(setup, config.workers, config.decision_timeout, config.ray_address)


def _agent_args(config: RunConfig) -> dict[str, Any]:
    """Return the agent's keyword arguments; a value that is no Python literal is a string."""
    pairs = list(config.agent_args)
    if config.planner is not None:
        pairs.append(f"planner={config.planner}")
    arguments: dict[str, Any] = {}
    for pair in pairs:
        key, equals, value = pair.partition("=")
        if not equals or not key.isidentifier() or key in arguments:
            raise UserError(f"--agent-args has {pair!r}, expected KEY=VALUE with each key once")
        try:
            arguments[key] = ast.literal_eval(value)
        except (ValueError, SyntaxError):
            arguments[key] = value
    return dict(sorted(arguments.items()))


def _header(plan: Run, agent: Row) -> Row:
    """Return the part of a row that all trials of a run share."""
    return {
        "agent": plan.name,
        "suite": plan.suite_name,
        "suite_hash": plan.suite_hash,
        "agent_args": plain(plan.agent_args, "--agent-args"),
        "threads": plan.config.threads,
        **agent,
    }


def _ordered(row: Row) -> Row:
    """Return the row with what identifies it first and the clocks last."""
    first = ("agent", "task", "suite", "suite_hash", "trial", "repeat", "trial_hash", "seed")
    keys = [*first, *(key for key in row if key not in (*first, "timing")), "timing"]
    return {key: row[key] for key in keys}


def _missing(plan: Run, ledgers: dict[str, Ledger]) -> Iterator[Job]:
    """Yield what there is to play: all trials once before any is repeated."""
    for task, ledger in ledgers.items():
        done = set(map(play_key, ledger.rows))
        folder = ledger.folder.absolute()  # An actor of Ray works in another directory.
        for repeat in range(plan.config.repeats):
            for trial in range(plan.trials[task]):
                if (trial, repeat) not in done:
                    yield Job(task, trial, folder, plan.config.video, repeat)


def _progress(plan: Run, missing: int) -> tqdm:
    total = sum(plan.trials.values()) * plan.config.repeats
    return tqdm(
        total=total,
        initial=total - missing,
        desc=f"{plan.name} {plan.config.task}",
        unit="trial",
        # The time left from the mean over the whole run: workers finish in bursts, which a moving
        # average takes for a change of speed.
        smoothing=0,
        disable=None,
    )
