"""The object head: which pixels show an object, read off a latent state.

It is for objects what the keypoint head is for the hand. It is asked for objects as they would be
seen without the robot, so that one behind the hand is still there.
"""

import torch.nn.functional as F
from torch import Tensor, nn

from dexbench.utils.errors import UserError

from .config import ModelConfig
from .keypoint_head import Trunk

MASK = (112, 196)
"""Height and width of the masks in px."""
RARE = -3.0
"""Logit of an object before training: 5%."""
NEAR, WEIGHT = 20, 5.0
"""Pixels as near as this to where an object was count so many times: there it may go, or not."""


class ObjectHead(Trunk):
    """Latent state to the pixels that show an object.

    Raises:
        UserError: The token grid does not divide the masks.
    """

    def __init__(self, config: ModelConfig):
        super().__init__(config)
        self.side = MASK[0] // config.grid[0]
        if (self.side * config.grid[0], self.side * config.grid[1]) != MASK:
            raise UserError(f"model.grid {config.grid} does not divide masks of {MASK}")
        self.mask = nn.Linear(self.norm.normalized_shape[0], self.side**2)
        nn.init.constant_(self.mask.bias, RARE)  # most pixels show no object: begin there

    def masks(self, tokens: Tensor) -> Tensor:
        """Return logits ``(B, 112, 196)`` of the trunk's tokens ``(B, P, dim)``."""
        rows, columns = self.config.grid
        cells = self.mask(tokens).float().reshape(-1, rows, columns, self.side, self.side)
        masks: Tensor = cells.transpose(2, 3).reshape(-1, *MASK)
        return masks

    def forward(self, latent: Tensor) -> Tensor:
        """Return logits ``(B, 112, 196)`` of each pixel showing any object.

        Args:
            latent: States ``(B, P, C)``.
        """
        return self.masks(self.tokens(latent))


def object_loss(logits: Tensor, shown: Tensor, before: Tensor | None = None) -> Tensor:
    """Object-consistency loss: binary cross-entropy of the masks.

    Args:
        logits: ``(B, 112, 196)``.
        shown: Whether each pixel shows an object, ``(B, 112, 196)`` bool.
        before: The same in an earlier frame. Pixels ``NEAR`` an object of that frame count
            ``WEIGHT`` times, whether anything has changed there or not: a weight that knew would
            teach that whatever may move does.

    Returns:
        The mean over pixels, a scalar.
    """
    loss = F.binary_cross_entropy_with_logits(logits, shown.float(), reduction="none")
    if before is not None:
        loss = loss * (1 + (WEIGHT - 1) * _grown(before))
    return loss.mean()


def _grown(shown: Tensor) -> Tensor:
    """Return 1 within ``NEAR`` pixels, along rows and columns, of what is shown, else 0."""
    grown = shown.float().unsqueeze(1)
    for axis in ((2 * NEAR + 1, 1), (1, 2 * NEAR + 1)):
        grown = F.max_pool2d(grown, axis, stride=1, padding=(axis[0] // 2, axis[1] // 2))
    return grown.squeeze(1)
