"""Which settings of a training are its identity: what a run must share to continue another.

A field belongs to the identity unless its metadata says otherwise.
"""

import dataclasses
from typing import Any

CHANGEABLE = {"identity": False}
"""Metadata of a setting that a continued run may change."""
RESOLVED = {"identity": "resolved"}
"""Metadata of a setting that the identity holds as what it stands for, such as a file's sha256."""


def identity(config: Any) -> dict[str, Any]:
    """Return the settings of a dataclass that are part of its run's identity, by name."""
    values = dataclasses.asdict(config)
    kept = [f.name for f in dataclasses.fields(config) if f.metadata.get("identity", True) is True]
    return {name: values[name] for name in kept}
