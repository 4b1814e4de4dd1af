"""The world models that are measured, each with the layers that it is measured by."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from dexbench.agents.dexwm.model.checkpoint import load_model, weights_file
from dexbench.agents.dexwm.model.world_model import DexWMModel
from dexbench.agents.dexwm.readout.layers import PACKAGED_LAYERS, Readout, load_readout
from dexbench.agents.learning.features import encoder_digest
from dexbench.utils.errors import UserError


@dataclass(frozen=True)
class Subject:
    """A model that is measured, and the layers that it is measured by."""

    name: str
    path: Path
    model: DexWMModel
    readout: Readout | None
    facts: dict[str, Any]
    """Its name and hashes: of its file, its encoder and the layers."""


def subjects(
    names: Sequence[str],
    layers: Sequence[Path],
    device: torch.device,
    encoder_weights: Path | None,
    packaged: bool = True,
) -> list[Subject]:
    """Load the models, each with the layers of its encoder.

    Args:
        names: Files of weights or packaged names.
        layers: Files of ``dexbench train keypoint-layer``.
        device: Where models and layers go.
        encoder_weights: Folder of a pretrained encoder's weights.
        packaged: Whether the packaged layers are taken for encoders that have none among these.

    Raises:
        UserError: A file cannot be read, two models have one name, one of the layers is of no
            model's encoder, or there are layers, but none of a model's encoder.
    """
    more = PACKAGED_LAYERS if packaged else ()
    readouts = [(path, *load_readout(path, device)) for path in (*layers, *more)]
    found = []
    for weights in names:
        path = weights_file(weights)
        model, digest = load_model(weights, device, encoder_weights=encoder_weights)
        encoder = encoder_digest(model.encoder)
        own = [(readout, sha) for _, readout, sha in readouts if readout.encoder == encoder]
        if layers and not own:
            given = readouts[: len(layers)]
            of = ", ".join(f"{name} of {layer.encoder[:12]}" for name, layer, _ in given)
            raise UserError(
                f"none of --layers is of the encoder of {path} (sha256 {encoder[:12]}): {of}; "
                f"`dexbench train keypoint-layer --weights {path}` makes one"
            )
        readout, layer_digest = own[0] if own else (None, None)
        facts = {
            "model": path.stem,
            "weights_sha256": digest,
            "encoder_sha256": encoder,
            "layer_sha256": layer_digest,
            "history": model.history,
        }
        found.append(Subject(path.stem, path, model, readout, facts))
    encoders = {subject.facts["encoder_sha256"] for subject in found}
    for layer_path, layer, _ in readouts[: len(layers)]:
        if layer.encoder not in encoders:
            raise UserError(
                f"{layer_path} is of the encoder {layer.encoder[:12]}, which none of --weights "
                "has; leave it out"
            )
    stems = [subject.name for subject in found]
    if len(set(stems)) < len(stems):
        raise UserError(f"--weights {stems} are not told apart by their names; rename a file")
    return found
