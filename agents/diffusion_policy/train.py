"""Trains a Diffusion Policy by behaviour cloning (`dexbench train diffusion-policy`).

The encoder is DexWM's and stays frozen, so every picture is encoded once. A run is resumed by
giving the same command again; budgeted by steps it is reproducible, resumed or not.
"""

import dataclasses
import os
import time
from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.optim.swa_utils import AveragedModel

from dexbench.agents.dexwm.model.checkpoint import load_model
from dexbench.agents.learning.disk import check_file, check_folder
from dexbench.agents.learning.episodes import load_episodes
from dexbench.agents.learning.features import cached_features
from dexbench.agents.learning.optim import MasterAdamW, schedule
from dexbench.agents.learning.recordings import pretraining_of
from dexbench.agents.learning.run_folder import RunFolder
from dexbench.agents.learning.settings import identity
from dexbench.agents.learning.weights import pick_device
from dexbench.utils.errors import UserError
from dexbench.utils.progress import track
from dexbench.utils.seeding import rng, seed_for

from .checkpoint import save_policy
from .chunks import Batch, draw_indices, joint_ranges, usable_episodes
from .loss import denoising_loss, moving_average
from .model import DiffusionPolicyModel, scheduler
from .train_config import PolicyTrainConfig

VALIDATION_SAMPLES = 512
"""Held-out chunks that a validation predicts."""


class PolicyTrainer:
    """Holds what a run needs; see ``train``."""

    def __init__(
        self, config: PolicyTrainConfig, on_step: Callable[[dict[str, Any]], None] | None = None
    ):
        config.check()
        if int(os.environ.get("WORLD_SIZE", 1)) > 1:
            raise UserError("train diffusion-policy runs in one process; leave torchrun out")
        self.config, self.on_step = config, on_step
        self.work = config.work or config.out.with_name(config.out.name + ".work")
        self.device = pick_device(config.device)
        torch.set_num_threads(config.threads)
        world, self.encoder_hash = load_model(
            config.encoder, encoder_weights=config.encoder_weights
        )
        if config.model.feature_dim != world.config.state_dim:
            raise UserError(
                f"the encoder's features have {world.config.state_dim} channels, the policy's "
                f"feature_dim is {config.model.feature_dim}; make them equal"
            )
        check_file("--out", config.out)
        check_folder("--work", self.work)
        check_folder("--features", config.features or self.work)
        self.episodes = load_episodes(
            config.data, self.work, config.holdout, world.config.image_size, config.progress
        )
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed_for("diffusion-policy", "weights", config.seed))
            self.model = DiffusionPolicyModel(config.model, world.config)
        self.model.encoder = world.encoder
        self.model.pretraining = pretraining_of(world.pretraining, config.data)
        self.training, self.held_out = (
            usable_episodes(self.episodes, validation, config.lifted_only)
            for validation in (False, True)
        )
        frames, low, high = joint_ranges(self.episodes, self.training, config.model.chunk)
        self.model.low.copy_(low)
        self.model.high.copy_(high)
        self.model.to(self.device)
        self.pooled = cached_features(
            self.episodes,
            self.model.encoder,
            self.model.pool,
            config.features or self.work,
            f"{world.config.grid} pooled to {config.model.pool}",
            self.device,
            config.progress,
        )
        pooled = torch.from_numpy(self.pooled[frames]).float()
        self.model.middle.copy_(pooled.mean(0))
        self.model.spread.copy_(pooled.std(0) + 1e-4)
        self.model.encoder.requires_grad_(False)
        self.average = AveragedModel(self.model.denoiser, avg_fn=moving_average(config.ema))
        self.optimizer = MasterAdamW({"denoiser": self.model.denoiser}, config.rate)
        self.alphas = scheduler(config.model, "ddpm").alphas_cumprod.to(self.device)
        facts = identity(config)
        facts |= {"digest": self.episodes.digest, "encoder": self.encoder_hash}
        modules = {"average": self.average}
        self.folder = RunFolder(self.work, modules, facts, "data, seed, encoder or batches")
        self.step, self.seconds = 0, 0.0

    def batch(self, generator: np.random.Generator, count: int, chosen: NDArray[np.int64]) -> Batch:
        """Draw ``count`` chunks from the episodes ``chosen``, scaled and on the device."""
        seen, acted, goal = draw_indices(self.episodes, chosen, generator, count, self.config.model)
        targets = torch.from_numpy(self.episodes.targets[acted]).to(self.device)
        joints = torch.from_numpy(self.episodes.joints[seen]).to(self.device)
        return Batch(
            self.model.scale_chunk(targets, joints[:, -1]),
            self.features(seen),
            self.model.scale(joints),
            self.features(goal),
        )

    def features(self, index: NDArray[np.int64]) -> Tensor:
        """Standardised features ``(..., features)`` of frames ``(...)``."""
        pooled = torch.from_numpy(self.pooled[index]).to(self.device, torch.float32)
        return self.model.standardise(pooled)

    def loss(self, denoiser: nn.Module, batch: Batch, generator: np.random.Generator) -> Tensor:
        """Return the loss of a batch; see ``denoising_loss``."""
        return denoising_loss(denoiser, batch, self.alphas, self.config.model.prediction, generator)

    def progress(self) -> float:
        """Share of the budget that is used up."""
        if self.config.steps is not None:
            return self.step / self.config.steps if self.config.steps else 1.0
        return self.seconds / (60 * self.config.minutes)

    def run(self) -> dict[str, Any]:
        """Train to the end of the budget; write the averaged weights."""
        self.resume()
        config, before, began = self.config, self.seconds, time.monotonic()
        bar = track(total=1000, label="policy", unit="‰", show=config.progress)
        while (done := self.progress()) < 1:
            draw = rng("diffusion-policy", "batch", config.seed, self.step)
            loss = self.loss(
                self.model.denoiser, self.batch(draw, config.batch, self.training), draw
            )
            loss.backward()
            norm = self.optimizer.step(schedule(done))
            self.average.update_parameters(self.model.denoiser)
            self.step += 1
            self.seconds = before + time.monotonic() - began
            row = {
                "step": self.step,
                "loss": round(float(loss.detach()), 6),
                "gradient": round(norm, 4),
                "seconds": round(self.seconds, 2),
            }
            self.folder.log(row)
            self.check_finite("loss", row["loss"])
            bar.update(int(1000 * min(self.progress(), 1)) - bar.n)
            bar.set_postfix(step=self.step, loss=row["loss"])
            if self.step % config.validate_every == 0:
                validation = self.validate()
                self.folder.log({"step": self.step, "validation": validation})
                self.check_finite("validation", validation)
                self.save()
            if self.on_step:
                self.on_step(row)
        bar.close()
        self.save()
        result: dict[str, Any] = {"validation_loss": self.validate(), "steps": self.step}
        self.check_finite("validation_loss", result["validation_loss"])
        self.model.denoiser.load_state_dict(self.average.module.state_dict())
        notes = {
            "training": dataclasses.asdict(config),
            "data_sha256": self.episodes.digest,
            "encoder_weights_sha256": self.encoder_hash,
            "episodes": len(self.training),
            "seconds": round(self.seconds, 1),
            "torch": torch.__version__,
            **result,
        }
        result["weights_hash"] = save_policy(config.out, self.model, notes)
        return result

    @torch.no_grad()
    def validate(self) -> float:
        """Return the averaged weights' loss on held-out episodes, always on the same draws."""
        draw = rng("diffusion-policy", "validation")
        batch = self.batch(draw, VALIDATION_SAMPLES, self.held_out)
        return round(float(self.loss(self.average, batch, draw)), 6)

    def check_finite(self, name: str, value: float) -> None:
        """Stop if a loss is not finite; see ``RunFolder.check_finite``."""
        self.folder.check_finite({name: value}, f"at step {self.step}", "a lower --rate")

    def save(self) -> None:
        """Write the checkpoint."""
        state = {"step": self.step, "seconds": self.seconds}
        self.folder.save(state, self.optimizer.state())

    def resume(self) -> None:
        """Continue from the checkpoint, if there is one."""
        if checkpoint := self.folder.resume():
            state, tensors = checkpoint
            self.step, self.seconds = state["step"], state["seconds"]
            self.optimizer.load(tensors)


def train(
    config: PolicyTrainConfig, on_step: Callable[[dict[str, Any]], None] | None = None
) -> dict[str, Any]:
    """Train a policy, or continue the run of the same command, and write its weights.

    Args:
        config: The settings.
        on_step: Called with every step's metrics.

    Returns:
        ``validation_loss``, ``steps`` and ``weights_hash``.

    Raises:
        UserError: Bad data or settings, places that cannot be written to, a checkpoint of another
            run, or a training that diverges.
    """
    return PolicyTrainer(config, on_step).run()


def main(config: PolicyTrainConfig) -> None:
    """Train a goal-conditioned Diffusion Policy; the same command again continues the run."""
    for name, value in train(config).items():
        print(f"{name:18} {value if isinstance(value, str) else format(value, 'g')}")
