"""Named models: the compact one that ships with dexbench, and the paper's DexWM-S to DexWM-XL."""

import dataclasses

from dexbench.utils.errors import UserError

from .config import ModelConfig
from .encoder_specs import PRETRAINED


def _paper(dim: int, blocks: int, heads: int) -> ModelConfig:
    """Return the paper's model around a predictor of some size (its Table 5, A.1 and A.3)."""
    return ModelConfig(
        encoder="dinov2",
        image_size=(224, 392),
        grid=(16, 28),
        latent_dim=1024,
        head="paper",
        head_dim=256,
        head_blocks=6,
        head_heads=16,
        head_mlp_ratio=4.0,
        heat_scale=14,
        cdit="paper",
        predictor_dim=dim,
        predictor_blocks=blocks,
        predictor_heads=heads,
        max_frames=9,
        action_scale=1.0,
    )


SIZES = {
    "compact": ModelConfig(),
    "S": _paper(384, 12, 6),
    "B": _paper(768, 12, 12),
    "L": _paper(1024, 24, 16),
    "XL": _paper(1024, 32, 16),
}


def sized(
    size: str,
    encoder: str | None = None,
    model: ModelConfig | None = None,
    depth_head: bool = False,
) -> ModelConfig:
    """Return the model that a size stands for.

    Args:
        size: A name in ``SIZES``.
        encoder: A pretrained encoder; compact's own, or DINOv2 of a paper's size, if left out.
        model: What "compact" stands for instead of its usual sizes; of a paper's size only its
            ``action`` counts.
        depth_head: Whether a paper's size has compact's keypoint head instead of the paper's: 17
            keypoints with depth.

    Raises:
        UserError: There is no such size or encoder, or the arguments contradict one another.
    """
    if size not in SIZES:
        raise UserError(f"unknown size {size!r}; choose one of {list(SIZES)}")
    if encoder not in (None, *PRETRAINED):
        raise UserError(f"unknown encoder {encoder!r}; choose one of {list(PRETRAINED)}")
    if size == "compact":
        if depth_head:
            raise UserError(
                f"--depth-head needs a --size of {list(SIZES)[1:]}; the compact model has that "
                "head unless --model.head says otherwise"
            )
        compact = model or SIZES[size]
        if encoder is None:
            return compact
        # The head keeps its width, so that what differs is the encoder alone.
        head = compact.head_dim or compact.latent_dim
        width = PRETRAINED[encoder].width
        return dataclasses.replace(compact, encoder=encoder, latent_dim=width, head_dim=head)
    action = (model or ModelConfig()).action
    if model not in (None, ModelConfig(action=action)):
        raise UserError(
            f"--size {size} fixes the model but for --model.action; leave out --size or other "
            "--model.*"
        )
    encoder = encoder or "dinov2"
    width = PRETRAINED[encoder].width
    paper = dataclasses.replace(SIZES[size], encoder=encoder, latent_dim=width, action=action)
    if depth_head:
        own = SIZES["compact"]
        return dataclasses.replace(paper, head=own.head, heat_scale=own.heat_scale)
    return paper
