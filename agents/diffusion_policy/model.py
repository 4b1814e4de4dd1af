"""The policy's network: noise in a chunk of joint targets, given pictures, joints and a goal."""

from typing import Literal

import torch
from diffusers.schedulers.scheduling_ddim import DDIMScheduler
from diffusers.schedulers.scheduling_ddpm import DDPMScheduler
from torch import Tensor, nn

from dexbench.agents.dexwm.model.config import ModelConfig
from dexbench.agents.dexwm.model.encoder import build_encoder
from dexbench.utils.errors import UserError

from .config import PolicyConfig

SchedulerName = Literal["ddpm", "ddim"]
SCHEDULERS = {"ddpm": DDPMScheduler, "ddim": DDIMScheduler}


class Denoiser(nn.Module):
    """A transformer decoder over the chunk that attends to the condition (Chi et al., 2023).

    The condition is a sequence of tokens: the noise level, each observation, the goal. A target
    attends to itself and to those before it.
    """

    def __init__(self, config: PolicyConfig):
        super().__init__()
        self.config = config
        dim = config.dim
        observed = config.features + (config.joints if config.proprioception else 0)
        self.level = nn.Embedding(config.noise_levels, dim)
        self.observation = nn.Linear(observed, dim)
        self.goal = nn.Linear(config.features, dim)
        self.condition_position = nn.Parameter(torch.randn(config.context + 2, dim) * 0.02)
        self.condition_mlp = nn.Sequential(
            nn.LayerNorm(dim), nn.Linear(dim, 4 * dim), nn.Mish(), nn.Linear(4 * dim, dim)
        )
        self.target = nn.Linear(config.joints, dim)
        self.target_position = nn.Parameter(torch.randn(config.chunk, dim) * 0.02)
        block = nn.TransformerDecoderLayer(
            dim,
            config.heads,
            int(dim * config.mlp_ratio),
            dropout=0.0,
            activation="gelu",
            batch_first=True,
            norm_first=True,
        )
        self.blocks = nn.TransformerDecoder(block, config.blocks, nn.LayerNorm(dim))
        self.out = nn.Linear(dim, config.joints)

    def forward(
        self, noisy: Tensor, level: Tensor, pictures: Tensor, joints: Tensor, goal: Tensor
    ) -> Tensor:
        """Predict what ``config.prediction`` names.

        Args:
            noisy: Scaled joint targets with noise ``(B, chunk, 23)``.
            level: Noise level of each, ``(B,)`` int64.
            pictures: Standardised pooled features of the observations, oldest first,
                ``(B, context, features)``.
            joints: Scaled achieved joint angles ``(B, context, 23)``.
            goal: Those of the goal picture ``(B, features)``.

        Returns:
            ``(B, chunk, 23)``.
        """
        observed = torch.cat([pictures, joints], -1) if self.config.proprioception else pictures
        condition = torch.cat(
            [self.level(level)[:, None], self.observation(observed), self.goal(goal)[:, None]], 1
        )
        condition = condition + self.condition_position
        condition = condition + self.condition_mlp(condition)
        mask = nn.Transformer.generate_square_subsequent_mask(noisy.shape[1], noisy.device)
        x = self.target(noisy) + self.target_position
        mixed = self.blocks(x, condition, tgt_mask=mask.to(x.dtype), tgt_is_causal=True)
        predicted: Tensor = self.out(mixed)
        return predicted


class DiffusionPolicyModel(nn.Module):
    """A frozen picture encoder, the denoiser, and what inputs and targets are scaled by.

    Targets are learned as offsets from the present joints, each over its own range at each step of
    the chunk, so that staying put is nothing to learn and near targets count as much as far ones.

    Args:
        config: Sizes of the policy.
        encoder: Sizes of the encoder, which is DexWM's.

    Attributes:
        pretraining: As ``DexWMModel``'s, of encoder and policy.

    Raises:
        UserError: The pooling does not fit the encoder.
    """

    low: Tensor
    """``(1 + chunk, 23)`` least joint angle, and least offset at each step, in rad."""
    high: Tensor
    """The largest, likewise."""
    middle: Tensor
    """``(features,)`` mean of the pooled features."""
    spread: Tensor
    """``(features,)`` their standard deviation: small, and what tells pictures apart."""

    def __init__(self, config: PolicyConfig, encoder: ModelConfig):
        super().__init__()
        sides = zip(encoder.grid, config.pool, strict=True)
        if any(cells < 1 or tokens % cells for tokens, cells in sides):
            raise UserError(
                f"--model.pool is {config.pool}; it must divide the encoder's "
                f"{encoder.grid[0]} rows and {encoder.grid[1]} columns of tokens"
            )
        self.config, self.encoder_config = config, encoder
        self.pretraining = "none"
        self.encoder = build_encoder(encoder)
        self.denoiser = Denoiser(config)
        shape = (1 + config.chunk, config.joints)
        self.register_buffer("low", torch.full(shape, -1.0))
        self.register_buffer("high", torch.full(shape, 1.0))
        self.register_buffer("middle", torch.zeros(config.features))
        self.register_buffer("spread", torch.ones(config.features))

    def pool(self, images: Tensor) -> Tensor:
        """Average-pooled patch features ``(B, features)`` of pictures ``(B, H, W, 3)``."""
        (rows, columns), cells = self.encoder_config.grid, self.config.pool
        tokens = self.encoder(images).float()
        shape = (cells[0], rows // cells[0], cells[1], columns // cells[1])
        pooled: Tensor = tokens.unflatten(1, shape).mean((2, 4))
        return pooled.flatten(1)

    def standardise(self, pooled: Tensor) -> Tensor:
        """Pooled features ``(..., features)`` to zero mean, unit deviation over the data."""
        return (pooled - self.middle) / self.spread

    def scale(self, joints: Tensor) -> Tensor:
        """Joint angles ``(..., 23)`` in rad to -1..1 over the training data's range."""
        return 2 * (joints - self.low[0]) / (self.high[0] - self.low[0]) - 1

    def scale_chunk(self, targets: Tensor, now: Tensor) -> Tensor:
        """Return targets ``(B, chunk, 23)`` in rad, seen from joints ``(B, 23)``, to -1..1."""
        offset = targets - now[:, None]
        return 2 * (offset - self.low[1:]) / (self.high[1:] - self.low[1:]) - 1

    def unscale_chunk(self, scaled: Tensor, now: Tensor) -> Tensor:
        """Return the inverse of ``scale_chunk``."""
        return now[:, None] + self.low[1:] + (scaled + 1) / 2 * (self.high[1:] - self.low[1:])


def scheduler(
    config: PolicyConfig, name: SchedulerName, steps: int | None = None
) -> DDPMScheduler | DDIMScheduler:
    """Return the noise schedule: squared cosine, samples clipped to -1..1.

    Args:
        config: Sets the number of noise levels.
        name: Which sampler.
        steps: Denoising steps of an inference; all noise levels if left out.

    Raises:
        ValueError: The name is unknown.
    """
    if name not in SCHEDULERS:
        raise ValueError(f"unknown scheduler {name!r}; choose one of {sorted(SCHEDULERS)}")
    sampler: DDPMScheduler | DDIMScheduler = SCHEDULERS[name](
        num_train_timesteps=config.noise_levels,
        beta_schedule="squaredcos_cap_v2",
        clip_sample=True,
        prediction_type=config.prediction,
    )
    sampler.set_timesteps(steps or config.noise_levels)
    return sampler


def share_at_start(config: PolicyConfig, steps: int) -> float:
    """Return the share of signal (alpha-bar) at the level where so many denoising steps begin.

    They are spread from level 0 up: where the levels are no multiple of them, or there is only
    one, the first may be far below pure noise.
    """
    schedule = scheduler(config, "ddim", steps)
    return float(schedule.alphas_cumprod[int(schedule.timesteps[0])])


@torch.no_grad()
def sample(
    model: DiffusionPolicyModel,
    pictures: Tensor,
    joints: Tensor,
    goal: Tensor,
    seed: int,
    name: SchedulerName = "ddim",
    steps: int = 16,
) -> Tensor:
    """Draw chunks of joint targets.

    Args:
        model: The policy.
        pictures: Pooled features ``(B, context, features)``.
        joints: Achieved joint angles in rad ``(B, context, 23)``.
        goal: Those of the goal picture ``(B, features)``.
        seed: The only source of randomness.
        name: "ddpm" or "ddim".
        steps: Denoising steps.

    Returns:
        ``(B, chunk, 23)`` in rad.
    """
    # Noise is drawn on the CPU, so that it is the same on every device.
    generator = torch.Generator().manual_seed(seed)
    shape = (len(goal), model.config.chunk, model.config.joints)
    x = torch.randn(shape, generator=generator).to(goal)
    scaled = model.scale(joints).to(goal.dtype)
    pictures, goal = model.standardise(pictures), model.standardise(goal)
    schedule = scheduler(model.config, name, steps)
    for level in schedule.timesteps:
        levels = torch.full((len(x),), int(level), device=x.device)
        guess = model.denoiser(x, levels, pictures, scaled, goal)
        (x, *_) = schedule.step(guess, int(level), x, generator=generator, return_dict=False)
    return model.unscale_chunk(x, joints[:, -1])
