"""``dexbench leaderboard``: derives the leaderboard from ledgers; nobody edits it by hand."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ..envs.errors import UserError
from .ledger import ROWS_FILE, Row, check_compatible, read_rows
from .summary import TASKS, score_table, summarise

COLUMNS = (
    *("agent", "task", "trials", "successes", "rate", "ci_low", "ci_high"),
    *("median_final_distance_m", "held_at_end", "decision_seconds", "pretraining", "suite"),
    *("suite_hash", "weights_hash", "privileged", "errors", "versions"),
)


@dataclass(frozen=True)
class LeaderboardConfig:
    """Derives the leaderboard from the ledgers in a folder and prints it."""

    ledgers: Path = Path("results")
    """Folder that is searched for trials.jsonl files."""
    csv: Path | None = None
    """Where to write the table; LEDGERS/leaderboard.csv by default."""


def derive(ledgers: Path) -> list[dict[str, Any]]:
    """Scores every ledger under a folder.

    Args:
        ledgers: The folder.

    Returns:
        A dict of `COLUMNS` for each ledger; by suite and task, the best first, then by name.

    Raises:
        UserError: There is no ledger, one is damaged or mixes what cannot be compared, or two
            hold the same agent on the same suite and task.
    """
    paths = sorted(ledgers.rglob(ROWS_FILE))
    lines: dict[tuple[str, str, str], dict[str, Any]] = {}
    for path in paths:
        rows = sorted(read_rows(path), key=lambda row: row["trial"])
        if not rows:
            continue
        check_compatible(rows, rows[0], path)
        try:
            line = _line(rows)
        except (KeyError, TypeError) as error:
            raise UserError(f"{path} is no ledger of this version ({error!r})") from error
        key = (line["suite"], line["task"], line["agent"])
        if key in lines:
            raise UserError(
                f"two ledgers under {ledgers} hold {line['agent']} on {line['suite']} "
                f"{line['task']}, one of them {path}; remove one or give it another --name"
            )
        lines[key] = line
    if not lines:
        raise UserError(f"no trials in {ledgers}; `dexbench run --out {ledgers}` makes some")
    return sorted(lines.values(), key=_rank)


def main(config: LeaderboardConfig) -> None:
    """Writes the CSV and prints the table."""
    import pandas

    lines = derive(config.ledgers)
    path = config.csv or config.ledgers / "leaderboard.csv"
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_name(f"{path.name}.tmp")
    table = pandas.DataFrame(lines, columns=list(COLUMNS), dtype=object)
    table.to_csv(partial, index=False, lineterminator="\n")
    partial.replace(path)
    print(score_table(lines))


def _line(rows: list[Row]) -> dict[str, Any]:
    first = rows[0]
    facts = {
        key: first[key]
        for key in ("agent", "task", "pretraining", "suite", "suite_hash", "weights_hash")
    }
    versions = dict.fromkeys(
        ", ".join(f"{name} {version}" for name, version in row["versions"].items()) for row in rows
    )
    line = {
        **facts,
        **summarise(rows),
        "privileged": first["privileged"],
        "versions": " | ".join(sorted(versions)),
    }
    return {column: line[column] for column in COLUMNS}


def _rank(line: dict[str, Any]) -> tuple[Any, ...]:
    return line["suite"], TASKS.index(line["task"]), -line["rate"], line["agent"]
