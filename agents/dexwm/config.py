"""The sizes of a DexWM; they travel with its weights as JSON."""

import dataclasses
import json
from dataclasses import dataclass

HEAD_KEYPOINTS = 17
"""Distinct right-hand keypoints: MANO order 0..16; the little finger repeats the ring finger."""
WRIST_AND_TIPS = (0, 4, 8, 12, 16, 16)
"""The six right-hand keypoints of the paper (wrist, five tips) among the 17 distinct ones."""
ACTION_DIM = 132
"""Left hand 21x3, right hand 21x3, camera translation 3, camera rotation 3 (paper Eq. 2)."""


@dataclass(frozen=True)
class ModelConfig:
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

    def to_json(self) -> str:
        """The configuration as one line of JSON with sorted keys."""
        return json.dumps(dataclasses.asdict(self), sort_keys=True)

    @classmethod
    def from_json(cls, text: str) -> "ModelConfig":
        """Reads ``to_json``'s text.

        Raises:
            ValueError: The text is no JSON object, or holds an unknown or misfitting field.
        """
        values = json.loads(text)
        if not isinstance(values, dict):
            raise ValueError(f"a model configuration must be a JSON object, got {text[:80]!r}")
        known = {field.name for field in dataclasses.fields(cls)}
        if unknown := sorted(set(values) - known):
            raise ValueError(f"unknown model settings {unknown}; known: {sorted(known)}")
        for key in {"image_size", "grid"} & set(values):
            values[key] = tuple(values[key])
        return cls(**values)
