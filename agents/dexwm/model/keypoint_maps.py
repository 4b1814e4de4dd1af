"""What a keypoint head says of a state, and the pixels and heat-map cells that it is said in."""

from typing import NamedTuple

import torch
from torch import Tensor

from dexbench.envs.embodiment import camera
from dexbench.utils.errors import UserError

NEAREST = 0.05
"""Least depth in metres of a point that is projected."""
HAND_SPREAD = 59.0
"""Heat-maps that spread as widely as this, in px, show no hand. Of training scenes without one 1 in
100 spreads less (docs/experiments/2026-11-goal-without-hand.md)."""


class Keypoints(NamedTuple):
    """What the head says of a batch of states."""

    logits: Tensor
    """``(B, rows, columns, K, s, s)`` float32 heat-map logits of K = 17 keypoints: of each
    token, its cells. Of the paper's head, the 12 heat-maps themselves."""
    log_total: Tensor | None
    """``(B, 17)`` logarithm of the sum of a keypoint's exponentiated logits."""
    pixels: Tensor
    """``(B, 17, 2)`` expected position (u, v) in pixels of the 224x392 image; not a number
    where the head has no such keypoint."""
    depth: Tensor | None
    """``(B, 17)`` metres along the optical axis."""

    def points(self) -> Tensor:
        """Return keypoints ``(B, 17, 3)`` in metres in the camera's optical frame.

        Raises:
            UserError: The head has no depth.
        """
        if self.depth is None:
            raise UserError(
                "this model's keypoint head has no depth, so its keypoints cannot be compared in "
                "3-D; plan with cost='paper' or train a model whose head has it (--depth-head, or "
                "--model.head compact)"
            )
        return camera.unproject(self.pixels, self.depth)

    def heatmaps(self) -> Tensor:
        """Heat-maps ``(B, K, h, w)``: probabilities that sum to one, or the paper head's maps."""
        if self.log_total is None:
            return whole_maps(self.logits)
        return whole_maps((self.logits - self.log_total[:, None, None, :, None, None]).exp())

    def spread(self) -> Tensor:
        """Return how widely the heat-maps spread, ``(B,)`` in px.

        It is the standard deviation of a keypoint's position, the mean over keypoints. The paper's
        heat-maps are no probabilities, so theirs has no meaning.
        """
        maps = self.heatmaps()
        sides = (maps.shape[3], camera.WIDTH), (maps.shape[2], camera.HEIGHT)
        variance = torch.zeros_like(self.pixels[..., 0])
        for axis, (cells, size) in enumerate(sides):
            away = cell_centres(cells, size, maps.device) - self.pixels[..., axis : axis + 1]
            variance = variance + (maps.sum(2 + axis) * away.square()).sum(-1)
        return variance.sqrt().mean(-1)

    def shows_hand(self) -> Tensor:
        """Return whether the pictures show the hand, ``(B,)`` bool.

        Without a hand the heat-maps spread over the picture. The paper's head is taken to see one
        in every picture.
        """
        if self.log_total is None:
            return torch.ones(len(self.pixels), dtype=torch.bool)
        return self.spread() < HAND_SPREAD


def whole_maps(cells: Tensor) -> Tensor:
    """Return maps ``(B, K, h, w)`` of their tokens' cells ``(B, rows, columns, K, s, s)``."""
    return cells.permute(0, 3, 1, 4, 2, 5).flatten(4, 5).flatten(2, 3)


def cell_centres(cells: int, pixels: int, device: torch.device | str = "cpu") -> Tensor:
    """Return the centres of ``cells`` equal cells over ``pixels`` pixels, ``(cells,)`` float32."""
    return (torch.arange(cells, device=device, dtype=torch.float32) + 0.5) * (pixels / cells)


def soft_argmax(logits: Tensor, depths: Tensor) -> Keypoints:
    """Return the expected pixel position and depth under the spatial softmax.

    Args:
        logits: ``(B, rows, columns, K, s, s)`` float32; ``s`` cells a side belong to each token.
        depths: ``(B, rows, columns, K)`` each token's depth in metres.

    Returns:
        Positions and depths, averaged by the heat-map's mass.
    """
    rows, columns, side = logits.shape[1], logits.shape[2], logits.shape[4]
    peak = logits.detach().amax((1, 2, 4, 5), keepdim=True)
    weight = (logits - peak).exp()
    # One small product gives each token's mass and first moments; no full map is laid out.
    within_u = cell_centres(side, camera.WIDTH // columns, logits.device)
    within_v = cell_centres(side, camera.HEIGHT // rows, logits.device)
    grid = torch.meshgrid(within_v, within_u, indexing="ij")
    moments = torch.stack([torch.ones_like(grid[0]), *grid])
    mass, v, u = (weight.flatten(4) @ moments.flatten(1).T).unbind(-1)  # (B, rows, columns, K)
    corner_u = torch.arange(columns, device=logits.device)[:, None] * (camera.WIDTH / columns)
    corner_v = torch.arange(rows, device=logits.device)[:, None, None] * (camera.HEIGHT / rows)
    total = mass.sum((1, 2))
    pixels = torch.stack(
        [(u + mass * corner_u).sum((1, 2)) / total, (v + mass * corner_v).sum((1, 2)) / total], -1
    )
    depth = (mass * depths).sum((1, 2)) / total
    return Keypoints(logits, total.log() + peak[:, 0, 0, :, 0, 0], pixels, depth)


def project(points: Tensor) -> tuple[Tensor, Tensor]:
    """Return pixels ``(..., 2)`` of camera points, and whether each lies inside the image.

    Points nearer than 5 cm, or behind the camera, are projected as if they were so far ahead.
    """
    safe = torch.cat([points[..., :2], points[..., 2:].clamp(min=NEAREST)], -1)
    pixels = camera.project(safe)
    u, v = pixels.unbind(-1)
    inside = (u > 0) & (u < camera.WIDTH) & (v > 0) & (v < camera.HEIGHT)
    return pixels, inside & (points[..., 2] > NEAREST)


def to_edge(pixels: Tensor) -> Tensor:
    """Return pixels ``(..., 2)`` moved into the image, if they are outside, on the nearest way."""
    return pixels.clamp(pixels.new_zeros(2), pixels.new_tensor([camera.WIDTH, camera.HEIGHT]))
