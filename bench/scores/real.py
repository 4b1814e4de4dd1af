"""What a real robot's ledgers say: successes with intervals, apart from all simulated scores."""

from collections.abc import Sequence
from statistics import mean
from typing import Any

from dexbench.bench.ledger.planning import planner_and_cost
from dexbench.bench.ledger.real import RealEntry
from dexbench.bench.ledger.task_names import rank
from dexbench.envs.real.robot import is_simulated

from .statistics import wilson
from .summary import text_table

COLUMNS = (
    *(
        "driver",
        "simulated",
        "agent",
        "task",
        "trials",
        "successes",
        "rate",
        "ci_low",
        "ci_high",
        "stopped",
    ),
    *("judge", "decision_seconds", "planner", "cost", "pretraining", "weights_hash"),
    *("calibration", "versions"),
)


def score_real(entries: Sequence[RealEntry]) -> list[dict[str, Any]]:
    """Score ledgers of real robots.

    A trial that was stopped is a failure, and counted under ``stopped`` too.

    Args:
        entries: The ledgers.

    Returns:
        A dict of `COLUMNS` for each; by driver and task, the best first, then by name. The
        interval is Wilson's, 95%. ``decision_seconds`` is the mean of a decision, None if there
        was none; what differs between trials is joined by ``|``.
    """
    lines = [_line(entry) for entry in entries]
    return sorted(
        lines,
        key=lambda line: (line["driver"], rank(line["task"]), -line["rate"], line["agent"]),
    )


def _line(entry: RealEntry) -> dict[str, Any]:
    rows = entry.rows
    successes = sum(bool(row["success"]) for row in rows)
    low, high = wilson(successes, len(rows))
    planner, cost = planner_and_cost(rows[0])
    decisions = sum(row["timing"]["decisions"] for row in rows)
    seconds = sum(row["timing"]["decision_s"] for row in rows)
    versions = {", ".join(f"{name} {v}" for name, v in row["versions"].items()) for row in rows}
    return {
        "driver": entry.driver,
        "simulated": is_simulated(entry.driver),
        "agent": entry.agent,
        "task": entry.task,
        "trials": len(rows),
        "successes": successes,
        "rate": round(mean(bool(row["success"]) for row in rows), 4),
        "ci_low": round(low, 4),
        "ci_high": round(high, 4),
        "stopped": sum(row["error"] is not None for row in rows),
        "judge": " | ".join(sorted({row["judge"] for row in rows if row["judge"]})),
        "decision_seconds": round(seconds / decisions, 4) if decisions else None,
        "planner": planner,
        "cost": cost,
        "pretraining": rows[0]["pretraining"],
        "weights_hash": rows[0]["weights_hash"],
        "calibration": " | ".join(sorted({row["calibration"][:12] for row in rows})),
        "versions": " | ".join(sorted(versions)),
    }


def show_driver(line: dict[str, Any]) -> str:
    """Return what tables call a driver: one that ships drives a simulation."""
    return f"{line['driver']}, simulated" if line["simulated"] else line["driver"]


def real_table(lines: Sequence[dict[str, Any]]) -> str:
    """Return a table for people.

    Args:
        lines: As `score_real` returns them.

    Returns:
        Aligned lines with a header, no newline at the end.
    """
    header = [
        *("real robot", "agent", "task", "success", "rate", "95% interval", "ended early"),
        *("judged by", "s/decision", "planner", "cost"),
    ]
    cells = [
        [
            *(show_driver(line), line["agent"], line["task"]),
            f"{line['successes']}/{line['trials']}",
            f"{line['rate']:.1%}",
            f"{line['ci_low']:.1%} to {line['ci_high']:.1%}",
            str(line["stopped"]),
            line["judge"] or "nobody",
            "-" if line["decision_seconds"] is None else f"{line['decision_seconds']:.3f}",
            *(line["planner"], line["cost"]),
        ]
        for line in lines
    ]
    return text_table(header, cells, left=3)
