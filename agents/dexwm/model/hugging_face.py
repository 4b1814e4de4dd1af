"""Loads pretrained encoders through Hugging Face transformers.

Nothing is downloaded. Weights come from a folder or from the Hugging Face cache, from safetensors
alone.
"""

import hashlib
import json
from pathlib import Path
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn

from dexbench.utils.errors import UserError
from dexbench.utils.files import file_sha256

from .config import ModelConfig
from .encoder_specs import HUB, HubSpec


class Backbone(NamedTuple):
    """A loaded encoder and the sha256 of its weights."""

    model: nn.Module
    """In evaluation mode, float32, without gradients."""
    digest: str
    """sha256 (hex) of its weights."""


def cached_folder(encoder: str) -> Path:
    """Return where the Hugging Face cache holds an encoder's pinned revision.

    Raises:
        UserError: transformers is missing, or the cache does not hold it.
    """
    _transformers()
    from huggingface_hub import try_to_load_from_cache

    spec = HUB[encoder]
    path = try_to_load_from_cache(spec.repository, "config.json", revision=spec.revision)
    if not isinstance(path, str):
        raise UserError(
            f"no weights of {encoder} in the Hugging Face cache; {_fetch(spec)}, or give the "
            "folder that holds them with --encoder-weights FOLDER"
        )
    return Path(path).parent


def load_backbone(config: ModelConfig, folder: Path) -> Backbone:
    """Load ``config.encoder`` from a folder, after checking that it is that encoder.

    Raises:
        UserError: As ``PretrainedEncoder.load``.
    """
    transformers, spec = _transformers(), HUB[config.encoder]
    weights = sorted(folder.glob("*.safetensors"))
    if not weights or not (folder / "config.json").is_file():
        raise UserError(
            f"{folder} lacks config.json or *.safetensors (other formats are not read); "
            f"{_fetch(spec)} --local-dir FOLDER"
        )
    # V-JEPA 2 numbers patches by the rows of its square crop, so the crop must be as wide as ours.
    extra = {"crop_size": config.grid[1] * spec.patch} if spec.video else {}
    try:
        model_type = json.loads((folder / "config.json").read_text(encoding="utf-8")).get(
            "model_type"
        )
        if model_type not in spec.model_types:
            raise UserError(
                f"{folder} holds a {model_type!r} model, {config.encoder} is a "
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


def hub_tokens(model: nn.Module, spec: HubSpec, pixels: Tensor) -> Tensor:
    """Return the patches' tokens ``(B, P, C)`` of pictures ``(B, 3, h, w)``."""
    if spec.video:
        pixels = pixels.unsqueeze(1).expand(-1, 2, -1, -1, -1)
    tokens: Tensor = model(pixels, **spec.arguments).last_hidden_state[:, spec.drop :]
    return tokens


def _fetch(spec: HubSpec) -> str:
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
