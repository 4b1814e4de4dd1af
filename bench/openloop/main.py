"""``dexbench openloop``: measures what world models predict of recorded clips (paper 4.2, 4.4)."""

import csv
import io
import itertools
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from dexbench import __version__
from dexbench.agents.dexwm.model.checkpoint import load_model, weights_file
from dexbench.agents.dexwm.model.decoder import load_decoder
from dexbench.agents.dexwm.model.world_model import DexWMModel
from dexbench.agents.dexwm.readout.layers import Readout, load_readout
from dexbench.agents.learning.disk import check_folder
from dexbench.agents.learning.features import encoder_digest
from dexbench.agents.learning.weights import pick_device
from dexbench.utils.errors import UserError, at_least
from dexbench.utils.files import write_atomic

from .clips import Clips, read_clips
from .evaluate import evaluate
from .measures import Measured
from .strips import write_strips
from .table import Row, differences, rows_of, text
from .windows import HORIZON, Split, Windows, draw_windows


@dataclass(frozen=True)
class OpenLoopConfig:
    """Roll world models out over 4 s of recorded clips, and measure what they predict."""

    data: tuple[Path, ...]
    """Episode sets to predict; take some that the models were not trained on."""
    weights: tuple[str, ...] = ("dexwm",)
    """DexWMs: files or packaged names. Several are compared on the same windows."""
    layers: tuple[Path, ...] = ()
    """Files of `dexbench train keypoint-layer`, one for each encoder. Without any only latents are
    measured."""
    interval: float = 0.2
    """Seconds between frames; the paper's 5 Hz, or 0.4."""
    windows: int = 200
    """Most windows of a set, one of a clip."""
    split: Split = "all"
    """Either all clips, or those that a training on the set holds out."""
    seed: int = 0
    """Names the windows."""
    strips: int = 4
    """Windows that are drawn, true above predicted, where a decoder lies beside the weights."""
    out: Path = Path("runs/openloop")
    """Folder of openloop.csv, openloop.json and the strips."""
    encoder_weights: Path | None = None
    """Folder of a pretrained encoder's weights; the Hugging Face cache if left out."""
    device: str = "cpu"
    """Either "cpu", "cuda" or "auto"."""
    threads: int = 2
    """CPU threads."""


@dataclass(frozen=True)
class Subject:
    """A model that is measured, and the layers that it is measured by."""

    name: str
    path: Path
    model: DexWMModel
    readout: Readout | None
    facts: dict[str, Any]
    """Its name and hashes: of its file, its encoder and the layers."""


def subjects(config: OpenLoopConfig) -> list[Subject]:
    """Load the models, each with the layers of its encoder.

    Raises:
        UserError: A file cannot be read, two models have one name, or none of the layers is of a
            model's encoder.
    """
    device = pick_device(config.device)
    readouts = [(path, *load_readout(path, device)) for path in config.layers]
    found = []
    for weights in config.weights:
        path = weights_file(weights)
        model, digest = load_model(weights, device, encoder_weights=config.encoder_weights)
        encoder = encoder_digest(model.encoder)
        own = [(readout, sha) for _, readout, sha in readouts if readout.encoder == encoder]
        if readouts and not own:
            of = ", ".join(f"{name} of {layer.encoder[:12]}" for name, layer, _ in readouts)
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
    names = [subject.name for subject in found]
    if len(set(names)) < len(names):
        raise UserError(f"--weights {names} are not told apart by their names; rename a file")
    return found


def evaluate_set(
    config: OpenLoopConfig, windows: Windows, models: list[Subject]
) -> tuple[list[Row], dict[str, Clips]]:
    """Measure all models on the windows of one set.

    Returns:
        The rows of ``table.rows_of`` and ``table.differences``, and what each model saw.
    """
    slim = "slim" in windows.store.info
    clips: dict[tuple[int, int], Clips] = {}
    own: dict[str, Measured] = {}
    rows: list[Row] = []
    seen: dict[str, Clips] = {}
    wanted = not slim and any(s.readout and s.readout.objects for s in models)
    for subject in models:
        size = subject.model.config.image_size
        if size not in clips:
            clips[size] = read_clips(windows, config.interval, size, wanted)
        seen[subject.name] = clips[size]
        label = f"{subject.name} on {windows.facts['set']}"
        measured = evaluate(subject.model, clips[size], subject.readout, label)
        rows += rows_of(subject.name, measured, clips[size].seconds)
        own[subject.name] = measured["model"]
    encoders = {subject.name: subject.facts["encoder_sha256"] for subject in models}
    rows += differences(own, encoders, next(iter(seen.values())).seconds)
    return rows, seen


def main(config: OpenLoopConfig) -> None:
    """Measure, write CSV, JSON and strips, and print the table.

    Raises:
        UserError: An option is out of range; weights, layers or a set cannot be used; or --out
            cannot be written to.
    """
    at_least(2, windows=config.windows)
    at_least(1, threads=config.threads)
    at_least(0, strips=config.strips)
    check_folder("--out", config.out)
    torch.set_num_threads(config.threads)
    drawn = [draw_windows(d, config.split, config.seed, config.windows) for d in config.data]
    for first, second in itertools.combinations(drawn, 2):
        if first.facts["set"] == second.facts["set"]:
            raise UserError(f"two sets are called {first.facts['set']}; rename the folder of one")
    models = subjects(config)
    rows: list[Row] = []
    for windows in drawn:
        found, seen = evaluate_set(config, windows, models)
        rows += [{"set": windows.facts["set"], **row} for row in found]
        print(f"{windows.facts['set']}, {len(windows.rows)} windows, {config.interval:g} s a step:")
        print(text(found))
        for subject in models:
            decoder = load_decoder(subject.path)
            if decoder is not None and config.strips:
                path = config.out / f"{subject.name}-{windows.facts['set']}.png"
                write_strips(path, subject.model, decoder, seen[subject.name], config.strips)
    facts = {
        "dexbench": __version__,
        "torch": torch.__version__,
        "horizon_s": HORIZON,
        "interval_s": config.interval,
        "models": [subject.facts for subject in models],
        "sets": [windows.facts for windows in drawn],
        "rows": rows,
    }
    write_atomic(config.out / "openloop.json", json.dumps(facts, indent=1, allow_nan=False))
    write_atomic(config.out / "openloop.csv", _csv(rows))
    print(f"wrote {config.out}")


def _csv(rows: list[Row]) -> str:
    table = io.StringIO()
    writer = csv.DictWriter(table, list(rows[0]), lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    return table.getvalue()
