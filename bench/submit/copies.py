"""Whether submitted actions are the expert's, which suites ship, or those of another ledger.

Only solved trials are compared, up to the step of success: to copy a failure gains nothing, and
what comes after a success changes nothing.
"""

from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from dexbench.bench.ledger.actions import actions_path, read_actions
from dexbench.bench.ledger.ledger import ROWS_FILE, read_rows
from dexbench.bench.ledger.rows import Row
from dexbench.envs.suite import Suite
from dexbench.utils.files import find_files

from .rules import name_of, owner
from .submission import Play, Submission
from .verdict import Verdict

CLOSE, SAME = 0.02, 0.001
"""Means over steps and joints [rad]. A solved trial below the second is enough to be refused, and
so is more than one solved trial in ten below the first."""
SHARE = 0.1
SHIFT = 5
"""Control steps that a copy may be ahead or behind."""

Targets = NDArray[np.float32]
Trials = dict[tuple[str, str], list[Targets]]
"""By task and hash of the trial, the actions (steps, 23) of each time that it was played."""


class Nearest(NamedTuple):
    """Who played a trial most alike."""

    gap: float
    """How far apart [rad]."""
    name: str
    """The trial's."""
    whose: str


def copies(submission: Submission, against: Path) -> Verdict:
    """Compare each solved trial with the expert's play and those in other agents' ledgers.

    Args:
        submission: Its hashes must be right.
        against: A folder of ledgers; those of the same name hold the same plays (`rules.name`).
    """
    solved = [play for play in submission.plays if play.row["success"]]
    if not solved:
        return Verdict("copies", "no trial is solved, so none can be a copy")
    others = list(_others(submission, against))
    nearest = [
        min(
            Nearest(apart(play, other), name_of(play.row), whose)
            for whose, trials in others
            for other in trials.get(_key(play.row), ())
        )
        for play in solved
    ]
    close = [found for found in nearest if found.gap < CLOSE]
    copied = [found for found in nearest if found.gap < SAME]
    if len(close) > SHARE * len(solved):
        copied = close
    least = min(nearest)
    return Verdict(
        "copies",
        f"{len(close)} of {len(solved)} solved trials within {CLOSE} rad of those of the expert "
        f"and {len(others) - 1} ledgers; nearest is {least.name}, {least.gap:.3f} rad from "
        f"{least.whose}",
        [f"{name} is played as by {whose}: {gap:.4f} rad apart" for gap, name, whose in copied],
    )


def apart(play: Play, other: Targets) -> float:
    """Return how far a solved trial's targets are from others, up to its success [rad].

    It is the smallest mean difference over steps and joints, at any delay up to `SHIFT`.
    """
    steps = play.row["steps_to_success"]
    if len(other) < steps or other.shape[1:] != play.actions.shape[1:]:
        return float("inf")  # The other ended before, in an error.
    mine, theirs = play.actions[:steps].astype(np.float64), other[:steps]
    gaps = [
        np.abs(late[shift:] - early[: steps - shift]).mean()
        for shift in range(SHIFT + 1)
        for late, early in ((mine, theirs), (theirs, mine))
    ]
    return float(min(gaps))


def _others(submission: Submission, against: Path) -> Iterator[tuple[str, Trials]]:
    """Yield whose actions there are to compare with, and the actions."""
    mine = submission.plays[0].row
    suite = Suite.load(mine["suite"])
    solved = [row for row, _ in submission.plays if row["success"]]
    yield (
        "the expert",
        {_key(row): [suite.trial(row["task"], row["trial"]).expert_actions] for row in solved},
    )
    wanted = set(map(_key, solved))
    for path in find_files(against, ROWS_FILE):
        trials: Trials = {}
        for row in read_rows(path):
            if _key(row) in wanted and owner(row) != owner(mine):
                trials.setdefault(_key(row), []).append(
                    read_actions(actions_path(path.parent, row))
                )
        if trials:
            yield str(path.parent), trials


def _key(row: Row) -> tuple[str, str]:
    return row["task"], row.get("trial_hash", "")
