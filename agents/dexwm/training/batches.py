"""Reads the frames of a batch: as augmented pictures, or as the frozen encoder's latents."""

from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from dexbench.agents.learning.episodes import Episodes
from dexbench.agents.learning.features import cached_features
from dexbench.agents.learning.object_masks import ObjectMasks
from dexbench.agents.learning.ranks import Ranks
from dexbench.agents.learning.run_folder import Rate

from .augment import augment


class Frames(NamedTuple):
    """A rank's part of a batch: ``b`` windows of F frames."""

    seen: Tensor
    """Pictures or latents ``(b, F, ...)``."""
    keypoints: Tensor
    """``(b, F, 21, 3)`` of the right hand, in metres, camera frame."""
    objects: Tensor | None
    """``(b, F, 112, 196)`` bool, whether a pixel shows an object; None if nothing asks for it."""


class Batches:
    """Frames of the data, each rank's part of a batch.

    Args:
        episodes: The data.
        encoder: Makes the latents.
        ranks: This process among those that share a batch; it knows the device.
        dtype: Of the latents.
        augmented: Whether pictures are augmented.
    """

    def __init__(
        self,
        episodes: Episodes,
        encoder: nn.Module,
        ranks: Ranks,
        dtype: torch.dtype,
        augmented: bool,
    ):
        self.episodes, self.encoder, self.ranks, self.dtype = episodes, encoder, ranks, dtype
        self.augmented = augmented
        self.features: NDArray[np.float16] | None = None
        self.masks: ObjectMasks | None = None
        self.read = Rate()
        """Frames that were read."""

    def keep_features(self, folder: Path, kind: str, progress: bool) -> None:
        """From now on reads latents from ``folder``, where they are first put if need be."""
        with self.ranks.in_turn():
            self.features = cached_features(
                self.episodes,
                self.encoder,
                self.encoder,
                folder,
                f"{kind} {self.dtype}",
                self.ranks.device,
                progress,
            )

    def pictures(self, index: NDArray[np.int64], draw: np.random.Generator) -> Frames:
        """Return pictures of frames.

        Args:
            index: Frames ``(B, F)`` of the whole batch.
            draw: The random stream of the augmentation.

        Returns:
            ``seen`` is ``(b, F, H, W, 3)`` in 0..255.
        """
        if not self.augmented:
            return self._read(self.ranks.part(index))
        # Pictures of a batch are mixed, so that it is augmented whole.
        images, points, masks = self._read(index)
        images, masks = augment(images, points, masks, draw)
        part = self.ranks.part
        return Frames(part(images), part(points), None if masks is None else part(masks))

    def states(self, index: NDArray[np.int64], draw: np.random.Generator) -> Frames:
        """Return latents of frames, ``(b, F, P, C)``; otherwise as ``pictures``."""
        if self.features is not None:
            index = self.ranks.part(index)
            with self.read.of(index.size):
                latents = torch.from_numpy(self.features[index]).to(self.ranks.device, self.dtype)
                return Frames(latents, self._points(index), self._objects(index))
        frames = self.pictures(index, draw)
        with torch.no_grad():
            states = self.encoder(frames.seen.flatten(0, 1))
        return frames._replace(seen=states.unflatten(0, frames.seen.shape[:2]))

    def _read(self, index: NDArray[np.int64]) -> Frames:
        with self.read.of(index.size):
            images = torch.from_numpy(self.episodes.frames[index]).to(self.ranks.device)
            return Frames(images, self._points(index), self._objects(index))

    def _objects(self, index: NDArray[np.int64]) -> Tensor | None:
        if self.masks is None:
            return None
        return torch.from_numpy(self.masks[index]).to(self.ranks.device)

    def _points(self, index: NDArray[np.int64]) -> Tensor:
        return torch.from_numpy(self.episodes.keypoints[index]).to(self.ranks.device)
