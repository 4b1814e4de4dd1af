"""Image encoders: a camera picture becomes the latent state s_k of the world model (paper 3.1)."""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from dexbench.utils.errors import UserError

from .config import NORM_GROUPS, ModelConfig
from .layers import Block
from .object_map import ObjectEye
from .pretrained import PretrainedEncoder


class ResidualConv(nn.Module):
    """Two 3x3 convolutions around a skip connection."""

    def __init__(self, channels: int):
        super().__init__()
        self.norm = nn.GroupNorm(NORM_GROUPS, channels)
        self.conv1 = nn.Conv2d(channels, channels, 3, padding=1)
        self.conv2 = nn.Conv2d(channels, channels, 3, padding=1)

    def forward(self, x: Tensor) -> Tensor:
        """Map ``(B, C, h, w)`` to the same shape."""
        out: Tensor = x + self.conv2(F.gelu(self.conv1(self.norm(x))))
        return out


class CompactEncoder(nn.Module):
    """A small encoder trained by this project: 112x196 pixels to 8x14 tokens of 128 channels.

    It stands where the paper has a frozen DINOv2; it too is frozen while the predictor trains.
    The last LayerNorm has no affine part, so that every token has zero mean and unit variance and
    the latent cannot shrink to make its prediction easy.
    """

    def __init__(self, config: ModelConfig):
        super().__init__()
        self.config = config
        rows, columns = config.grid
        height, width = config.image_size
        # The stem's patches are half a token wide; two by two of them are merged into a token.
        self.patch = height // (2 * rows)
        if (self.patch * 2 * rows, self.patch * 2 * columns) != (height, width):
            raise UserError(
                f"model.image_size {config.image_size} does not fit model.grid {config.grid}; "
                "a token is a square of an even number of pixels"
            )
        channels = config.encoder_width
        self.stem = nn.Linear(3 * self.patch**2, channels)
        self.convs = nn.Sequential(ResidualConv(channels), ResidualConv(channels))
        self.merge = nn.Linear(4 * channels, config.latent_dim)
        self.position = nn.Parameter(torch.randn(config.tokens, config.latent_dim) * 0.02)
        self.blocks = nn.Sequential(
            *(Block(config.latent_dim) for _ in range(config.encoder_blocks))
        )
        self.eye = ObjectEye(config) if config.object_map else None

    def forward(self, images: Tensor) -> Tensor:
        """Encode pictures.

        Args:
            images: ``(B, H, W, 3)``, uint8 or float in 0..255, of ``config.image_size``.

        Returns:
            Latent states ``(B, P, state_dim)`` in the parameters' dtype.
        """
        batch, (rows, columns), side = len(images), self.config.grid, self.patch
        seen = None if self.eye is None else self.eye(images)
        x = images.to(self.position.dtype) / 64 - 2  # roughly zero mean, unit variance
        x = x.reshape(batch, 2 * rows, side, 2 * columns, side, 3)
        x = self.stem(x.transpose(2, 3).flatten(3))  # (B, 2 rows, 2 columns, channels)
        x = self.convs(x.permute(0, 3, 1, 2)).permute(0, 2, 3, 1)
        x = (
            x.reshape(batch, rows, 2, columns, 2, -1)
            .transpose(2, 3)
            .reshape(batch, rows * columns, -1)
        )
        x = self.blocks(self.merge(x) + self.position)
        x = F.layer_norm(x, x.shape[-1:])
        return x if seen is None else torch.cat([x, seen.to(x.dtype)], -1)


class PixelDecoder(nn.Module):
    """Turns latent states back into pictures: trains the encoder, and shows predictions."""

    def __init__(self, config: ModelConfig):
        super().__init__()
        self.config = config
        self.side = config.image_size[0] // config.grid[0]
        self.position = nn.Parameter(torch.randn(config.tokens, config.latent_dim) * 0.02)
        self.block = Block(config.latent_dim)
        self.out = nn.Linear(config.latent_dim, 3 * self.side**2)

    def patches(self, images: Tensor) -> Tensor:
        """Cut pictures ``(B, H, W, 3)`` into token patches ``(B, P, side * side * 3)``."""
        rows, columns = self.config.grid
        x = images.reshape(len(images), rows, self.side, columns, self.side, 3)
        return x.transpose(2, 3).reshape(len(images), rows * columns, -1)

    def forward(self, latent: Tensor) -> Tensor:
        """Map latents ``(B, P, C)`` to ``patches`` of pictures / 64 - 2."""
        latent = latent[..., : self.config.latent_dim]
        patches: Tensor = self.out(self.block(latent + self.position)) + 0.5
        return patches


def build_encoder(config: ModelConfig) -> nn.Module:
    """Build the encoder that ``config.encoder`` names.

    An encoder maps ``(B, *image_size, 3)`` pictures in 0..255 to ``(B, P, state_dim)``.

    Raises:
        UserError: No encoder has that name.
    """
    if config.encoder == "compact":
        return CompactEncoder(config)
    return PretrainedEncoder(config)
