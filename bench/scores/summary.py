"""What a set of ledger rows says, as numbers and as a table."""

from collections.abc import Sequence
from statistics import mean, median, stdev
from typing import Any

from dexbench.bench.ledger.rows import Row, play_key

from .statistics import wilson


def summarise(rows: Sequence[Row]) -> dict[str, Any]:
    """Score the trials of one agent on one task.

    Args:
        rows: Ledger rows, at least one of repeat 0. A trial that ended in an error counts as a
            failure.

    Returns:
        ``trials``, ``successes``, ``rate``, ``ci_low`` and ``ci_high`` (Wilson, 95%),
        ``median_final_distance_m`` and ``median_min_distance_m``, ``held_at_end`` (trials),
        ``decision_seconds`` (mean of a decision, the agent's reset included; None if it made
        none) and ``errors`` (trials); all of repeat 0 alone. If there are repeats, also what
        `repeatability` says.
    """
    repeated = repeatability(rows)
    rows = [row for row in rows if play_key(row)[1] == 0]
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
        **repeated,
    }


def repeatability(rows: Sequence[Row]) -> dict[str, Any]:
    """Return how far the outcome depends on the agent's own noise.

    Args:
        rows: Ledger rows of one agent and task.

    Returns:
        ``repeats`` (how often each trial was played), ``repeat_rate_sd`` (standard deviation of
        the success rate between repeats) and ``repeat_changes`` (share of the trials whose outcome
        is not the same in all repeats), over the trials that were played in every repeat; nothing
        if there is one repeat or no such trial.
    """
    outcomes: dict[int, dict[int, bool]] = {}
    for row in rows:
        trial, repeat = play_key(row)
        outcomes.setdefault(repeat, {})[trial] = bool(row["success"])
    shared = set.intersection(*(set(trials) for trials in outcomes.values()))
    if len(outcomes) < 2 or not shared:
        return {}
    rates = [mean(trials[trial] for trial in shared) for trials in outcomes.values()]
    changes = [len({trials[trial] for trials in outcomes.values()}) > 1 for trial in shared]
    return {
        "repeats": len(outcomes),
        "repeat_rate_sd": round(stdev(rates), 4),
        "repeat_changes": round(mean(changes), 4),
    }


def score_table(scores: Sequence[dict[str, Any]]) -> str:
    """Return a table for people.

    Args:
        scores: `summarise`'s numbers with ``agent`` and ``task``, a line each; also ``planner``
            and ``cost``, if all have them.

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
    if all("planner" in score for score in scores):
        header += ["planner", "cost"]
        for score, line in zip(scores, lines, strict=True):
            line += [score["planner"], score["cost"]]
    if any("repeats" in score for score in scores):
        header += ["repeats", "sd of rate", "changing"]
        for score, line in zip(scores, lines, strict=True):
            line += _repeat_cells(score) if "repeats" in score else ["-"] * 3
    return text_table(header, lines, left=2)


def _repeat_cells(score: dict[str, Any]) -> list[str]:
    shares = [f"{score[key]:.1%}" for key in ("repeat_rate_sd", "repeat_changes")]
    return [str(score["repeats"]), *shares]


def text_table(header: Sequence[str], lines: Sequence[Sequence[str]], left: int = 1) -> str:
    """Align columns.

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
