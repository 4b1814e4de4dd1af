"""Tensors on disk: safetensors with notes in the header. Never pickle."""

import hashlib
import json
import os
from pathlib import Path

from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor

from ..envs.errors import UserError


def weights_hash(path: str | Path) -> str:
    """sha256 of a file, in hexadecimal."""
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def save_tensors(path: str | Path, tensors: dict[str, Tensor], metadata: dict[str, str]) -> None:
    """Writes a safetensors file so that a crash leaves the old file or the new one."""
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_name(path.name + ".tmp")
    # One header entry: safetensors writes several in random order, and equal weights must give
    # equal files.
    header = {"dexbench": json.dumps(metadata, sort_keys=True)}
    partial.touch()
    mode = partial.stat().st_mode
    save_file({k: v.detach().cpu().contiguous() for k, v in tensors.items()}, partial, header)
    partial.chmod(mode)  # safetensors makes files that only their owner may read
    with open(partial, "rb") as file:
        os.fsync(file.fileno())
    os.replace(partial, path)


def read_tensors(path: str | Path) -> tuple[dict[str, Tensor], dict[str, str]]:
    """Reads a safetensors file.

    Raises:
        UserError: The file is missing or damaged.
    """
    path = Path(path)
    if not path.is_file():
        raise UserError(f"no weights at {path}; `dexbench train` makes them")
    try:
        with safe_open(path, "pt") as file:
            tensors = {k: file.get_tensor(k) for k in file.keys()}  # noqa: SIM118
            return tensors, json.loads((file.metadata() or {}).get("dexbench", "{}"))
    except (SafetensorError, OSError, ValueError) as error:
        raise UserError(
            f"{path} is damaged or no safetensors file ({error}); fetch or train it again"
        ) from error
