"""``dexbench diagnose``: what a planner expected of every waypoint, and what came of it.

It plays trials as ``dexbench run`` does, without a ledger, and writes a line for each decision.
Its columns (`COLUMNS`) split a failure by its cause. With ``--simulate`` all candidates of a
decision are simulated too, and further columns (`SIMULATED`) say how well the planner told them
apart.
"""

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from dexbench.agents.registry import make_agent
from dexbench.bench.ledger.rows import Row
from dexbench.bench.run.runner import RunConfig, check
from dexbench.bench.scores.summary import text_table
from dexbench.utils.errors import UserError
from dexbench.utils.files import write_atomic
from dexbench.utils.progress import track

from .candidates import SIMULATED, Judged, judge
from .candidates import measure as measure_candidates
from .record import Decision, record
from .recorder import LastLook, Recorder
from .waypoints import COLUMNS, measure


@dataclass(frozen=True)
class DiagnoseConfig:
    """Plays trials and compares what the agent's planner expected with what happened."""

    agent: str
    """A waypoint planner: dexwm, keypoint-fk, kinematic, sim-cem, oracle, or your own as
    package.module:Class."""
    task: str
    """Which task: one of dexbench's, all of the suite's (all), or your own as module:name."""
    trials: int = 5
    """Play the first so many trials of the suite."""
    suite: str | None = None
    """Name of the frozen suite, or the path of its folder; by default v2 for push, pick, carry and
        avoid, else v1. So all is v1's tasks unless you give v2."""
    planner: str | None = None
    """As for dexbench run."""
    agent_args: tuple[str, ...] = ()
    """Arguments of the agent's class as KEY=VALUE, as for dexbench run."""
    threads: int = 1
    """Threads of the model; the order of sums depends on it, as for dexbench run."""
    simulate: bool = False
    """Simulate all candidates of each decision's first and last iteration, on all cores: does the
    model rank them as the task's true cost does, and does the planner exploit its errors?
    docs/diagnose.md explains the numbers."""
    out: Path = Path("diagnosis.csv")
    """The table, a line for each decision. --simulate writes a .json with hashes and all costs
    beside it, and a .png."""


class Diagnosis:
    """An agent, and the trials that it is to play.

    Args:
        config: What to play.

    Raises:
        UserError: The configuration is wrong, or the agent plans no waypoints.
    """

    def __init__(self, config: DiagnoseConfig):
        import torch

        from dexbench.agents.planning.waypoint_agent import WaypointAgent
        from dexbench.agents.reference.oracle import Oracle
        from dexbench.bench.run.worker import describe_agent

        self._run = check(
            RunConfig(
                config.agent,
                config.task,
                config.trials,
                config.suite,
                planner=config.planner,
                agent_args=config.agent_args,
                threads=config.threads,
            )
        )
        torch.set_num_threads(config.threads)
        agent, self._spec = make_agent(config.agent, **self._run.agent_args)
        if not isinstance(agent, WaypointAgent):
            raise UserError(
                f"agent {config.agent!r} plans no waypoints, so there is nothing to compare; "
                "choose dexwm, keypoint-fk, kinematic, sim-cem or oracle, or derive yours from "
                "WaypointAgent"
            )
        self._config, self._agent = config, agent
        # It judges and never plays, but its waypoints must be followed as the agent's are.
        self._oracle = Oracle(ramp=agent.config.ramp) if config.simulate else None
        self.identity: Row = self._run.identity(describe_agent(agent, self._spec))
        """What a ledger would say of agent and suite; with the hash of the oracle's settings."""
        if self._oracle is not None:
            self.identity["oracle_settings_hash"] = self._oracle.settings_hash

    def decisions(self) -> Iterator[Decision]:
        """Play the trials.

        Yields:
            Of each decision ``agent``, ``task``, ``trial``, ``decision``, ``success`` of the
            trial, `COLUMNS` and, where candidates are simulated, `SIMULATED`.

        Raises:
            UserError: A trial failed, or the agent does not optimise.
        """
        jobs = [(task, trial) for task in self._run.tasks for trial in range(self._config.trials)]
        name = f"{self._config.agent} {self._config.task}"
        for task, trial in track(jobs, label=name):
            yield from self._play(task, trial)

    def _play(self, task: str, trial: int) -> Iterator[Decision]:
        import torch

        from dexbench.agents.reference.goal import goal_of
        from dexbench.bench.run.trial import play
        from dexbench.bench.run.worker import seed_global_generators
        from dexbench.envs.task_envs import make_env

        agent, oracle = self._agent, self._oracle
        env = LastLook(make_env(task))
        recorder = Recorder(agent, env, oracle)
        try:
            seed_global_generators(trial)
            played = play(
                env,
                recorder,
                suite=self._run.suite,
                task=task,
                trial=trial,
                privileged=self._spec.privileged,
            )
            if played.row["error"] is not None:
                raise UserError(f"{task} trial {trial} failed: {played.row['error']}")
            goal = torch.from_numpy(goal_of(env.unwrapped).keypoints).float()
            if recorder.plans[0][0] is None:
                raise UserError(
                    f"agent {self._config.agent!r} does not optimise: it has no plan to show"
                )
            looks = [*recorder.looks, env.last]
            for index, (plan, context) in enumerate(recorder.plans):
                row: Row = {"agent": self._config.agent, "task": task, "trial": trial}
                row |= {"decision": index, "success": played.row["success"]}
                row |= measure(agent, plan, context, looks[index], looks[index + 1], goal)
                judged = None
                if oracle is not None:
                    begin = recorder.moments[index]
                    judged = judge(agent, plan, context, row["cost"], oracle, begin)
                    row |= measure_candidates(judged)
                yield Decision(row, judged)
        finally:
            env.close()


def main(config: DiagnoseConfig) -> None:
    """Write the table and print its means, by task and decision; also of the simulated candidates.

    Raises:
        UserError: As `Diagnosis`, or a file cannot be written.
    """
    import pandas

    if config.out.is_dir():
        raise UserError(f"--out {config.out} is a folder, expected a file")
    if config.simulate and config.out.suffix in (".json", ".png"):
        raise UserError(
            f"--out {config.out} is the table, and --simulate writes a .json and a .png beside it; "
            "give a name that ends in .csv"
        )
    out = config.out.absolute()  # The agent may change the current directory.
    diagnosis = Diagnosis(config)
    decisions = list(diagnosis.decisions())
    table = pandas.DataFrame([decision.row for decision in decisions])
    files: dict[str, str | bytes] = {out.suffix: table.to_csv(index=False, float_format="%.6g")}
    if config.simulate:
        files[".json"] = record(diagnosis.identity, decisions)
        files[".png"] = picture(decisions)
    try:
        for suffix, content in files.items():
            write_atomic(out.with_suffix(suffix), content)
    except OSError as error:
        raise UserError(f"cannot write {config.out} ({error}); choose another --out") from error
    print(summary(table, [name for name in COLUMNS if name != "elite_costs"]))
    if config.simulate:
        print(f"\n{summary(table, list(SIMULATED))}\n")
    print(f"wrote {', '.join(str(config.out.with_suffix(suffix)) for suffix in files)}")


def picture(decisions: Sequence[Decision]) -> bytes:
    """Return the candidates as a PNG, a panel for each task."""
    from .scatter import scatter

    tasks: dict[str, list[Judged]] = {decision.row["task"]: [] for decision in decisions}
    for decision in decisions:
        if decision.judged is not None:
            tasks[decision.row["task"]].append(decision.judged)
    return scatter(tasks)


def summary(table: Any, columns: Sequence[str]) -> str:
    """Return means over the trials, for people.

    Args:
        table: The rows as a `pandas.DataFrame`.
        columns: Which numbers.

    Returns:
        Aligned lines, one for each task and decision; a dash where the agent has no such thing.
    """
    lines: list[Sequence[str]] = []
    for (task, decision), group in table.groupby(["task", "decision"], sort=False):
        means = [group[name].astype(float).mean() for name in columns]
        cells = ["-" if math.isnan(mean) else f"{mean:.3g}" for mean in means]
        lines.append([str(task), str(decision), *cells])
    return text_table(["task", "decision", *columns], lines)
