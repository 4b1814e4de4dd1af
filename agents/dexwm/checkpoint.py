"""A DexWM's weights on disk, with the model's configuration in the header."""

from pathlib import Path
from typing import Any

import torch

from ..tensors import load_weights, save_weights
from .config import ModelConfig
from .model import DexWMModel

FORMAT = "dexbench-dexwm-1"
PACKAGED = Path(__file__).parent / "weights" / "compact.safetensors"


def save_model(path: str | Path, model: DexWMModel, notes: dict[str, Any] | None = None) -> str:
    """Writes the weights with configuration and notes; see ``tensors.save_weights``."""
    metadata = {"format": FORMAT, "config": model.config.to_json()}
    return save_weights(path, model, metadata, notes or {})


def load_model(
    path: str | Path | None = None,
    device: torch.device | str = "cpu",
    dtype: torch.dtype = torch.float32,
) -> tuple[DexWMModel, str]:
    """Loads a model, frozen, and its file's sha256.

    Args:
        path: A file of ``save_model``; the packaged weights if None.
        device: Where the model goes.
        dtype: What it computes in.

    Raises:
        UserError: As ``tensors.load_weights``.
    """
    model, digest = load_weights(
        Path(path or PACKAGED),
        lambda metadata: DexWMModel(ModelConfig.from_json(metadata["config"])),
        FORMAT,
        f"this version reads {FORMAT!r}; train it again or use the dexbench version that wrote it",
    )
    return model.to(device, dtype), digest
