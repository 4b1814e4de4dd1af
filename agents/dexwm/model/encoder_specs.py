"""The pretrained encoders: those that the paper compares (4.2), and a small one that pip brings."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

Colour = tuple[float, float, float]
IMAGENET_MEAN: Colour = (0.485, 0.456, 0.406)
IMAGENET_STD: Colour = (0.229, 0.224, 0.225)


@dataclass(frozen=True, kw_only=True)
class EncoderSpec:
    """What one pretrained encoder expects of a picture, and what it gives."""

    patch: int
    """Side of a patch in pixels."""
    width: int
    """Channels of a token."""
    mean: Colour = IMAGENET_MEAN
    """Mean of each colour on the 0..1 scale."""
    std: Colour = IMAGENET_STD
    """Standard deviation of each colour on the 0..1 scale."""
    normalise: bool = False
    """Whether each token is brought to zero mean and unit variance (the paper's note on V-JEPA
    2)."""


@dataclass(frozen=True, kw_only=True)
class HubSpec(EncoderSpec):
    """One that the Hugging Face Hub has and transformers runs."""

    repository: str
    """Its name on the Hub."""
    revision: str
    """The commit of the repository that dexbench means."""
    architecture: str
    """The model's class in transformers."""
    model_types: tuple[str, ...]
    """What ``config.json`` may call it."""
    drop: int = 0
    """Class and register tokens in front of the patches' tokens."""
    video: bool = False
    """Whether it expects a clip; a picture is given as a clip of two equal frames."""
    arguments: Mapping[str, Any] = field(default_factory=dict)
    """Further arguments of its forward pass."""


HUB = {
    "dinov2": HubSpec(
        repository="facebook/dinov2-large",
        revision="47b73eefe95e8d44ec3623f8890bd894b6ea2d6c",
        architecture="Dinov2Model",
        model_types=("dinov2",),
        patch=14,
        width=1024,
        drop=1,
    ),
    "dinov3": HubSpec(
        repository="facebook/dinov3-vitl16-pretrain-lvd1689m",
        revision="ea8dc2863c51be0a264bab82070e3e8836b02d51",
        architecture="DINOv3ViTModel",
        model_types=("dinov3_vit",),
        patch=16,
        width=1024,
        drop=5,
    ),
    "webssl": HubSpec(
        repository="facebook/webssl-dino300m-full2b-224",
        revision="8529cdb3fb75014932af3b896455fc21c386168e",
        architecture="Dinov2Model",
        model_types=("dinov2",),
        patch=14,
        width=1024,
        drop=1,
    ),
    "vjepa2": HubSpec(
        repository="facebook/vjepa2-vitg-fpc64-256",
        revision="875c192b7b704b87d1e1d99345769632dd5f739a",
        architecture="VJEPA2Model",
        model_types=("vjepa2",),
        patch=16,
        width=1408,
        video=True,
        normalise=True,
        arguments={"skip_predictor": True},
    ),
    "siglip2": HubSpec(
        repository="google/siglip2-so400m-patch14-224",
        revision="78e403963a4f6a3640d07803284752326fdf4edf",
        architecture="SiglipVisionModel",
        model_types=("siglip", "siglip_vision_model"),
        patch=14,
        width=1152,
        mean=(0.5, 0.5, 0.5),
        std=(0.5, 0.5, 0.5),
        arguments={"interpolate_pos_encoding": True},
    ),
}
"""The encoders that the paper compares."""

# Colours are 127 and 128 grey levels, as in Google's code; tokens are brought to the scale of
# compact's, on which the weight of the hand-consistency loss was chosen.
EFFICIENTNET = EncoderSpec(
    patch=16,
    width=112,
    mean=(127 / 255, 127 / 255, 127 / 255),
    std=(128 / 255, 128 / 255, 128 / 255),
    normalise=True,
)

PRETRAINED: dict[str, EncoderSpec] = {**HUB, "efficientnet-lite0": EFFICIENTNET}
"""All encoders by the names that ``--encoder`` takes, apart from "compact"."""
