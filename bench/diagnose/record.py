"""Decisions as JSON: who decided, on which trials, the numbers and all costs."""

import json
import math
from collections.abc import Sequence
from dataclasses import asdict
from typing import Any, NamedTuple

import numpy as np

from dexbench.bench.ledger.rows import Row

from .candidates import Judged


class Decision(NamedTuple):
    """What came of a decision."""

    row: Row
    """A line of the table."""
    judged: Judged | None
    """Its candidates; None without ``--simulate``, or where the planner tried none."""


def record(identity: Row, decisions: Sequence[Decision]) -> str:
    """Return the decisions as JSON.

    Args:
        identity: What a ledger would say of agent and suite, with hashes.
        decisions: In any order.

    Returns:
        ``schema``, the identity, and under ``decisions`` of each its row and ``candidates``: of the
        ``first`` and ``last`` iteration ``predicted`` and ``true`` costs, the indices of
        ``elites``, and what the first would cost as ``seen``; and both costs of the plan chosen.
        What is not finite, or was not asked, is null.
    """
    lines = [
        {**decision.row, "candidates": decision.judged and asdict(decision.judged)}
        for decision in decisions
    ]
    content = _plain({"schema": 1, **identity, "decisions": lines})
    return json.dumps(content, allow_nan=False) + "\n"


def _plain(value: Any) -> Any:
    """Return the value as JSON can hold it."""
    if isinstance(value, dict):
        return {key: _plain(item) for key, item in value.items()}
    if isinstance(value, np.ndarray):
        value = value.tolist()
    if isinstance(value, list | tuple):
        return [_plain(item) for item in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value
