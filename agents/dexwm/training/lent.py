"""An encoder taken over from another DexWM: runs that share one are measured by one ruler."""

import dataclasses
from pathlib import Path

from dexbench.agents.dexwm.model.checkpoint import FORMAT, load_model, weights_file
from dexbench.agents.dexwm.model.config import ModelConfig
from dexbench.agents.dexwm.model.decoder import load_decoder
from dexbench.agents.dexwm.model.encoder import PixelDecoder
from dexbench.agents.dexwm.model.encoder_specs import PRETRAINED
from dexbench.agents.dexwm.model.world_model import DexWMModel
from dexbench.agents.learning.features import encoder_digest
from dexbench.agents.learning.weights import read_tensors
from dexbench.utils.errors import UserError

FIELDS = (
    "encoder",
    "image_size",
    "grid",
    "latent_dim",
    "encoder_width",
    "encoder_blocks",
    "object_map",
)
"""What of a model's sizes is its encoder's."""


def lender_of(encoder: str | None) -> Path | None:
    """Return the DexWM file that ``--encoder`` names; None if it is left out or no file's."""
    return None if encoder is None or encoder in PRETRAINED else weights_file(encoder)


def on_encoder_of(model: ModelConfig, lender: Path) -> ModelConfig:
    """Return a model's sizes around the encoder of a file; its head keeps its width.

    Raises:
        UserError: There is no such file, it holds no DexWM, or the sizes ask for an object map that
            its encoder has no eye for.
    """
    if not lender.is_file():
        raise UserError(
            f"unknown encoder {str(lender)!r}; choose one of {list(PRETRAINED)}, or a DexWM's file"
        )
    _, metadata = read_tensors(lender)
    if metadata.get("format") != FORMAT:
        raise UserError(f"{lender} holds no DexWM whose encoder could be taken over")
    given = ModelConfig.from_json(metadata["config"])
    if model.object_map and not given.object_map:
        raise UserError(
            f"--model.object-map needs an encoder with an eye for objects, and {lender} has none"
        )
    changes = {name: getattr(given, name) for name in FIELDS}
    if given.latent_dim != model.latent_dim:
        changes["head_dim"] = model.head_dim or model.latent_dim
    return dataclasses.replace(model, **changes)


def lend(
    model: DexWMModel, decoder: PixelDecoder, lender: Path, encoder_weights: Path | None
) -> tuple[str, bool]:
    """Give a model the encoder of a file, and the decoder the weights beside it.

    Args:
        model: Its encoder is replaced.
        decoder: Of the same sizes.
        lender: The file.
        encoder_weights: Folder of a pretrained encoder's weights; the Hugging Face cache if None.

    Returns:
        The encoder's sha256, and whether there is a decoder.

    Raises:
        UserError: As ``load_model``.
    """
    given, _ = load_model(lender, encoder_weights=encoder_weights)
    model.encoder, model.pretraining = given.encoder, given.pretraining
    known = load_decoder(lender)
    fits = isinstance(known, PixelDecoder)
    if isinstance(known, PixelDecoder):
        decoder.load_state_dict(known.state_dict())
    return encoder_digest(given.encoder), fits
