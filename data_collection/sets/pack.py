"""`dexbench data pack`: the states of a set and its scenes, in one small file.

The pack is a zip of `pack.json` (the set's description and manifest rows), `states/<id>.h5`
(dataset `state`), `models/<sha256>.xml.gz` and `assets/`, the files of the asset cache that the
scenes use. With it, `dexbench data rerender` makes pictures where neither robosuite nor RoboCasa is
installed, which the asset cache would need to be built.
"""

import gzip
import io
import json
import posixpath
import re
import zipfile
import zlib
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

import h5py
import numpy as np
import tyro
from numpy.typing import NDArray

from dexbench.data_collection.store.states import PACK_SCHEMA, SetStates
from dexbench.envs.freeze import ASSETS
from dexbench.utils.errors import UserError
from dexbench.utils.files import atomic_file
from dexbench.utils.progress import track
from dexbench.utils.sizes import show_size

ASSET = re.compile(f'"{ASSETS}/([^"]+)"')
PACKED = (".h5", ".gz", ".png")
"""Endings of what is compressed already, and stored as it is."""


@dataclass(frozen=True)
class PackConfig:
    """Pack states and scenes of a set, without pictures, to render them elsewhere."""

    set: Annotated[Path, tyro.conf.Positional]
    """Folder of the set."""
    out: Path
    """The pack, a zip file."""
    max_mb: float | None = None
    """Size limit in MB (1e6 bytes): the first whole scenes that fit are packed, and it is said how
    many those are."""


def main(config: PackConfig) -> None:
    """Pack.

    Raises:
        UserError: There is no such set, it is damaged or empty, or not one scene fits.
    """
    source = SetStates(config.set)
    limit = float("inf") if config.max_mb is None else config.max_mb * 1e6
    scenes: dict[int, list[dict[str, Any]]] = {}
    for row in source.rows:
        scenes.setdefault(row["scene"], []).append(row)
    packed: list[dict[str, Any]] = []
    try:
        with (
            atomic_file(config.out) as draft,
            zipfile.ZipFile(draft, "w", zipfile.ZIP_DEFLATED, compresslevel=9) as file,
        ):
            for rows in track(scenes.values(), "packing", unit="scene"):
                members = _members(source, rows, set(file.namelist()))
                if _size(file) + sum(map(_cost, members.items())) > limit:
                    break
                for name, data in members.items():
                    _add(file, name, data)
                packed += rows
            if not packed:
                raise UserError(f"not one scene of {config.set} fits into --max-mb {config.max_mb}")
            head = {"pack": PACK_SCHEMA, "info": source.info, "rows": packed}
            _add(file, "pack.json", json.dumps(head, sort_keys=True).encode())
    except OSError as error:
        raise UserError(f"cannot write {config.out} ({error}); choose another --out") from error
    size = show_size(config.out.stat().st_size)
    print(f"wrote {config.out}: {len(packed)} of {len(source.rows)} episodes, {size}")


def _members(source: SetStates, rows: list[dict[str, Any]], packed: set[str]) -> dict[str, bytes]:
    """Return the files that a scene adds to a pack, by name."""
    members = {}
    for row in rows:
        members[f"states/{row['id']:06d}.h5"] = _h5(source.states(row))
        name = f"models/{row['model']}.xml.gz"
        if name in packed or name in members:
            continue
        xml = source.xml(row)
        members[name] = gzip.compress(xml.encode(), mtime=0)
        # Objects name the mesh of their category as `../mesh`, which unzipping would not follow.
        for asset in sorted({posixpath.normpath(name) for name in ASSET.findall(xml)}):
            if f"assets/{asset}" not in packed:
                members[f"assets/{asset}"] = (source.assets / asset).read_bytes()
    return members


def _h5(state: NDArray[np.float64]) -> bytes:
    buffer = io.BytesIO()
    with h5py.File(buffer, "w") as file:
        # Most of a state never changes: bytes of the same place side by side compress best.
        file.create_dataset(
            "state",
            data=state,
            chunks=state.shape,
            shuffle=True,
            compression="gzip",
            compression_opts=9,
        )
    return buffer.getvalue()


def _add(file: zipfile.ZipFile, name: str, data: bytes) -> None:
    """Add a member; the same content gives the same pack, so that no clock is in it."""
    member = zipfile.ZipInfo(name)
    member.compress_type = zipfile.ZIP_STORED if name.endswith(PACKED) else zipfile.ZIP_DEFLATED
    file.writestr(member, data, compresslevel=9)


def _size(file: zipfile.ZipFile) -> int:
    """Return bytes in the pack so far, with the entries of its table of contents and manifest."""
    return sum(m.compress_size + 600 + 2 * len(m.filename) for m in file.infolist())


def _cost(member: tuple[str, bytes]) -> int:
    """At most what a member adds."""
    name, data = member
    size = len(data) if name.endswith(PACKED) else len(zlib.compress(data, 9))
    return size + 600 + 2 * len(name)
