"""`dexbench data info`: what sets of clips hold, side by side."""

import json
from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

import h5py
import numpy as np
import tyro
from numpy.typing import NDArray

from dexbench.data_collection.readers import index as readers
from dexbench.data_collection.readers.index import Index
from dexbench.data_collection.store.layouts import salvage
from dexbench.data_collection.store.manifest import INFO
from dexbench.data_collection.store.store import FOLDERS, EpisodeStore
from dexbench.envs.scenes.objects import category_of
from dexbench.utils.errors import UserError

from .opened import open_set, robot_set

NOTHING = "-"
"""Stands for a fact that a set has not."""
MOVED = 0.03
"""An object counts as moved when its centre gets this far, in m, from where it began."""


@dataclass(frozen=True)
class InfoConfig:
    """Print what sets of clips hold, whoever recorded them: a table with a column a set.

    A dash stands where a set has no such thing: other people's data name no scenes or contacts.
    """

    sets: Annotated[tuple[Path, ...], tyro.conf.Positional]
    """Folders of sets in any layout that `dexbench data index` reads, or indexes that it wrote."""


def main(config: InfoConfig) -> None:
    """Print the table.

    Raises:
        UserError: A folder holds no clips that dexbench reads, or a damaged episode set.
    """
    if not config.sets:
        raise UserError("name at least one set")
    names = [root.resolve().name for root in config.sets]
    if len(set(names)) < len(names):
        names = [str(root) for root in config.sets]
    found = [open_set(root) for root in config.sets]
    columns = {name: facts(index) for name, index in zip(names, found, strict=True)}
    print(table(columns))
    if any(len(column) < len(set().union(*columns.values())) for column in columns.values()):
        print(f"{NOTHING} nothing of the kind is recorded there")
    if any(index.problems for index in found):
        print("`dexbench data index` says why clips are left out")


def facts(index: Index) -> dict[str, str]:
    """Return what a set holds, as text by the name of the fact, in order.

    Raises:
        UserError: The set is damaged.
    """
    store = robot_set(index)
    sizes = _total(index.root) if store is None else _sizes(store)
    recorded = {} if store is None else _episodes(store)
    return _origin(index.root) | readers.facts(index) | sizes | recorded


def _origin(root: Path) -> dict[str, str]:
    """Return how a set was made, if dexbench made it."""
    if not (root / INFO).is_file():
        return {}
    store = salvage(root)
    if not store.info:  # a stand-in's clips are there, whatever became of their description
        return {"strategy": f"unknown, {INFO} is damaged"}
    return {
        "strategy": store.info.get("strategy") or _made_of(store),
        "seed": str(store.info.get("seed", NOTHING)),
        "dexbench": f"{store.info['dexbench']}, schema {store.info['schema']}",
    }


def _total(root: Path) -> dict[str, str]:
    """Return the size of all that a folder holds, or of a file."""
    files = [root] if root.is_file() else [path for path in root.rglob("*") if path.is_file()]
    return {"GB": f"{sum(path.stat().st_size for path in files) / 1e9:.4f}"}


def _sizes(store: EpisodeStore) -> dict[str, str]:
    """Return the size of an episode set's files by their kind."""
    rows, table = list(store.rows()), {}
    total = 0
    for kind, folder in FOLDERS.items():
        size = sum(
            path.stat().st_size for path in {store.file(row, kind) for row in rows} if path.exists()
        )
        total += size
        table[f"GB {folder}"] = f"{size / 1e9:.4f}"
    return table | {"GB": f"{total / 1e9:.4f}"}


def _episodes(store: EpisodeStore) -> dict[str, str]:
    """Return what only robot episodes tell: what happens in them, and where."""
    rows, table = list(store.rows()), {}
    frames = sum(row["frames"] for row in rows)
    for kind, count in sorted(Counter(row["kind"] for row in rows).items()):
        table[f"clips {kind}"] = f"{count}"
    share = 100 / max(len(rows), 1)
    for fact in ("touched", "lifted"):
        count = sum(row[fact] for row in rows)
        table[f"clips {fact}"] = f"{count} ({count * share:.0f} %)"
    if "slim" not in store.info:
        contacts, moved = _contacts(store, rows)
        table["clips moved"] = f"{moved} ({moved * share:.0f} %)"
        table["frames in contact"] = f"{contacts} ({100 * contacts / max(frames, 1):.0f} %)"
    table["scenes"] = str(len({row["scene"] for row in rows}))
    instances = _instances(store, rows)
    table["object instances"] = str(len(set(instances)))
    for category, count in sorted(Counter(category_of(name) for name in instances).items()):
        table[f"scenes with {category}"] = str(count)
    return table


def table(columns: dict[str, dict[str, str]]) -> str:
    """Return facts of one or more sets, aligned; a set without a fact shows a dash."""
    names = list(dict.fromkeys(name for column in columns.values() for name in column))
    order = {name: i for column in columns.values() for i, name in enumerate(column)}
    lines = [["", *columns]]
    for name in sorted(names, key=lambda name: order[name]):
        lines.append([name, *(column.get(name, NOTHING) for column in columns.values())])
    widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
    return "\n".join(
        "  ".join([line[0].ljust(widths[0]), *map(str.rjust, line[1:], widths[1:])]).rstrip()
        for line in lines
    )


def displacement(positions: NDArray[np.float64]) -> float:
    """Return how far in m any object ever is from where it began, of positions (T, k, 3) in m."""
    away = np.linalg.norm(positions - positions[:1], axis=-1)
    return float(away.max(initial=0.0))


def _contacts(store: EpisodeStore, rows: list[dict[str, Any]]) -> tuple[int, int]:
    """Return the number of frames in contact, and of clips in which an object moves."""
    contacts = moved = 0
    for row in rows:
        path = store.file(row, "h5")
        try:
            with h5py.File(path) as file:
                contacts += int(file["contact"][()].sum())
                moved += displacement(file["object_pos"][()]) >= MOVED
        except (OSError, KeyError) as error:
            raise store.damaged(path, error) from error
    return contacts, moved


def _made_of(store: EpisodeStore) -> str:
    """Return what a set that was not collected is made of."""
    count = len(store.info["sources"])
    return f"{count} set{'s' if count > 1 else ''} {'slim' if 'slim' in store.info else 'merged'}"


def _instances(store: EpisodeStore, rows: list[dict[str, Any]]) -> list[str]:
    """Return the object instances of every scene, one after the other."""
    firsts = {row["scene"]: row for row in reversed(rows)}
    instances: list[str] = []
    for row in firsts.values():
        path = store.file(row, "h5")
        try:
            with h5py.File(path) as file:
                instances += json.loads(file.attrs["meta"])["instances"]
        except (OSError, KeyError, ValueError) as error:
            raise store.damaged(path, error) from error
    return instances
