"""Whether submitted actions are the expert's, which suites ship, or those of another ledger.

Only solved trials are compared, up to the step of success: to copy a failure gains nothing, and
what comes after a success changes nothing.
"""

from collections.abc import Iterator
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from dexbench.bench.ledger.actions import actions_path, read_actions
from dexbench.bench.ledger.ledger import ROWS_FILE, read_rows
from dexbench.bench.ledger.rows import HIDDEN, Row
from dexbench.envs.suite import Suite
from dexbench.utils.files import find_files

from .rules import name_of
from .submission import Play, Submission
from .verdict import Verdict

CLOSE, SAME = 0.02, 0.001
"""Means over steps and joints [rad]. A solved trial below the second is enough to be refused, and
so is more than one solved trial in ten below the first."""
SHARE = 0.1

Targets = NDArray[np.float32]
Trials = dict[tuple[str, str], list[Targets]]
"""By task and hash of the trial, the actions (steps, 23) of each time that it was played."""


def copies(submission: Submission, against: Path) -> Verdict:
    """Compare the solved trials with the expert's and with those of other agents' ledgers.

    Args:
        submission: Its hashes must be right.
        against: A folder of ledgers; those of the same name are of the agent itself.
    """
    solved = [play for play in submission.plays if play.row["success"]]
    nearest: list[tuple[float, str]] = []
    faults = []
    for whose, trials in _others(submission, against):
        gaps = [
            (min(apart(play, other) for other in played), name_of(play.row))
            for play in solved
            if (played := trials.get(_key(play.row)))
        ]
        close = sorted(gap for gap in gaps if gap[0] < CLOSE)
        if close and (close[0][0] < SAME or len(close) > SHARE * len(solved)):
            faults.append(
                f"{len(close)} of {len(solved)} solved trials are played as by {whose}: "
                f"{close[0][1]} is {close[0][0]:.4f} rad apart"
            )
        nearest += [(gap, f"{whose} in {name}") for gap, name in gaps]
    found = (
        "nothing to compare" if not nearest else "nearest is {:.3f} rad, {}".format(*min(nearest))
    )
    return Verdict("copies", f"{len(solved)} solved trials; {found}", faults)


def apart(play: Play, other: Targets) -> float:
    """Return how far a solved trial's targets are from others, up to its success [rad]."""
    steps = play.row["steps_to_success"]
    mine, theirs = play.actions[:steps], other[:steps]
    if len(mine) != len(theirs) or mine.shape[1:] != theirs.shape[1:]:
        return float("inf")  # The other ended before, in an error.
    return float(np.abs(mine.astype(np.float64) - theirs).mean())


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
            if _key(row) in wanted and _agent(row) != _agent(mine):
                trials.setdefault(_key(row), []).append(
                    read_actions(actions_path(path.parent, row))
                )
        if trials:
            yield str(path.parent), trials


def _key(row: Row) -> tuple[str, str]:
    return row["task"], row.get("trial_hash", "")


def _agent(row: Row) -> str:
    """Return who played, whether or not the goal showed the robot."""
    return str(row["agent"]).removesuffix(HIDDEN)
