"""A policy's weights on disk, the encoder's with them, as one safetensors file."""

import json
from pathlib import Path
from typing import Any

import torch

from ...envs.errors import UserError
from ..dexwm.config import ModelConfig
from ..tensors import read_tensors, save_tensors, weights_hash
from .config import PolicyConfig
from .model import DiffusionPolicyModel

FORMAT = "dexbench-diffusion-policy-1"
PACKAGED = Path(__file__).parent / "weights" / "compact.safetensors"


def save_policy(path: Path, model: DiffusionPolicyModel, notes: dict[str, Any]) -> str:
    """Writes the weights as float16, with configurations and notes in the header.

    Args:
        path: Where to.
        model: What to write.
        notes: How the weights came about (data, seed, times); any JSON.

    Returns:
        The file's sha256.
    """
    tensors = {key: value.to(torch.float16) for key, value in model.state_dict().items()}
    # Ranges of joints in float16 would put targets off by up to a milliradian.
    tensors |= {"low": model.low, "high": model.high}
    metadata = {
        "format": FORMAT,
        "config": model.config.to_json(),
        "encoder": model.encoder_config.to_json(),
        "notes": json.dumps(notes, sort_keys=True),
    }
    save_tensors(path, tensors, metadata)
    return weights_hash(path)


def load_policy(
    path: str | Path | None = None, device: torch.device | str = "cpu"
) -> tuple[DiffusionPolicyModel, str]:
    """Loads a policy for inference, in float32.

    Args:
        path: A file of ``save_policy``; the packaged weights if None.
        device: Where the model goes.

    Returns:
        The model, frozen, and the file's sha256.

    Raises:
        UserError: The file is missing, damaged, of another format, or lacks or misfits a tensor.
    """
    path = Path(path or PACKAGED)
    tensors, metadata = read_tensors(path)
    if metadata.get("format") != FORMAT:
        raise UserError(
            f"{path} holds format {metadata.get('format')!r}, a Diffusion Policy has {FORMAT!r}; "
            "`dexbench train diffusion-policy` makes one"
        )
    try:
        model = DiffusionPolicyModel(
            PolicyConfig.from_json(metadata["config"]), ModelConfig.from_json(metadata["encoder"])
        )
        model.load_state_dict({key: value.float() for key, value in tensors.items()})
    except (KeyError, ValueError, RuntimeError, TypeError) as error:
        raise UserError(f"{path} does not fit its own configuration: {error}") from error
    if bad := [key for key, value in tensors.items() if not value.isfinite().all()]:
        raise UserError(f"{path} holds numbers that are not finite in {bad[:3]}; train it again")
    return model.to(device).eval().requires_grad_(False), weights_hash(path)
