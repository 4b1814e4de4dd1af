"""Cosmos-Predict2 through diffusers: a first picture and a text to a video (paper 4.3, C.3).

Nothing is downloaded: its weights are read from a folder, from safetensors alone, and those of the
safety checker that its licence asks for from the Hugging Face cache.
"""

import hashlib
import importlib
import json
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image
from safetensors.torch import load_file
from torch import Tensor, nn

from dexbench.utils.errors import UserError
from dexbench.utils.files import file_sha256
from dexbench.utils.progress import track

REPOSITORY = "nvidia/Cosmos-Predict2-2B-Video2World"
PIPELINE = "Cosmos2VideoToWorldPipeline"
COMPONENTS = {
    "tokenizer": "transformers.T5TokenizerFast",
    "scheduler": "diffusers.FlowMatchEulerDiscreteScheduler",
    "text_encoder": "transformers.T5EncoderModel",
    "transformer": "diffusers.CosmosTransformer3DModel",
    "vae": "diffusers.AutoencoderKLWan",
}
"""The pipeline's parts, each in a folder of its own, and their classes."""
MODELS = ("text_encoder", "transformer", "vae")
"""Those that have weights."""
READ = (".json", ".safetensors", ".model")
"""Suffixes of the files that the parts are made of."""
FRAMES, RATE = 93, 16
"""How long a video it was trained to make, and at how many frames a second."""


def weights_sha256(folder: Path) -> str:
    """Return the sha256 of all files that are read, after checking that all parts are there.

    Raises:
        UserError: One is missing, or the folder holds something else.
    """
    index = folder / "model_index.json"
    try:
        name = json.loads(index.read_text(encoding="utf-8"))["_class_name"]
    except (OSError, ValueError, LookupError, TypeError) as error:
        raise UserError(f"{index} is missing or damaged; {_fetch(folder)}") from error
    if name != PIPELINE:
        raise UserError(f"{folder} holds a {name}, expected a {PIPELINE}; {_fetch(folder)}")
    if lacking := [part for part in MODELS if not list(folder.glob(f"{part}/*.safetensors"))]:
        raise UserError(f"{folder} has no safetensors in {', '.join(lacking)}; {_fetch(folder)}")
    paths = sorted(path for part in COMPONENTS for path in folder.glob(f"{part}/*"))
    hashes = [
        [path.relative_to(folder).as_posix(), file_sha256(path)]
        for path in track(paths, "hashing", unit="file")
        if path.suffix in READ
    ]
    return hashlib.sha256(json.dumps(hashes).encode()).hexdigest()


def load_pipeline(folder: Path, device: torch.device) -> Any:
    """Load the pipeline, in bfloat16 on a GPU and in float32 elsewhere.

    Raises:
        UserError: A package is missing; the safety checker cannot be had; or the folder is damaged.
    """
    try:
        import transformers
    except ImportError as error:
        raise UserError(
            "Cosmos-Predict2 needs transformers, which is not installed: "
            "pip install 'dexbench[encoders]'"
        ) from error
    transformers.utils.logging.disable_progress_bar()
    checker = safety_checker()  # before the long loading
    dtype = torch.bfloat16 if device.type == "cuda" else torch.float32
    # Building a model draws random numbers; the caller's own must not depend on them.
    with torch.random.fork_rng(devices=[]):
        parts = {name: _load(folder, name, dtype) for name in COMPONENTS}
    if parts["transformer"].config.concat_padding_mask:
        _need("torchvision")
    kind: Any = getattr(importlib.import_module("diffusers"), PIPELINE)
    pipeline = kind(**parts, safety_checker=checker)
    pipeline.set_progress_bar_config(desc="denoising", leave=False, disable=None)
    return pipeline.to(device)


def safety_checker() -> Any:
    """Return the checker of prompts and videos, which the pipeline does not run without.

    Raises:
        UserError: Its package is missing, or the Hugging Face cache lacks its weights.
    """
    package = _need("cosmos_guardrail")
    from huggingface_hub import constants

    # The package fetches its weights where it does not find them; dexbench opens no connection.
    offline, constants.HF_HUB_OFFLINE = constants.HF_HUB_OFFLINE, True
    try:
        return package.CosmosSafetyChecker()
    except Exception as error:  # huggingface_hub, transformers and nltk each raise their own
        raise UserError(
            f"the safety checker of Cosmos-Predict2 cannot be loaded ({type(error).__name__}: "
            f"{str(error).strip().partition(chr(10))[0]}); fetch its weights with `hf download "
            "nvidia/Cosmos-1.0-Guardrail` and `hf download Qwen/Qwen3Guard-Gen-0.6B`"
        ) from error
    finally:
        constants.HF_HUB_OFFLINE = offline


def sample(
    pipeline: Any, picture: NDArray[np.uint8], prompt: str, steps: int, height: int, seed: int
) -> NDArray[np.uint8]:
    """Make a video that begins with a picture.

    Args:
        pipeline: Of ``load_pipeline``.
        picture: ``(H, W, 3)``.
        prompt: What happens.
        steps: Of denoising.
        height: Of the video in px as it is made; its width follows from the picture's.
        seed: Of the noise.

    Returns:
        ``(93, H, W, 3)`` at 16 Hz, scaled back to the picture's size by the mean over areas.

    Raises:
        UserError: The safety checker refuses the prompt.
    """
    rows, columns = picture.shape[:2]
    try:
        made = pipeline(
            image=Image.fromarray(picture),
            prompt=prompt,
            height=height,
            width=height * columns // rows,
            num_frames=FRAMES,
            fps=RATE,
            num_inference_steps=steps,
            # On the CPU, so that the noise does not depend on the device.
            generator=torch.Generator().manual_seed(seed),
            output_type="np",
        ).frames[0]
    except ValueError as error:
        raise UserError(f"Cosmos-Predict2 refuses: {error} Change --video.prompt.") from error
    frames = np.rint(255 * made).astype(np.uint8)
    scaled = [Image.fromarray(f).resize((columns, rows), Image.Resampling.BOX) for f in frames]
    return np.stack([np.asarray(frame) for frame in scaled])


def _load(folder: Path, name: str, dtype: torch.dtype) -> Any:
    """Load one of ``COMPONENTS``."""
    library, _, kind = COMPONENTS[name].partition(".")
    loader, own = getattr(importlib.import_module(library), kind), folder / name
    report: dict[str, Any] = {"missing_keys": ()}
    try:
        if name not in MODELS:
            return loader.from_pretrained(own, local_files_only=True)
        if library == "diffusers":
            part, report["missing_keys"] = _model(loader, own, dtype)
        else:
            part, report = loader.from_pretrained(
                own,
                use_safetensors=True,
                local_files_only=True,
                trust_remote_code=False,
                dtype=dtype,
                output_loading_info=True,
            )
    except Exception as error:  # safetensors, transformers, diffusers and torch raise their own
        reason = " ".join(f"{type(error).__name__}: {error}".split())[:300]
        raise UserError(f"{own} is damaged or incomplete ({reason}); {_fetch(folder)}") from error
    if lacking := sorted(report["missing_keys"])[:3]:
        raise UserError(f"{own} lacks tensors {lacking}; {_fetch(folder)}")
    return part.eval().requires_grad_(False)


def _model(kind: Any, folder: Path, dtype: torch.dtype) -> tuple[nn.Module, list[str]]:
    """Load a model of diffusers; return the names of tensors that the files lack too.

    Its own ``from_pretrained`` takes the package accelerate for this transformer.
    """
    with torch.device("meta"):  # no memory for weights that are replaced
        model: nn.Module = kind.from_config(kind.load_config(folder, local_files_only=True))
    tensors: dict[str, Tensor] = {}
    for path in sorted(folder.glob("*.safetensors")):
        tensors |= {name: tensor.to(dtype) for name, tensor in load_file(path).items()}
    report = model.load_state_dict(tensors, strict=False, assign=True)
    if report.unexpected_keys:
        raise ValueError(f"tensors of another model: {sorted(report.unexpected_keys)[:3]}")
    return model, report.missing_keys


def _need(package: str) -> Any:
    """Return a package that only Cosmos-Predict2 needs."""
    try:
        return importlib.import_module(package)
    except ImportError as error:
        raise UserError(
            f"Cosmos-Predict2 needs {package}, which cannot be imported ({error}): "
            "pip install cosmos_guardrail torchvision"
        ) from error


def _fetch(folder: Path) -> str:
    """Return the command that fetches the weights."""
    patterns = " ".join(f"--include '*{suffix}'" for suffix in READ)
    return f"fetch it with `hf download {REPOSITORY} {patterns} --local-dir {folder}`"
