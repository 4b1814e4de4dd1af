"""The keypoint head g_theta: hand keypoints from a latent state (paper 3.3 and A.3), with depth.

The paper's head yields twelve heat-maps and its planner compares pixels. Six pixel positions leave
the hand's depth open, so this head also yields each keypoint's depth, and it covers all 17
distinct keypoints of the right hand. It is trained by spatial softmax cross-entropy.
"""

from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ...envs.embodiment import camera
from .config import HEAD_KEYPOINTS, ModelConfig
from .layers import Block

DEPTH_CENTRE = 0.85
"""Metres; with ``DEPTH_SPREAD`` it brings the hand's depth to zero mean, unit variance."""
DEPTH_SPREAD = 0.15
SIGMA = 1.2
"""Standard deviation of the target heat-maps in heat-map cells."""


class Keypoints(NamedTuple):
    """What the head says of a batch of states.

    Attributes:
        logits: ``(B, rows, columns, 17, s, s)`` float32 heat-map logits: of each token, its cells.
        log_total: ``(B, 17)`` logarithm of the sum of a keypoint's exponentiated logits.
        pixels: ``(B, 17, 2)`` expected position (u, v) in pixels of the 224x392 image.
        depth: ``(B, 17)`` metres along the optical axis.
    """

    logits: Tensor
    log_total: Tensor
    pixels: Tensor
    depth: Tensor

    def points(self) -> Tensor:
        """Keypoints ``(B, 17, 3)`` in metres in the camera's optical frame."""
        return camera.unproject(self.pixels, self.depth)

    def heatmaps(self) -> Tensor:
        """Probabilities ``(B, 17, h, w)``; each map sums to one."""
        log = self.logits - self.log_total[:, None, None, :, None, None]
        return log.exp().permute(0, 3, 1, 4, 2, 5).flatten(4, 5).flatten(2, 3)


def cell_centres(cells: int, pixels: int, device: torch.device | str = "cpu") -> Tensor:
    """Centres of ``cells`` equal cells over ``pixels`` pixels, ``(cells,)`` float32."""
    return (torch.arange(cells, device=device, dtype=torch.float32) + 0.5) * (pixels / cells)


def soft_argmax(logits: Tensor, depths: Tensor) -> Keypoints:
    """Expected pixel position and depth under the spatial softmax.

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


class KeypointHead(nn.Module):
    """Latent state to 17 heat-maps and depths.

    A token's depths are averaged by the heat-map's mass in that token, so that depth is read where
    the keypoint is seen.
    """

    def __init__(self, config: ModelConfig):
        super().__init__()
        self.config = config
        dim = config.latent_dim
        self.position = nn.Parameter(torch.randn(config.tokens, dim) * 0.02)
        self.blocks = nn.Sequential(*(Block(dim) for _ in range(config.head_blocks)))
        self.norm = nn.LayerNorm(dim)
        self.heat = nn.Linear(dim, HEAD_KEYPOINTS * config.heat_scale**2)
        self.depth = nn.Linear(dim, HEAD_KEYPOINTS)

    def forward(self, latent: Tensor) -> Keypoints:
        """Reads the keypoints off latent states ``(B, P, C)``."""
        grid, side = self.config.grid, self.config.heat_scale
        x = self.norm(self.blocks(latent + self.position))
        logits = self.heat(x).float().reshape(-1, *grid, HEAD_KEYPOINTS, side, side)
        depths = self.depth(x).float().reshape(-1, *grid, HEAD_KEYPOINTS)
        return soft_argmax(logits, DEPTH_CENTRE + DEPTH_SPREAD * depths)


def keypoint_loss(predicted: Keypoints, target: Tensor, depth_weight: float = 3.0) -> Tensor:
    """Hand-consistency loss: heat-map cross-entropy plus absolute depth error.

    Args:
        predicted: The head's answer for B states.
        target: True keypoints ``(B, 17, 3)`` in metres, camera frame. Those outside the image
            are left out.
        depth_weight: Weight of the depth error (in units of ``DEPTH_SPREAD``).

    Returns:
        The mean over visible keypoints, a scalar; zero when none is visible.
    """
    pixels, visible = project(target)
    rows, columns, side = *predicted.logits.shape[1:3], predicted.logits.shape[4]
    along_u = _gaussian(pixels[..., 0], columns * side, camera.WIDTH).unflatten(-1, (columns, side))
    along_v = _gaussian(pixels[..., 1], rows * side, camera.HEIGHT).unflatten(-1, (rows, side))
    # The target is a product of two one-dimensional Gaussians; ij are a token's cells (v, u).
    target_map = torch.einsum("bkri,bkcj->brckij", along_v, along_u)
    expected = (predicted.logits * target_map).sum((1, 2, 4, 5))
    cross_entropy = predicted.log_total - expected
    depth_error = (predicted.depth - target[..., 2]).abs() / DEPTH_SPREAD
    weight = visible.float()
    loss = (cross_entropy + depth_weight * depth_error) * weight
    return loss.sum() / weight.sum().clamp(min=1)


def project(points: Tensor) -> tuple[Tensor, Tensor]:
    """Pixels ``(..., 2)`` of camera points, and whether each lies inside the image."""
    safe = torch.cat([points[..., :2], points[..., 2:].clamp(min=0.05)], -1)
    pixels = camera.project(safe)
    u, v = pixels.unbind(-1)
    inside = (u > 0) & (u < camera.WIDTH) & (v > 0) & (v < camera.HEIGHT)
    return pixels, inside & (points[..., 2] > 0.05)


def _gaussian(position: Tensor, cells: int, pixels: int) -> Tensor:
    """Normalised Gaussians ``(..., cells)`` around pixel positions along one axis."""
    centres = cell_centres(cells, pixels, position.device)
    sigma = SIGMA * pixels / cells
    return F.softmax(-0.5 * ((centres - position.unsqueeze(-1)) / sigma) ** 2, -1)
