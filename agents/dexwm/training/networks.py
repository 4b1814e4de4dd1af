"""The networks of a run before its first step: fresh, or with the weights of a file."""

from dataclasses import dataclass
from pathlib import Path

import torch

from dexbench.agents.dexwm.model.checkpoint import load_model, weights_file
from dexbench.agents.dexwm.model.decoder import load_decoder
from dexbench.agents.dexwm.model.encoder import PixelDecoder
from dexbench.agents.dexwm.model.pretrained import PretrainedEncoder
from dexbench.agents.dexwm.model.world_model import DexWMModel
from dexbench.utils.errors import UserError
from dexbench.utils.seeding import seed_for

from .config import TrainConfig


@dataclass
class Networks:
    """A world model, the decoder that trains its encoder, and where their weights are from."""

    model: DexWMModel
    """Encoder, keypoint head and predictor."""
    decoder: PixelDecoder
    """Draws latents as pictures; trains the encoder."""
    decoder_known: bool
    """Whether the decoder has the weights of a file, so that it is one for this encoder."""
    sources: dict[str, str]
    """sha256 of each file of weights; part of the run's identity."""


def build(config: TrainConfig) -> Networks:
    """Draw the weights that the seed names; load those of ``encoder_weights`` and ``init``.

    Args:
        config: Resolved settings.

    Returns:
        The networks, in float32 on the CPU.

    Raises:
        UserError: Weights are missing or damaged, or ``init`` holds a model of other sizes.
    """
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed_for("dexwm", "weights", config.seed))
        networks = Networks(DexWMModel(config.model), PixelDecoder(config.model), False, {})
    networks.model.predictor.activation_checkpointing = config.activation_checkpointing
    encoder = networks.model.encoder
    if isinstance(encoder, PretrainedEncoder):
        networks.sources["encoder_sha256"] = encoder.load(config.encoder_weights)
    if config.init is not None:
        networks.sources["init_sha256"] = _load(networks, config.init, config.encoder_weights)
    return networks


def _load(networks: Networks, path: Path, encoder_weights: Path | None) -> str:
    """Give the networks the weights of a file and its decoder's; return the file's sha256."""
    model = networks.model
    given, digest = load_model(path, encoder_weights=encoder_weights)
    if given.config != model.config:
        raise UserError(
            f"--init {path} holds a model of other sizes than this run's; give the --size, "
            "--encoder, --depth-head or --model.* that it was trained with"
        )
    model.load_state_dict(given.state_dict())
    model.pretraining = given.pretraining
    decoder = load_decoder(weights_file(path))
    if decoder is not None and decoder.config == model.config:
        networks.decoder.load_state_dict(decoder.state_dict())
        networks.decoder_known = True
    return digest
