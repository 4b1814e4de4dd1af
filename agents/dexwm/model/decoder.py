"""Latent states as pictures, for people: what a world model expects to see. No score uses it."""

from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from dexbench.agents.learning.weights import load_weights, save_weights
from dexbench.envs.embodiment.camera import HEIGHT

from .config import ModelConfig
from .encoder import PixelDecoder
from .vit_decoder import DecoderConfig, ViTDecoder

Decoder = PixelDecoder | ViTDecoder

FORMAT = "dexbench-decoder-1"


def decoder_path(weights: Path) -> Path:
    """Return where the decoder of a model's weights lies: beside them."""
    return weights.with_suffix(".decoder.safetensors")


def save_decoder(weights: Path, decoder: Decoder) -> None:
    """Write the decoder that was trained with the encoder of some weights, beside them."""
    write_decoder(decoder_path(weights), decoder, {})


def write_decoder(path: Path, decoder: Decoder, notes: dict[str, Any]) -> None:
    """Write a decoder to a file; see ``weights.save_weights``."""
    metadata = {"format": FORMAT, "config": decoder.config.to_json()}
    if isinstance(decoder, ViTDecoder):
        metadata["vit"] = decoder.sizes.to_json()
    save_weights(path, decoder, metadata, notes)


def _build(metadata: dict[str, str]) -> Decoder:
    config = ModelConfig.from_json(metadata["config"])
    if "vit" in metadata:
        return ViTDecoder(config, DecoderConfig.from_json(metadata["vit"]))
    return PixelDecoder(config)


def load_decoder(weights: Path) -> Decoder | None:
    """Return the decoder beside a model's weights, frozen and in float32; None if there is none.

    Raises:
        UserError: As ``weights.load_weights``.
    """
    path = decoder_path(weights)
    if not path.is_file():
        return None
    decoder, _ = load_weights(
        path,
        _build,
        FORMAT,
        f"a decoder has {FORMAT!r}; delete it, or train the model again",
    )
    return decoder


def draw(decoder: Decoder, latent: Tensor) -> Tensor:
    """Return the pictures ``(B, H, W, 3)``, in 0..255 or beyond, of latents ``(B, P, C)``."""
    (rows, columns), side = decoder.config.grid, decoder.side
    patches = (decoder(latent) + 2) * 64
    image: Tensor = patches.reshape(-1, rows, columns, side, side, 3).transpose(2, 3)
    return image.reshape(len(latent), rows * side, columns * side, 3)


@torch.no_grad()
def pictures(decoder: Decoder, latent: Tensor) -> NDArray[np.uint8]:
    """Draw latent states.

    Args:
        decoder: Of the encoder that the states are of.
        latent: ``(B, P, C)``.

    Returns:
        ``(B, 224, 392, 3)`` uint8 RGB, as coarse as the model's own pictures.
    """
    image = draw(decoder, latent.float().cpu()).clamp(0, 255)
    factor = HEIGHT // image.shape[1]
    drawn: NDArray[np.uint8] = image.round().byte().numpy()
    return drawn.repeat(factor, 1).repeat(factor, 2)
