"""``dexbench run``: plays an agent on a suite's frozen trials and keeps a ledger.

A trial that is in the ledger is not played again, so a run that was interrupted goes on where it
stopped when the same command is given again.
"""

import math
import sys
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from dexbench.agents.registry import find_agent
from dexbench.bench.ledger.ledger import ROWS_FILE, open_ledgers
from dexbench.bench.ledger.rows import HIDDEN, Row, is_agent_name, plain, play_key, play_name
from dexbench.bench.ledger.task_names import resolve
from dexbench.bench.scores.summary import score_table, summarise
from dexbench.envs.suite import Suite
from dexbench.envs.task_names import suite_of
from dexbench.utils.errors import UserError, at_least

from .arguments import keyword_arguments
from .backend import DEXBENCH, Backend
from .pool import Pool
from .progress import Progress
from .worker import Job, Setup

if TYPE_CHECKING:
    from .ray_pool import RayPool


@dataclass(frozen=True)
class RunConfig:
    """Plays an agent on frozen trials, writes a ledger and prints the scores.

    Given again, the command plays only the trials that are missing in the ledger. It exits with 1
    if every trial ended in an error.
    """

    agent: str
    """A registered name (hold, random, prior, keypoint-fk, difference, kinematic, sim-cem, oracle,
    expert, dexwm, dexwm-scratch, dexwm-warm, dexwm-paper, dexwm-32, diffusion-policy,
    diffusion-policy-lift), or your own as package.module:Class."""
    task: str
    """Which task: one of dexbench's, all of the suite's (all), or your own as module:name."""
    trials: int | None = None
    """Play the first so many trials of the suite; all by default."""
    suite: str | None = None
    """Name of the frozen suite, or the path of its folder; by default v2 for push, pick, carry and
    avoid, else v1, also for all. mini and mini-v2 are their first five trials of each task."""
    repeats: int = 1
    """Play every trial so many times, with other seeds for the agent. Scores count the first;
    the others tell how much of a score is the agent's own noise."""
    workers: int = 1
    """Processes that play at the same time; the rows do not depend on it. One is enough for oracle
    and sim-cem, which use all cores by themselves."""
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
    """How agents that plan search: cem, warm, paper, paper-real, cem-32, mppi or gradient;
    docs/planners.md explains them. Short for --agent-args planner=NAME."""
    agent_args: tuple[str, ...] = ()
    """Arguments of the agent's class as KEY=VALUE, recorded with every row."""
    hide_robot: bool = False
    """Draw goal pictures without the robot. The rows are named AGENT-hidden, and no table mixes
    them with others."""
    name: str | None = None
    """The agent's name in ledger and leaderboard, to keep variants apart."""


@dataclass(frozen=True)
class Run:
    """A checked `RunConfig`."""

    config: RunConfig
    """With absolute paths."""
    suite: str
    """Name of the suite, or the absolute path of its folder."""
    tasks: tuple[str, ...]
    name: str
    """The agent's."""
    agent_args: dict[str, Any]
    suite_name: str
    suite_hash: str
    trials: dict[str, int]
    """How many of each task."""
    backend: Backend

    def folder(self, task: str) -> Path:
        """Return the folder of a task's ledger."""
        return agent_folder(self.config.out, self.suite_name, self.name) / task

    def plays(self, task: str) -> list[tuple[int, int]]:
        """Return (trial, repeat) of what is asked for: all trials once before any is repeated."""
        repeats, trials = range(self.config.repeats), range(self.trials[task])
        return [(trial, repeat) for repeat in repeats for trial in trials]

    def identity(self, agent: Row) -> Row:
        """Return what all rows of the run share but the task.

        Args:
            agent: What the agent says of itself, as of `worker.describe_agent`.
        """
        return {
            "agent": self.name,
            "suite": self.suite_name,
            "suite_hash": self.suite_hash,
            "agent_args": plain(self.agent_args, "--agent-args"),
            "threads": self.config.threads,
            "hide_robot": self.config.hide_robot,
            **agent,
        }


def check(config: RunConfig, backend: Backend = DEXBENCH) -> Run:
    """Check all that can be checked without making the agent.

    Args:
        config: What the user asked for.
        backend: Where environments and suites come from.

    Returns:
        The run.

    Raises:
        UserError: Something in it is wrong. Nothing has been written.
    """
    # An agent's or a task's code, once it is imported, may change the current directory.
    config = replace(config, out=config.out.absolute())
    suite_path = Suite.absolute(config.suite or suite_of(config.task))
    find_agent(config.agent)
    at_least(
        1,
        trials=config.trials,
        workers=config.workers,
        threads=config.threads,
        repeats=config.repeats,
    )
    if not (config.decision_timeout > 0 and math.isfinite(config.decision_timeout)):
        raise UserError(
            f"--decision-timeout is {config.decision_timeout:g}, expected seconds, more than 0"
        )
    if config.ray_address is not None and config.executor != "ray":
        raise UserError("--ray-address is of use with --executor ray only; give both or neither")
    name = config.name or f"{config.agent}{HIDDEN if config.hide_robot else ''}"
    if not is_agent_name(name):
        raise UserError(f"--name is {name!r}, expected letters, digits, '.', '_' and '-' only")
    suite = backend.load_suite(suite_path)
    tasks = resolve(config.task, suite.tasks)
    trials = {task: config.trials or suite.trials(task) for task in tasks}
    for task in tasks:
        if not suite.trials(task):
            others = ", ".join(filter(suite.trials, suite.tasks)) or "none"
            raise UserError(
                f"suite {suite.name} has no {task} trials, but {others}; "
                "choose another --suite or --task"
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
    return Run(config, suite_path, tasks, name, arguments, suite.name, suite.hash, trials, backend)


def run(config: RunConfig, backend: Backend = DEXBENCH) -> list[Row]:
    """Play the missing trials.

    Args:
        config: What the user asked for.
        backend: Where environments and suites come from.

    Returns:
        The rows of the asked-for trials, by task, trial and repeat.

    Raises:
        UserError: The configuration is wrong, the ledger belongs to another suite or other
            weights, the environment cannot be made, or two workers have different agents.
    """
    plan = check(config, backend)
    config = plan.config
    setup = Setup(
        config.agent,
        config.task,
        plan.suite,
        plan.agent_args,
        config.threads,
        plan.backend,
        config.hide_robot,
    )
    with _pool(config, setup) as pool:
        identity = plan.identity(pool.describe_agent())
        folders = {task: plan.folder(task) for task in plan.tasks}
        with open_ledgers(folders, identity, config.fresh) as ledgers:
            if config.retry_errors:
                for task, ledger in ledgers.items():
                    ledger.drop_errors(plan.plays(task))
            jobs = [
                Job(task, trial, ledger.folder, config.video, repeat)
                for task, ledger in ledgers.items()
                for trial, repeat in ledger.missing(plan.plays(task))
            ]
            played = [
                row for task, ledger in ledgers.items() for row in ledger.select(plan.plays(task))
            ]
            if played:
                print(
                    f"{len(played)} of {len(played) + len(jobs)} plays are recorded already, and "
                    "are not repeated; if you have changed the agent since, give --fresh",
                    file=sys.stderr,
                )
            with Progress(f"{plan.name} {config.task}", len(jobs), played) as progress:
                for row, actions in pool.play(jobs):
                    ledgers[row["task"]].append(row, actions)
                    progress.update(row)
            return [
                row for task, ledger in ledgers.items() for row in ledger.select(plan.plays(task))
            ]


def main(config: RunConfig, backend: Backend = DEXBENCH) -> None:
    """Run and print the table.

    Args:
        config: What the user asked for.
        backend: Where environments and suites come from.

    Raises:
        UserError: As `run`.
        SystemExit: With code 1 if every trial ended in an error.
    """
    rows = run(config, backend)
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
    print(whereabouts(config, rows), file=sys.stderr)
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
    if all(row["error"] is not None for row in rows if play_key(row)[1] == 0):
        raise SystemExit(1)


def whereabouts(config: RunConfig, rows: Sequence[Row]) -> str:
    """Say where the rows of a run are, and the videos if it wrote any.

    Args:
        config: What the user asked for.
        rows: Of the run, at least one.
    """
    folder = agent_folder(config.out, rows[0]["suite"], rows[0]["agent"])
    tasks = list(dict.fromkeys(row["task"] for row in rows))
    each = folder / (tasks[0] if len(tasks) == 1 else "TASK")
    text = f"rows: {each / ROWS_FILE}; actions: {each / 'actions'}"
    return f"{text}; videos: {each / 'videos'}" if config.video else text


def agent_folder(out: Path, suite: str, agent: str) -> Path:
    """Return the folder of an agent's ledgers, one for each task."""
    return out / suite / agent.replace(":", ".")


def _pool(config: RunConfig, setup: Setup) -> "Pool | RayPool":
    if config.executor == "local":
        return Pool(setup, config.workers, config.decision_timeout)
    from .ray_pool import RayPool

    return RayPool(setup, config.workers, config.decision_timeout, config.ray_address)


def _agent_args(config: RunConfig) -> dict[str, Any]:
    """Return the agent's keyword arguments."""
    planner = [] if config.planner is None else [f"planner={config.planner}"]
    return keyword_arguments((*config.agent_args, *planner), "--agent-args")
