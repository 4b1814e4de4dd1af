"""Simulates a row's recorded actions again and compares what comes of it with the row.

What a trial scored is a function of its frozen start and of the joint targets that were sent.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
from numpy.typing import NDArray

from dexbench.bench.ledger.actions import actions_hash, actions_path, read_actions
from dexbench.bench.ledger.outcome import held_distance, outcome, to_micrometre
from dexbench.bench.ledger.rows import Row, play_key, play_name
from dexbench.envs.embodiment.robot import HIGHEST, LOWEST, N_JOINTS
from dexbench.envs.suite import Suite
from dexbench.envs.trial import HELD_STEPS, STEPS, Trial
from dexbench.utils.errors import UserError, describe

if TYPE_CHECKING:
    from dexbench.envs.tasks import Task

FLAGS = ("success", "held_at_end")
DERIVED = (*FLAGS, "steps_to_success", "final_distance", "min_distance", "held_distance")
"""What follows from the distances; rows of old ledgers lack ``held_distance``."""
EARLY, FAR = 5, 0.001
"""On every processor the distances at the start and of so many steps are the same to so many
metres: last digits have not grown yet. Where the state was off in its 12th or 14th digit at every
step, none of 104 plays was off by a millimetre before the 16th."""


@dataclass(frozen=True)
class Job:
    """A row to check."""

    path: Path
    """The ledger that it is in."""
    row: Row
    task: str
    """As `find_task` takes it: one of dexbench's, or what the user asked for."""
    suite: str
    """As `Suite.load` takes it."""

    def __str__(self) -> str:
        return f"{self.path.parent}, {play_name(self.row['task'], *play_key(self.row))}"


@dataclass(frozen=True)
class Finding:
    """What came of a row."""

    verdict: Literal["exact", "equal", "differs"]
    apart: float = 0.0
    """Largest difference between a recorded distance and the one found [m]."""
    reasons: tuple[str, ...] = ()
    """Why it differs: each names a field, what was recorded and what was found."""
    typical: float = 0.0
    """Mean difference of the distances [m]."""


def recorded_actions(path: Path, row: Row) -> NDArray[np.float32]:
    """Return the joint targets (steps, 23) [rad] that a row was scored with.

    Raises:
        UserError: The file is missing, damaged, or not that of the row, or the environment would
            not have taken its actions.
    """
    actions = read_actions(path)
    if actions_hash(actions) != row["actions_hash"]:
        raise UserError(f"{path} is not what its row was scored with; restore it")
    if complaint := unplayable(actions, row["error"]):
        raise UserError(f"{path} cannot be played: {complaint}")
    return actions


def check(job: Job) -> Finding:
    """Simulate a row's actions and compares.

    Raises:
        UserError: The trial's file is damaged, or there is no such task.
    """
    from dexbench.envs.tasks import find_task

    row = job.row
    task = find_task(job.task)
    path = actions_path(job.path.parent, row)
    try:
        actions = read_actions(path)
        digest = actions_hash(actions)
    except UserError as error:
        digest = f"none: {error}"
    if digest != row["actions_hash"]:
        return Finding("differs", 0, (_reason("actions_hash", row["actions_hash"], digest),))
    if complaint := unplayable(actions, row["error"]):
        return Finding("differs", 0, (f"actions: {complaint}",))
    trial = Suite.load(job.suite).trial(task.name, row["trial"])
    return compare(row, simulate(task, trial, actions, row["error"]))


def unplayable(actions: NDArray[Any], error: str | None) -> str | None:
    """Why the environment would not have taken the actions, if it would not."""
    if actions.ndim != 2 or actions.shape[1] != N_JOINTS:
        return f"shape {actions.shape}, expected (steps, {N_JOINTS})"
    if len(actions) > STEPS or (error is None and len(actions) < STEPS):
        return f"{len(actions)} steps without an error, expected {STEPS}"
    within = ((actions >= LOWEST) & (actions <= HIGHEST)).all(axis=1)
    return None if within.all() else f"those of step {within.argmin() + 1} are out of joint limits"


def simulate(
    task: "Task", trial: Trial, actions: NDArray[np.float32], error: str | None = None
) -> Row:
    """Play joint targets as the environment does, without pictures.

    Args:
        task: The trial's.
        trial: Where.
        actions: (steps, 23) float32 joint targets within the limits [rad].
        error: Why the recorded trial ended early, if it did.

    Returns:
        The row's part about success and distance, up to where the simulation diverged if it did.
    """
    from dexbench.envs.simulation import Simulation
    from dexbench.envs.tasks import Playback

    playback = Playback(task, trial, Simulation(trial.xml, trial.objects))
    distances = [to_micrometre(playback.outcome.distance)]
    gates: list[bool] = []
    held: list[bool] = []
    try:
        for action in actions:
            now = playback.step(action)
            distances.append(to_micrometre(now.distance))
            gates.append(now.gate)
            held.append(playback.held)
    except FloatingPointError as diverged:
        error = error or describe(diverged)
    return outcome(distances, gates, held, error)


def compare(row: Row, found: Row) -> Finding:
    """Compare what was recorded with what was found.

    Args:
        row: Of the ledger.
        found: As `simulate` returns it.
    """
    old, new = row["distances"], found["distances"]
    gaps = [abs(a - b) for a, b in zip(old, new, strict=False)]
    apart, typical = max(gaps), float(np.mean(gaps))
    reasons = []
    if len(old) != len(new):
        reasons.append(_reason("distances", f"{len(old)} of them", f"{len(new)}"))
    for step, gap in enumerate(gaps[: EARLY + 1]):
        if gap > FAR:
            reasons.append(_reason(f"distances, step {step}", old[step], new[step]))
            break
    # From the same distances the same must follow. From others the flags must, and what the row
    # says of its own distances must be so.
    wanted = found if apart == 0 else {**{flag: found[flag] for flag in FLAGS}, **claims(row)}
    reasons += [
        _reason(key, row[key], wanted[key])
        for key in DERIVED
        if key in row and key in wanted and row[key] != wanted[key]
    ]
    if reasons:
        return Finding("differs", apart, tuple(reasons), typical)
    return Finding("exact" if apart == 0 else "equal", apart, (), typical)


def claims(row: Row) -> Row:
    """Return what a row must say of its own distances, as far as these tell.

    With contact asked for beside the distance, as in grasp, they tell bounds: where it was lost
    the smallest distance held is larger than without, and success later.
    """
    distances = row["distances"]
    held, steps = row.get("held_distance"), row["steps_to_success"]
    least = held_distance(distances[1:], [True] * (len(distances) - 1))
    claims = {"final_distance": distances[-1], "min_distance": min(distances)}
    if held is not None:
        claims["held_distance"] = held if held in distances and held >= least else least
    window = distances[max(steps - HELD_STEPS + 1, 1) : steps + 1] if steps else []
    if row["success"] != (len(window) == HELD_STEPS) or (held and window and max(window) < held):
        claims["steps_to_success"] = f"steps that end {HELD_STEPS} within held_distance"
    return claims


def _reason(field: str, recorded: object, found: object) -> str:
    return f"{field}: recorded {recorded}, found {found}"
