"""`dexbench data merge`: one set of several, by hard links where the file system has them."""

import os
import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

import tyro

from dexbench.data_collection.store.manifest import INFO, SCHEMA, info_bytes, sha256
from dexbench.data_collection.store.store import FOLDERS, EpisodeStore, new_folder, refuse_existing
from dexbench.data_collection.store.verify import require_whole
from dexbench.utils.errors import UserError
from dexbench.utils.files import file_sha256
from dexbench.utils.progress import track

SAME = ("schema", "control_hz", "image_size", "assets", "kitchen", "slim")
"""What sets must have in common to be merged."""


@dataclass(frozen=True)
class MergeConfig:
    """Make one set of several; episodes and scenes are numbered anew, in the order given.

    The files are hard links to the sources' where possible, so that merging takes no space. Merging
    a single set copies it, and brings one of an older schema up to date.
    """

    sets: Annotated[tuple[Path, ...], tyro.conf.Positional]
    """Folders of sets, which are left as they are."""
    out: Path
    """Folder of the merged set; must not exist."""


def main(config: MergeConfig) -> None:
    """Merge.

    Raises:
        UserError: A set is missing, damaged, of another kind than the rest or given twice, or the
            output exists.
    """
    if not config.sets:
        raise UserError("name at least one episode set")
    refuse_existing(config.out)
    stores = [EpisodeStore(root) for root in config.sets]
    for key in SAME:
        values = [_facts(store)[key] for store in stores]
        for store, value in zip(stores, values, strict=True):
            if value != values[0]:
                raise UserError(
                    f"{store.root} has {key} {value}, {stores[0].root} has {values[0]}; sets are "
                    "merged only if they agree"
                    + ("; merge the older one by itself first" if key == "schema" else "")
                )
    for store in stores:
        require_whole(store)
    _refuse_repeats(stores)
    with new_folder(config.out) as draft:
        count = _merge(stores, draft)
    print(f"wrote {config.out}: {count} episodes of {len(stores)} sets")


def sources(store: EpisodeStore) -> list[dict[str, Any]]:
    """Return the sets as collected that a set is made of, itself if it was collected."""
    if "sources" in store.info:
        collected: list[dict[str, Any]] = store.info["sources"]
        return collected
    # The checksums of the recorded files say what was collected, whatever the schema.
    digest = sha256("".join(row["h5"] + row["mp4"] for row in store.rows()).encode())
    facts = {key: store.info.get(key) for key in ("strategy", "seed", "dexbench")}
    return [facts | {"episodes": sum(1 for _ in store.rows()), "content": digest}]


def _facts(store: EpisodeStore) -> dict[str, Any]:
    """Return a set's description.

    Schema 1 did not name the asset pack, of which there was one version. Generated kitchens are not
    named.
    """
    return {"assets": "1", "kitchen": None, "slim": None, **store.info}


def _refuse_repeats(stores: list[EpisodeStore]) -> None:
    """Refuse the same episode twice: it could be trained on and held out."""
    seen: dict[str, Path] = {}
    for store in stores:
        for row in store.rows():
            if row["h5"] in seen:
                raise UserError(
                    f"{store.root} and {seen[row['h5']]} hold the same episode ({row['id']} in the "
                    "first); give each set once, and collect with another --seed for more"
                )
        seen |= {row["h5"]: store.root for row in store.rows()}


def _merge(stores: list[EpisodeStore], out: Path) -> int:
    """Fill the empty folder ``out``; returns the number of episodes."""
    facts = _facts(stores[0])
    info = {key: facts[key] for key in SAME if facts[key] is not None} | {"schema": SCHEMA}
    info |= {"dexbench": stores[-1].info["dexbench"]}
    info |= {"sources": [source for store in stores for source in sources(store)]}
    (out / INFO).write_bytes(info_bytes(info))
    for folder in FOLDERS.values():
        (out / folder).mkdir()
    merged = EpisodeStore(out)
    rows: list[dict[str, Any]] = []
    scene = first = 0
    for store in stores:
        for row in track(list(store.rows()), str(store.root), unit="episode"):
            # Where it was collected: number of the source, and the episode's number there.
            origin, number = row.get("source", (0, row["id"]))
            new = row | {
                "id": len(rows),
                "scene": scene + row["scene"],
                "source": [first + origin, number],
            }
            for kind in FOLDERS:
                link(store.file(row, kind), merged.file(new, kind))
            new["model_gz"] = file_sha256(merged.file(new, "model_gz"))
            rows.append(new)
        scene = 1 + max((row["scene"] for row in rows), default=-1)
        first += len(sources(store))
    merged.keep(rows)
    return len(rows)


def link(source: Path, target: Path) -> None:
    """Make a file the same as another, which may be on another file system."""
    if target.exists():
        return
    try:
        os.link(source, target)
    except OSError:
        shutil.copyfile(source, target)
