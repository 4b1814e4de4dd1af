"""Trains a DexWM from episode sets, stage by stage (`dexbench train dexwm`).

A run is resumed by giving the same command again. Budgeted by minutes it always ends on time;
budgeted by steps it is reproducible, resumed or not. Under torchrun the processes share each batch.
"""

import dataclasses
import time
from collections.abc import Callable, Iterable
from typing import Any

import torch
from torch import Tensor

from dexbench.agents.dexwm.model.checkpoint import save_model
from dexbench.agents.dexwm.model.decoder import decoder_path, save_decoder
from dexbench.agents.dexwm.model.world_model import best_dtype
from dexbench.agents.learning.object_masks import ObjectMasks
from dexbench.agents.learning.optim import MasterAdamW, schedule, trainable
from dexbench.agents.learning.ranks import Ranks
from dexbench.agents.learning.recordings import load_clips, pretraining_of
from dexbench.agents.learning.run_folder import Rate, RunFolder
from dexbench.utils.errors import UserError
from dexbench.utils.progress import track
from dexbench.utils.seeding import rng

from .batches import Batches
from .beginning import check_parts, check_places, run_identity
from .config import STAGES, TrainConfig, resolve
from .networks import build
from .stages import Stage, build_stages
from .validation import validate

CURE = "lower --rates or --dtype float32"
"""What to change where a training diverges."""


class Trainer:
    """Runs the stages one after the other; see ``train``."""

    def __init__(
        self, config: TrainConfig, on_step: Callable[[dict[str, Any]], None] | None = None
    ):
        config, recipe = resolve(config)
        self.recipe, self.on_step = recipe, on_step
        self.ranks = Ranks(config.device)
        for size in (config.images, *recipe.sizes(config.clips)):
            check_parts(self.ranks.share(size), config.accumulate)
        self.device = self.ranks.device
        self.show = config.progress and self.ranks.first
        self.work = config.work or config.out.with_name(config.out.name + ".work")
        auto = config.dtype == "auto"
        self.dtype = best_dtype(self.device) if auto else getattr(torch, config.dtype)
        torch.set_num_threads(config.threads)
        self.networks = build(config)
        self.config = config = dataclasses.replace(config, model=self.networks.model.config)
        self.model, self.decoder = self.networks.model, self.networks.decoder
        self.model.to(self.device, self.dtype)
        self.decoder.to(self.device, self.dtype)
        masks: ObjectMasks | None = None
        with self.ranks.in_turn():
            if self.ranks.first:
                check_places(config, self.work)
            model, mixed = config.model, config.data_shares is not None
            settings = (config.holdout, model.image_size, mixed, config.max_rate, self.show)
            told = (model.action, model.commanded)
            self.clips = load_clips(config.data, self.work, *settings, *told)
            if config.model.object_map:
                masks = ObjectMasks(config.data, self.clips, self.work)
        self.model.pretraining = pretraining_of(self.model.pretraining, config.data)
        self.model.history = len(recipe.odds)
        parts = (self.ranks, self.dtype, recipe.augmented, config.accumulate)
        self.batches = Batches(self.clips, self.model.encoder, *parts)
        self.batches.masks = masks
        self.stages = build_stages(config, recipe, self.networks, self.batches, self.show)
        modules = {"model": self.model, "decoder": self.decoder}
        facts = run_identity(config, recipe, self.networks, self.clips.digest)
        shared = "data, seed, model, dtype or batches"
        self.folder = RunFolder(self.work, modules, facts, shared)
        self.state: dict[str, Any] = {
            "stage": self.stages[0].index,
            "step": 0,
            "seconds": [0.0] * len(STAGES),
            "taken": [0] * len(STAGES),
            "dtype": str(self.dtype),
        }
        self.optimizer: MasterAdamW | None = None

    def run(self) -> dict[str, Any]:
        """Run all stages that are not done; write the weights; return the last validation."""
        self.resume()
        for stage in self.stages:
            if stage.index >= self.state["stage"]:
                self.run_stage(stage)
        trainable([self.model], False)
        result: dict[str, Any] = dict(self.validate(predict=True)) if self.ranks.first else {}
        self.folder.check_finite(result, "in the last validation", CURE)
        with self.ranks.in_turn():
            if self.ranks.first:
                self.finish(result)
        return result

    def finish(self, result: dict[str, Any]) -> None:
        """Write the weights, and their hash into the last validation's result."""
        notes = {
            "training": dataclasses.asdict(self.config),
            "data_sha256": self.clips.digest,
            "frames": len(self.clips.frames),
            "episodes": len(self.clips.length),
            "seconds": [round(s, 1) for s in self.state["seconds"]],
            "steps": self.state["taken"],
            "validation": result,
            "torch": torch.__version__,
            "compute_dtype": str(self.dtype),
        }
        result["weights_hash"] = save_model(self.config.out, self.networks.written(), notes)
        trained = [s for s in self.stages if self.state["seconds"][s.index] > 0]
        if self.networks.decoder_known or any("decoder" in s.modules for s in trained):
            save_decoder(self.config.out, self.decoder)
        else:  # an earlier run's is another encoder's
            decoder_path(self.config.out).unlink(missing_ok=True)

    def begin(self, stage: Stage) -> MasterAdamW:
        """Let gradients flow into a stage's modules alone; return their optimiser."""
        trainable([self.model, self.decoder], False)
        trainable(stage.modules.values(), True)
        self.loss = self.ranks.together(list(stage.modules.values()), stage.loss)
        recipe = self.recipe
        return MasterAdamW(stage.modules, stage.rate, recipe.decay, recipe.clip, recipe.betas)

    def run_stage(self, stage: Stage) -> None:
        """Train one stage to the end of its budget."""
        config, state = self.config, self.state
        if self.optimizer is None:
            self.optimizer = self.begin(stage)
        stage.prepare()
        before, began = state["seconds"][stage.index], time.monotonic()
        self.batches.read = read = Rate()
        # A bar in thousandths of the stage serves a time budget as well as one in steps.
        bar = track(total=1000, label=stage.name, unit="‰", show=self.show)
        while (done := self.ranks.agree(self.progress(stage))) < 1:
            # A batch depends on seed, stage and step alone, so that a resumed run sees the same.
            draw = rng("dexwm", "batch", config.seed, stage.index, state["step"])
            parts = self.learn(stage.batch(draw, state["step"]))
            factor = schedule(done, self.recipe.warmup, stage.floor)
            norm = self.optimizer.step(factor)
            state["step"] += 1
            state["seconds"][stage.index] = before + time.monotonic() - began
            parts = self.ranks.mean(parts)
            row: dict[str, Any] = {
                "stage": stage.name,
                "step": state["step"],
                **{name: round(float(value), 6) for name, value in parts.items()},
                "gradient": round(norm, 4),
                "rate": stage.rate * factor,
                "seconds": round(state["seconds"][stage.index], 2),
                "frames_s": round(read.count / (time.monotonic() - began), 1),
                "reader_frames_s": round(read.per_second, 1),
            }
            if self.ranks.first:
                self.folder.log(row)
            when = f"at step {state['step']} of stage {stage.name}"
            self.folder.check_finite({"loss": row["loss"]}, when, CURE)
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
        state["taken"][stage.index] = state["step"]
        state["stage"], state["step"], self.optimizer = stage.index + 1, 0, None
        self.save()

    def learn(self, batch: Iterable[tuple[Any, ...]]) -> dict[str, Tensor]:
        """Add up the gradients of a batch's parts; return the loss and its parts, their mean."""
        assert self.optimizer is not None
        total: dict[str, Tensor] = {}
        count = self.config.accumulate
        for arguments in batch:
            loss, parts = self.loss(*arguments)
            (loss / count).backward()
            # In float32: of many small gradients bfloat16 would lose some.
            self.optimizer.gather()
            for name, value in {"loss": loss, **parts}.items():
                part = value.detach() / count
                total[name] = total[name] + part if name in total else part
        return total

    def progress(self, stage: Stage) -> float:
        """Share of the stage's budget that is used up."""
        config, state, index = self.config, self.state, stage.index
        if config.steps is not None:
            taken = state["taken"][index] if index < state["stage"] else state["step"]
            if taken is None or not config.steps[index]:
                return 1.0
            share: float = taken / config.steps[index]
            return share
        whole = sum(config.shares[config.first_stage :])
        seconds = 60 * config.minutes * config.shares[index] / whole
        return state["seconds"][index] / seconds if seconds else 1.0

    @property
    def ended(self) -> bool:
        """Whether the last stage is done."""
        return bool(self.state["stage"] > self.stages[-1].index)

    def ended_early(self) -> bool:
        """Return whether the weights are written and the last stage now has a larger budget."""
        if not self.ended or not self.config.out.exists():
            return False
        budgets = self.config.steps or self.config.shares
        last = [stage for stage in self.stages if budgets[stage.index]][-1:]
        return any(self.progress(stage) < 1 for stage in last)

    def validate(self, predict: bool) -> dict[str, float]:
        """Return metrics on the held-out episodes; see ``validation.validate``."""
        windows = self.config.validation_windows
        return validate(self.model, self.clips, self.batches.masks, predict, windows)

    def log_validation(self, stage: Stage) -> None:
        """Validate and log the result."""
        if not self.ranks.first:
            return
        values = self.validate(predict=stage.predicts)
        rounded = {name: round(value, 5) for name, value in values.items()}
        self.folder.log({"stage": stage.name, "step": self.state["step"], "validation": rounded})
        when = f"in the validation after step {self.state['step']} of stage {stage.name}"
        self.folder.check_finite(rounded, when, CURE)

    def save(self) -> None:
        """Write the checkpoint."""
        if self.ranks.first:
            self.folder.save(self.state, self.optimizer.state() if self.optimizer else {})

    def resume(self) -> None:
        """Continue from the checkpoint, if there is one."""
        with self.ranks.in_turn():
            checkpoint = self.folder.resume()
        self.ranks.wait()  # nobody trains, and logs, before all have cut the metrics
        if checkpoint:
            dtype = self.state["dtype"]
            self.state, tensors = checkpoint
            # Checkpoints did not always say.
            self.state = {"taken": [None] * len(STAGES), "dtype": dtype} | self.state
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
        if checkpoint and not self.ended and self.state["step"] > 0:
            [stage] = [stage for stage in self.stages if stage.index == self.state["stage"]]
            self.optimizer = self.begin(stage)
            self.optimizer.load(tensors)


def train(
    config: TrainConfig, on_step: Callable[[dict[str, Any]], None] | None = None
) -> dict[str, Any]:
    """Train a DexWM, or continue the run of the same command, and write its weights.

    Args:
        config: The settings.
        on_step: Called with every step's metrics.

    Returns:
        The validation metrics of ``validation.validate``, and ``weights_hash``.

    Raises:
        UserError: Bad data or settings, places that cannot be written to, a checkpoint of another
            run, or a training that diverges.
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
