"""The three stages of a training: which modules each trains, by which loss, on which batches.

1. The encoder and the keypoint head: pixel reconstruction and keypoints. Left out where the encoder
   is pretrained. With an object map, its eye and its step as well, the step from true maps on.
2. The predictor on the frozen encoder's latents, teacher-forced, with the hand-consistency loss.
   With ``end_to_end`` the encoder is not frozen.
3. The predictor rolled out over as many steps as a plan has waypoints.
"""

import functools
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
from torch import nn

from dexbench.agents.learning.clips import Clips
from dexbench.agents.learning.mixture import Mixture
from dexbench.agents.learning.ranks import Loss

from .batches import Batches
from .config import STAGES, TrainConfig
from .losses import autoencoder_loss, end_to_end_loss, prediction_loss
from .networks import Networks
from .object_moves import DRAWN, Moves
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
    batch: Callable[[np.random.Generator, int], Iterator[tuple[Any, ...]]]
    """Draws this rank's part of a batch, by its number, in as many parts as are accumulated."""
    rate: float
    """Peak learning rate."""
    floor: float
    """Factor on the rate at the stage's end."""
    predicts: bool
    """Whether it trains the predictor, so that validation rolls it out."""
    prepare: Callable[[], None]
    """Called before the first batch, outside the time budget."""


def mixtures_of(config: TrainConfig, recipe: TrainingRecipe, clips: Clips) -> dict[int, Mixture]:
    """Return by which mixture each stage draws; none where all data are the benchmark's own.

    Its own sets without shares are one pool, as they were before there were mixtures.
    """
    if config.data_shares is None and clips.own.all():
        return {}
    most = max(recipe.sizes(config.clips))
    usable = clips.usable(len(recipe.odds), recipe.span, recipe.gaps)
    return {
        stage: Mixture(clips, config.data_shares, most, usable, "dexwm", config.seed, stage)
        for stage in range(len(STAGES))
    }


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
    loss: Callable[..., Loss] = functools.partial(prediction_loss, model)
    read = batches.states
    if config.end_to_end:
        modules = {**vision, "predictor": model.predictor}
        loss = functools.partial(end_to_end_loss, model, decoder)
        read = batches.pictures
    if model.predictor.step is not None:
        vision["step"] = model.predictor.step
    clips = batches.clips
    frames = clips.frame_indices(validation=False)
    mixtures = mixtures_of(config, recipe, clips)

    def single_frames(draw: np.random.Generator, number: int) -> Iterator[tuple[Any, ...]]:
        if 0 in mixtures:
            index = mixtures[0].frames(draw, config.images)
        else:
            index = np.sort(draw.choice(frames, config.images))
        pictures = batches.pictures(index[:, None], draw)
        moves: Iterable[Moves | None] = [None] * config.accumulate
        if model.predictor.step is not None:
            moves = batches.moves(clips.windows(draw, config.images * DRAWN), draw)
        for (images, hands, objects), move in zip(pictures, moves, strict=True):
            yield images, hands, config.keypoint_weight, objects, config.object_weight, move

    def windows(draw: np.random.Generator, number: int, stage: int) -> Iterator[tuple[Any, ...]]:
        mixture = mixtures.get(stage)
        places = None if mixture is None else functools.partial(mixture.places, draw, number)
        index = recipe.windows(clips, draw, config.clips, places)
        history = recipe.history(draw, index.shape[1] - 1) if stage == 2 else None
        for states, hands, objects in read(index, draw):
            yield states, hands, config.hand_weight, history, objects, config.object_weight

    def keep_features() -> None:
        if config.features is not None:
            batches.keep_features(config.features, f"tokens {config.model.grid}", progress)

    def stage(
        index: int,
        modules: dict[str, nn.Module],
        loss: Callable[..., Loss],
        batch: Callable[[np.random.Generator, int], Iterator[tuple[Any, ...]]],
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
    stages = [
        stage(0, vision, autoencoder, single_frames),
        stage(1, modules, loss, functools.partial(windows, stage=1), keep_features),
        stage(2, modules, loss, functools.partial(windows, stage=2), keep_features),
    ]
    return stages[config.first_stage :]
