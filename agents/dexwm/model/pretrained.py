"""Frozen pretrained encoders (paper 4.2) through Hugging Face transformers.

A picture is enlarged where needed so that the encoder's own patches are the tokens of the grid: a
224x392 picture gives 16x28 patches of 14 pixels as it is, and of 16 pixels as 256x448. Nothing is
downloaded. Weights come from a folder or from the Hugging Face cache, from safetensors alone.
"""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from dexbench.utils.errors import UserError
from dexbench.utils.files import file_sha256

from .config import ModelConfig

Colour = tuple[float, float, float]
IMAGENET_MEAN: Colour = (0.485, 0.456, 0.406)
IMAGENET_STD: Colour = (0.229, 0.224, 0.225)


@dataclass(frozen=True)
class Pretrained:
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
    "dinov2": Pretrained(
        "facebook/dinov2-large",
        "47b73eefe95e8d44ec3623f8890bd894b6ea2d6c",
        "Dinov2Model",
        ("dinov2",),
        14,
        1024,
        drop=1,
    ),
    "dinov3": Pretrained(
        "facebook/dinov3-vitl16-pretrain-lvd1689m",
        "ea8dc2863c51be0a264bab82070e3e8836b02d51",
        "DINOv3ViTModel",
        ("dinov3_vit",),
        16,
        1024,
        drop=5,
    ),
    "webssl": Pretrained(
        "facebook/webssl-dino300m-full2b-224",
        "8529cdb3fb75014932af3b896455fc21c386168e",
        "Dinov2Model",
        ("dinov2",),
        14,
        1024,
        drop=1,
    ),
    "vjepa2": Pretrained(
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
    "siglip2": Pretrained(
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


class Backbone(NamedTuple):
    """A loaded encoder and the sha256 of its weights."""

    model: nn.Module
    digest: str


class PretrainedEncoder(nn.Module):
    """A frozen encoder with ``CompactEncoder``'s interface.

    Its weights are no parameters of this module: they are not trained, are always in evaluation
    mode, and are not written with the rest of a model. They are loaded by ``load``, at the latest
    when the first picture comes.

    Raises:
        UserError: ``config.encoder`` names none of ``PRETRAINED``.
    """

    anchor: Tensor

    def __init__(self, config: ModelConfig):
        super().__init__()
        if config.encoder not in PRETRAINED:
            known = ["compact", *PRETRAINED]
            raise UserError(f"unknown encoder {config.encoder!r}; choose one of {known}")
        self.config, self.spec = config, PRETRAINED[config.encoder]
        self.backbone: Backbone | None = None
        # Moved and cast with the rest of the model, it tells where the backbone belongs.
        self.register_buffer("anchor", torch.empty(0), persistent=False)

    def load(self, folder: Path | None = None) -> str:
        """Load the weights.

        Args:
            folder: With ``config.json`` and safetensors; the Hugging Face cache if left out.

        Returns:
            Their sha256.

        Raises:
            UserError: transformers is missing, or the weights are missing, no safetensors, damaged
                or another model's.
        """
        folder = folder or cached_folder(self.config.encoder)
        self.backbone = load_backbone(self.config, folder)
        return self.backbone.digest

    @property
    def digest(self) -> str:
        """sha256 of the weights."""
        return self.backbone.digest if self.backbone else self.load()

    def pixels(self, images: Tensor) -> Tensor:
        """Return pictures ``(B, H, W, 3)`` in 0..255 as the encoder's input ``(B, 3, h, w)``."""
        mean, std = images.new_tensor([self.spec.mean, self.spec.std], dtype=torch.float32)
        x = ((images.float() / 255 - mean) / std).permute(0, 3, 1, 2)
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
        if self.spec.video:
            x = x.unsqueeze(1).expand(-1, 2, -1, -1, -1)
        tokens = model(x, **self.spec.arguments).last_hidden_state[:, self.spec.drop :]
        return F.layer_norm(tokens, tokens.shape[-1:]) if self.spec.normalise else tokens


def cached_folder(encoder: str) -> Path:
    """Return where the Hugging Face cache holds an encoder's pinned revision.

    Raises:
        UserError: transformers is missing, or the cache does not hold it.
    """
    _transformers()
    from huggingface_hub import try_to_load_from_cache

    spec = PRETRAINED[encoder]
    found = try_to_load_from_cache(spec.repository, "config.json", revision=spec.revision)
    if not isinstance(found, str):
        raise UserError(
            f"no weights of {encoder} in the Hugging Face cache; {_fetch(spec)}, or give the "
            "folder that holds them with --encoder-weights FOLDER"
        )
    return Path(found).parent


def load_backbone(config: ModelConfig, folder: Path) -> Backbone:
    """Load ``config.encoder`` from a folder, after checking that it is that encoder.

    Raises:
        UserError: As ``PretrainedEncoder.load``.
    """
    transformers, spec = _transformers(), PRETRAINED[config.encoder]
    weights = sorted(folder.glob("*.safetensors"))
    if not weights or not (folder / "config.json").is_file():
        raise UserError(
            f"{folder} lacks config.json or *.safetensors (other formats are not read); "
            f"{_fetch(spec)} --local-dir FOLDER"
        )
    # V-JEPA 2 numbers patches by the rows of its square crop, so the crop must be as wide as ours.
    extra = {"crop_size": config.grid[1] * spec.patch} if spec.video else {}
    try:
        written = json.loads((folder / "config.json").read_text())
        if written.get("model_type") not in spec.model_types:
            raise UserError(
                f"{folder} holds a {written.get('model_type')!r} model, {config.encoder} is a "
                f"{spec.model_types[0]!r}; {_fetch(spec)} --local-dir FOLDER"
            )
        # Building a model draws random numbers; the caller's own must not depend on them.
        with torch.random.fork_rng(devices=[]):
            model, report = getattr(transformers, spec.architecture).from_pretrained(
                folder,
                use_safetensors=True,
                local_files_only=True,
                trust_remote_code=False,
                dtype=torch.float32,
                output_loading_info=True,
                **extra,
            )
    except UserError:
        raise
    except Exception as error:  # safetensors, transformers and torch each raise their own
        raise UserError(
            f"{folder} is damaged or no {spec.repository} ({type(error).__name__}: {error}); "
            f"{_fetch(spec)} --local-dir FOLDER"
        ) from error
    sizes = (model.config.patch_size, model.config.hidden_size)
    if report["missing_keys"] or sizes != (spec.patch, config.latent_dim):
        lacking = sorted(report["missing_keys"])[:3]
        raise UserError(
            f"{folder} is no {spec.repository}: patches of {sizes[0]} px with {sizes[1]} channels, "
            f"expected {spec.patch} with {config.latent_dim}; tensors missing: {lacking}; "
            f"{_fetch(spec)} --local-dir FOLDER"
        )
    hashes = [file_sha256(path) for path in weights]
    digest = hashes[0] if len(hashes) == 1 else hashlib.sha256("".join(hashes).encode()).hexdigest()
    return Backbone(model.eval().requires_grad_(False), digest)


def _fetch(spec: Pretrained) -> str:
    """Return the command that fetches the weights."""
    return (
        f"fetch them with `hf download {spec.repository} config.json model.safetensors "
        f"--revision {spec.revision}`"
    )


def _transformers() -> Any:
    """Return the transformers library."""
    try:
        import transformers
    except ImportError as error:
        raise UserError(
            "pretrained encoders need transformers, which is not installed: "
            "pip install 'dexbench[encoders]'"
        ) from error
    transformers.utils.logging.disable_progress_bar()  # one for every file that it reads
    return transformers
