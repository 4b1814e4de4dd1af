"""Weights on disk: safetensors with the model's configuration in the header. Never pickle."""

import json
from pathlib import Path
from typing import Any

import torch

from ...envs.errors import UserError
from ..tensors import read_tensors, save_tensors, weights_hash
from .config import ModelConfig
from .model import DexWMModel

FORMAT = "dexbench-dexwm-1"
PACKAGED = Path(__file__).parent / "weights" / "compact.safetensors"


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
