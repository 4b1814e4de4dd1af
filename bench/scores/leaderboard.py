"""``dexbench leaderboard``: derives the leaderboard from ledgers; nobody edits it by hand."""

import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from dexbench.bench.ledger.entries import Entry, check_pairable, played_alike
from dexbench.bench.ledger.ledger import ROWS_FILE, read_rows
from dexbench.bench.ledger.planning import planner_and_cost
from dexbench.bench.ledger.real import KIND, read_real
from dexbench.bench.ledger.rows import Row, check_compatible, play_key, suite_label
from dexbench.bench.ledger.task_names import in_order, rank
from dexbench.utils.errors import UserError
from dexbench.utils.files import find_files, write_atomic

from .ranking import ranks
from .real import COLUMNS as REAL_COLUMNS
from .real import real_table, score_real
from .summary import score_table, summarise

COLUMNS = (
    *("agent", "task", "trials", "successes", "rate", "ci_low", "ci_high"),
    *("rank", "median_final_distance_m", "held_at_end", "decision_seconds", "planner", "cost"),
    *("pretraining", "suite"),
    *("suite_hash", "weights_hash", "privileged", "errors", "versions", "dtype", "renderer"),
)


@dataclass(frozen=True)
class LeaderboardConfig:
    """Derives the leaderboard from the ledgers in a folder and prints it.

    Trials of real robots have a table of their own, and a CSV whose name ends with -real.
    """

    ledgers: Path = Path("results")
    """Folder that is searched for trials.jsonl files, and for real.jsonl files of real robots."""
    csv: Path | None = None
    """Where to write the table; LEDGERS/leaderboard.csv by default."""
    markdown: bool = False
    """Print the table as the README shows it."""
    suite: str | None = None
    """Print this suite alone, or real for real robots alone; the CSVs hold all of them."""


def derive(ledgers: Path) -> list[dict[str, Any]]:
    """Score every ledger under a folder.

    Args:
        ledgers: The folder.

    Returns:
        A dict of `COLUMNS` for each ledger; by suite and task, the best first, then by name.

    Raises:
        UserError: There is no ledger, one is damaged or mixes what cannot be compared, two hold
            the same agent on the same suite and task, or different suites have one name.
    """
    paths = find_files(ledgers, ROWS_FILE)
    lines: dict[tuple[str, str, str], dict[str, Any]] = {}
    entries: dict[tuple[str, str], list[Entry]] = {}
    suites: dict[str, tuple[str, Path]] = {}
    for path in paths:
        rows = sorted(read_rows(path), key=play_key)
        if not any(play_key(row)[1] == 0 for row in rows):
            continue
        check_compatible(rows, rows[0], path)
        try:
            line = _line(rows)
        except (KeyError, TypeError) as error:
            raise UserError(f"{path} is no ledger of this version ({error!r})") from error
        digest, other = suites.setdefault(line["suite"], (line["suite_hash"], path))
        if digest != line["suite_hash"]:
            raise UserError(
                f"{other} and {path} were played on different suites of the name {line['suite']}, "
                f"with hash {digest[:12]} and {line['suite_hash'][:12]}; score them apart"
            )
        key = (line["suite"], line["task"], line["agent"])
        if key in lines:
            raise UserError(
                f"two ledgers under {ledgers} hold {line['agent']} on {line['suite']} "
                f"{line['task']}, one of them {path}; remove one or give it another --name"
            )
        lines[key] = line
        played = [row for row in rows if play_key(row)[1] == 0]
        entries.setdefault((line["suite"], line["task"]), []).append(
            Entry(line["agent"], line["task"], line["privileged"], played)
        )
    for (suite, task), rivals in entries.items():
        for agent, position in _ranks(rivals).items():
            lines[suite, task, agent]["rank"] = position
    if not lines:
        raise UserError(f"no trials in {ledgers}; `dexbench run --out {ledgers}` makes some")
    return sorted(lines.values(), key=_order)


def main(config: LeaderboardConfig) -> None:
    """Write the CSVs and print the tables.

    Raises:
        UserError: As `derive` and `read_real`, or a CSV cannot be written.
    """
    real = score_real(read_real([config.ledgers]))
    # Where there are only real trials, the lack of simulated ones is no error.
    lines = derive(config.ledgers) if find_files(config.ledgers, ROWS_FILE) or not real else []
    shown = [line for line in lines if config.suite in (None, line["suite"])]
    real_shown = real if config.suite in (None, KIND) else []
    if not shown and not real_shown:
        suites = [*sorted({line["suite"] for line in lines}), *([KIND] if real else [])]
        raise UserError(f"no trials of suite {config.suite}; the ledgers hold {', '.join(suites)}")
    texts = [markdown_table(shown) if config.markdown else score_table(shown)] if shown else []
    texts += [real_table(real_shown)] if real_shown else []
    path = config.csv or config.ledgers / "leaderboard.csv"
    tables = [(path, lines, COLUMNS), (_real_csv(path), real, REAL_COLUMNS)]
    written = [_write(*table) for table in tables if table[1]]
    print("\n\n".join(texts))
    print(f"wrote {', '.join(map(str, written))}", file=sys.stderr)


def _real_csv(path: Path) -> Path:
    return path.with_name(f"{path.stem}-{KIND}{path.suffix}")


def _write(path: Path, lines: list[dict[str, Any]], columns: tuple[str, ...]) -> Path:
    """Write a table as CSV; return where it is."""
    import pandas

    table = pandas.DataFrame(lines, columns=list(columns), dtype=object)
    try:
        write_atomic(path, table.to_csv(index=False, lineterminator="\n"))
    except OSError as error:
        raise UserError(f"cannot write {path} ({error}); choose another --csv") from error
    return path


def markdown_table(lines: list[dict[str, Any]]) -> str:
    """Return the leaderboard of one suite as Markdown, a line for each agent.

    Args:
        lines: As `derive` returns them.

    Returns:
        The table, no newline at the end: first the agents that see what everybody sees, then the
        privileged ones in italics; within both, the most successes over all tasks first. The
        columns are the tasks that were played, dexbench's first, then others by name. A cell has
        successes/trials, rate and 95% interval, the median final distance, and the rank among
        the agents that see what everybody sees.

    Raises:
        UserError: The lines are of several suites.
    """
    suites = sorted({line["suite"] for line in lines})
    if len(suites) > 1:
        raise UserError(
            f"--markdown shows one suite, but the ledgers hold {', '.join(suites)}; give --suite"
        )
    agents: dict[str, dict[str, dict[str, Any]]] = {}
    for line in lines:
        agents.setdefault(line["agent"], {})[line["task"]] = line
    tasks = in_order(line["task"] for line in lines)

    def order(item: tuple[str, dict[str, dict[str, Any]]]) -> tuple[Any, ...]:
        name, scores = item
        privileged = any(line["privileged"] for line in scores.values())
        return privileged, -sum(line["successes"] for line in scores.values()), name

    table = [
        f"| agent | {' | '.join(tasks)} | s/decision | planner | cost | pre-training |",
        f"|---|{'---:|' * len(tasks)}---:|---|---|---|",
    ]
    for name, scores in sorted(agents.items(), key=order):
        line = next(iter(scores.values()))
        cells = [_cell(scores.get(task)) for task in tasks]
        times = [line["decision_seconds"] for line in scores.values()]
        slowest = max((seconds for seconds in times if seconds is not None), default=None)
        shown = f"*{name}*" if line["privileged"] else name
        time = "-" if slowest is None else f"{slowest:.2f}"
        facts = [
            " / ".join(dict.fromkeys(line[key] for line in scores.values()))
            for key in ("planner", "cost", "pretraining")
        ]
        table.append(f"| {' | '.join([shown, *cells, time, *facts])} |")
    return "\n".join(table)


def _cell(line: dict[str, Any] | None) -> str:
    if line is None:
        return "-"
    low, high = 100 * line["ci_low"], 100 * line["ci_high"]
    place = "" if line["rank"] is None else f", rank {line['rank']}"
    parts = (
        f"{line['successes']}/{line['trials']} = {100 * line['rate']:.0f}%",
        f"[{low:.0f}, {high:.0f}]",
        f"{100 * line['median_final_distance_m']:.1f} cm{place}",
    )
    # In a narrow column a line breaks between the parts, not within.
    return " ".join(part.replace(" ", "\u00a0") for part in parts)


def _line(rows: list[Row]) -> dict[str, Any]:
    first = rows[0]
    facts = {
        key: first[key] for key in ("agent", "task", "pretraining", "suite_hash", "weights_hash")
    }
    versions = dict.fromkeys(
        ", ".join(f"{name} {version}" for name, version in row["versions"].items()) for row in rows
    )
    planners, costs = zip(*map(planner_and_cost, rows), strict=True)
    line = {
        **facts,
        "suite": suite_label(first),
        **summarise(rows),
        "rank": None,
        "planner": " / ".join(sorted(set(planners))),
        "cost": " / ".join(sorted(set(costs))),
        "privileged": first["privileged"],
        "versions": " | ".join(sorted(versions)),
        **{
            key: " | ".join(sorted({row[key] for row in rows if row.get(key)}))
            for key in ("dtype", "renderer")
        },
    }
    return {column: line[column] for column in COLUMNS}


def _ranks(entries: list[Entry]) -> dict[str, int]:
    """Return the ranks of a task's agents without privileges.

    An agent whose trials cannot be paired with those of most others has none.
    """
    rivals = played_alike([entry for entry in entries if not entry.privileged])
    try:
        check_pairable(rivals)
    except UserError:
        return {}
    return ranks({entry.agent: entry.solved for entry in rivals})


def _order(line: dict[str, Any]) -> tuple[Any, ...]:
    return line["suite"], rank(line["task"]), -line["rate"], line["agent"]
