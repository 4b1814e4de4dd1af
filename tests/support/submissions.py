"""A submission of real rows, and what stands for simulating them again."""

from collections.abc import Sequence
from dataclasses import replace
from functools import cache
from pathlib import Path

import numpy as np

from dexbench.bench.ledger.actions import actions_path, read_actions
from dexbench.bench.ledger.ledger import read_rows
from dexbench.bench.ledger.rows import Row
from dexbench.bench.submit import check, submit
from dexbench.bench.submit.check import CheckConfig
from dexbench.bench.submit.submission import Play, Statement, Submission
from dexbench.bench.submit.submit import SubmitConfig
from dexbench.bench.verify.resimulation import Finding, compare
from dexbench.envs.suite import Suite

RESULTS = Path(__file__).parents[2] / "results"
STATEMENT = Statement(("Ada", "Grace"), "8 h of exploration by script", "a Xeon, one core")
PLACE = RESULTS / "v1" / "dexwm" / "place"


@cache
def honest() -> Submission:
    """Five real rows, of which `dexwm` solved some, as played on the suite ``mini``.

    Its trials are the first of v1, with their hashes and seeds.
    """
    rows = [row for row in read_rows(PLACE / "trials.jsonl") if row["trial"] < 5]
    of_mini = {"suite": "mini", "suite_hash": Suite.load("mini").hash, "agent": "mine"}
    plays = [
        Play({**row, **of_mini}, read_actions(actions_path(PLACE, row)))
        for row in sorted(rows, key=lambda row: row["trial"])
    ]
    return Submission(STATEMENT, tuple(plays))


def changed(
    index: int, row: Row | None = None, actions: np.ndarray | None = None, **keys: object
) -> Submission:
    """The submission with one play changed: other actions, another row, or other keys of it."""
    plays = list(honest().plays)
    old = plays[index]
    plays[index] = Play(
        {**(old.row if row is None else row), **keys}, old.actions if actions is None else actions
    )
    return replace(honest(), plays=tuple(plays))


def remembers(
    plays: Sequence[Play], workers: int = 1, minutes: float | None = None
) -> list[tuple[Row, Finding]]:
    """Simulates from memory: what came of the real actions; others end 2 mm from there."""
    return [(play.row, compare(play.row, _found(play))) for play in plays]


def _found(play: Play) -> Row:
    real = honest().plays[play.row["trial"]]
    if np.array_equal(play.actions, real.actions):
        return real.row
    return {**real.row, "distances": [distance + 0.002 for distance in real.row["distances"]]}


def never(
    plays: Sequence[Play], workers: int = 1, minutes: float | None = None
) -> list[tuple[Row, Finding]]:
    """Stands for the simulation where nothing may be simulated."""
    raise AssertionError("it was simulated")


def submit_from_memory(config: SubmitConfig) -> None:
    """``dexbench submit`` without the simulator."""
    submit.main(config, remembers)


def check_from_memory(config: CheckConfig) -> None:
    """``dexbench check`` without the simulator."""
    check.main(config, remembers)
