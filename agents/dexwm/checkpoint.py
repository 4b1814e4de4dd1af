"""Weights on disk: safetensors with the model's configuration in the header. Never pickle."""

import hashlib
import json
import os
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor

from ...envs.errors import UserError
from .config import ModelConfig
from .model import DexWMModel

FORMAT = "dexbench-dexwm-1"
PACKAGED = Path(__file__).parent / "weights" / "compact.safetensors"


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
        raise UserError(f"no weights at {path}; train them with `dexbench train dexwm`")
    try:
        with safe_open(path, "pt") as file:
            tensors = {k: file.get_tensor(k) for k in file.keys()}  # noqa: SIM118
            return tensors, json.loads((file.metadata() or {}).get("dexbench", "{}"))
    except (SafetensorError, OSError, ValueError) as error:
        raise UserError(
            f"{path} is damaged or no safetensors file ({error}); fetch or train it again"
        ) from error


def save_model(path: str | Path, model: DexWMModel, notes: dict[str, Any] | None = None) -> str:
    """Writes the weights as float16 with configuration and notes in the header.

    Args:
        path: Where to.
        model: What to write.
        notes: How the weights came about (data, seed, times); any JSON.

    Returns:
        The file's sha256.
    """
    tensors = {key: value.to(torch.float16) for key, value in model.state_dict().items()}
    metadata = {
        "format": FORMAT,
        "config": model.config.to_json(),
        "notes": json.dumps(notes or {}, sort_keys=True),
    }
    save_tensors(path, tensors, metadata)
    return weights_hash(path)


def load_model(
    path: str | Path | None = None,
    device: torch.device | str = "cpu",
    dtype: torch.dtype = torch.float32,
) -> tuple[DexWMModel, str]:
    """Loads a model for inference.

    Args:
        path: A file of ``save_model``; the packaged weights if None.
        device: Where the model goes.
        dtype: What it computes in.

    Returns:
        The model, frozen, and the file's sha256.

    Raises:
        UserError: The file is missing, damaged, of another format, or lacks or misfits a tensor.
    """
    path = Path(path or PACKAGED)
    tensors, metadata = read_tensors(path)
    if metadata.get("format") != FORMAT:
        raise UserError(
            f"{path} holds format {metadata.get('format')!r}, this version reads {FORMAT!r}; "
            "train it again or use the dexbench version that wrote it"
        )
    try:
        model = DexWMModel(ModelConfig.from_json(metadata["config"]))
        model.load_state_dict({key: value.float() for key, value in tensors.items()})
    except (KeyError, ValueError, RuntimeError, TypeError) as error:
        raise UserError(f"{path} does not fit its own configuration: {error}") from error
    if bad := [key for key, value in tensors.items() if not value.isfinite().all()]:
        raise UserError(f"{path} holds numbers that are not finite in {bad[:3]}; train it again")
    return model.to(device, dtype).eval().requires_grad_(False), weights_hash(path)
