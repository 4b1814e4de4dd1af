"""The networks of a run before its first step: fresh, or with the weights of a file."""

import copy
import dataclasses
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import nn

from dexbench.agents.dexwm.model.checkpoint import load_model, weights_file
from dexbench.agents.dexwm.model.decoder import load_decoder
from dexbench.agents.dexwm.model.encoder import PixelDecoder
from dexbench.agents.dexwm.model.pretrained import PretrainedEncoder
from dexbench.agents.dexwm.model.world_model import DexWMModel
from dexbench.agents.learning.recordings import is_own
from dexbench.utils.errors import UserError
from dexbench.utils.seeding import seed_for

from .config import TrainConfig
from .lent import lend, lender_of


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
    lent: nn.Module | None = None
    """Another DexWM's encoder as its file has it, if it is taken over frozen."""

    def written(self) -> DexWMModel:
        """Return the model to write: of a lent encoder its own numbers, not those of bfloat16."""
        if self.lent is not None:
            self.model.encoder = self.lent
        return self.model


def build(config: TrainConfig) -> Networks:
    """Draw the weights that the seed names; load those of ``encoder`` and ``init``.

    A compact head has the left hand where the weights of ``init`` have it; without these, where the
    data are not all of the benchmark's own robot.

    Args:
        config: Resolved settings.

    Returns:
        The networks, in float32 on the CPU.

    Raises:
        UserError: Weights or data are missing or damaged, or ``init`` holds a model of other sizes.
    """
    given, model = None, config.model
    if config.init is not None:
        given = load_model(config.init, encoder_weights=config.encoder_weights)
    if model.head == "compact" and not model.left_hand:
        people = not all(is_own(Path(folder)) for folder in config.data)
        left = given[0].config.left_hand if given else people
        model = dataclasses.replace(model, left_hand=left)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed_for("dexwm", "weights", config.seed))
        networks = Networks(DexWMModel(model), PixelDecoder(model), False, {})
    networks.model.predictor.activation_checkpointing = config.activation_checkpointing
    encoder, lender = networks.model.encoder, lender_of(config.encoder)
    if lender is not None:
        networks.sources["encoder_sha256"], networks.decoder_known = lend(
            networks.model, networks.decoder, lender, config.encoder_weights
        )
        taken = networks.model.encoder
        if not config.end_to_end and not isinstance(taken, PretrainedEncoder):
            networks.lent = copy.deepcopy(taken)
    elif isinstance(encoder, PretrainedEncoder):
        networks.sources["encoder_sha256"] = encoder.load(config.encoder_weights)
    if given and config.init is not None:
        networks.sources["init_sha256"] = given[1]
        _load(networks, given[0], config.init)
    return networks


def _load(networks: Networks, given: DexWMModel, path: Path) -> None:
    """Give the networks the weights of a model, and those of its file's decoder."""
    model = networks.model
    if given.config != model.config:
        raise UserError(
            f"--init {path} holds a model of other sizes, or other actions, than this run's; give "
            "the --size, --encoder, --depth-head or --model.* that it was trained with"
        )
    model.load_state_dict(given.state_dict())
    model.pretraining = given.pretraining
    decoder = load_decoder(weights_file(path))
    if isinstance(decoder, PixelDecoder) and decoder.config == model.config:
        networks.decoder.load_state_dict(decoder.state_dict())
        networks.decoder_known = True
