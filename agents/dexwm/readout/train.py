"""``dexbench train keypoint-layer``: one layer on true states, to measure many models by.

The encoder is frozen and no predictor takes part. Of people both hands are learned. Of recorded
episodes, which have states, a second layer learns which pixels show an object and whether the hand
touches one.
"""

import dataclasses
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import h5py
import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor, nn

from dexbench.agents.dexwm.model.checkpoint import load_model
from dexbench.agents.dexwm.model.keypoint_loss import hands_loss
from dexbench.agents.dexwm.model.keypoint_maps import project
from dexbench.agents.dexwm.training.validation import PCK_PIXELS
from dexbench.agents.learning.clips import Clips
from dexbench.agents.learning.disk import check_file, check_folder
from dexbench.agents.learning.episodes import open_sets
from dexbench.agents.learning.features import cached_features, encoder_digest
from dexbench.agents.learning.optim import MasterAdamW, schedule
from dexbench.agents.learning.recordings import load_clips
from dexbench.agents.learning.weights import pick_device
from dexbench.data_collection.store.masks import object_masks
from dexbench.envs.embodiment.keypoints import WRIST_AND_TIPS
from dexbench.utils.errors import UserError, at_least
from dexbench.utils.progress import track
from dexbench.utils.seeding import rng, seed_for

from .layers import Readout, save_readout

RATE = 1e-3
"""Peak learning rate."""
CHECKED = 512
"""Held-out frames that the layers are validated on."""


@dataclass(frozen=True)
class KeypointLayerConfig:
    """Train a keypoint layer on an encoder's true states (paper 4.4)."""

    data: tuple[Path, ...]
    """Data to train on: episode sets, or any folder that `dexbench data index` reads."""
    out: Path = Path("keypoint-layer.safetensors")
    """Where the layers go (float16)."""
    weights: str | None = None
    """A DexWM on whose encoder they are trained: a file or a packaged name; "dexwm" if left out."""
    encoder_weights: Path | None = None
    """Folder of a pretrained encoder's weights; the Hugging Face cache if left out."""
    objects: bool = True
    """Whether to train the layer for objects and contact too. Frames are drawn again for it, and
    kept beside each set; slim sets and other people's data cannot be."""
    frames: int = 8000
    """Most frames to learn from, spread evenly over the training episodes."""
    steps: int = 2000
    """Steps of training."""
    batch: int = 64
    """Frames of a step."""
    holdout: float = 0.06
    """Share of scenes held out for validation."""
    seed: int = 0
    """Names the initial weights and every batch."""
    threads: int = 2
    """CPU threads."""
    device: str = "cpu"
    """Either "cpu", "cuda" or "auto"."""
    work: Path | None = None
    """Folder for decoded frames and their latent states; OUT.work if left out."""


@dataclass(frozen=True)
class Frames:
    """True frames to learn from or to validate on."""

    latents: NDArray[np.float16]
    """Latent states ``(N, P, C)``."""
    hands: NDArray[np.float32]
    """Keypoints ``(N, 2, 21, 3)`` of the left and the right hand in m, as the benchmark's camera
    shows them."""
    known: NDArray[np.bool_]
    """``(N, 2, 21)`` whether each is a true one."""
    objects: NDArray[np.bool_] | None
    """``(N, 112, 196)`` whether a pixel shows an object; None if that is not wanted."""
    contact: NDArray[np.bool_] | None
    """``(N,)`` whether the hand touches an object; None likewise."""


def train(config: KeypointLayerConfig) -> dict[str, float | str]:
    """Train the layers and write them.

    Returns:
        Of held-out true states ``pck20`` and ``pixel_error`` (visible wrist and tips; px of the
        224x392 picture), and ``object_skill`` and
        ``contact_skill``: 1 minus the squared error over that of the mean. And ``layer_hash``.

    Raises:
        UserError: Settings are out of range; the weights or a set cannot be read; a place cannot be
            written to.
    """
    at_least(1, frames=config.frames, steps=config.steps, batch=config.batch)
    at_least(1, threads=config.threads)
    check_file("--out", config.out)
    work = config.work or config.out.with_name(config.out.name + ".work")
    check_folder("--work", work)
    torch.set_num_threads(config.threads)
    device = pick_device(config.device)
    model, weights_hash = load_model(config.weights, device, encoder_weights=config.encoder_weights)
    clips = load_clips(config.data, work, config.holdout, model.config.image_size)
    if config.objects and not clips.own.all():
        raise UserError("other people's data have no states to learn objects from: --no-objects")
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed_for("keypoint-layer", config.seed))
        people, digest = not clips.own.all(), encoder_digest(model.encoder)
        readout = Readout(model.config, digest, config.objects, left_hand=people).to(device)
    kind = f"tokens {model.config.grid}"
    read = partial(read_frames, config, clips, model.encoder, kind, work, device)
    seen = read(validation=False, count=config.frames)
    _fit(config, readout, seen, device)
    readout.eval().requires_grad_(False)
    held_out = read(validation=True, count=CHECKED)
    result: dict[str, float | str] = dict(validate(readout, held_out, device))
    notes = {
        "training": dataclasses.asdict(config),
        "data_sha256": clips.digest,
        "encoder_of_sha256": weights_hash,
        "frames": len(seen.latents),
        "validation": result,
    }
    result["layer_hash"] = save_readout(config.out, readout, notes)
    return result


def _fit(
    config: KeypointLayerConfig, readout: Readout, frames: Frames, device: torch.device
) -> None:
    """Train the layers, each by its own loss; they share nothing."""
    optimizer = MasterAdamW({"readout": readout}, RATE, clip=None)
    for step in track(range(config.steps), "keypoint layer"):
        draw = rng("keypoint-layer", "batch", config.seed, step)
        index = np.sort(draw.choice(len(frames.latents), config.batch))
        latent, points, known = _states(frames, index, device)
        loss = hands_loss(readout.keypoints, latent, points, known)
        if readout.objects is not None and frames.objects is not None:
            masks, touching = readout.objects.read(latent)
            shown = torch.from_numpy(frames.objects[index]).to(device, torch.float32)
            touched = torch.from_numpy(frames.contact[index]).to(device, torch.float32)  # type: ignore[index]
            loss = loss + F.binary_cross_entropy_with_logits(masks, shown)
            loss = loss + F.binary_cross_entropy_with_logits(touching, touched)
        loss.backward()
        optimizer.step(schedule(step / config.steps))


def _states(
    frames: Frames, index: NDArray[np.int64], device: torch.device
) -> tuple[Tensor, Tensor, Tensor]:
    """Return latent states ``(B, P, C)`` of frames; keypoints, and whether each is known."""
    latent = torch.from_numpy(frames.latents[index]).to(device)
    hands, known = torch.from_numpy(frames.hands[index]), torch.from_numpy(frames.known[index])
    return latent.float(), hands.to(device), known.to(device)


@torch.no_grad()
def validate(readout: Readout, frames: Frames, device: torch.device) -> dict[str, float]:
    """Measure the layers on true states; see ``train``."""
    close = seen = 0
    distance = 0.0
    errors: dict[str, list[Tensor]] = {}
    for index in np.array_split(np.arange(len(frames.latents)), -(-len(frames.latents) // 64)):
        latent, points, known = _states(frames, index, device)
        chosen = list(WRIST_AND_TIPS)
        for side, answer in readout.keypoints.hands(latent).items():
            pixels, inside = project(points[:, side, chosen])
            visible = inside & known[:, side, chosen]
            apart = (answer.pixels[:, chosen] - pixels).norm(dim=-1)
            close += int(((apart < PCK_PIXELS) & visible).sum())
            distance += float((apart * visible).sum())
            seen += int(visible.sum())
        if readout.objects is not None and frames.objects is not None:
            for name, logits, truth in zip(
                ("object", "contact"),
                readout.objects.read(latent),
                (frames.objects, frames.contact),
                strict=True,
            ):
                wanted = torch.from_numpy(truth[index]).to(device, torch.float32)  # type: ignore[index]
                parts = [(logits.sigmoid() - wanted).square().sum(), wanted.sum()]
                errors.setdefault(name, []).append(
                    torch.stack([*parts, wanted.new_tensor(wanted.numel())])
                )
    result = {"pck20": close / max(seen, 1), "pixel_error": distance / max(seen, 1)}
    for name, rows in errors.items():
        error, positive, count = torch.stack(rows).double().sum(0).tolist()
        of_mean = positive * (1 - positive / count)
        result[f"{name}_skill"] = 1 - error / max(of_mean, 1e-9)
    return result


def read_frames(
    config: KeypointLayerConfig,
    clips: Clips,
    encoder: nn.Module,
    kind: str,
    work: Path,
    device: torch.device,
    validation: bool,
    count: int,
) -> Frames:
    """Return frames of the training or the held-out clips in which a hand is known, spread evenly.

    Raises:
        UserError: The disk is full; a set is slim or damaged, where objects are wanted; or no hand
            is known.
    """
    index = clips.frame_indices(validation)
    index = index[clips.known[index].any((1, 2))]
    if not len(index):
        raise UserError(
            f"{[str(f) for f in config.data]} show no hand whose keypoints are known; add data "
            "that do, such as egohand or an episode set"
        )
    spread = np.linspace(0, len(index) - 1, min(count, len(index))).round().astype(np.int64)
    index = index[spread]
    objects, contact = _objects(config, clips, index) if config.objects else (None, None)
    hands = clips.hands_at(index[:, None])
    latents = cached_features(clips, encoder, encoder, work, kind, device, index=index)
    return Frames(latents, hands.points[:, 0], hands.known[:, 0], objects, contact)


def _objects(
    config: KeypointLayerConfig, clips: Clips, index: NDArray[np.int64]
) -> tuple[NDArray[np.bool_], NDArray[np.bool_]]:
    """Return which pixels of frames show an object, and whether the hand touches one."""
    masks, contacts = [], []
    episode = clips.clip_of(index)
    begin = 0
    for folder in config.data:
        members, _ = open_sets([folder])
        store, wanted = members[0][0], []
        store.refuse_slim()
        for number, (_, row) in enumerate(members, begin):
            frames = index[episode == number] - clips.first[number]
            if not len(frames):
                continue
            wanted.append((row, frames))
            path = store.file(row, "h5")
            try:
                with h5py.File(path) as file:
                    contacts.append(file["contact"][()][frames])
            except (OSError, KeyError) as error:
                raise store.damaged(path, error) from error
        masks += object_masks(folder, wanted) if wanted else []
        begin += len(members)
    return np.concatenate(masks) > 0, np.concatenate(contacts)


def main(config: KeypointLayerConfig) -> None:
    """Train the layers and print how they do on held-out true states."""
    for name, value in train(config).items():
        print(f"{name:14} {value if isinstance(value, str) else format(value, '.4f')}")
