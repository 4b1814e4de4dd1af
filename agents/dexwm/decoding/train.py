"""``dexbench train decoder``: draws a frozen encoder's latent states as pictures (paper A.4).

For people: no score uses the pictures.
"""

import dataclasses
import math
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import torch
from PIL import Image
from torch import Tensor, nn

from dexbench.agents.dexwm.model.checkpoint import load_model, weights_file
from dexbench.agents.dexwm.model.decoder import (
    Decoder,
    decoder_path,
    draw,
    load_decoder,
    write_decoder,
)
from dexbench.agents.dexwm.model.vit_decoder import DecoderConfig, ViTDecoder
from dexbench.agents.learning.disk import check_file, check_folder
from dexbench.agents.learning.episodes import Episodes, load_episodes
from dexbench.agents.learning.optim import MasterAdamW, schedule
from dexbench.agents.learning.weights import pick_device
from dexbench.utils.errors import at_least
from dexbench.utils.files import atomic_file
from dexbench.utils.progress import track
from dexbench.utils.seeding import rng, seed_for

from .losses import Critic, Perceptual, balance, critic_loss

CHECKED = 256
"""Held-out frames that the pictures are measured on."""
SHOWN = 6
"""Of them on the sheet."""


@dataclass(frozen=True)
class DecoderTrainConfig:
    """Train a decoder that draws what a model predicts, beside the model's weights."""

    data: tuple[Path, ...]
    """Episode sets to train on."""
    weights: str
    """The DexWM whose encoder it is for: a file or a packaged name."""
    out: Path | None = None
    """Where the decoder goes; beside the weights, where it is looked for, if left out."""
    encoder_weights: Path | None = None
    """Folder of a pretrained encoder's weights; the Hugging Face cache if left out."""
    steps: int = 4000
    """Steps of training."""
    batch: int = 32
    """Pictures of a step."""
    rate: float = 1e-3
    """Peak learning rate."""
    perceptual_weight: float = 1.0
    """Weight of the perceptual loss; 0 leaves it out."""
    adversarial_weight: float = 0.75
    """Weight of the adversarial loss, in the last half of the steps; 0 leaves it out."""
    holdout: float = 0.06
    """Share of scenes held out for validation."""
    seed: int = 0
    """Names the initial weights and every batch."""
    threads: int = 2
    """CPU threads."""
    device: str = "cpu"
    """Either "cpu", "cuda" or "auto"."""
    work: Path | None = None
    """Folder for decoded frames; OUT.work if left out."""
    model: DecoderConfig = field(default_factory=DecoderConfig)
    """Sizes of the decoder."""


@dataclass(frozen=True)
class Losses:
    """What the decoder is trained by."""

    perceptual: Perceptual | None
    """None without a perceptual loss."""
    critic: Critic | None
    """Trained along; None without an adversarial loss."""


def train(config: DecoderTrainConfig) -> dict[str, float]:
    """Train a decoder, write it, and draw held-out pictures beside the true ones.

    Returns:
        ``psnr`` in dB and ``l1`` in grey levels of held-out pictures; ``perceptual`` if that loss
        is on; and as ``before_psnr`` and so on those of the decoder that was there, if one was.

    Raises:
        UserError: Settings are out of range; the weights or a set cannot be read; a place cannot
            be written to; or as ``load_efficientnet``.
    """
    at_least(1, steps=config.steps, batch=config.batch, threads=config.threads)
    at_least(
        0,
        perceptual_weight=config.perceptual_weight,
        adversarial_weight=config.adversarial_weight,
    )
    path = weights_file(config.weights)
    out = config.out or decoder_path(path)
    work = config.work or out.with_name(out.name + ".work")
    check_file("--out", out)
    check_folder("--work", work)
    torch.set_num_threads(config.threads)
    device = pick_device(config.device)
    model, _ = load_model(path, device, encoder_weights=config.encoder_weights)
    before = load_decoder(path)
    perceptual = Perceptual().to(device) if config.perceptual_weight else None
    episodes = load_episodes(config.data, work, config.holdout, model.config.image_size)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed_for("decoder", config.seed))
        decoder = ViTDecoder(model.config, config.model).to(device)
        critic = Critic().to(device) if config.adversarial_weight else None
    losses = Losses(perceptual, critic)
    _fit(config, model.encoder, decoder, losses, episodes, device)
    decoder.eval().requires_grad_(False)
    index = episodes.frame_indices(validation=True)
    index = index[np.linspace(0, len(index) - 1, min(CHECKED, len(index))).round().astype(int)]
    images = torch.from_numpy(np.array(episodes.frames[index])).to(device)
    drawn = [_draw(decoder, model.encoder, images)]
    result = measure(drawn[0], images, perceptual)
    if before is not None:
        drawn.append(_draw(before.to(device), model.encoder, images))
        old = measure(drawn[1], images, perceptual)
        result |= {f"before_{name}": value for name, value in old.items()}
    _write_sheet(out.with_suffix(".png"), [images, *drawn])
    notes = {"training": dataclasses.asdict(config), "validation": result}
    write_decoder(out, decoder, notes)
    return result


def _fit(
    config: DecoderTrainConfig,
    encoder: nn.Module,
    decoder: ViTDecoder,
    losses: Losses,
    episodes: Episodes,
    device: torch.device,
) -> None:
    """Train the decoder, and its critic, which joins in when half of the steps are done."""
    frames = episodes.frame_indices(validation=False)
    optimizer = MasterAdamW({"decoder": decoder}, config.rate)
    critic = losses.critic
    rival = MasterAdamW({"critic": critic}, config.rate / 2, betas=(0.5, 0.9)) if critic else None
    for step in track(range(config.steps), "decoder"):
        batch = rng("decoder", "batch", config.seed, step).choice(frames, config.batch)
        index = np.sort(batch)
        images = torch.from_numpy(np.array(episodes.frames[index])).to(device)
        with torch.no_grad():
            latent = encoder(images)
        true, drawn = unit(images), unit(draw(decoder, latent))
        loss = (drawn - true).abs().mean()
        if losses.perceptual is not None:
            loss = loss + config.perceptual_weight * losses.perceptual(drawn, true)
        factor = schedule(step / config.steps)
        if critic is not None and rival is not None and 2 * step >= config.steps:
            fooled = -critic(drawn).mean()
            pull = balance(loss, fooled, decoder.out.weight)
            loss = loss + config.adversarial_weight * pull * fooled
        loss.backward()
        optimizer.step(factor)
        if critic is not None and rival is not None and 2 * step >= config.steps:
            critic.zero_grad()
            critic_loss(critic, true, drawn).backward()
            rival.step(factor)


def unit(images: Tensor) -> Tensor:
    """Return pictures ``(B, H, W, 3)`` in 0..255 as ``(B, 3, H, W)`` in 0..1."""
    return images.permute(0, 3, 1, 2).float() / 255


@torch.no_grad()
def _draw(decoder: Decoder, encoder: nn.Module, images: Tensor) -> Tensor:
    """Return what a decoder makes of true pictures' states, ``(B, H, W, 3)`` uint8."""
    parts = [draw(decoder, encoder(part)) for part in images.split(32)]
    return torch.cat(parts).clamp(0, 255).round().byte()


@torch.no_grad()
def measure(drawn: Tensor, images: Tensor, perceptual: Perceptual | None) -> dict[str, float]:
    """Compare drawn with true pictures, both ``(B, H, W, 3)`` uint8; see ``train``."""
    error = unit(drawn) - unit(images)
    result = {
        "psnr": -10 * math.log10(max(float(error.square().mean()), 1e-10)),
        "l1": 255 * float(error.abs().mean()),
    }
    if perceptual is not None:
        pairs = zip(unit(drawn).split(32), unit(images).split(32), strict=True)
        parts = [len(a) * float(perceptual(a, b)) for a, b in pairs]
        result["perceptual"] = sum(parts) / len(images)
    return result


def _write_sheet(path: Path, rows: list[Tensor]) -> None:
    """Draw some pictures: the true ones above, each decoder's below, the newest first."""
    chosen = np.linspace(0, len(rows[0]) - 1, SHOWN).round().astype(int)
    page = np.concatenate(
        [np.concatenate(list(row[chosen].cpu().numpy()), axis=1) for row in rows], axis=0
    )
    with atomic_file(path) as draft:
        Image.fromarray(page).save(draft, format="PNG", optimize=True)


def main(config: DecoderTrainConfig) -> None:
    """Train a decoder and print how its pictures of held-out frames compare with the old one's."""
    for name, value in train(config).items():
        print(f"{name:18} {value:.4f}")
