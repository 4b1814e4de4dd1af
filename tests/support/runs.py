"""Runs of agents in the fake environment."""

from pathlib import Path
from typing import Any

from dexbench.bench.ledger.rows import Row
from dexbench.bench.run.runner import RunConfig, run
from support import fake

SCRIPT = Path(__file__).parent / "run_fake.py"


def run_fake(out: Path, agent: str = "support.fake:Wander", **kwargs: Any) -> list[Row]:
    config = RunConfig(**{"task": "reach", "trials": 6, "out": out, "agent": agent, **kwargs})
    return run(config, fake.BACKEND)


def without_timing(rows: list[Row]) -> list[Row]:
    return [{key: value for key, value in row.items() if key != "timing"} for row in rows]


def broken_trials(trials: int) -> list[int]:
    return [t for t in range(trials) if fake.seed_of("reach", t) % 3 == 0]
