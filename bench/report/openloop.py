"""What open-loop evaluations that lie beside the ledgers say (``dexbench openloop``)."""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from dexbench.bench.openloop.shown import Table, tables
from dexbench.utils.errors import UserError
from dexbench.utils.files import find_files

FILE = "openloop.json"
"""The name of an evaluation's file."""


@dataclass(frozen=True)
class Predicted:
    """What some models predicted of one set's windows."""

    title: str
    """The set, how many windows, and how far frames are apart."""
    weights: dict[str, str]
    """Start of the sha256 of each model's weights, by its name."""
    windows: str
    """Start of the sha256 of the windows. Evaluations with the same can be compared."""
    tables: dict[str, Table]
    """By their captions."""


def read_openloop(folders: Sequence[Path]) -> list[Predicted]:
    """Read every evaluation under some folders, in the order of their paths.

    Args:
        folders: Searched for `FILE`; there may be none.

    Raises:
        UserError: One is damaged.
    """
    found = []
    for path in sorted({path for folder in folders for path in find_files(folder, FILE)}):
        try:
            facts = json.loads(path.read_bytes())
            for windows in facts["sets"]:
                parts = [
                    [row for row in facts.get(part, []) if row["set"] == windows["set"]]
                    for part in ("rows", "counterfactual", "transfer")
                ]
                title = f"{windows['set']}, {len(windows['windows'])} windows"
                found.append(
                    Predicted(
                        f"{title}, {facts['interval_s']:g} s a step",
                        {model["model"]: model["weights_sha256"][:16] for model in facts["models"]},
                        windows["windows_sha256"][:16],
                        tables(*parts),
                    )
                )
        except (ValueError, LookupError, TypeError, AttributeError) as error:
            raise UserError(
                f"{path} is damaged ({type(error).__name__}: {error}); delete it, "
                "or make it again with `dexbench openloop`"
            ) from error
    return found
