"""A DexWM's weights on disk, with the model's configuration in the header."""

from pathlib import Path
from typing import Any

import torch
from torch import nn

from dexbench.agents.learning.weights import load_weights, save_weights
from dexbench.utils.errors import UserError

from .config import ModelConfig
from .pretrained import PretrainedEncoder
from .world_model import DexWMModel

FORMAT = "dexbench-dexwm-1"
WEIGHTS = Path(__file__).parents[1] / "weights"
PACKAGED = {name: WEIGHTS / f"{name}.safetensors" for name in ("dexwm", "scratch")}
"""The packaged weights, by name."""


def weights_file(path: str | Path | None) -> Path:
    """Return the file that a path, a name in ``PACKAGED`` or None, for "dexwm", stands for."""
    return Path(PACKAGED.get(str(path or "dexwm"), path or ""))


def save_model(path: str | Path, model: DexWMModel, notes: dict[str, Any] | None = None) -> str:
    """Write the weights with configuration and notes; see ``weights.save_weights``.

    A pretrained encoder is not written, only what its weights' sha256 is.
    """
    metadata = {"format": FORMAT, "config": model.config.to_json()}
    metadata["pretraining"] = model.pretraining
    metadata["history"] = str(model.history)
    metadata |= encoder_facts(model.encoder)
    return save_weights(path, model, metadata, notes or {})


def load_model(
    path: str | Path | None = None,
    device: torch.device | str = "cpu",
    dtype: torch.dtype = torch.float32,
    encoder_weights: Path | None = None,
) -> tuple[DexWMModel, str]:
    """Load a model, frozen, and its file's sha256.

    Args:
        path: A file of ``save_model``, or as ``weights_file``.
        device: Where the model goes.
        dtype: What it computes in.
        encoder_weights: Folder of a pretrained encoder's weights; the Hugging Face cache if None.

    Raises:
        UserError: As ``weights.load_weights`` and ``load_encoder``.
    """
    facts: dict[str, str] = {}

    def build(metadata: dict[str, str]) -> DexWMModel:
        facts.update(metadata)
        model = DexWMModel(ModelConfig.from_json(metadata["config"]))
        model.pretraining = metadata.get("pretraining", model.pretraining)
        model.history = int(metadata.get("history", model.history))  # older files do not say
        if not 1 <= model.history <= model.config.max_frames:
            raise ValueError(f"a history of {model.history} frames, of {model.config.max_frames}")
        return model

    model, digest = load_weights(
        weights_file(path),
        build,
        FORMAT,
        f"this version reads {FORMAT!r}; train it again or use the dexbench version that wrote it",
    )
    load_encoder(model.encoder, encoder_weights, facts, weights_file(path))
    return model.to(device, dtype), digest


def encoder_facts(encoder: nn.Module) -> dict[str, str]:
    """Return what a file says of a pretrained encoder, whose weights it does not hold."""
    return {"encoder_sha256": encoder.digest} if isinstance(encoder, PretrainedEncoder) else {}


def load_encoder(
    encoder: nn.Module, folder: Path | None, metadata: dict[str, str], path: Path
) -> None:
    """Load a pretrained encoder's weights; any other has them already.

    Args:
        encoder: Of a model.
        folder: Of the weights; the Hugging Face cache if None.
        metadata: Of the model's file, with its ``encoder_facts``.
        path: The model's file, for the message.

    Raises:
        UserError: As ``PretrainedEncoder.load``, or they are not those that the model was trained
            with.
    """
    if not isinstance(encoder, PretrainedEncoder):
        return
    if "encoder_sha256" not in metadata:
        raise UserError(
            f"{path} does not say with which weights of {encoder.config.encoder} it was trained; "
            "train it again"
        )
    digest = encoder.load(folder)
    if digest != metadata["encoder_sha256"]:
        raise UserError(
            f"{path} was trained with other weights of {encoder.config.encoder} (sha256 "
            f"{metadata['encoder_sha256']}) than those found ({digest}); put those in their "
            "place"
        )
