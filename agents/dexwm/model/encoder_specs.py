"""The pretrained encoders that the paper compares (4.2), and what each expects of a picture."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

Colour = tuple[float, float, float]
IMAGENET_MEAN: Colour = (0.485, 0.456, 0.406)
IMAGENET_STD: Colour = (0.229, 0.224, 0.225)


@dataclass(frozen=True)
class EncoderSpec:
    """One pretrained encoder."""

    repository: str
    """Its name on the Hugging Face Hub."""
    revision: str
    """The commit of the repository that dexbench means."""
    architecture: str
    """The model's class in transformers."""
    model_types: tuple[str, ...]
    """What ``config.json`` may call it."""
    patch: int
    """Side of a patch in pixels."""
    width: int
    """Channels of a token."""
    drop: int = 0
    """Class and register tokens in front of the patches' tokens."""
    mean: Colour = IMAGENET_MEAN
    """Mean of each colour on the 0..1 scale."""
    std: Colour = IMAGENET_STD
    """Standard deviation of each colour on the 0..1 scale."""
    video: bool = False
    """Whether it expects a clip; a picture is given as a clip of two equal frames."""
    normalise: bool = False
    """Whether each token is brought to zero mean and unit variance (the paper's note on V-JEPA
    2)."""
    arguments: Mapping[str, Any] = field(default_factory=dict)
    """Further arguments of its forward pass."""


PRETRAINED = {
    "dinov2": EncoderSpec(
        "facebook/dinov2-large",
        "47b73eefe95e8d44ec3623f8890bd894b6ea2d6c",
        "Dinov2Model",
        ("dinov2",),
        14,
        1024,
        drop=1,
    ),
    "dinov3": EncoderSpec(
        "facebook/dinov3-vitl16-pretrain-lvd1689m",
        "ea8dc2863c51be0a264bab82070e3e8836b02d51",
        "DINOv3ViTModel",
        ("dinov3_vit",),
        16,
        1024,
        drop=5,
    ),
    "webssl": EncoderSpec(
        "facebook/webssl-dino300m-full2b-224",
        "8529cdb3fb75014932af3b896455fc21c386168e",
        "Dinov2Model",
        ("dinov2",),
        14,
        1024,
        drop=1,
    ),
    "vjepa2": EncoderSpec(
        "facebook/vjepa2-vitg-fpc64-256",
        "875c192b7b704b87d1e1d99345769632dd5f739a",
        "VJEPA2Model",
        ("vjepa2",),
        16,
        1408,
        video=True,
        normalise=True,
        arguments={"skip_predictor": True},
    ),
    "siglip2": EncoderSpec(
        "google/siglip2-so400m-patch14-224",
        "78e403963a4f6a3640d07803284752326fdf4edf",
        "SiglipVisionModel",
        ("siglip", "siglip_vision_model"),
        14,
        1152,
        mean=(0.5, 0.5, 0.5),
        std=(0.5, 0.5, 0.5),
        arguments={"interpolate_pos_encoding": True},
    ),
}
"""The encoders that the paper compares, by the names that ``--encoder`` takes."""
