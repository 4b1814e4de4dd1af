"""Frozen pretrained encoders (paper 4.2).

A picture is enlarged where needed so that the encoder's own patches are the tokens of the grid: a
224x392 picture gives 16x28 patches of 14 pixels as it is, and of 16 pixels as 256x448. A 112x196
picture gives compact's 8x14 likewise.
"""

from pathlib import Path

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from dexbench.utils.errors import UserError

from .config import ModelConfig
from .efficientnet import load_efficientnet
from .encoder_specs import PRETRAINED, HubSpec
from .hugging_face import Backbone, cached_folder, hub_tokens, load_backbone


class PretrainedEncoder(nn.Module):
    """A frozen encoder with ``CompactEncoder``'s interface.

    Its weights are no parameters of this module: they are not trained, are always in evaluation
    mode, and are not written with the rest of a model. They are loaded by ``load``, at the latest
    when the first picture comes.

    Raises:
        UserError: ``config.encoder`` names none of ``PRETRAINED``.
    """

    anchor: Tensor
    """Empty; moved and cast with the rest of a model, it tells where the backbone belongs."""

    def __init__(self, config: ModelConfig):
        super().__init__()
        if config.encoder not in PRETRAINED:
            choices = ["compact", *PRETRAINED]
            raise UserError(f"unknown encoder {config.encoder!r}; choose one of {choices}")
        self.config, self.spec = config, PRETRAINED[config.encoder]
        self.backbone: Backbone | None = None
        self.register_buffer("anchor", torch.empty(0), persistent=False)

    def load(self, folder: Path | None = None) -> str:
        """Load the weights.

        Args:
            folder: With ``config.json`` and safetensors; the Hugging Face cache if left out. Of
                no meaning for efficientnet-lite0, which pip has installed.

        Returns:
            Their sha256.

        Raises:
            UserError: transformers is missing, or the weights are missing, no safetensors, damaged
                or another model's; or as ``load_efficientnet``.
        """
        if isinstance(self.spec, HubSpec):
            folder = folder or cached_folder(self.config.encoder)
            self.backbone = load_backbone(self.config, folder)
        elif self.config.latent_dim != self.spec.width:
            raise UserError(
                f"model.latent_dim is {self.config.latent_dim}, but {self.config.encoder} gives "
                f"{self.spec.width}; choose it with --encoder, which sets both"
            )
        else:
            self.backbone = load_efficientnet()
        return self.backbone.digest

    @property
    def digest(self) -> str:
        """sha256 of the weights."""
        return self.backbone.digest if self.backbone else self.load()

    def pixels(self, images: Tensor) -> Tensor:
        """Return pictures ``(B, H, W, 3)`` in 0..255 as the encoder's input ``(B, 3, h, w)``."""
        mean, std = images.new_tensor([self.spec.mean, self.spec.std], dtype=torch.float32)
        x: Tensor = ((images.float() / 255 - mean) / std).permute(0, 3, 1, 2)
        rows, columns = self.config.grid
        size = (rows * self.spec.patch, columns * self.spec.patch)
        if x.shape[2:] != size:
            x = F.interpolate(x, size, mode="bilinear", antialias=True)
        return x

    @torch.no_grad()
    def forward(self, images: Tensor) -> Tensor:
        """Encode pictures.

        Args:
            images: ``(B, H, W, 3)``, uint8 or float in 0..255, of the grid's aspect ratio.

        Returns:
            Latent states ``(B, P, latent_dim)`` in this module's dtype.
        """
        if self.backbone is None:
            self.load()
        assert self.backbone is not None
        model = self.backbone.model.to(self.anchor.device, self.anchor.dtype)
        x = self.pixels(images).to(self.anchor.dtype)
        if isinstance(self.spec, HubSpec):
            tokens = hub_tokens(model, self.spec, x)
        else:
            tokens = model(x).flatten(2).transpose(1, 2)
        return F.layer_norm(tokens, tokens.shape[-1:]) if self.spec.normalise else tokens
