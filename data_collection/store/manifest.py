"""The two text files of a set: dataset.json, how it is made, and manifest.jsonl, what is in it."""

import hashlib
import json
from pathlib import Path
from typing import Any

from dexbench.utils.errors import UserError

SCHEMA = 2
"""1 had no checksums of frozen scenes, dataset.json and manifest lines; it can still be read."""

INFO, MANIFEST = "dataset.json", "manifest.jsonl"

ROBOT_STRATEGIES = frozenset({"lift", "lift-noise", "programmatic", "play", "waypoints"})
"""Strategies of collection that record the benchmark's own robot."""


def info_bytes(info: dict[str, Any]) -> bytes:
    """Return a set's description as dataset.json holds it."""
    return json.dumps(info, indent=1, sort_keys=True).encode()


def read_info(root: Path) -> dict[str, Any]:
    """Return what dataset.json says of a set.

    Raises:
        UserError: There is none, or it is damaged, or a later dexbench wrote it.
    """
    path = root / INFO
    if not path.exists():
        raise UserError(f"{root} holds no episode set; `dexbench collect --out {root}` makes one")
    try:
        info: dict[str, Any] = json.loads(path.read_bytes())
        schema = int(info["schema"])
    except (ValueError, TypeError, LookupError) as error:
        raise UserError(
            f"{path} is damaged ({error}); `dexbench data verify {root}` says how to mend the set"
        ) from error
    if not 1 <= schema <= SCHEMA:
        raise UserError(
            f"{path} has schema {schema}, this dexbench reads 1 to {SCHEMA}; install a newer one"
        )
    return info


def parse_line(line: bytes, checked: bool) -> dict[str, Any] | None:
    """Return a manifest line without its own checksum, or None if it is not as it was written.

    Args:
        line: With its newline.
        checked: Whether it must hold its checksum, as from schema 2 on.
    """
    try:
        row: dict[str, Any] = json.loads(line)
        row["id"] + row["frames"]
    except (ValueError, TypeError, LookupError):
        return None
    if not checked:
        return row
    found = row.pop("line", None)
    return row if found is not None and line == line_bytes(row) else None


def line_bytes(row: dict[str, Any]) -> bytes:
    """Return a manifest line with its newline and its own checksum."""
    digest = sha256(json.dumps(row, sort_keys=True).encode())
    return json.dumps(row | {"line": digest}, sort_keys=True).encode() + b"\n"


def sha256(data: bytes) -> str:
    """Return the sha256 (hex) of bytes."""
    return hashlib.sha256(data).hexdigest()


def episode_name(row: dict[str, Any]) -> str:
    """Return the name of an episode's files."""
    return f"{row['id']:06d}"


def scene_of(row: dict[str, Any]) -> str:
    """Return what identifies an episode's scene, the episode itself if the manifest does not."""
    scene = row.get("scene", (row.get("meta") or {}).get("scene"))
    return json.dumps(scene, sort_keys=True) if scene is not None else episode_name(row)
