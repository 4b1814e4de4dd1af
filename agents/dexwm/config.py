"""The sizes of a DexWM; they travel with its weights as JSON."""

from dataclasses import dataclass
from typing import ClassVar

from ..tensors import WeightsConfig

HEAD_KEYPOINTS = 17
"""Distinct right-hand keypoints: MANO order 0..16; the little finger repeats the ring finger."""
WRIST_AND_TIPS = (0, 4, 8, 12, 16, 16)
"""The six right-hand keypoints of the paper (wrist, five tips) among the 17 distinct ones."""
ACTION_DIM = 132
"""Left hand 21x3, right hand 21x3, camera translation 3, camera rotation 3 (paper Eq. 2)."""


@dataclass(frozen=True)
class ModelConfig(WeightsConfig):
    """Sizes of encoder, keypoint head and predictor.

    Attributes:
        encoder: Which encoder builds the latent (see ``encoder.build_encoder``).
        image_size: Height and width of the encoder's input in pixels.
        grid: Rows and columns of latent tokens.
        latent_dim: Channels of a latent token.
        encoder_width: Channels of the encoder's convolutional stem.
        encoder_blocks: Transformer blocks of the encoder.
        head_blocks: Transformer blocks of the keypoint head.
        heat_scale: Heat-map cells per token side (grid 8x14 and 7 make 56x98).
        predictor_dim: Width D of the CDiT predictor.
        predictor_blocks: Number of CDiT blocks B.
        predictor_heads: Attention heads of a CDiT block.
        mlp_ratio: Hidden width of a block's MLP over its width.
        max_frames: Most frames a history may hold.
        action_scale: Factor on the action before its MLP; hand motions are a few centimetres.
    """

    kind: ClassVar[str] = "model"
    encoder: str = "compact"
    image_size: tuple[int, int] = (112, 196)
    grid: tuple[int, int] = (8, 14)
    latent_dim: int = 128
    encoder_width: int = 64
    encoder_blocks: int = 3
    head_blocks: int = 2
    heat_scale: int = 7
    predictor_dim: int = 192
    predictor_blocks: int = 5
    predictor_heads: int = 3
    mlp_ratio: float = 2.0
    max_frames: int = 8
    action_scale: float = 5.0

    @property
    def tokens(self) -> int:
        """Tokens of one latent state, P in the paper."""
        return self.grid[0] * self.grid[1]
