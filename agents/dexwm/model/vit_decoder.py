"""The paper's picture decoder: a ViT on a frozen encoder's latent states (A.4)."""

from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor, nn

from dexbench.agents.learning.weights import WeightsConfig
from dexbench.utils.errors import UserError

from .config import ModelConfig
from .layers import Block


@dataclass(frozen=True)
class DecoderConfig(WeightsConfig):
    """Sizes of a ``ViTDecoder``; the paper's ViT-L has 1024, 24 and 16."""

    kind: ClassVar[str] = "decoder"
    dim: int = 256
    """Width."""
    blocks: int = 4
    """Transformer blocks."""
    heads: int = 4
    """Attention heads."""

    def __post_init__(self) -> None:
        if min(self.dim, self.blocks, self.heads) < 1 or self.dim % self.heads:
            raise UserError(
                f"the decoder has {self.blocks} blocks of width {self.dim} with {self.heads} "
                "heads, expected one or more of each, and a width that the heads divide"
            )


class ViTDecoder(nn.Module):
    """Turns latent states into pictures, as ``PixelDecoder`` with its one block does."""

    def __init__(self, config: ModelConfig, sizes: DecoderConfig):
        super().__init__()
        self.config, self.sizes = config, sizes
        self.side = config.image_size[0] // config.grid[0]
        self.embed = nn.Linear(config.latent_dim, sizes.dim)
        self.position = nn.Parameter(torch.randn(config.tokens, sizes.dim) * 0.02)
        self.blocks = nn.Sequential(
            *(Block(sizes.dim, sizes.heads, mlp_ratio=4.0) for _ in range(sizes.blocks))
        )
        self.norm = nn.LayerNorm(sizes.dim)
        self.out = nn.Linear(sizes.dim, 3 * self.side**2)

    def forward(self, latent: Tensor) -> Tensor:
        """Map latents ``(B, P, C)`` to patches ``(B, P, side * side * 3)`` of pictures / 64 - 2."""
        latent = latent[..., : self.config.latent_dim]
        tokens = self.norm(self.blocks(self.embed(latent) + self.position))
        patches: Tensor = self.out(tokens)
        return patches
