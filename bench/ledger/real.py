"""Rows of a real robot's trials: a kind of their own, in files of their own.

``OUT/real/DRIVER/AGENT/TASK/real.jsonl`` holds them. No command takes them for simulated ones,
because those lie in files of another name.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from dexbench.utils.errors import UserError
from dexbench.utils.files import find_files

from .ledger import read_rows
from .rows import Row, check_compatible, check_complete, play_key

KIND = "real"
"""What these rows have under ``kind``."""
REAL_FILE = "real.jsonl"
"""The name of a ledger's file."""
PERSON, DRIVER = "person", "driver"
"""Who may have judged a trial: whoever watched, or a driver that can tell, as a simulated one."""
KEYS = {
    *("agent", "task", "kind", "trial", "driver", "driver_args", "calibration", "goal", "success"),
    *("judge", "note", "error", "weights_hash", "pretraining", "agent_args", "versions"),
    *("planner", "cost", "timing"),
}
"""What every row has."""


@dataclass(frozen=True)
class RealEntry:
    """What one agent did on one task with one robot."""

    driver: str
    agent: str
    task: str
    rows: list[Row]
    """By trial number; at least one."""


def real_folder(out: Path, driver: str, agent: str, task: str) -> Path:
    """Return the folder of a ledger; ``package.module:Class`` is ``package.module.Class``."""
    return out / KIND / driver.replace(":", ".") / agent.replace(":", ".") / task


def read_real(folders: Sequence[Path]) -> list[RealEntry]:
    """Read every ledger of a real robot under some folders.

    Args:
        folders: Searched for `REAL_FILE`.

    Returns:
        An entry for each ledger that has rows, in the order of their paths; there may be none.

    Raises:
        UserError: One is damaged, mixes what cannot be compared or holds rows of another kind, or
            two hold the same robot, agent and task.
    """
    paths: dict[tuple[str, str, str], Path] = {}
    entries: list[RealEntry] = []
    for path in sorted({path for folder in folders for path in find_files(folder, REAL_FILE)}):
        rows = sorted(read_rows(path), key=play_key)
        if not rows:
            continue
        check_complete(rows, KEYS, path)
        check_compatible(rows, rows[0], path)
        first = rows[0]
        if first["kind"] != KIND:
            raise UserError(f"{path} holds rows of kind {first['kind']!r}, expected {KIND!r}")
        entry = RealEntry(first["driver"], first["agent"], first["task"], rows)
        key = (entry.driver, entry.task, entry.agent)
        if key in paths:
            raise UserError(
                f"{paths[key]} and {path} both hold {entry.agent} on {entry.task} with "
                f"{entry.driver}; leave one out or give it another --name"
            )
        paths[key] = path
        entries.append(entry)
    return entries
