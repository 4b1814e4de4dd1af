"""A policy's weights on disk, the encoder's with them, as one safetensors file."""

from pathlib import Path
from typing import Any

import torch

from dexbench.agents.dexwm.model.checkpoint import encoder_facts, load_encoder
from dexbench.agents.dexwm.model.config import ModelConfig
from dexbench.agents.learning.weights import load_weights, save_weights

from .config import PolicyConfig
from .model import DiffusionPolicyModel

FORMAT = "dexbench-diffusion-policy-1"
WEIGHTS = Path(__file__).parent / "weights"
PACKAGED = {name: WEIGHTS / f"{name}.safetensors" for name in ("exploration", "lift")}
"""The packaged weights, by what they were trained on."""


def save_policy(path: Path, model: DiffusionPolicyModel, notes: dict[str, Any]) -> str:
    """Write the weights with configurations and notes; see ``weights.save_weights``."""
    metadata = {
        "format": FORMAT,
        "config": model.config.to_json(),
        "encoder": model.encoder_config.to_json(),
        "pretraining": model.pretraining,
        **encoder_facts(model.encoder),
    }
    # Ranges of joints in float16 would put targets off by up to a milliradian.
    return save_weights(path, model, metadata, notes, exact=("low", "high", "middle", "spread"))


def load_policy(
    path: str | Path = "exploration",
    device: torch.device | str = "cpu",
    encoder_weights: Path | None = None,
) -> tuple[DiffusionPolicyModel, str]:
    """Load a policy, frozen and in float32, and its file's sha256.

    Args:
        path: A file of ``save_policy``, or a name in ``PACKAGED``.
        device: Where the model goes.
        encoder_weights: Folder of a pretrained encoder's weights; the Hugging Face cache if None.

    Raises:
        UserError: As ``weights.load_weights`` and ``load_encoder``.
    """
    facts: dict[str, str] = {}

    def build(metadata: dict[str, str]) -> DiffusionPolicyModel:
        facts.update(metadata)
        model = DiffusionPolicyModel(
            PolicyConfig.from_json(metadata["config"]), ModelConfig.from_json(metadata["encoder"])
        )
        model.pretraining = metadata.get("pretraining", model.pretraining)
        return model

    file = Path(PACKAGED.get(str(path), path))
    model, digest = load_weights(
        file,
        build,
        FORMAT,
        f"a Diffusion Policy has {FORMAT!r}; `dexbench train diffusion-policy` makes one",
    )
    load_encoder(model.encoder, encoder_weights, facts, file)
    return model.to(device), digest
