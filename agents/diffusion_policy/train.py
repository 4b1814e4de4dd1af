"""Trains a Diffusion Policy by behaviour cloning (`dexbench train diffusion-policy`).

The encoder is DexWM's and stays frozen, so every picture is encoded once. A run is resumed by
giving the same command again; budgeted by steps it is reproducible, resumed or not.
"""

import dataclasses
import os
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor
from torch.optim.swa_utils import AveragedModel
from tqdm import tqdm

from dexbench.agents.dexwm.model.checkpoint import load_model
from dexbench.agents.learning.episodes import load_episodes
from dexbench.agents.learning.features import cached_features
from dexbench.agents.learning.optim import MasterAdamW, schedule
from dexbench.agents.learning.run_folder import RunFolder
from dexbench.agents.learning.weights import pick_device
from dexbench.utils.errors import UserError, at_least
from dexbench.utils.seeding import rng, seed_for

from .checkpoint import save_policy
from .chunks import Batch, draw_indices
from .config import PolicyConfig
from .model import DiffusionPolicyModel, scheduler

VALIDATION_SAMPLES = 512
"""Held-out chunks that a validation predicts."""
FREE = (
    "data",
    "out",
    "work",
    "encoder",
    "encoder_weights",
    "features",
    "minutes",
    "steps",
    "threads",
    "device",
    "validate_every",
    "progress",
)
"""Settings that a continued run may change."""


@dataclass(frozen=True)
class PolicyTrainConfig:
    """Settings of one training run."""

    data: tuple[Path, ...]
    """Episode sets to train on."""
    out: Path = Path("diffusion-policy.safetensors")
    """Where the weights go (float16)."""
    work: Path | None = None
    """Folder for decoded frames, checkpoint and metrics.jsonl; OUT.work if left out."""
    encoder: Path | None = None
    """DexWM weights whose encoder sees for the policy; the packaged ones if left out."""
    encoder_weights: Path | None = None
    """Folder of its weights if it is a pretrained one; the Hugging Face cache if left out."""
    lifted_only: bool = False
    """Learn from episodes alone in which an object was lifted, as from demonstrations."""
    features: Path | None = None
    """Folder of the pooled features (float16), computed once for data, encoder and pooling, and
    shared by runs; OUT.work if left out."""
    minutes: float = 10.0
    """Time budget, decoding and encoding of the pictures aside."""
    steps: int | None = None
    """Steps instead of the time budget."""
    batch: int = 64
    """Chunks of a batch."""
    rate: float = 1e-3
    """Peak learning rate."""
    ema: float = 0.998
    """Decay of the moving average of the weights, which is what is kept."""
    seed: int = 0
    """Names the initial weights and every batch."""
    threads: int = 2
    """CPU threads."""
    device: str = "cpu"
    """"cpu", "cuda", or "auto"."""
    holdout: float = 0.06
    """Share of scenes held out for validation."""
    validate_every: int = 500
    """Steps between validations and checkpoints."""
    progress: bool = True
    """Whether to show progress bars."""
    model: PolicyConfig = field(default_factory=PolicyConfig)
    """Sizes of the policy."""


class PolicyTrainer:
    """Holds what a run needs; see ``train``."""

    def __init__(self, config: PolicyTrainConfig, on_step: Callable[[dict], None] | None = None):
        one = ("batch", "threads", "validate_every")
        at_least(1, **{name: getattr(config, name) for name in one})
        at_least(0, steps=config.steps, holdout=config.holdout)
        if not (config.minutes > 0 and config.rate > 0 and 0 <= config.ema < 1 > config.holdout):
            raise UserError(
                "--minutes and --rate must be above 0, and --ema and --holdout, which are shares, "
                "below 1"
            )
        if int(os.environ.get("WORLD_SIZE", 1)) > 1:
            raise UserError("train diffusion-policy runs in one process; leave torchrun out")
        self.config, self.on_step = config, on_step
        self.work = config.work or config.out.with_name(config.out.name + ".work")
        self.device = pick_device(config.device)
        torch.set_num_threads(config.threads)
        world, self.encoder_hash = load_model(
            config.encoder, encoder_weights=config.encoder_weights
        )
        if config.model.feature_dim != world.config.latent_dim:
            raise UserError(
                f"the encoder's features have {world.config.latent_dim} channels, the policy's "
                f"feature_dim is {config.model.feature_dim}; make them equal"
            )
        self.episodes = load_episodes(
            config.data, self.work, config.holdout, world.config.image_size, config.progress
        )
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed_for("diffusion-policy", "weights", config.seed))
            self.model = DiffusionPolicyModel(config.model, world.config)
        self.model.encoder, self.model.pretraining = world.encoder, world.pretraining
        self.training = self._choose(validation=False)
        self.held_out = self._choose(validation=True)
        frames = self._set_ranges()
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
        seen = torch.from_numpy(self.pooled[frames]).float()
        self.model.middle.copy_(seen.mean(0))
        self.model.spread.copy_(seen.std(0) + 1e-4)
        self.model.encoder.requires_grad_(False)
        self.average = AveragedModel(
            self.model.denoiser,
            avg_fn=lambda kept, new, count: (
                kept
                + (new - kept)
                * max(
                    1 - config.ema,
                    9 / (10 + float(count)),  # a short run forgets its start
                )
            ),
        )
        self.optimizer = MasterAdamW({"denoiser": self.model.denoiser}, config.rate)
        self.alphas = scheduler(config.model, "ddpm").alphas_cumprod.to(self.device)
        identity = {k: v for k, v in dataclasses.asdict(config).items() if k not in FREE}
        identity |= {"digest": self.episodes.digest, "encoder": self.encoder_hash}
        modules = {"average": self.average}
        self.folder = RunFolder(self.work, modules, identity, "data, seed, encoder or batches")
        self.step, self.seconds = 0, 0.0

    def _choose(self, validation: bool) -> np.ndarray:
        """Return episodes to learn from or to validate on."""
        episodes = self.episodes
        wanted = (episodes.validation == validation) & (episodes.length >= 2)
        if self.config.lifted_only:
            wanted &= episodes.lifted
        if not wanted.any():
            raise UserError(
                "no episode is left to "
                + ("validate on" if validation else "learn from")
                + (" in which an object was lifted" if self.config.lifted_only else "")
                + "; collect more scenes"
            )
        return np.flatnonzero(wanted)

    def _set_ranges(self) -> np.ndarray:
        """Scale joints and offsets by their range, a little widened where a joint rests.

        Returns:
            The frames ``(N,)`` of the training episodes, which tell the ranges.
        """
        episodes, chunk = self.episodes, np.arange(self.config.model.chunk)
        first, length = episodes.first[self.training], episodes.length[self.training]
        now = np.concatenate([f + np.arange(n) for f, n in zip(first, length, strict=True)])
        last = np.repeat(first + length - 1, length)
        acted = np.minimum(now[:, None] + chunk, last[:, None])
        joints = episodes.joints[now]
        rows = np.concatenate([joints[:, None], episodes.targets[acted] - joints[:, None]], 1)
        self.model.low.copy_(torch.from_numpy(rows.min(0) - 0.01))
        self.model.high.copy_(torch.from_numpy(rows.max(0) + 0.01))
        return now

    def batch(self, generator: np.random.Generator, count: int, chosen: np.ndarray) -> Batch:
        """Draw chunks from some episodes."""
        seen, acted, goal = draw_indices(self.episodes, chosen, generator, count, self.config.model)
        targets = torch.from_numpy(self.episodes.targets[acted]).to(self.device)
        joints = torch.from_numpy(self.episodes.joints[seen]).to(self.device)
        return Batch(
            self.model.scale_chunk(targets, joints[:, -1]),
            self.features(seen),
            self.model.scale(joints),
            self.features(goal),
        )

    def features(self, index: np.ndarray) -> Tensor:
        """Standardised features ``(..., features)`` of frames ``(...)``."""
        pooled = torch.from_numpy(self.pooled[index]).to(self.device, torch.float32)
        return self.model.standardise(pooled)

    def loss(
        self, denoiser: torch.nn.Module, batch: Batch, generator: np.random.Generator
    ) -> Tensor:
        """Mean squared error of the prediction at random levels (Ho et al., 2020)."""
        count = len(batch.chunk)
        levels = generator.integers(0, self.config.model.noise_levels, count)
        level = torch.from_numpy(levels).to(self.device)
        noise = torch.from_numpy(
            generator.standard_normal(tuple(batch.chunk.shape), dtype="float32")
        ).to(self.device)
        share = self.alphas[level][:, None, None]
        noisy = share.sqrt() * batch.chunk + (1 - share).sqrt() * noise
        wanted = {
            "epsilon": noise,
            "sample": batch.chunk,
            "v_prediction": share.sqrt() * noise - (1 - share).sqrt() * batch.chunk,
        }[self.config.model.prediction]
        return F.mse_loss(denoiser(noisy, level, batch.pictures, batch.joints, batch.goal), wanted)

    def progress(self) -> float:
        """Share of the budget that is used up."""
        if self.config.steps is not None:
            return self.step / self.config.steps if self.config.steps else 1.0
        return self.seconds / (60 * self.config.minutes)

    def run(self) -> dict[str, Any]:
        """Train to the end of the budget; write the averaged weights."""
        self.resume()
        config, before, began = self.config, self.seconds, time.monotonic()
        bar = tqdm(total=1000, desc="policy", disable=None if config.progress else True, unit="‰")
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
            bar.update(int(1000 * min(self.progress(), 1)) - bar.n)
            bar.set_postfix(step=self.step, loss=row["loss"])
            if self.step % config.validate_every == 0:
                self.folder.log({"step": self.step, "validation": self.validate()})
                self.save()
            if self.on_step:
                self.on_step(row)
        bar.close()
        self.save()
        result: dict[str, Any] = {"validation_loss": self.validate(), "steps": self.step}
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

    def save(self) -> None:
        """Write the checkpoint."""
        state = {"step": self.step, "seconds": self.seconds}
        self.folder.save(state, self.optimizer.state())

    def resume(self) -> None:
        """Continue from the checkpoint, if there is one."""
        if found := self.folder.resume():
            state, tensors = found
            self.step, self.seconds = state["step"], state["seconds"]
            self.optimizer.load(tensors)


def train(
    config: PolicyTrainConfig, on_step: Callable[[dict], None] | None = None
) -> dict[str, Any]:
    """Train a policy, or continue the run of the same command, and write its weights.

    Args:
        config: The settings.
        on_step: Called with every step's metrics.

    Returns:
        ``validation_loss``, ``steps`` and ``weights_hash``.

    Raises:
        UserError: Bad data or settings, or a checkpoint of another run.
    """
    return PolicyTrainer(config, on_step).run()


def main(config: PolicyTrainConfig) -> None:
    """Train a goal-conditioned Diffusion Policy; the same command again continues the run."""
    for name, value in train(config).items():
        print(f"{name:18} {value if isinstance(value, str) else format(value, 'g')}")
