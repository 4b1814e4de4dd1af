"""Trains a DexWM from an episode store, in three stages (`dexbench train dexwm`).

1. The encoder and the keypoint head: pixel reconstruction and keypoints. Left out where the encoder
   is pretrained.
2. The predictor on the frozen encoder's latents, teacher-forced, with the hand-consistency loss.
   With ``end_to_end`` the encoder is not frozen.
3. The predictor rolled out over as many steps as a plan has waypoints.

A run is resumed by giving the same command again. Budgeted by minutes it always ends on time;
budgeted by steps it is reproducible, resumed or not. Under torchrun the processes share each batch.
"""

import dataclasses
import functools
import json
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch
from tqdm import tqdm

from dexbench.agents.dexwm.model.checkpoint import load_model, save_model, weights_file
from dexbench.agents.dexwm.model.decoder import decoder_path, load_decoder, save_decoder
from dexbench.agents.dexwm.model.encoder import PixelDecoder
from dexbench.agents.dexwm.model.pretrained import PretrainedEncoder
from dexbench.agents.dexwm.model.sizes import sized
from dexbench.agents.dexwm.model.world_model import DexWMModel, best_dtype
from dexbench.agents.learning.episodes import load_episodes
from dexbench.agents.learning.optim import MasterAdamW, schedule, trainable
from dexbench.agents.learning.ranks import Loss, Ranks
from dexbench.agents.learning.run_folder import Rate, RunFolder
from dexbench.agents.learning.weights import read_tensors
from dexbench.utils.errors import UserError, at_least
from dexbench.utils.seeding import rng, seed_for

from .batches import Batches
from .config import FREE, TrainConfig
from .losses import autoencoder_loss, end_to_end_loss, prediction_loss, validate
from .recipe import RECIPES

STAGES = ("encoder", "predictor", "rollout")
HAND_WEIGHT = {"compact": 0.02, "paper": 100.0}
"""lambda of each keypoint head: one is trained by cross-entropy, the paper's by squared error."""


class Trainer:
    """Holds what the stages share; see ``train``."""

    def __init__(self, config: TrainConfig, on_step: Callable[[dict], None] | None = None):
        one = (
            "images",
            "clips",
            "threads",
            "validate_every",
            "validation_windows",
            "checkpoint_every",
        )
        at_least(1, **{name: getattr(config, name) for name in one})
        at_least(0, steps=min(config.steps or [0]), holdout=config.holdout)
        if not config.minutes > 0 or config.holdout >= 1:
            raise UserError("--minutes must be above 0 and --holdout, a share, below 1")
        model = sized(config.size, config.encoder, config.model, config.depth_head)
        if config.end_to_end and (model.encoder != "compact" or config.features is not None):
            raise UserError(
                "--end-to-end trains the encoder: it goes with the compact one, and not with "
                "--features, which are a frozen one's"
            )
        weight = HAND_WEIGHT[model.head] if config.hand_weight is None else config.hand_weight
        self.recipe = RECIPES[config.recipe or ("compact" if config.size == "compact" else "paper")]
        self.rates = config.rates or self.recipe.rates
        if model.max_frames < (longest := len(self.recipe.odds)):
            raise UserError(
                f"model.max_frames is {model.max_frames}; the recipe trains on histories of up to "
                f"{longest} frames"
            )
        config = dataclasses.replace(config, model=model, hand_weight=weight, rates=self.rates)
        self.config, self.on_step, self.hand_weight = config, on_step, weight
        self.ranks = Ranks(config.device)
        for size in (config.images, *self.recipe.sizes(config.clips)):
            self.ranks.share(size)
        self.device = self.ranks.device
        progress = config.progress and self.ranks.first
        self.silent = None if progress else True  # None shows bars on terminals only
        self.work = config.work or config.out.with_name(config.out.name + ".work")
        auto = config.dtype == "auto"
        self.dtype = best_dtype(self.device) if auto else getattr(torch, config.dtype)
        torch.set_num_threads(config.threads)
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed_for("dexwm", "weights", config.seed))
            self.model = DexWMModel(model)
            self.decoder = PixelDecoder(model)
        self.model.predictor.activation_checkpointing = config.activation_checkpointing
        self.decoder_known = False
        identity = {k: v for k, v in dataclasses.asdict(config).items() if k not in FREE}
        identity["model"] = model.settings()
        self.first_stage = 0
        if isinstance(self.model.encoder, PretrainedEncoder):
            identity["encoder_sha256"] = self.model.encoder.load(config.encoder_weights)
            self.first_stage = 1
        if min(config.shares) < 0 or sum(config.shares[self.first_stage :]) == 0:
            raise UserError(
                f"shares are {config.shares}, expected none below 0, and one above of "
                f"{', '.join(STAGES[self.first_stage :])}"
            )
        if config.init is not None:
            identity["init_sha256"] = self.begin_with(config.init)
        self.model.to(self.device, self.dtype)
        self.decoder.to(self.device, self.dtype)
        with self.ranks.in_turn():
            self.episodes = load_episodes(
                config.data, self.work, config.holdout, model.image_size, progress
            )
        identity["digest"] = self.episodes.digest
        identity["recipe"] = dataclasses.asdict(self.recipe)
        if config.end_to_end:
            identity["end_to_end"] = True
        if config.features is not None:
            identity["features"] = True
        self.batches = Batches(
            self.episodes, self.model.encoder, self.ranks, self.dtype, self.recipe.augmented
        )
        modules = {"model": self.model, "decoder": self.decoder}
        self.folder = RunFolder(self.work, modules, identity, "data, seed, model, dtype or batches")
        self.state: dict[str, Any] = {
            "stage": self.first_stage,
            "step": 0,
            "seconds": [0.0] * 3,
            "taken": [0] * 3,
            "dtype": str(self.dtype),
        }
        self.optimizer: MasterAdamW | None = None

    def begin_with(self, path: Path) -> str:
        """Take over the weights of a file, and its decoder's; return the file's sha256.

        Raises:
            UserError: It is no file of DexWM weights, or of other sizes.
        """
        found, digest = load_model(path, encoder_weights=self.config.encoder_weights)
        if found.config != self.model.config:
            raise UserError(
                f"--init {path} holds a model of other sizes than this run's; give the --size, "
                "--encoder, --depth-head or --model.* that it was trained with"
            )
        self.model.load_state_dict(found.state_dict())
        file = weights_file(path)
        notes = json.loads(read_tensors(file)[1].get("notes", "{}"))
        names = ", ".join(notes.get("training", {}).get("data", ["weights"]))
        before = "" if found.pretraining == "none" else f"{found.pretraining}, then "
        self.model.pretraining = f"{before}{names} ({digest[:8]})"
        decoder = load_decoder(file)
        if decoder is not None and decoder.config == self.model.config:
            self.decoder.load_state_dict(decoder.state_dict())
            self.decoder_known = True
        return digest

    # --- one batch of each stage -----------------------------------------------------------

    def loss(self, stage: int, step: int) -> Loss:
        """Return the loss of batch ``step``; its frames depend on seed, stage and step alone."""
        config, episodes = self.config, self.episodes
        draw = rng("dexwm", "batch", config.seed, stage, step)
        if stage == 0:
            index = np.sort(draw.choice(self.frame_pool, config.images))
            images, points = self.batches.pictures(index[:, None], draw)
            return self.stage_loss(images[:, 0], points[:, 0], config.keypoint_weight)
        index = self.recipe.windows(episodes, draw, config.clips)
        history = None if stage == 1 else self.recipe.history(draw, index.shape[1] - 1)
        read = self.batches.pictures if config.end_to_end else self.batches.states
        states, points = read(index, draw)
        return self.stage_loss(states, points, self.hand_weight, history)

    # --- stages ----------------------------------------------------------------------------

    def run(self) -> dict[str, Any]:
        """Run all stages that are not done; write the weights; return the last validation."""
        self.resume()
        self.frame_pool = self.episodes.frame_indices(validation=False)
        for stage in range(self.state["stage"], len(STAGES)):
            self.run_stage(stage)
        trainable([self.model], False)
        result: dict[str, Any] = dict(self.validate(predict=True)) if self.ranks.first else {}
        with self.ranks.in_turn():
            if self.ranks.first:
                self.finish(result)
        return result

    def finish(self, result: dict[str, Any]) -> None:
        """Write the weights, and their hash into the last validation's result."""
        notes = {
            "training": dataclasses.asdict(self.config),
            "data_sha256": self.episodes.digest,
            "frames": len(self.episodes.frames),
            "episodes": len(self.episodes.length),
            "seconds": [round(s, 1) for s in self.state["seconds"]],
            "steps": self.state["taken"],
            "validation": result,
            "torch": torch.__version__,
            "compute_dtype": str(self.dtype),
        }
        result["weights_hash"] = save_model(self.config.out, self.model, notes)
        if self.decoder_known or self.config.end_to_end or self.state["seconds"][0] > 0:
            save_decoder(self.config.out, self.decoder)
        else:  # an earlier run's is another encoder's
            decoder_path(self.config.out).unlink(missing_ok=True)

    def modules(self, stage: int) -> dict[str, torch.nn.Module]:
        """Return the modules that a stage trains."""
        model = self.model
        seeing = {"encoder": model.encoder, "head": model.head, "decoder": self.decoder}
        if stage == 0:
            return seeing
        if self.config.end_to_end:
            return {**seeing, "predictor": model.predictor}
        return {"predictor": model.predictor, "head": model.head}

    def begin_stage(self, stage: int) -> MasterAdamW:
        """Set gradients and optimiser up for a stage."""
        trainable([self.model, self.decoder], False)
        trainable(self.modules(stage).values(), True)
        modules = self.modules(stage)
        if stage > 0 and not self.config.end_to_end:
            loss = functools.partial(prediction_loss, self.model)
        else:
            through = end_to_end_loss if stage else autoencoder_loss
            loss = functools.partial(through, self.model, self.decoder)
        self.stage_loss = self.ranks.together(list(modules.values()), loss)
        recipe = self.recipe
        return MasterAdamW(modules, self.rates[stage], recipe.decay, recipe.clip, recipe.betas)

    def run_stage(self, stage: int) -> None:
        """Train one stage to the end of its budget."""
        config, state = self.config, self.state
        if self.optimizer is None:
            self.optimizer = self.begin_stage(stage)
        if stage > 0 and config.features is not None:
            kind = f"tokens {config.model.grid}"
            self.batches.keep_features(config.features, kind, not self.silent)
        before, began = state["seconds"][stage], time.monotonic()  # encoding aside
        self.batches.read = read = Rate()
        # A bar in thousandths of the stage serves a time budget as well as one in steps.
        bar = tqdm(total=1000, desc=STAGES[stage], disable=self.silent, unit="‰")
        while (done := self.ranks.agree(self.progress(stage))) < 1:
            loss, parts = self.loss(stage, state["step"])
            loss.backward()
            factor = schedule(done, self.recipe.warmup, self.recipe.floors[stage])
            norm = self.optimizer.step(factor)
            state["step"] += 1
            state["seconds"][stage] = before + time.monotonic() - began
            parts = self.ranks.mean({"loss": loss, **parts})
            row: dict[str, Any] = {
                "stage": STAGES[stage],
                "step": state["step"],
                **{name: round(float(value), 6) for name, value in parts.items()},
                "gradient": round(norm, 4),
                "rate": self.rates[stage] * factor,
                "seconds": round(state["seconds"][stage], 2),
                "frames_s": round(read.count / (time.monotonic() - began), 1),
                "reader_frames_s": round(read.per_second, 1),
            }
            if self.ranks.first:
                self.folder.log(row)
            bar.update(int(1000 * min(self.progress(stage), 1)) - bar.n)
            bar.set_postfix({k: row[k] for k in ("step", "loss", "frames_s", "reader_frames_s")})
            if state["step"] % config.validate_every == 0:
                self.log_validation(stage)
            if state["step"] % config.checkpoint_every == 0:
                self.save()
            if self.on_step:
                self.on_step(row)
        bar.close()
        self.log_validation(stage)
        state["taken"][stage] = state["step"]
        state["stage"], state["step"], self.optimizer = stage + 1, 0, None
        self.save()

    def progress(self, stage: int) -> float:
        """Share of the stage's budget that is used up."""
        config, state = self.config, self.state
        if config.steps is not None:
            taken = state["taken"][stage] if stage < state["stage"] else state["step"]
            if taken is None or not config.steps[stage]:
                return 1.0
            return taken / config.steps[stage]
        whole = sum(config.shares[self.first_stage :])
        seconds = 60 * config.minutes * config.shares[stage] / whole if whole else 0
        return state["seconds"][stage] / seconds if seconds else 1.0

    def ended_early(self) -> bool:
        """Return whether the weights are written and the last stage now has a larger budget."""
        if self.state["stage"] < len(STAGES) or not self.config.out.exists():
            return False
        budgets = self.config.steps or self.config.shares
        last = [stage for stage in range(self.first_stage, len(STAGES)) if budgets[stage]][-1:]
        return any(self.progress(stage) < 1 for stage in last)

    # --- metrics and checkpoints -----------------------------------------------------------

    def validate(self, predict: bool) -> dict[str, float]:
        """Return metrics on the held-out episodes; see ``losses.validate``."""
        windows = self.config.validation_windows
        return validate(self.model, self.episodes, predict, windows)

    def log_validation(self, stage: int) -> None:
        """Validate and log the result."""
        if not self.ranks.first:
            return
        values = self.validate(predict=stage > 0)
        rounded = {name: round(value, 5) for name, value in values.items()}
        self.folder.log({"stage": STAGES[stage], "step": self.state["step"], "validation": rounded})

    def save(self) -> None:
        """Write the checkpoint."""
        if self.ranks.first:
            self.folder.save(self.state, self.optimizer.state() if self.optimizer else {})

    def resume(self) -> None:
        """Continue from the checkpoint, if there is one."""
        with self.ranks.in_turn():
            found = self.folder.resume()
        self.ranks.wait()  # nobody trains, and logs, before all have cut the metrics
        if found:
            dtype = self.state["dtype"]
            self.state, tensors = found
            # Checkpoints did not always say.
            self.state = {"taken": [None] * 3, "dtype": dtype} | self.state
        if any(self.ranks.agree(self.state[key]) != self.state[key] for key in ("stage", "step")):
            raise UserError(
                f"the processes found different checkpoints in {self.work}; all machines must "
                "share the disk that --out is on"
            )
        if self.state["dtype"] != str(self.dtype):
            name = self.state["dtype"].removeprefix("torch.")
            raise UserError(
                f"{self.work} holds a run in {name}, which this machine does not choose by itself; "
                f"give --dtype {name} to go on with it, or another --out"
            )
        if self.ranks.agree(self.ended_early()):
            raise UserError(
                f"{self.work} holds a run that ended with a smaller budget; to train its "
                f"weights further give --init {self.config.out} and another --out"
            )
        if found and self.state["stage"] < len(STAGES) and self.state["step"] > 0:
            self.optimizer = self.begin_stage(self.state["stage"])
            self.optimizer.load(tensors)


def train(config: TrainConfig, on_step: Callable[[dict], None] | None = None) -> dict[str, Any]:
    """Train a DexWM, or continue the run of the same command, and write its weights.

    Args:
        config: The settings.
        on_step: Called with every step's metrics.

    Returns:
        The validation metrics of ``losses.validate``, and ``weights_hash``.

    Raises:
        UserError: Bad data or settings, or a checkpoint of another run.
    """
    trainer = Trainer(config, on_step)
    try:
        return trainer.run()
    finally:
        trainer.ranks.close()


def main(config: TrainConfig) -> None:
    """Train a DexWM on episode sets; the same command again continues the run."""
    for name, value in train(config).items():
        print(f"{name:18} {value if isinstance(value, str) else format(value, '.4f')}")
