"""What is read off latent states by layers that no world model has a hand in (paper 4.4).

They are trained on true states of one encoder and shared by every model on that encoder, so that
two models are measured by the same ruler.
"""

import dataclasses
import math
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from dexbench.agents.dexwm.model.checkpoint import WEIGHTS
from dexbench.agents.dexwm.model.config import ModelConfig
from dexbench.agents.dexwm.model.keypoint_head import KeypointHead, Trunk
from dexbench.agents.dexwm.model.keypoint_maps import whole_maps
from dexbench.agents.dexwm.model.object_loss import MASK
from dexbench.agents.dexwm.model.object_map import RARE
from dexbench.agents.dexwm.model.sizes import SIZES
from dexbench.agents.learning.weights import load_weights, save_weights
from dexbench.utils.errors import UserError

FORMAT = "dexbench-keypoint-layer-1"
PACKAGED_LAYERS = (WEIGHTS / "dexwm.layers.safetensors",)
"""The layers of the encoder of ``dexwm``."""


class ObjectLayer(Trunk):
    """Which pixels show an object, and whether the hand touches one.

    Raises:
        UserError: The token grid does not divide the masks.
    """

    def __init__(self, config: ModelConfig):
        super().__init__(config)
        self.side = MASK[0] // config.grid[0]
        if (self.side * config.grid[0], self.side * config.grid[1]) != MASK:
            raise UserError(f"model.grid {config.grid} does not divide masks of {MASK}")
        dim = self.norm.normalized_shape[0]
        self.mask, self.contact = nn.Linear(dim, self.side**2), nn.Linear(dim, 1)
        nn.init.constant_(self.mask.bias, RARE)  # most pixels show no object: begin there
        nn.init.constant_(self.contact.bias, RARE - math.log(config.tokens))

    def masks(self, tokens: Tensor) -> Tensor:
        """Return logits ``(B, 112, 196)`` of the trunk's tokens ``(B, P, dim)``."""
        cells = self.mask(tokens).float().reshape(-1, *self.config.grid, 1, self.side, self.side)
        return whole_maps(cells).squeeze(1)

    def read(self, latent: Tensor) -> tuple[Tensor, Tensor]:
        """Read latent states ``(B, P, C)``.

        Returns:
            Logits ``(B, 112, 196)`` of each pixel showing any object, and ``(B,)`` of contact, for
            which one token that says so is enough.
        """
        tokens = self.tokens(latent)
        return self.masks(tokens), self.contact(tokens).float().squeeze(-1).logsumexp(-1)


class Readout(nn.Module):
    """The layers of one encoder.

    Args:
        config: Of a model on that encoder; its keypoint head is replaced by one with depth.
        encoder: sha256 of the encoder's weights.
        with_objects: Whether there is an ``ObjectLayer``.
        left_hand: Whether the left hand is read too, for pictures of people.
    """

    def __init__(
        self, config: ModelConfig, encoder: str, with_objects: bool, left_hand: bool = False
    ):
        super().__init__()
        scale = SIZES["compact"].heat_scale
        self.config = dataclasses.replace(
            config, head="compact", heat_scale=scale, left_hand=left_hand
        )
        self.encoder = encoder
        self.keypoints = KeypointHead(self.config)
        self.objects = ObjectLayer(self.config) if with_objects else None


def save_readout(path: Path, readout: Readout, notes: dict[str, Any]) -> str:
    """Write the layers; return the file's sha256; see ``weights.save_weights``."""
    metadata = {
        "format": FORMAT,
        "config": readout.config.to_json(),
        "encoder_sha256": readout.encoder,
        "objects": "yes" if readout.objects else "no",
    }
    return save_weights(path, readout, metadata, notes)


def load_readout(path: Path, device: torch.device | str = "cpu") -> tuple[Readout, str]:
    """Load layers, frozen and in float32, and their file's sha256.

    Raises:
        UserError: As ``weights.load_weights``.
    """

    def build(metadata: dict[str, str]) -> Readout:
        config, objects = ModelConfig.from_json(metadata["config"]), metadata["objects"] == "yes"
        return Readout(config, metadata["encoder_sha256"], objects, config.left_hand)

    readout, digest = load_weights(
        path,
        build,
        FORMAT,
        f"a keypoint layer has {FORMAT!r}; `dexbench train keypoint-layer` makes one",
    )
    return readout.to(device), digest
