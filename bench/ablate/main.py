"""``dexbench ablate``: trains, measures and plays the cells of the paper's ablations (4.2).

Given again, the command goes on where it stopped.
"""

import dataclasses
import json
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from dexbench.agents.dexwm.model.checkpoint import load_model
from dexbench.agents.dexwm.model.config import ModelConfig
from dexbench.agents.dexwm.readout import train as readout
from dexbench.agents.dexwm.readout.train import KeypointLayerConfig
from dexbench.agents.dexwm.training.config import TrainConfig
from dexbench.agents.dexwm.training.lent import lender_of, on_encoder_of
from dexbench.agents.dexwm.training.train import train
from dexbench.agents.learning.disk import check_folder
from dexbench.agents.learning.episodes import open_sets
from dexbench.agents.learning.features import encoder_digest
from dexbench.agents.learning.recordings import is_own, load_clips
from dexbench.agents.learning.weights import read_tensors
from dexbench.bench.openloop import main as openloop
from dexbench.bench.openloop.main import OpenLoopConfig
from dexbench.bench.run.runner import RunConfig, run
from dexbench.bench.scores.summary import summarise
from dexbench.data_collection.readers.layouts import open_layout
from dexbench.utils.errors import UserError, at_least
from dexbench.utils.files import write_atomic

from .cells import CELLS, ENCODER, FIGURES, Figure
from .tables import Trained, closed_loop, open_loop


@dataclass(frozen=True)
class AblateConfig:
    """Train the cells of the paper's ablations, measure them open loop, and let some play."""

    data: tuple[Path, ...]
    """Data to train on: episode sets, or any folder that `dexbench data index` reads."""
    evaluate: tuple[Path, ...]
    """The same to predict, of other scenes."""
    out: Path = Path("runs/ablate")
    """Folder of weights, layers, ledgers, and a table FIGURE.md for each figure."""
    figures: tuple[str, ...] = tuple(name for name in FIGURES if not FIGURES[name].others)
    """Which: hand-loss, multistep, intervals, predictor, encoder or cost; actions, of people alone;
    or mixture, of two --data."""
    seeds: tuple[int, ...] = (0,)
    """A training of every cell for each."""
    steps: tuple[int, int] = (400, 600)
    """Steps from true states and rolled out."""
    clips: int = 7
    """Longest windows of a batch."""
    encoder: str = ENCODER
    """Whose encoder the cells share, frozen: a DexWM, by file or packaged name, or a pretrained
    one, such as efficientnet-lite0."""
    layer_data: tuple[Path, ...] | None = None
    """Data of the keypoint layers; --data if left out. It must show every hand that --evaluate
    shows."""
    layer_steps: int = 2000
    """Steps of each encoder's keypoint layer."""
    objects: bool = True
    """Whether objects and contact are measured; frames are drawn again for it. Other people's data
    have no objects."""
    windows: int = 200
    """Most windows of a set that are predicted."""
    interval: float = 0.2
    """Seconds between predicted frames."""
    trials: int = 0
    """Trials of each task that the cells of encoder and cost play; none if 0."""
    suite: str = "v1"
    """Suite of the trials."""
    workers: int = 1
    """Processes that play."""
    threads: int = 2
    """CPU threads of training and measuring."""


def main(config: AblateConfig) -> None:
    """Make the tables.

    Raises:
        UserError: An option is out of range; --out holds another ablation; or as training, open
            loop and playing.
    """
    at_least(1, clips=config.clips, threads=config.threads, layer_steps=config.layer_steps)
    at_least(0, trials=config.trials, steps=min(config.steps), seeds=min(config.seeds, default=0))
    if unknown := [name for name in config.figures if name not in FIGURES]:
        raise UserError(f"unknown figures {unknown}; choose from {list(FIGURES)}")
    if not config.seeds or len(set(config.seeds)) < len(config.seeds):
        raise UserError(f"--seeds are {config.seeds}, expected one or more, each once")
    if "mixture" in config.figures and len(config.data) != 2:
        raise UserError(f"mixture compares two --data with both, and {len(config.data)} are given")
    if config.objects and not all(map(is_own, config.layer_data or config.data)):
        raise UserError("other people's data have no states to learn objects from: --no-objects")
    check_folder("--out", config.out)
    ablation = Ablation(config)
    for name in config.figures:
        if len(FIGURES[name].trained) == 1 and not config.trials:
            print(f"{name} is left out: its cells differ in how they plan alone; give --trials")
        else:
            ablation.figure(name)
            print(f"wrote {config.out / f'{name}.md'}")


class Ablation:
    """The trainings and measurements of one folder."""

    def __init__(self, config: AblateConfig):
        self.config, self.out = config, config.out
        facts: dict[str, Any] = {"data": _named(config.data)}
        for name in ("steps", "clips", "layer_steps", "objects"):
            facts[name] = getattr(config, name)
        # Written only where they are given: older ablations stay valid.
        if config.encoder != ENCODER:
            facts["encoder"] = config.encoder
        if config.layer_data is not None:
            facts["layer_data"] = _named(config.layer_data)
        facts = json.loads(json.dumps(facts))  # as they are read again
        path = self.out / "ablation.json"
        if path.is_file() and json.loads(path.read_text(encoding="utf-8")) != facts:
            raise UserError(
                f"{self.out} holds an ablation of other data, steps, clips, encoder or layers; "
                "give its own again or another --out"
            )
        write_atomic(path, json.dumps(facts))
        lender, usual = lender_of(config.encoder), ModelConfig()
        size = (usual if lender is None else on_encoder_of(usual, lender)).image_size
        load_clips(config.data, self.out / "frames", size=size)

    def figure(self, name: str) -> None:
        """Write the table of a figure."""
        figure = FIGURES[name]
        parts = [f"# {figure.title}", self.about()]
        if len(figure.trained) > 1:
            parts.append(self.open_loop(name, figure))
        if figure.played and self.config.trials:
            parts.append(self.closed_loop(figure))
        write_atomic(self.out / f"{name}.md", "\n\n".join(parts) + "\n")

    def about(self) -> str:
        """Return what the cells of all figures share, in a sentence."""
        config = self.config
        sets = " and ".join(path.resolve().name for path in config.data)
        return (
            f"Trained on {sets}, {config.steps[0]} steps from true states and {config.steps[1]} "
            f"rolled out, {config.clips} clips a batch, on the encoder of "
            f"{Path(config.encoder).stem}. Intervals are 95%."
        )

    def open_loop(self, name: str, figure: Figure) -> str:
        """Return the open-loop tables of a figure, of all its trainings on the same windows."""
        config, out = self.config, self.out / "openloop" / name
        pairs = [(cell, seed) for cell in figure.trained for seed in config.seeds]
        weights = [self.weights(cell, seed) for cell, seed in pairs]
        layers = tuple(dict.fromkeys(self.layer(path) for path in weights))
        wanted = OpenLoopConfig(
            data=config.evaluate,
            weights=tuple(map(str, weights)),
            layers=layers,
            interval=config.interval,
            windows=config.windows,
            out=out,
            threads=config.threads,
        )
        settings = json.dumps(dataclasses.asdict(wanted), default=str)
        done = out / "settings.json"
        if not done.is_file() or done.read_text(encoding="utf-8") != settings:
            openloop.main(wanted)
            write_atomic(done, settings)
        evaluation = json.loads((out / "openloop.json").read_text(encoding="utf-8"))
        return open_loop(
            evaluation,
            [self.trained(*pair, path) for pair, path in zip(pairs, weights, strict=True)],
        )

    def closed_loop(self, figure: Figure) -> str:
        """Let the cells of a figure play, and return the table of their success."""
        scores = []
        for cell in figure.cells:
            for seed in self.config.seeds:
                rows = self.play(cell, seed)
                tasks = dict.fromkeys(row["task"] for row in rows)
                found = {
                    task: summarise([row for row in rows if row["task"] == task]) for task in tasks
                }
                scores.append((f"{CELLS[cell].text}, seed {seed}", found))
        return closed_loop(scores)

    def weights(self, cell: str, seed: int) -> Path:
        """Return a cell's weights, trained if they are not there."""
        config, made = self.config, CELLS[cell]
        path = self.out / f"{cell}-{seed}.safetensors"
        if path.is_file():
            return path
        work = self.out / "work" / path.stem
        data = config.data
        if made.only is None:
            self.link_frames(work)
        else:
            data = (data[made.only],)
        forced, rolled = config.steps
        settings: Mapping[str, Any] = {
            "recipe": "fine",
            "encoder": config.encoder,
            "features": self.out / "features",
            **made.training,
        }
        train(
            TrainConfig(
                data=data,
                out=path,
                work=work,
                steps=(0, forced, rolled) if made.rolled_out else (0, forced + rolled, 0),
                seed=seed,
                clips=config.clips,
                threads=config.threads,
                validation_windows=32,
                model=dataclasses.replace(ModelConfig(), **made.model),
                **settings,
            )
        )
        return path

    def link_frames(self, work: Path) -> None:
        """Let a training find the decoded pictures that all share."""
        work.mkdir(parents=True, exist_ok=True)
        for name in ("frames.u8", "frames.json", "poses.npz"):
            source = self.out / "frames" / name
            if source.is_file() and not (work / name).exists():
                os.link(source, work / name)

    def layer(self, weights: Path) -> Path:
        """Return the keypoint layer of a file's encoder, trained if it is not there."""
        model, _ = load_model(weights)
        path = self.out / "layers" / f"{encoder_digest(model.encoder)[:12]}.safetensors"
        if not path.is_file():
            readout.train(
                KeypointLayerConfig(
                    data=self.config.layer_data or self.config.data,
                    out=path,
                    weights=str(weights),
                    objects=self.config.objects,
                    steps=self.config.layer_steps,
                    threads=self.config.threads,
                    work=self.out / ("layer-frames" if self.config.layer_data else "frames"),
                )
            )
        return path

    def trained(self, cell: str, seed: int, path: Path) -> Trained:
        """Return the facts of a training from its file."""
        tensors, metadata = read_tensors(path)
        notes = json.loads(metadata["notes"])
        count = sum(t.numel() for name, t in tensors.items() if name.startswith("predictor."))
        minutes = sum(notes["seconds"]) / 60
        text, only = CELLS[cell].text, CELLS[cell].only
        if only is not None:
            text = f"trained on {self.config.data[only].resolve().name} alone"
        return Trained(path.stem, seed, text, count / 1e6, minutes)

    def play(self, cell: str, seed: int) -> list[dict[str, Any]]:
        """Return the rows of a cell's trials, played if they are not there."""
        made = CELLS[cell]
        weights = self.weights(made.weights or cell, seed)
        arguments = [f"weights={weights.resolve()}"]
        if made.cost:
            arguments.append(f"cost={dict(made.cost)}")
        return run(
            RunConfig(
                agent="dexwm",
                task="all",
                suite=self.config.suite,
                trials=self.config.trials,
                out=self.out / "played",
                workers=self.config.workers,
                agent_args=tuple(arguments),
                name=f"{cell}-{seed}",
            )
        )


def _named(folders: Sequence[Path]) -> Any:
    """Return what tells data from other data: their manifests, or the clips that others have."""
    if all(map(is_own, folders)):
        return open_sets(folders)[1]
    return [open_layout(folder).names() for folder in folders]
