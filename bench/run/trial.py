"""One trial: an agent in an environment, from reset to the last step, as a ledger row."""

import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import Any, NamedTuple, cast

import gymnasium
import numpy as np
from numpy.typing import NDArray

from dexbench.agents.base import Agent, check_chunk
from dexbench.bench.ledger.actions import actions_hash
from dexbench.bench.ledger.outcome import outcome, to_micrometre
from dexbench.bench.ledger.rows import Row
from dexbench.envs.embodiment.robot import N_JOINTS
from dexbench.utils.errors import describe, full_traceback
from dexbench.utils.seeding import seed_for

from .environment import Environment, ResetOptions
from .pictures import beside_goal, imagined

Notify = Callable[[str, Row | None], None]


class Played(NamedTuple):
    """What came of a trial."""

    row: Row
    """The trial's part of its ledger row."""
    actions: NDArray[np.float32]
    """(steps, 23) float32 joint targets that were sent [rad]."""
    traceback: str | None
    """Where the error came from, if there was one."""


def play(
    env: gymnasium.Env[Any, Any],
    agent: Agent,
    *,
    suite: str,
    task: str,
    trial: int,
    repeat: int = 0,
    privileged: bool = False,
    hide_robot: bool = False,
    frames: list[NDArray[np.uint8]] | None = None,
    notify: Notify = lambda event, row: None,
) -> Played:
    """Play a frozen trial to its end.

    An exception from the agent, or from the environment at the agent's action, ends the trial as
    failed, with its reason under ``error``. One from the environment's reset is raised: it says
    nothing about the agent.

    Args:
        env: Of the task; unwrapped it is an `Environment`.
        agent: Plays it.
        suite: Name of the suite.
        task: One of dexbench's, such as ``"reach"``, or of the user as ``"module:name"``.
        trial: Number of the trial in the suite.
        repeat: 0 gives the agent the trial's own seed, any other number one derived from it.
        privileged: Bind the agent to the unwrapped environment.
        hide_robot: Draw the goal without the robot.
        frames: Collects pictures as of ``pictures.beside_goal``, one for each observation.
        notify: Called with ``"started"`` and the row as it would be if nothing more came, then
            with ``"deciding"`` before and ``"decided"`` after each call of the agent, and with
            ``"stepped"`` after each control step.

    Returns:
        What came of it.
    """
    clock = Clock()
    base = cast(Environment, env.unwrapped)
    base.render_observations = True
    with clock("sim_s"):
        options: ResetOptions = {"trial": trial, "suite": suite}
        if hide_robot:
            options["hide_robot"] = True
        obs, info = env.reset(options=dict(options))
    # What is filmed is a copy: the agent may change the observation that it is given.
    start, goal = obs["pixels"].copy(), obs["goal"].copy()
    seed = int(base.trial.seed)
    if repeat:
        seed = seed_for(seed, "repeat", repeat)
    head = {
        "task": task,
        "trial": trial,
        "repeat": repeat,
        "trial_hash": base.trial.hash,
        "seed": seed,
        "renderer": str(base.simulation.gl_renderer),
    }
    distances = [to_micrometre(info["distance"])]
    gates: list[bool] = []
    held: list[bool] = []
    actions: list[NDArray[np.float32]] = []
    notify("started", {**head, **outcome(distances, gates, held, None)})

    def ask(method: Callable[..., Any], *arguments: Any) -> Any:
        notify("deciding", None)
        with clock("decision_s"):
            answer = method(*arguments)
        notify("decided", None)
        return answer

    def step(action: NDArray[np.float32], look: bool) -> bool:
        nonlocal obs, info
        # Rendering is most of a step's time, and only the agent and the video see pictures.
        base.render_observations = look or frames is not None
        with clock("sim_s"):
            obs, _, terminated, truncated, info = env.step(action)
        actions.append(action)
        distances.append(to_micrometre(info["distance"]))
        gates.append(bool(info["gate"]))
        held.append(bool(info["success"]))
        if frames is not None:
            frames.append(beside_goal(obs["pixels"], goal, expected))
        notify("stepped", None)
        return terminated or truncated

    expected: NDArray[np.uint8] | None = None
    error: str | None = None
    trace: str | None = None
    try:
        if privileged:
            ask(agent.bind, base)  # type: ignore[attr-defined]
        ask(agent.reset, task, seed)
        finished = False
        while not finished:
            chunk = check_chunk(ask(agent.act, obs))
            clock.decisions += 1
            if frames is not None and clock.decisions == 1:
                expected = imagined(agent, start)
                frames.append(beside_goal(start, goal, expected))
            elif expected is not None:
                # All pictures of a video have one size: the last one stands where none comes.
                expected = now if (now := imagined(agent, start)) is not None else expected
            # any() stops at the step that ends the episode: the rest of the chunk is not played.
            last = len(chunk) - 1
            finished = any(step(action, index == last) for index, action in enumerate(chunk))
    except Exception as exception:
        error = describe(exception)
        trace = full_traceback(exception)
    played = np.array(actions, np.float32).reshape(-1, N_JOINTS)
    row = {**head, **outcome(distances, gates, held, error), "actions_hash": actions_hash(played)}
    return Played({**row, "timing": clock.record()}, played, trace)


class Clock:
    """Adds up where a trial's time goes [s]."""

    def __init__(self, names: Sequence[str] = ("decision_s", "sim_s")) -> None:
        """Start the trial's wall clock.

        Args:
            names: Of what is told apart.
        """
        self.decisions = 0
        self._start = time.perf_counter()
        self._seconds = dict.fromkeys(names, 0.0)

    @contextmanager
    def __call__(self, name: str) -> Iterator[None]:
        """Add the time inside the ``with`` to ``name``."""
        start = time.perf_counter()
        try:
            yield
        finally:
            self._seconds[name] += time.perf_counter() - start

    def record(self) -> dict[str, float | int | str]:
        """Return the row's ``timing``: all that may differ between two plays of a trial."""
        wall = time.perf_counter() - self._start
        return {
            "wall_s": round(wall, 4),
            **{name: round(seconds, 6) for name, seconds in self._seconds.items()},
            "decisions": self.decisions,
            "finished_at": datetime.now(UTC).isoformat(timespec="seconds"),
        }
