"""Ledgers written by hand."""

import json
from pathlib import Path
from typing import Any


def write_ledger(
    folder: Path, agent: str, task: str, successes: int, trials: int = 4, **changes: Any
) -> None:
    rows = [
        {
            "agent": agent,
            "task": task,
            "suite": "v1",
            "suite_hash": "abc",
            "trial": trial,
            "success": trial < successes,
            "held_at_end": trial < successes - 1,
            "final_distance": 0.1 * trial,
            "min_distance": 0.05 * trial,
            "error": "RuntimeError: x" if trial == trials - 1 else None,
            "weights_hash": None,
            "agent_args": {},
            "threads": 1,
            "pretraining": "none",
            "privileged": False,
            "versions": {"dexbench": "0.1.0", "mujoco": "3.3.1"},
            "dtype": "bfloat16",
            "renderer": "llvmpipe",
            "timing": {"decisions": 3, "decision_s": 0.6},
            **changes,
        }
        for trial in reversed(range(trials))
    ]
    path = folder / "v1" / agent / task / "trials.jsonl"
    path.parent.mkdir(parents=True)
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))


def write_real(folder: Path, agent: str, successes: int, trials: int = 4, **changes: Any) -> Path:
    """A real robot's ledger; its last trial was stopped."""
    rows = [
        {
            "agent": agent,
            "task": "grasp",
            "kind": "real",
            "trial": trial,
            "driver": "lab.arm:Arm",
            "driver_args": {},
            "calibration": "feedfacecafe0000",
            "goal": {"file": "cup.png", "sha256": "c0ffee"},
            "success": trial < successes,
            "judge": None if trial == trials - 1 else "person",
            "note": f"note {trial} <b>",
            "error": "joint 3 too fast" if trial == trials - 1 else None,
            "weights_hash": "feed",
            "pretraining": "none",
            "agent_args": {},
            "planner": "paper-real",
            "cost": "paper",
            "versions": {"dexbench": "0.1.0"},
            "timing": {
                "decisions": 1,
                "decision_s": 2.5,
                "finished_at": f"2031-01-0{trial + 1}T00:00:00",
            },
            **changes,
        }
        for trial in range(trials)
    ]
    path = folder / "real" / "lab.arm.Arm" / agent / "grasp" / "real.jsonl"
    path.parent.mkdir(parents=True)
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return path
