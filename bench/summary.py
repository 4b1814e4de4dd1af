"""What a set of ledger rows says, as numbers and as a table."""

from collections.abc import Sequence
from statistics import median
from typing import Any

from .ledger import Row
from .statistics import wilson

TASKS = ("reach", "grasp", "place")


def summarise(rows: Sequence[Row]) -> dict[str, Any]:
    """Scores the trials of one agent on one task.

    Args:
        rows: At least one ledger row. A trial that ended in an error counts as a failure.

    Returns:
        ``trials``, ``successes``, ``rate``, ``ci_low`` and ``ci_high`` (Wilson, 95%),
        ``median_final_distance_m`` and ``median_min_distance_m``, ``held_at_end`` (trials),
        ``decision_seconds`` (mean of a decision, the agent's reset included; None if it made
        none) and ``errors`` (trials).
    """
    trials = len(rows)
    successes = sum(row["success"] for row in rows)
    low, high = wilson(successes, trials)
    decisions = sum(row["timing"]["decisions"] for row in rows)
    seconds = sum(row["timing"]["decision_s"] for row in rows)
    return {
        "trials": trials,
        "successes": successes,
        "rate": round(successes / trials, 4),
        "ci_low": round(low, 4),
        "ci_high": round(high, 4),
        "median_final_distance_m": round(median(row["final_distance"] for row in rows), 4),
        "median_min_distance_m": round(median(row["min_distance"] for row in rows), 4),
        "held_at_end": sum(row["held_at_end"] for row in rows),
        "decision_seconds": round(seconds / decisions, 4) if decisions else None,
        "errors": sum(row["error"] is not None for row in rows),
    }


def score_table(scores: Sequence[dict[str, Any]]) -> str:
    """A table for people.

    Args:
        scores: `summarise`'s numbers with ``agent`` and ``task``, a line each.

    Returns:
        Aligned lines with a header, no newline at the end.
    """
    header = [
        *("agent", "task", "success", "rate", "95% interval", "held at end"),
        *("final [m]", "s/decision", "errors"),
    ]
    lines = [
        [
            score["agent"],
            score["task"],
            f"{score['successes']}/{score['trials']}",
            f"{score['rate']:.1%}",
            f"{score['ci_low']:.1%} to {score['ci_high']:.1%}",
            str(score["held_at_end"]),
            f"{score['median_final_distance_m']:.3f}",
            "-" if score["decision_seconds"] is None else f"{score['decision_seconds']:.3f}",
            str(score["errors"]),
        ]
        for score in scores
    ]
    return text_table(header, lines, left=2)


def text_table(header: Sequence[str], lines: Sequence[Sequence[str]], left: int = 1) -> str:
    """Aligns columns.

    Args:
        header: Column names.
        lines: Cells, as many in each line as in the header.
        left: The first so many columns are aligned left, the others right.

    Returns:
        The lines without trailing blanks, no newline at the end.
    """
    widths = [max(map(len, column)) for column in zip(header, *lines, strict=True)]
    return "\n".join(
        "  ".join(
            cell.ljust(width) if index < left else cell.rjust(width)
            for index, (cell, width) in enumerate(zip(line, widths, strict=True))
        ).rstrip()
        for line in (header, *lines)
    )
