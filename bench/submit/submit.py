"""``dexbench submit``: packs an agent's ledgers into one file, if it would be accepted."""

from dataclasses import dataclass
from pathlib import Path

from tyro.conf import Positional

from dexbench.bench.ledger.actions import actions_path, read_actions
from dexbench.bench.ledger.ledger import ROWS_FILE, read_rows
from dexbench.bench.ledger.rows import play_key
from dexbench.utils.errors import UserError
from dexbench.utils.files import find_files, write_atomic
from dexbench.utils.sizes import show_size

from .check import Options, Simulate, examine, simulate
from .submission import Play, Statement, Submission, encode
from .verdict import well


@dataclass(frozen=True, kw_only=True)
class SubmitConfig(Options):
    """Packs an agent's rows and actions into a file for the leaderboard.

    Does what `dexbench check` does, and writes nothing if that refuses. Repeats stay behind.
    """

    ledger: Positional[Path]
    """Folder of the agent's ledgers on one suite, OUT/SUITE/AGENT, or of one task's."""
    out: Path
    """Where to write the file."""
    authors: tuple[str, ...]
    """Whose the agent is."""
    training_data: str
    """What the weights were trained on, in a line; "none" if nothing was learned."""
    hardware: str
    """What it was played on, in a line: the times of decisions are from there."""


def main(config: SubmitConfig, simulate: Simulate = simulate) -> None:
    """Print the verdicts and write the file.

    Args:
        config: What the user asked for.
        simulate: Simulates rows again.

    Raises:
        UserError: There are no rows, the file would be refused, or it cannot be written.
    """
    statement = Statement(config.authors, config.training_data, config.hardware)
    data = encode(Submission(statement, gather(config.ledger)))
    _, verdicts = examine(data, config, simulate)
    for verdict in verdicts:
        print("\n".join(verdict.lines()))
    if not well(verdicts):
        raise UserError(f"{config.ledger} would be refused; mend what is printed above")
    write_atomic(config.out, data)
    print(f"wrote {config.out}: {show_size(len(data))}")


def gather(folder: Path) -> tuple[Play, ...]:
    """Return the plays of all ledgers in a folder, by path and trial, without repeats.

    Raises:
        UserError: There are none, or a ledger or its actions are damaged.
    """
    plays = tuple(
        Play(row, read_actions(actions_path(path.parent, row)))
        for path in find_files(folder, ROWS_FILE)
        for row in sorted(read_rows(path), key=play_key)
        if play_key(row)[1] == 0
    )
    if not plays:
        raise UserError(
            f"no trials in {folder}; expected the folder OUT/SUITE/AGENT that `dexbench run` wrote"
        )
    return plays
