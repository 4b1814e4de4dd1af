"""Reads the frames of a batch: as augmented pictures, or as the frozen encoder's latents."""

import math
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from dexbench.agents.dexwm.model.keypoint_head import RIGHT
from dexbench.agents.learning.clips import Clips
from dexbench.agents.learning.features import cached_features
from dexbench.agents.learning.object_masks import CELLS, ObjectMasks
from dexbench.agents.learning.ranks import Batch, Ranks
from dexbench.agents.learning.run_folder import Rate

from .augment import augment
from .hands import Hands, hands_at
from .object_moves import Moves, chosen, mirrored


class Frames(NamedTuple):
    """A rank's part of a batch: ``b`` windows of F frames."""

    seen: Tensor
    """Pictures or latents ``(b, F, ...)``."""
    hands: Hands
    """The hands in them."""
    objects: Tensor | None
    """``(b, F, 112, 196)`` bool, whether a pixel shows an object; None if nothing asks for it."""


class Batches:
    """Frames of the data, each rank's part of a batch.

    Args:
        clips: The data.
        encoder: Makes the latents.
        ranks: This process among those that share a batch; it knows the device.
        dtype: Of the latents.
        augmented: Whether pictures are augmented.
        accumulate: Parts that are computed one after the other.
    """

    def __init__(
        self,
        clips: Clips,
        encoder: nn.Module,
        ranks: Ranks,
        dtype: torch.dtype,
        augmented: bool,
        accumulate: int = 1,
    ):
        self.clips, self.encoder, self.ranks, self.dtype = clips, encoder, ranks, dtype
        self.augmented, self.accumulate = augmented, accumulate
        self.features: NDArray[np.float16] | None = None
        self.masks: ObjectMasks | None = None
        self.read = Rate()
        """Frames that were read."""

    def keep_features(self, folder: Path, kind: str, progress: bool) -> None:
        """From now on reads latents from ``folder``, where they are first put if need be."""
        with self.ranks.in_turn():
            self.features = cached_features(
                self.clips,
                self.encoder,
                self.encoder,
                folder,
                f"{kind} {self.dtype}",
                self.ranks.device,
                progress,
            )

    def pictures(self, index: NDArray[np.int64], draw: np.random.Generator) -> Iterator[Frames]:
        """Yield pictures of frames, in as many parts as are accumulated.

        Args:
            index: Frames ``(B, F)`` of the whole batch.
            draw: The random stream of the augmentation.

        Yields:
            ``seen`` is ``(b, F, H, W, 3)`` in 0..255.
        """
        if not self.augmented:
            for part in self._split(self.ranks.part(index)):
                yield self._read(part)
            return
        # Pictures of a batch are mixed, so that it is augmented whole.
        images, hands, masks = self._read(index)
        own = torch.from_numpy(self.clips.own[self.clips.clip_of(index[:, 0])])
        images, masks = augment(
            images, hands.points[:, :, RIGHT], masks, draw, own.to(images.device)
        )
        parts = [self._split(self.ranks.part(values)) for values in (images, *hands)]
        shown = [None] * self.accumulate if masks is None else self._split(self.ranks.part(masks))
        for pictures, *of_hands, objects in zip(*parts, shown, strict=True):
            yield Frames(pictures, Hands(*of_hands), objects)

    def moves(self, index: NDArray[np.int64], draw: np.random.Generator) -> Iterator[Moves]:
        """Yield windows that tell how objects move, half of them as in a mirror.

        Args:
            index: Frames ``(B * DRAWN, F)``, of which a batch is chosen.
            draw: The random stream.
        """
        assert self.masks is not None
        index = index[chosen(self.masks.moved(index), draw)]
        swapped = draw.random(len(index)) < 0.5
        chance = draw.random((len(index), index.shape[1] - 1, math.prod(CELLS)), np.float32)
        for parts in zip(
            *(self._split(self.ranks.part(values)) for values in (index, swapped, chance)),
            strict=True,
        ):
            ways = self._hands(parts[0]).way
            told = self.masks[parts[0]], *self.masks.numbers(parts[0]), parts[2]
            maps = (torch.from_numpy(values).to(ways.device) for values in told)
            yield mirrored(Moves(ways, *maps), torch.from_numpy(parts[1]))

    def states(self, index: NDArray[np.int64], draw: np.random.Generator) -> Iterator[Frames]:
        """Yield latents of frames, ``(b, F, P, C)``; otherwise as ``pictures``."""
        if self.features is not None:
            for part in self._split(self.ranks.part(index)):
                with self.read.of(part.size):
                    latents = torch.from_numpy(self.features[part])
                    latents = latents.to(self.ranks.device, self.dtype)
                    read = Frames(latents, self._hands(part), self._objects(part))
                yield read
            return
        for frames in self.pictures(index, draw):
            with torch.no_grad():
                states = self.encoder(frames.seen.flatten(0, 1))
            yield frames._replace(seen=states.unflatten(0, frames.seen.shape[:2]))

    def _split(self, batch: Batch) -> list[Batch]:
        """Cut this rank's part of a batch into those that are accumulated, equally long."""
        size = len(batch) // self.accumulate
        return [batch[i * size : (i + 1) * size] for i in range(self.accumulate)]

    def _read(self, index: NDArray[np.int64]) -> Frames:
        with self.read.of(index.size):
            images = torch.from_numpy(self.clips.frames[index]).to(self.ranks.device)
            return Frames(images, self._hands(index), self._objects(index))

    def _objects(self, index: NDArray[np.int64]) -> Tensor | None:
        if self.masks is None:
            return None
        return torch.from_numpy(self.masks[index]).to(self.ranks.device)

    def _hands(self, index: NDArray[np.int64]) -> Hands:
        return hands_at(self.clips, index, self.ranks.device)
