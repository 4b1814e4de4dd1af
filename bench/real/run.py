"""``dexbench real run``: an agent plays trials with a real robot, and a person judges.

A trial that is in the ledger is not played again, so the command goes on where it was left when it
is given again. Nothing is ever taken out: a robot's trial cannot be played a second time.
"""

import sys
import warnings
from collections.abc import Iterator
from contextlib import closing
from dataclasses import asdict, dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from dexbench.agents.base import Agent
from dexbench.agents.registry import AgentSpec, find_agent, make_agent
from dexbench.bench.ledger.ledger import Ledger, read_rows
from dexbench.bench.ledger.real import KIND, REAL_FILE, RealEntry, real_folder
from dexbench.bench.ledger.rows import Row, check_compatible, is_agent_name, plain, play_key
from dexbench.bench.ledger.task_names import resolve
from dexbench.bench.run.arguments import keyword_arguments
from dexbench.bench.run.worker import describe_agent
from dexbench.bench.scores.real import real_table, score_real
from dexbench.envs.motion.waypoints import RampConfig
from dexbench.envs.real.calibration import Calibration
from dexbench.envs.real.limits import Limits
from dexbench.envs.real.playback import PACE
from dexbench.envs.real.robot import DRIVERS, load_driver
from dexbench.utils.errors import UserError, at_least
from dexbench.utils.files import file_sha256

from .observation import read_goal
from .person import Person
from .session import Goal, Session
from .trial import Setting

AWAY, TURNED = 0.02, np.radians(2.0)
"""How far from the benchmark's camera a calibration may say that the robot's is, in m and rad,
without a warning."""


@dataclass(frozen=True)
class RealRunConfig:
    """Plays an agent with a real robot, asks before it moves, and keeps a ledger of its own.

    Given again, the command plays only the trials that are missing in the ledger.
    """

    driver: str
    """What drives the robot: simulated, stepped, or your own as package.module:Class."""
    calibration: Path
    """The camera's calibration, as `dexbench real calibrate` shows it."""
    agent: str
    """As for `dexbench run`; an agent that is given the simulator's state is refused."""
    task: str = "grasp"
    """What the agent is told to do: one of dexbench's tasks, or your own as module:name."""
    goal: tuple[Path, ...] = ()
    """Goal pictures, of 224x392 px or of the camera's size. Trial i takes the i-th, and begins anew
    after the last. A driver that sets up its own trials, as a simulated one, has goals too."""
    trials: int = 12
    """How many trials there shall be in the ledger; those that are missing are played."""
    driver_args: tuple[str, ...] = ()
    """Arguments of the driver's class as KEY=VALUE, recorded with every row."""
    agent_args: tuple[str, ...] = ()
    """Arguments of the agent's class as KEY=VALUE, recorded with every row."""
    planner: str | None = None
    """How agents that plan search; paper-real unless the agent comes with one of its own."""
    receding: bool = False
    """Look and plan again after each waypoint, instead of playing the whole plan open loop."""
    waypoints: int = 2
    """Length of a trial in waypoints, App. B's T."""
    pace: float = PACE
    """Seconds from one joint target to the next, of which a waypoint has 20. The benchmark's own
    pace is 0.1; slower is safer."""
    limits: Limits = field(default_factory=Limits)
    """What stops the robot."""
    yes: bool = False
    """Do not ask, of a driver that ships: those are simulated, and judge their trials."""
    out: Path = Path("runs")
    """Folder of ledgers: OUT/real/DRIVER/AGENT/TASK/real.jsonl."""
    fresh: bool = False
    """Delete the ledger first, of a driver that ships; a robot's trials cannot be played again."""
    name: str | None = None
    """The agent's name in ledger and leaderboard, to keep variants apart."""


@dataclass(frozen=True)
class Plan:
    """A checked `RealRunConfig`."""

    config: RealRunConfig
    task: str
    name: str
    """The agent's."""
    agent_args: dict[str, Any]
    driver_args: dict[str, Any]
    calibration: Calibration
    goals: tuple[Goal, ...]

    @property
    def folder(self) -> Path:
        """Of the ledger."""
        return real_folder(self.config.out, self.config.driver, self.name, self.task)

    def identity(self, agent: Agent, spec: AgentSpec) -> Row:
        """Return what all rows of the ledger share."""
        own = {
            "agent": self.name,
            "task": self.task,
            "kind": KIND,
            "driver": self.config.driver,
            "driver_args": self.driver_args,
            "agent_args": self.agent_args,
            "limits": asdict(self.config.limits),
            "steps": self.config.waypoints * RampConfig().steps,
            "pace": self.config.pace,
        }
        return {**plain(own, "--agent-args or --driver-args"), **describe_agent(agent, spec)}


def check(config: RealRunConfig) -> Plan:
    """Check all that can be checked without touching robot or agent.

    Raises:
        UserError: Something in it is wrong. Nothing has been written or moved.
    """
    config = replace(config, out=config.out.absolute())
    spec = find_agent(config.agent)
    _refuse_privileged(spec)
    at_least(1, trials=config.trials, waypoints=config.waypoints)
    at_least(0.01, pace=config.pace)
    for option, cure in (
        ("yes", "leave it out, to be asked before the robot moves"),
        ("fresh", "choose another --name or --out, and keep what the robot has done"),
    ):
        if getattr(config, option) and config.driver not in DRIVERS:
            raise UserError(
                f"--{option} is for the drivers that ship ({', '.join(DRIVERS)}), which move "
                f"nothing real; {cure}"
            )
    name = config.name or config.agent
    if not is_agent_name(name):
        raise UserError(f"--name is {name!r}, expected letters, digits, '.', '_' and '-' only")
    if faults := config.limits.faults():
        raise UserError(f"--limits: {'; '.join(faults)}")
    if config.task == "all":
        raise UserError("--task is all, expected one task: a person sets up one after the other")
    (task,) = resolve(config.task)
    if config.out.exists() and not config.out.is_dir():
        raise UserError(f"--out {config.out} is a file, expected a folder")
    agent_args = keyword_arguments(_agent_pairs(config, spec), "--agent-args")
    driver_args = keyword_arguments(config.driver_args, "--driver-args")
    calibration = Calibration.load(config.calibration)
    goals = tuple(
        Goal(path.name, read_goal(path, calibration), file_sha256(path)) for path in config.goal
    )
    return Plan(config, task, name, agent_args, driver_args, calibration, goals)


def _agent_pairs(config: RealRunConfig, spec: AgentSpec) -> Iterator[str]:
    """Yield the agent's arguments, with the paper's planner where it may choose one."""
    yield from config.agent_args
    chosen = any(pair.startswith("planner=") for pair in config.agent_args)
    if config.planner is not None:
        yield f"planner={config.planner}"
    elif spec.plans and not chosen and "planner" not in spec.kwargs:
        yield "planner=paper-real"
    if config.receding and spec.plans:
        yield "open_loop=False"


def _refuse_privileged(spec: AgentSpec) -> None:
    if spec.privileged:
        raise UserError(
            f"agent {spec.name} is given the simulator's state, which no real robot has; choose "
            "one that sees what everybody sees, such as dexwm"
        )


def run(config: RealRunConfig, person: Person | None = None) -> list[Row]:
    """Play the missing trials.

    Args:
        config: What the user asked for.
        person: Is asked; by default on the terminal.

    Returns:
        The rows of all trials that were asked for, by number.

    Raises:
        UserError: The configuration is wrong, the ledger is another run's, there is nobody to ask,
            or the driver cannot be made.
    """
    plan = check(config)
    if person is None and not config.yes:
        if not sys.stdin.isatty():
            raise UserError(
                "there is nobody to ask: give the command in a terminal, or --yes with a driver "
                "that ships"
            )
        person = Person()
    agent, spec = make_agent(config.agent, **plan.agent_args)
    _refuse_privileged(spec)
    plays = [(trial, 0) for trial in range(config.trials)]
    identity = plan.identity(agent, spec)
    path = plan.folder / REAL_FILE
    kept = [] if config.fresh else read_rows(path)
    check_compatible(kept, identity, path)
    if {(trial, 0) for trial in range(config.trials)} <= set(map(play_key, kept)):
        return sorted(kept, key=play_key)[: config.trials]
    load = partial(load_driver, config.driver, plan.driver_args)
    away, turned = plan.calibration.displaced
    if away > AWAY or turned > TURNED:
        warnings.warn(
            f"the camera is {100 * away:.1f} cm and {np.degrees(turned):.1f} degrees from the "
            "benchmark's, which agents take it for: mount it there, or expect misses",
            stacklevel=2,
        )
    make = partial(make_agent, config.agent, **plan.agent_args)
    setting = Setting(plan.calibration, config.limits, plan.task, identity["steps"], config.pace)
    # The driver first: a ledger is not begun, nor deleted, for a robot that does not answer.
    with (
        closing(Session(load, make, agent, setting, plan.goals, person)) as session,
        Ledger(plan.folder, identity, config.fresh, REAL_FILE) as ledger,
    ):
        session.play(ledger, plays)
        return ledger.select(plays)


def main(config: RealRunConfig) -> None:
    """Play and print the table.

    Raises:
        UserError: As `run`.
    """
    rows = run(config)
    first = rows[0]
    entry = RealEntry(first["driver"], first["agent"], first["task"], rows)
    print(real_table(score_real([entry])))
    folder = real_folder(config.out, entry.driver, entry.agent, entry.task)
    print(f"rows: {folder / REAL_FILE}; plans: {folder / 'plans'}; videos: {folder / 'videos'}")
    for row in rows:
        if row["error"] is not None:
            print(f"trial {row['trial']} ended early: {row['error']}", file=sys.stderr)
