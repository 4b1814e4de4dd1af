"""Decisions as JSON."""

import json

import numpy as np

from dexbench.bench.diagnose.candidates import Iteration, Judged
from dexbench.bench.diagnose.record import Decision, record


def test_what_is_not_finite_is_null_and_all_else_is_kept() -> None:
    first = Iteration(np.array([1.5, np.inf]), np.array([np.nan, 0.25]), np.array([1]))
    decisions = [
        Decision({"task": "reach", "cost": float("nan")}, Judged(first, first, 2.0, float("inf"))),
        Decision({"task": "reach", "cost": 3.0}, None),
    ]
    content = json.loads(record({"agent": "x", "versions": {"mujoco": "3"}}, decisions))
    costs = {"predicted": [1.5, None], "true": [None, 0.25], "elites": [1], "seen": None}
    chosen = {"first": costs, "last": costs, "predicted": 2.0, "true": None}
    assert content == {
        "schema": 1,
        "agent": "x",
        "versions": {"mujoco": "3"},
        "decisions": [
            {"task": "reach", "cost": None, "candidates": chosen},
            {"task": "reach", "cost": 3.0, "candidates": None},
        ],
    }
