"""``dexbench diagnose``: what a planner expected of every waypoint, and what came of it.

It plays trials as ``dexbench run`` does, without a ledger, and writes a line for each decision.
Its columns (`COLUMNS`) split a failure by its cause.
"""

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import gymnasium
import numpy as np
from numpy.typing import NDArray
from tqdm import tqdm

from dexbench.agents.registry import make_agent
from dexbench.bench.run.runner import RunConfig, check
from dexbench.bench.scores.summary import text_table
from dexbench.envs.embodiment.keypoints import N_DISTINCT
from dexbench.utils.errors import UserError
from dexbench.utils.files import write_atomic

if TYPE_CHECKING:
    from torch import Tensor

    from dexbench.agents.planning.belief import Belief
    from dexbench.agents.planning.waypoint_agent import WaypointAgent

Row = dict[str, Any]

COLUMNS = {
    "goal_cm": "the agent's reading of the goal picture against the goal's true hand",
    "goal_px": "the same in the picture",
    "seen_cm": "its reading of the picture after the waypoint against the true hand",
    "seen_px": "the same in the picture",
    "planned_cm": "the hand that the plan expects at its end against the goal it believes in",
    "planned_px": "the same in the picture",
    "predicted_cm": "the hand expected after the waypoint against the true one",
    "predicted_px": "the same in the picture",
    "still_cm": "the hand before the waypoint against that after it: predicting no change",
    "control_cm": "the hand that the waypoint's joints make against the true one after it",
    "left_cm": "the true hand after the waypoint against the goal's",
    "latent": "mean square of the expected latent state less that of the picture after it",
    "still_latent": "the same for the latent state before the waypoint: predicting no change",
    "left_latent": "the same for that of the goal picture",
    "cost": "of the waypoints that were played",
    "best_cost": "of the cheapest candidate",
    "elite_costs": "mean over the elites, an iteration after the other",
}
"""What is measured for each decision: mean distances over the hand's 17 keypoints in cm or px
(over those that the agent knows), empty where the agent has no such thing, or sees no hand. An
agent that knows no depth has its own keypoints in px alone."""


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
    avoid, else v1."""
    planner: str | None = None
    """As for dexbench run."""
    agent_args: tuple[str, ...] = ()
    """Arguments of the agent's class as KEY=VALUE, as for dexbench run."""
    threads: int = 1
    """Threads of the model; the order of sums depends on it, as for dexbench run."""
    out: Path = Path("diagnosis.csv")
    """The table, a line for each decision."""


class Recorder:
    """The agent and its environment's last observation, decision by decision.

    Args:
        agent: Plays.
    """

    def __init__(self, agent: "WaypointAgent"):
        self.agent = agent
        self.looks: list[dict[str, NDArray[Any]]] = []
        """Observations at the decisions."""
        self.plans: list[tuple[Any, Any]] = []
        """The plan of each decision and what it was based on."""

    def bind(self, env: Any) -> None:
        """Hand a privileged agent the environment."""
        self.agent.bind(env)  # type: ignore[attr-defined]

    def reset(self, task: str, seed: int) -> None:
        """Start a trial."""
        self.agent.reset(task, seed)
        self.looks, self.plans = [], []

    def act(self, obs: dict[str, NDArray[Any]]) -> NDArray[np.float32]:
        """Decide, and keep what the decision was made of."""
        chunk = self.agent.act(obs)
        self.looks.append(obs)
        self.plans.append((self.agent.last_plan, self.agent.last_context))
        return chunk


class LastLook(gymnasium.Wrapper[Any, Any, Any, Any]):
    """Keeps the latest observation, which at a trial's end no agent is shown."""

    def step(self, action: NDArray[Any]) -> Any:
        """As the environment's."""
        answer = self.env.step(action)
        self.last = answer[0]
        return answer


def diagnose(config: DiagnoseConfig) -> Iterator[Row]:
    """Play the trials.

    Args:
        config: What to play.

    Yields:
        A row for each decision: ``agent``, ``task``, ``trial``, ``decision``, ``success`` of the
        trial and `COLUMNS`.

    Raises:
        UserError: The configuration is wrong, the agent plans no waypoints, or a trial failed.
    """
    import torch

    from dexbench.agents.planning.waypoint_agent import WaypointAgent
    from dexbench.bench.run.trial import play
    from dexbench.bench.run.worker import seed_global_generators
    from dexbench.envs.gym_env import make_env

    run = check(
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
    agent, spec = make_agent(config.agent, **run.agent_args)
    if not isinstance(agent, WaypointAgent):
        raise UserError(
            f"agent {config.agent!r} plans no waypoints, so there is nothing to compare; choose "
            "dexwm, keypoint-fk, kinematic, sim-cem or oracle, or derive yours from WaypointAgent"
        )
    recorder = Recorder(agent)
    jobs = [(task, trial) for task in run.tasks for trial in range(config.trials)]
    for task, trial in tqdm(jobs, desc=f"{config.agent} {config.task}", disable=None):
        env = LastLook(make_env(task))
        try:
            seed_global_generators(trial)
            played = play(
                env,
                recorder,
                suite=run.suite,
                task=task,
                trial=trial,
                privileged=spec.privileged,
            )
            if played.row["error"] is not None:
                raise UserError(f"{task} trial {trial} failed: {played.row['error']}")
            goal = torch.from_numpy(env.unwrapped.goal.keypoints).float()  # type: ignore[attr-defined]
            if recorder.plans[0][0] is None:
                raise UserError(f"agent {config.agent!r} does not optimise: it has no plan to show")
            looks = [*recorder.looks, env.last]
            for index, (plan, context) in enumerate(recorder.plans):
                measured = measure(agent, plan, context, looks[index], looks[index + 1], goal)
                head = {"agent": config.agent, "task": task, "trial": trial, "decision": index}
                yield {**head, "success": played.row["success"], **measured}
        finally:
            env.close()


def measure(
    agent: "WaypointAgent",
    plan: Any,
    context: Any,
    before: dict[str, NDArray[Any]],
    after: dict[str, NDArray[Any]],
    goal: "Tensor",
) -> Row:
    """Compare what a decision expected with what came of it.

    Args:
        agent: Whose decision it was.
        plan: What its optimiser found.
        context: What its optimiser knew.
        before: The observation that it decided on.
        after: The observation when the waypoint had been played.
        goal: True keypoints (21, 3) of the goal in the base frame, in m.

    Returns:
        `COLUMNS`; None where the agent has no such thing.
    """
    import torch

    from dexbench.agents.planning.belief import Belief
    from dexbench.agents.planning.waypoint_agent import WaypointAgent
    from dexbench.envs.embodiment import camera

    with torch.no_grad():
        waypoints = agent.chosen(plan)[None]
        cost = float(agent.cost(waypoints, context)[0])
        expected = agent.predict(waypoints, context)
        # Without its own model: where the commanded joints put the hand.
        commanded = WaypointAgent.predict(agent, waypoints, context)
    seen = agent.see(after["pixels"])
    was = agent.see(before["pixels"])
    wanted = agent.see(before["goal"])
    truth = torch.from_numpy(after["keypoints"])[:N_DISTINCT].float()
    start = torch.from_numpy(before["keypoints"])[:N_DISTINCT].float()
    true_goal = camera.base_to_camera(goal)[:N_DISTINCT]
    believed = Belief(true_goal) if wanted is None else wanted
    end, then = expected.at(0, -1), expected.at(0, agent.next_look)
    row: Row = dict.fromkeys(COLUMNS)
    row |= {
        **_apart("goal", wanted, Belief(true_goal)),
        **_apart("seen", seen, Belief(truth)),
        **_apart("planned", end, believed),
        **_apart("predicted", then, Belief(truth)),
        "still_cm": _cm(start, truth),
        "control_cm": _cm(commanded.at(0, agent.next_look).keypoints, truth),
        "left_cm": _cm(truth, true_goal),
        "cost": cost,
        "best_cost": plan.best_cost,
        "elite_costs": " ".join(f"{value:.6g}" for value in plan.elite_costs),
    }
    if then.latent is not None:
        row |= {
            "latent": _square(then.latent, seen),
            "still_latent": _square(was.latent if was else None, seen),
            "left_latent": _square(wanted.latent if wanted else None, seen),
        }
    return row


def main(config: DiagnoseConfig) -> None:
    """Write the table and print its means, by task and decision.

    Raises:
        UserError: As `diagnose`, or the file cannot be written.
    """
    import pandas

    if config.out.is_dir():
        raise UserError(f"--out {config.out} is a folder, expected a file")
    out = config.out.absolute()  # The agent may change the current directory.
    table = pandas.DataFrame(list(diagnose(config)))
    try:
        write_atomic(out, table.to_csv(index=False, float_format="%.6g"))
    except OSError as error:
        raise UserError(f"cannot write {config.out} ({error}); choose another --out") from error
    print(summary(table))
    print(f"wrote {config.out}")


def summary(table: Any) -> str:
    """Return the means of the distances over the trials, for people.

    Args:
        table: The rows as a `pandas.DataFrame`.

    Returns:
        Aligned lines, one for each task and decision; a dash where the agent has no such thing.
    """
    shown = [name for name in COLUMNS if name != "elite_costs"]
    lines: list[Sequence[str]] = []
    for (task, decision), group in table.groupby(["task", "decision"], sort=False):
        means = [group[name].astype(float).mean() for name in shown]
        cells = ["-" if math.isnan(mean) else f"{mean:.3g}" for mean in means]
        lines.append([str(task), str(decision), *cells])
    return text_table(["task", "decision", *shown], lines)


def _apart(name: str, belief: "Belief | None", other: "Belief") -> Row:
    """Return how far two hands are apart, in space and in the picture, as columns."""
    if belief is None or belief.pixels is None or other.pixels is None:
        return {}
    pixels = (belief.pixels - other.pixels).norm(dim=-1)
    return {
        f"{name}_cm": _cm(belief.keypoints, other.keypoints),
        f"{name}_px": float(pixels.nanmean()),
    }


def _cm(points: "Tensor | None", others: "Tensor | None") -> float | None:
    """Mean distance of keypoints (17, 3) in m, in cm; None if the depth of either is not known."""
    if points is None or others is None:
        return None
    return 100 * float((points - others).norm(dim=-1).mean())


def _square(latent: "Tensor | None", seen: "Belief | None") -> float | None:
    """Mean square error of a latent state."""
    if latent is None or seen is None or seen.latent is None:
        return None
    return float((latent.float() - seen.latent.float()).square().mean())
