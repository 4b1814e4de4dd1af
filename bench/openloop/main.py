"""``dexbench openloop``: measures what world models predict of recorded clips (paper 4.2, 4.4)."""

import csv
import io
import itertools
import json
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path

import torch

from dexbench import __version__
from dexbench.agents.dexwm.model.decoder import load_decoder
from dexbench.agents.learning.disk import check_folder
from dexbench.agents.learning.recordings import is_own
from dexbench.agents.learning.weights import pick_device
from dexbench.bench.scores.summary import text_table
from dexbench.utils.errors import UserError, at_least
from dexbench.utils.files import write_atomic

from .clips import Clips, read_clips
from .compare import on_clips, on_futures
from .counterfactual import check_interval
from .others import OtherWindows, draw_others, read_others
from .shown import Row, tables
from .strips import draw_strips, write_film, write_picture
from .subjects import Subject, subjects
from .transfer import transfer_clips
from .video_model import VideoConfig, VideoModel
from .windows import HORIZON, Split, Windows, draw_windows

PARTS = {
    "rows": "openloop.csv",
    "counterfactual": "counterfactual.csv",
    "transfer": "transfer.csv",
}
"""What is measured, as openloop.json calls it, and the file that holds its rows as CSV."""


@dataclass(frozen=True)
class OpenLoopConfig:
    """Roll world models out over 4 s of recorded clips, and measure what they predict."""

    data: tuple[Path, ...]
    """Data to predict: episode sets, or any folder that `dexbench data index` reads; take some that
    the models were not trained on."""
    weights: tuple[str, ...] = ("dexwm",)
    """DexWMs: files or packaged names. Several are compared on the same windows."""
    layers: tuple[Path, ...] = ()
    """Files of `dexbench train keypoint-layer`, one for each encoder. Those of `dexwm` come with
    dexbench, for its own sets. Models without any are measured by their latents alone."""
    interval: float = 0.2
    """Seconds between frames; the paper's 5 Hz, or 0.4."""
    windows: int = 200
    """Most windows of a set, one of a clip."""
    split: Split = "all"
    """Either all clips, or those that a training on the set holds out: those named for tests, or
    else some scenes."""
    seed: int = 0
    """Names the windows."""
    counterfactual: bool = False
    """Whether to compare eight futures of each window too, which are simulated first."""
    transfer: bool = False
    """Whether to play each window's actions in another kitchen too."""
    video: VideoConfig = field(default_factory=VideoConfig)
    """Cosmos-Predict2 beside the world models, on the recorded clips."""
    strips: int = 4
    """Windows that are drawn, true above predicted, where a decoder lies beside the weights."""
    out: Path = Path("runs/openloop")
    """Folder of openloop.json, the CSV files and the strips."""
    encoder_weights: Path | None = None
    """Folder of a pretrained encoder's weights; the Hugging Face cache if left out."""
    device: str = "cpu"
    """Either "cpu", "cuda" or "auto"."""
    threads: int = 2
    """CPU threads."""


def evaluate_set(
    config: OpenLoopConfig,
    windows: Windows | OtherWindows,
    models: list[Subject],
    video: VideoModel | None,
) -> dict[str, list[Row]]:
    """Measure all models on the windows of one set, and draw strips.

    Returns:
        Rows by their part in ``PARTS``; none where that was not asked for.
    """
    name = windows.facts["set"]
    parts: dict[str, list[Row]] = {part: [] for part in PARTS}
    if isinstance(windows, OtherWindows):
        parts["rows"], seen = on_clips(models, name, partial(read_others, windows, config.interval))
    else:
        slim = "slim" in windows.store.info
        wanted = not slim and any(s.readout and s.readout.objects for s in models)
        own = windows

        def read(size: tuple[int, int]) -> Clips:
            clips = read_clips(own, config.interval, size, wanted)
            if video is None:
                return clips
            return replace(clips, video=video.predict(own, size, clips.seconds))

        parts["rows"], seen = on_clips(models, name, read)
    _write_strips(config, name, models, seen)
    if config.counterfactual and isinstance(windows, Windows):
        parts["counterfactual"] = on_futures(models, windows, seen)
    if config.transfer and isinstance(windows, Windows):
        transfer = partial(transfer_clips, windows, config.interval)
        parts["transfer"], seen = on_clips(models, "other kitchens", transfer)
        _write_strips(config, f"{name}-transfer", models, seen)
    return {part: [{"set": name, **row} for row in rows] for part, rows in parts.items()}


def _write_strips(
    config: OpenLoopConfig, name: str, models: list[Subject], seen: dict[str, Clips]
) -> None:
    """Draw the first windows for every model that has a decoder."""
    for subject in models:
        decoder = load_decoder(subject.path)
        if decoder is not None and config.strips:
            strips = draw_strips(subject.model, decoder, seen[subject.name], config.strips)
            write_picture(config.out / f"{subject.name}-{name}.png", strips)
            write_film(config.out / f"{subject.name}-{name}.mp4", strips)


def main(config: OpenLoopConfig) -> None:
    """Measure, write CSV, JSON and strips, and print the table.

    Raises:
        UserError: An option is out of range; weights, layers or a set cannot be used; or --out
            cannot be written to.
    """
    at_least(2, windows=config.windows)
    at_least(1, threads=config.threads)
    at_least(0, strips=config.strips)
    if config.counterfactual:
        check_interval(config.interval)
    check_folder("--out", config.out)
    torch.set_num_threads(config.threads)
    drawn = [draw(config, folder) for folder in config.data]
    for first, second in itertools.combinations(drawn, 2):
        if first.facts["set"] == second.facts["set"]:
            raise UserError(f"two sets are called {first.facts['set']}; rename the folder of one")
    device = pick_device(config.device)
    folder = config.video.model
    video = VideoModel(folder, config.video, device) if folder else None
    # The packaged layers have seen the robot's hand only.
    robot = all(isinstance(windows, Windows) for windows in drawn)
    models = subjects(config.weights, config.layers, device, config.encoder_weights, robot)
    for windows in drawn:
        _check_actions(config, windows, models)
    parts: dict[str, list[Row]] = {part: [] for part in PARTS}
    for windows in drawn:
        found = evaluate_set(config, windows, models, video)
        print(
            f"{windows.facts['set']}, {len(windows.starts)} windows, {config.interval:g} s a step"
        )
        for caption, (header, lines, left) in tables(*found.values()).items():
            print(f"{caption}:\n{text_table(header, lines, left)}")
        for part, rows in found.items():
            parts[part] += rows
    facts = {
        "dexbench": __version__,
        "torch": torch.__version__,
        "horizon_s": HORIZON,
        "interval_s": config.interval,
        "models": [subject.facts for subject in models],
        "video_model": video.facts if video else None,
        "sets": [windows.facts for windows in drawn],
        **parts,
    }
    write_atomic(config.out / "openloop.json", json.dumps(facts, indent=1, allow_nan=False))
    for part, name in PARTS.items():
        if parts[part]:
            write_atomic(config.out / name, _csv(parts[part]))
    print(f"wrote {config.out}")


def draw(config: OpenLoopConfig, folder: Path) -> Windows | OtherWindows:
    """Draw the windows of a set, whoever recorded it.

    Raises:
        UserError: It cannot be read, or has no states where these are needed.
    """
    if is_own(folder):
        return draw_windows(folder, config.split, config.seed, config.windows)
    if config.video.model is not None:
        raise UserError(
            f"{folder} is other people's data, and --video.model is measured on the benchmark's "
            "own sets; leave it out"
        )
    if config.counterfactual or config.transfer:
        raise UserError(
            f"{folder} has no simulator's states, which --counterfactual and --transfer begin "
            "with; leave them out, or give the benchmark's own sets alone"
        )
    return draw_others(folder, config.split, config.seed, config.windows)


def _check_actions(
    config: OpenLoopConfig, windows: Windows | OtherWindows, models: list[Subject]
) -> None:
    """Refuse a model whose actions tell of what the clips do not."""
    others = isinstance(windows, OtherWindows)
    body = isinstance(windows, OtherWindows) and windows.body
    for subject in models:
        if subject.model.config.commanded and (others or config.counterfactual or config.transfer):
            raise UserError(
                f"{subject.path} learned from what joint targets ask for (--model.commanded), "
                "which only clips of the benchmark's own sets tell; measure it on such, without "
                "--counterfactual and --transfer"
            )
        if subject.model.config.action == "body" and not body:
            raise UserError(
                f"{subject.path} predicts from how the upper body moves, which "
                f"{windows.facts['set']} does not say; measure it on data in EgoDex's layout"
            )


def _csv(rows: list[Row]) -> str:
    table = io.StringIO()
    writer = csv.DictWriter(table, list(rows[0]), lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    return table.getvalue()
