"""A row of a ledger: what names it, and with which rows it may be mixed."""

import json
import re
from collections.abc import Collection, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from dexbench.utils.errors import UserError

Row = dict[str, Any]

IDENTITY = (
    *("agent", "task", "suite", "suite_hash", "weights_hash", "agent_args", "threads"),
    *("dtype", "privileged", "entry_point", "planner", "cost"),
    *("settings_hash", "hide_robot"),
    *("kind", "driver", "driver_args", "limits", "steps", "pace"),
)
"""What must agree between the rows of one ledger, beside MuJoCo, whose version changes
trajectories. Earlier rows lack some of it, which then agrees with anything."""

HIDDEN = "-hidden"
"""What names of agents and suites end with where the goal is drawn without the robot."""

FIRST = ("agent", "task", "suite", "suite_hash", "trial", "repeat", "trial_hash", "seed")
"""The keys that a line begins with."""


class Difference(NamedTuple):
    """In what two rows cannot be compared."""

    key: str
    value: Any
    """The first row's."""
    other: Any
    """The second row's."""


def play_key(row: Row) -> tuple[int, int]:
    """(trial, repeat) of a row; rows from before there were repeats are repeat 0."""
    return row["trial"], row.get("repeat", 0)


def is_agent_name(name: str) -> bool:
    """Return whether an agent may be called so, in ledgers and in the names of their folders."""
    return bool(re.fullmatch(r"[\w.-]+(:[\w-]+)?", name)) and set(name) != {"."}


def play_name(task: str, trial: int, repeat: int) -> str:
    """Return what messages call a trial."""
    return f"{task} trial {trial}" + (f", repeat {repeat}" if repeat else "")


def play_stem(trial: int, repeat: int) -> str:
    """Return what the files of a trial are called: ``003``, or ``003-r1`` for its repeat 1."""
    return f"{trial:03d}" + (f"-r{repeat}" if repeat else "")


def difference(row: Row, other: Row) -> Difference | None:
    """Return the first of `IDENTITY` in which two rows differ; None if none."""
    identity, others = _identity(row), _identity(other)
    for key, value in identity.items():
        if key in others and value != others[key]:
            return Difference(key, value, others[key])
    return None


def _identity(row: Row) -> Row:
    identity = {key: row[key] for key in IDENTITY if key in row}
    mujoco = row.get("versions", {}).get("mujoco")
    return {**identity, "hide_robot": hides_robot(row), "mujoco": mujoco}


def hides_robot(row: Row) -> bool:
    """Whether the goal was drawn without the robot by ``--hide-robot``; earlier rows lack it."""
    return bool(row.get("hide_robot", False))


def suite_label(row: Row) -> str:
    """Return what tables call the suite: rows with a hidden robot are of one of their own."""
    return f"{row['suite']}{HIDDEN if hides_robot(row) else ''}"


def check_compatible(rows: Sequence[Row], row: Row, path: Path) -> None:
    """Refuse to mix trials that cannot be compared.

    Args:
        rows: What the ledger holds.
        row: A row of the run that wants to go on with it; only its `IDENTITY` matters.
        path: The ledger, for the message.

    Raises:
        UserError: They differ in something that changes what is measured.
    """
    for old in rows:
        if differing := difference(old, row):
            key, value, wanted = differing
            raise UserError(
                f"{path} holds rows with {key} {value}, but this run has {wanted}: choose "
                "another --name or --out, or delete those rows with --fresh (not a real robot's)"
            )


def check_complete(rows: Sequence[Row], keys: Collection[str], path: Path) -> None:
    """Refuse rows that lack something.

    Args:
        rows: What the ledger holds.
        keys: What each row must have.
        path: The ledger, for the message.

    Raises:
        UserError: A row lacks one of the keys.
    """
    if missing := {key for key in keys for row in rows if key not in row}:
        raise UserError(
            f"{path} is no ledger of this version: a row lacks {', '.join(sorted(missing))}"
        )


def plain(value: Row, what: str) -> Row:
    """Return the value as JSON gives it back, so that it equals what a ledger will hold.

    Args:
        value: To be part of a row.
        what: Its name, for the message.

    Raises:
        UserError: JSON cannot hold it.
    """
    try:
        read_back: Row = json.loads(json.dumps(value, allow_nan=False, ensure_ascii=False).encode())
    except (TypeError, ValueError) as error:
        raise UserError(
            f"a row cannot hold {what} ({error}): strings, finite numbers, lists and dicts will do"
        ) from error
    return read_back


def ordered(row: Row) -> Row:
    """Return the row as it is written: what names it first, the clocks last."""
    keys = [*FIRST, *(key for key in row if key not in (*FIRST, "timing")), "timing"]
    return {key: row[key] for key in keys if key in row}


def line_of(row: Row) -> bytes:
    """Return the row as a line of a ledger."""
    return json.dumps(row, allow_nan=False, separators=(",", ":")).encode() + b"\n"
