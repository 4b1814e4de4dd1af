"""Accepted submissions: ledgers like all others, beside what was checked and by whom they are."""

import hashlib
import json
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from dexbench.bench.ledger.ledger import ROWS_FILE, read_rows
from dexbench.bench.run.runner import agent_folder
from dexbench.bench.run.worker import versions
from dexbench.utils.errors import UserError
from dexbench.utils.files import atomic_folder, find_files, write_atomic

from .submission import Submission, unpack
from .verdict import Verdict

RECORD = "submission.json"
"""Beside the ledgers of one suite and agent: the statement, the verdicts, and when they fell."""


def accept(
    submission: Submission, data: bytes, verdicts: list[Verdict], place: Path, against: Path
) -> Path:
    """Write ledgers and record of a submission that is not refused, whole or not at all.

    Args:
        submission: What the file holds.
        data: The file.
        verdicts: What came of it.
        place: Gets a folder ``SUITE/AGENT``.
        against: Folder of ledgers in which it must have a name of its own.

    Returns:
        The folder.

    Raises:
        UserError: An agent of this name has rows of this suite already.
        OSError: It cannot be written there.
    """
    first = submission.plays[0].row
    mine = first["agent"], first["suite_hash"]
    for path in (*find_files(against, ROWS_FILE), *find_files(place, ROWS_FILE)):
        if any((row["agent"], row["suite_hash"]) == mine for row in read_rows(path)):
            raise UserError(
                f"{path} holds {first['agent']} on {first['suite']} already; take that away, or "
                "have the submission played under another --name"
            )
    record: dict[str, Any] = {
        **asdict(submission.statement),
        "sha256": hashlib.sha256(data).hexdigest(),
        "checked": {verdict.what: verdict.found for verdict in verdicts},
        "on": datetime.now(UTC).date().isoformat(),
        "versions": versions(),
    }
    folder = agent_folder(place, first["suite"], first["agent"])
    with atomic_folder(folder) as draft:
        unpack(submission.plays, draft)
        write_atomic(draft / RECORD, json.dumps(record, indent=1) + "\n")
    return folder
