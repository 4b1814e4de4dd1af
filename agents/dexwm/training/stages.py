"""The three stages of a training: which modules each trains, by which loss, on which batches.

1. The encoder and the keypoint head: pixel reconstruction and keypoints. Left out where the encoder
   is pretrained.
2. The predictor on the frozen encoder's latents, teacher-forced, with the hand-consistency loss.
   With ``end_to_end`` the encoder is not frozen.
3. The predictor rolled out over as many steps as a plan has waypoints.
"""

import functools
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from torch import nn

from dexbench.agents.learning.ranks import Loss

from .batches import Batches
from .config import STAGES, TrainConfig
from .losses import autoencoder_loss, end_to_end_loss, prediction_loss
from .networks import Networks
from .recipe import TrainingRecipe


@dataclass(frozen=True)
class Stage:
    """What the trainer needs to know of one stage."""

    index: int
    """Its place among the three; names its batches, and its numbers in a checkpoint."""
    name: str
    """What metrics call it."""
    modules: dict[str, nn.Module]
    """The modules that it trains; all others are frozen."""
    loss: Callable[..., Loss]
    """Maps what ``batch`` returns to the loss and its parts."""
    batch: Callable[[np.random.Generator], tuple[Any, ...]]
    """Draws this rank's part of a batch."""
    rate: float
    """Peak learning rate."""
    floor: float
    """Factor on the rate at the stage's end."""
    predicts: bool
    """Whether it trains the predictor, so that validation rolls it out."""
    prepare: Callable[[], None]
    """Called before the first batch, outside the time budget."""


def build_stages(
    config: TrainConfig,
    recipe: TrainingRecipe,
    networks: Networks,
    batches: Batches,
    progress: bool,
) -> list[Stage]:
    """Return the stages of a run in their order.

    Args:
        config: Resolved settings.
        recipe: How windows are drawn and rates fall.
        networks: The modules to train.
        batches: Reads the frames.
        progress: Whether to show a bar while features are computed.
    """
    model, decoder = networks.model, networks.decoder
    vision: dict[str, nn.Module] = {
        "encoder": model.encoder,
        "head": model.head,
        "decoder": decoder,
    }
    modules: dict[str, nn.Module] = {"predictor": model.predictor, "head": model.head}
    if model.objects is not None:
        vision["objects"] = modules["objects"] = model.objects
    loss: Callable[..., Loss] = functools.partial(prediction_loss, model)
    read = batches.states
    if config.end_to_end:
        modules = {**vision, "predictor": model.predictor}
        loss = functools.partial(end_to_end_loss, model, decoder)
        read = batches.pictures
    frames = batches.episodes.frame_indices(validation=False)

    def single_frames(draw: np.random.Generator) -> tuple[Any, ...]:
        index = np.sort(draw.choice(frames, config.images))
        images, points, objects = batches.pictures(index[:, None], draw)
        shown = None if objects is None else objects[:, 0]
        return images[:, 0], points[:, 0], config.keypoint_weight, shown, config.object_weight

    def windows(draw: np.random.Generator, rolled_out: bool) -> tuple[Any, ...]:
        index = recipe.windows(batches.episodes, draw, config.clips)
        history = recipe.history(draw, index.shape[1] - 1) if rolled_out else None
        seen, points, objects = read(index, draw)
        return seen, points, config.hand_weight, history, objects, config.object_weight

    def keep_features() -> None:
        if config.features is not None:
            batches.keep_features(config.features, f"tokens {config.model.grid}", progress)

    def stage(
        index: int,
        modules: dict[str, nn.Module],
        loss: Callable[..., Loss],
        batch: Callable[[np.random.Generator], tuple[Any, ...]],
        prepare: Callable[[], None] = lambda: None,
    ) -> Stage:
        return Stage(
            index=index,
            name=STAGES[index],
            modules=modules,
            loss=loss,
            batch=batch,
            rate=(config.rates or recipe.rates)[index],
            floor=recipe.floors[index],
            predicts="predictor" in modules,
            prepare=prepare,
        )

    autoencoder = functools.partial(autoencoder_loss, model, decoder)
    teacher_forced = functools.partial(windows, rolled_out=False)
    rolled_out = functools.partial(windows, rolled_out=True)
    stages = [
        stage(0, vision, autoencoder, single_frames),
        stage(1, modules, loss, teacher_forced, keep_features),
        stage(2, modules, loss, rolled_out, keep_features),
    ]
    return stages[config.first_stage :]
