"""``dexbench report``: writes one HTML file that needs nothing beside it, and no network."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from tyro.conf import Positional

from dexbench.bench.ledger.entries import Entry, leave_hidden, read_entries
from dexbench.bench.ledger.ledger import ROWS_FILE
from dexbench.bench.ledger.real import RealEntry, read_real
from dexbench.bench.scores.novelty import ASPECTS
from dexbench.bench.scores.real import score_real
from dexbench.utils import pages
from dexbench.utils.files import find_files

from .openloop import Predicted, read_openloop

HERE = Path(__file__).parent


@dataclass(frozen=True)
class ReportConfig:
    """Writes scores, curves and every trial's outcome as one HTML file to look at and pass on."""

    ledgers: Positional[tuple[Path, ...]] = (Path("results/v2"),)
    """Folders that are searched for trials.jsonl files, of one suite, for openloop.json files, and
    for real.jsonl files of real robots. Rows of --hide-robot are left out, unless there are no
    others."""
    out: Path = Path("report.html")
    """The file; it is replaced."""


def main(config: ReportConfig) -> None:
    """Write the file and say where."""
    real = read_real(config.ledgers)
    simulated = any(find_files(folder, ROWS_FILE) for folder in config.ledgers)
    # Where there are only real trials, the lack of simulated ones is no error.
    entries = leave_hidden(read_entries(config.ledgers)) if simulated or not real else []
    pages.write(config.out, render(entries, read_openloop(config.ledgers), real))


def render(
    entries: Sequence[Entry],
    predicted: Sequence[Predicted] = (),
    real: Sequence[RealEntry] = (),
) -> str:
    """Return the page.

    Args:
        entries: Of one suite; there may be none if there are real ones.
        predicted: Open-loop evaluations.
        real: Trials of real robots, which the page shows apart.

    Returns:
        HTML; the same ledgers give the same text.

    Raises:
        UserError: The entries are of several suites.
    """
    from . import content, curves

    agents = content.describe_agents(entries)
    names = content.tasks_of(entries)
    tasks = [content.describe_task(name, agents) for name in names]
    shared, differing = content.facts(agents)
    rows = [row for group in (entries, real) for entry in group for row in entry.rows]
    return pages.render(
        HERE,
        agents=agents,
        tasks=tasks,
        aspects=ASPECTS,
        criteria={name: curves.criterion(name) for name in names},
        threshold_curves=curves.threshold_curves(names, agents),
        time_curves=curves.time_curves(names, agents),
        distance_curves=curves.distance_curves(names, agents),
        decision_times={agent.name: content.decision_times(agent) for agent in agents},
        predicted=predicted,
        describe_trial=content.describe_trial,
        shared=shared,
        differing=differing,
        errors=content.errors(agents),
        commands=content.commands(agents),
        real=score_real(real),
        real_trials=[(entry, row) for entry in real for row in entry.rows],
        suite=entries[0].rows[0]["suite"] if entries else None,
        trials=sorted({len(entry.rows) for entry in entries}),
        last=max(row["timing"]["finished_at"] for row in rows)[:10],
    )
