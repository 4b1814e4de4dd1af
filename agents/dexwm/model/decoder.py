"""Latent states as pictures, for people: what a world model expects to see. No score uses it."""

from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from dexbench.agents.learning.weights import load_weights, save_weights
from dexbench.envs.embodiment.camera import HEIGHT

from .config import ModelConfig
from .encoder import PixelDecoder

FORMAT = "dexbench-decoder-1"


def decoder_path(weights: Path) -> Path:
    """Return where the decoder of a model's weights lies: beside them."""
    return weights.with_suffix(".decoder.safetensors")


def save_decoder(weights: Path, decoder: PixelDecoder) -> None:
    """Write the decoder that was trained with the encoder of some weights, beside them."""
    metadata = {"format": FORMAT, "config": decoder.config.to_json()}
    save_weights(decoder_path(weights), decoder, metadata, {})


def load_decoder(weights: Path) -> PixelDecoder | None:
    """Return the decoder beside a model's weights, frozen and in float32; None if there is none.

    Raises:
        UserError: As ``weights.load_weights``.
    """
    path = decoder_path(weights)
    if not path.is_file():
        return None
    decoder, _ = load_weights(
        path,
        lambda metadata: PixelDecoder(ModelConfig.from_json(metadata["config"])),
        FORMAT,
        f"a decoder has {FORMAT!r}; delete it, or train the model again",
    )
    return decoder


@torch.no_grad()
def pictures(decoder: PixelDecoder, latent: Tensor) -> NDArray[np.uint8]:
    """Draw latent states.

    Args:
        decoder: Of the encoder that the states are of.
        latent: ``(B, P, C)``.

    Returns:
        ``(B, 224, 392, 3)`` uint8 RGB, as coarse as the model's own pictures.
    """
    patches = ((decoder(latent.float().cpu()) + 2) * 64).clamp(0, 255)
    rows, columns = decoder.config.grid
    side = decoder.side
    image = patches.reshape(-1, rows, columns, side, side, 3).transpose(2, 3)
    image = image.reshape(len(latent), rows * side, columns * side, 3)
    factor = HEIGHT // (rows * side)
    drawn: NDArray[np.uint8] = image.round().byte().numpy()
    return drawn.repeat(factor, 1).repeat(factor, 2)
