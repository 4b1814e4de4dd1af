"""The keypoint head g_theta: hand keypoints from a latent state (paper 3.3 and A.3), with depth.

The paper's head yields twelve heat-maps and its planner compares pixels. Six pixel positions leave
the hand's depth open, so this head also yields each keypoint's depth, and it covers all 17
distinct keypoints of the right hand. It is trained by spatial softmax cross-entropy. The paper's
own head is here too, for comparison.
"""

from functools import cache
from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from dexbench.envs.embodiment import camera
from dexbench.envs.embodiment.keypoints import (
    KEYPOINTS,
    N_DISTINCT,
    PAPER_KEYPOINTS,
    WRIST,
    WRIST_AND_TIPS,
)
from dexbench.envs.embodiment.kinematics import HandKinematics
from dexbench.envs.embodiment.robot import N_JOINTS
from dexbench.utils.errors import UserError

from .config import ModelConfig
from .layers import Block

DEPTH_CENTRE = 0.85
"""Metres; with ``DEPTH_SPREAD`` it brings the hand's depth to zero mean, unit variance."""
DEPTH_SPREAD = 0.15
NEAREST = 0.05
"""Least depth in metres of a point that is projected."""
SIGMA = 1.2
"""Standard deviation of the target heat-maps in heat-map cells."""
PAPER_SIGMA = 2.0
"""The same in the paper's, in pixels of the 224x392 image."""
PAPER_MAPS = 2 * len(PAPER_KEYPOINTS)
"""Heat-maps of the paper's head: wrist and five tips of the left hand, then of the right."""
PALM = (WRIST, *(KEYPOINTS.index(f"{name}_0") for name in ("thumb", "index", "middle", "ring")))
"""Keypoints that are fixed to the palm: the wrist, and where the fingers begin."""
MISFIT = 0.018
"""Largest `palm_misfit` in m of a picture with a hand; it tells pictures of training kitchens with
the robot from those without."""
RIGHT = slice(len(PAPER_KEYPOINTS), PAPER_MAPS)
"""The right hand among them, in the order of ``PAPER_KEYPOINTS``."""


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

    def shows_hand(self) -> Tensor:
        """Return whether each picture shows a hand, ``(B,)``: its palm is one that can be.

        A head that is shown no hand puts the keypoints somewhere, with peaks as high as ever, but
        not as a rigid palm has them. A head without depth cannot tell, and expects a hand.
        """
        if self.depth is None:
            return torch.ones(len(self.pixels), dtype=torch.bool)
        return palm_misfit(self.points().detach().cpu()) < MISFIT

    def heatmaps(self) -> Tensor:
        """Heat-maps ``(B, K, h, w)``: probabilities that sum to one, or the paper head's maps."""
        if self.log_total is None:
            return _whole(self.logits)
        return _whole((self.logits - self.log_total[:, None, None, :, None, None]).exp())


def _whole(cells: Tensor) -> Tensor:
    """Return maps ``(B, K, h, w)`` of their tokens' cells ``(B, rows, columns, K, s, s)``."""
    return cells.permute(0, 3, 1, 4, 2, 5).flatten(4, 5).flatten(2, 3)


@cache
def _palm() -> Tensor:
    """Return the palm's keypoints ``(5, 3)`` in m about their middle, in some pose."""
    points = HandKinematics().keypoints(torch.zeros(N_JOINTS))[list(PALM)].double()
    return points - points.mean(0)


def palm_misfit(points: Tensor) -> Tensor:
    """Return how far palms are from the nearest pose of a real one, ``(B,)`` in m.

    Args:
        points: Keypoints ``(B, 17, 3)`` in m.

    Returns:
        Root mean square distances of the palm's five keypoints after the best rigid motion.
    """
    palms = points[:, list(PALM)].double()
    palms = palms - palms.mean(1, keepdim=True)
    left, _, right = torch.linalg.svd(_palm().T @ palms)
    flip = torch.ones_like(left[:, 0])
    flip[:, 2] = torch.linalg.det(left @ right).sign()  # no reflection
    away = _palm() @ (left * flip[:, None]) @ right - palms
    return away.square().sum(-1).mean(-1).sqrt()


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


class Trunk(nn.Module):
    """What the heads share: transformer blocks over the latent's tokens."""

    def __init__(self, config: ModelConfig):
        super().__init__()
        self.config = config
        dim = config.head_dim or config.latent_dim
        same = dim == config.latent_dim
        self.embed = nn.Identity() if same else nn.Linear(config.latent_dim, dim)
        self.position = nn.Parameter(torch.randn(config.tokens, dim) * 0.02)
        block = (dim, config.head_heads, config.head_mlp_ratio)
        self.blocks = nn.Sequential(*(Block(*block) for _ in range(config.head_blocks)))
        self.norm = nn.LayerNorm(dim)

    def tokens(self, latent: Tensor) -> Tensor:
        """Map latent states ``(B, P, C)`` to tokens ``(B, P, dim)``."""
        tokens: Tensor = self.norm(self.blocks(self.embed(latent) + self.position))
        return tokens


class KeypointHead(Trunk):
    """Latent state to 17 heat-maps and depths.

    A token's depths are averaged by the heat-map's mass in that token, so that depth is read where
    the keypoint is seen.
    """

    def __init__(self, config: ModelConfig):
        super().__init__(config)
        dim = self.norm.normalized_shape[0]
        self.heat = nn.Linear(dim, N_DISTINCT * config.heat_scale**2)
        self.depth = nn.Linear(dim, N_DISTINCT)

    def forward(self, latent: Tensor) -> Keypoints:
        """Read the keypoints off latent states ``(B, P, C)``."""
        grid, side = self.config.grid, self.config.heat_scale
        x = self.tokens(latent)
        logits = self.heat(x).float().reshape(-1, *grid, N_DISTINCT, side, side)
        depths = self.depth(x).float().reshape(-1, *grid, N_DISTINCT)
        return soft_argmax(logits, DEPTH_CENTRE + DEPTH_SPREAD * depths)


class PaperKeypointHead(Trunk):
    """Latent state to the paper's twelve heat-maps; a keypoint is where its map is highest."""

    def __init__(self, config: ModelConfig):
        super().__init__(config)
        dim = self.norm.normalized_shape[0]
        self.heat = nn.Linear(dim, PAPER_MAPS * config.heat_scale**2)

    def forward(self, latent: Tensor) -> Keypoints:
        """Read the keypoints off latent states ``(B, P, C)``."""
        grid, side = self.config.grid, self.config.heat_scale
        maps = self.heat(self.tokens(latent)).float()
        maps = maps.reshape(-1, *grid, PAPER_MAPS, side, side)
        whole = _whole(maps[..., RIGHT, :, :])
        height, width = whole.shape[2:]
        peak = whole.flatten(2).argmax(-1)
        u = (peak % width + 0.5) * (camera.WIDTH / width)
        v = (peak // width + 0.5) * (camera.HEIGHT / height)
        pixels = maps.new_full((len(maps), N_DISTINCT, 2), torch.nan)
        # The little finger repeats the ring finger, so its map, the last, is not read.
        pixels[:, list(WRIST_AND_TIPS)] = torch.stack([u, v], -1)[:, : len(WRIST_AND_TIPS)]
        return Keypoints(maps, None, pixels, None)


def build_head(config: ModelConfig) -> KeypointHead | PaperKeypointHead:
    """Build the head that ``config.head`` names.

    Raises:
        ValueError: No head has that name.
    """
    if config.head not in ("compact", "paper"):
        raise ValueError(f"head must be 'compact' or 'paper', got {config.head!r}")
    return KeypointHead(config) if config.head == "compact" else PaperKeypointHead(config)


def keypoint_loss(predicted: Keypoints, target: Tensor, depth_weight: float = 3.0) -> Tensor:
    """Hand-consistency loss: heat-map cross-entropy plus absolute depth error.

    A keypoint outside the image is asked for at the nearest edge (and 5 cm ahead at the least): a
    head that says nothing of such states lets a planner take a hand that has left the picture for
    one that is at the goal.

    Of the paper's head it is Eq. 5: the mean squared error of its heat-maps. Those of the left hand
    and of keypoints outside the image have no target and count as right.

    Args:
        predicted: The head's answer for B states.
        target: True keypoints ``(B, 17, 3)`` in metres, camera frame.
        depth_weight: Weight of the depth error (in units of ``DEPTH_SPREAD``).

    Returns:
        The mean over keypoints, a scalar.
    """
    if predicted.log_total is None or predicted.depth is None:
        return _paper_loss(predicted, target)
    pixels = to_edge(project(target)[0])
    rows, columns, side = *predicted.logits.shape[1:3], predicted.logits.shape[4]
    along_u = _gaussian(pixels[..., 0], columns * side, camera.WIDTH).unflatten(-1, (columns, side))
    along_v = _gaussian(pixels[..., 1], rows * side, camera.HEIGHT).unflatten(-1, (rows, side))
    # The target is a product of two one-dimensional Gaussians; ij are a token's cells (v, u).
    target_map = torch.einsum("bkri,bkcj->brckij", along_v, along_u)
    expected = (predicted.logits * target_map).sum((1, 2, 4, 5))
    cross_entropy = predicted.log_total - expected
    depth_error = (predicted.depth - target[..., 2].clamp(min=NEAREST)).abs() / DEPTH_SPREAD
    return (cross_entropy + depth_weight * depth_error).mean()


def _paper_loss(predicted: Keypoints, target: Tensor) -> Tensor:
    """Mean over 12 maps and all cells of the squared distance from unnormalised Gaussians."""
    pixels, visible = project(target[:, list(PAPER_KEYPOINTS)])
    maps = predicted.heatmaps()
    height, width = maps.shape[2:]
    along = []
    for axis, (cells, size) in enumerate([(width, camera.WIDTH), (height, camera.HEIGHT)]):
        away = cell_centres(cells, size, maps.device) - pixels[..., axis : axis + 1]
        along.append((-0.5 * (away / PAPER_SIGMA) ** 2).exp())
    expected = torch.einsum("bkv,bku->bkvu", along[1], along[0])
    squared = (maps[:, RIGHT] - expected).square().mean((2, 3)) * visible
    return squared.sum() / (len(maps) * PAPER_MAPS)


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


def _gaussian(position: Tensor, cells: int, pixels: int) -> Tensor:
    """Normalised Gaussians ``(..., cells)`` around pixel positions along one axis."""
    centres = cell_centres(cells, pixels, position.device)
    sigma = SIGMA * pixels / cells
    return F.softmax(-0.5 * ((centres - position.unsqueeze(-1)) / sigma) ** 2, -1)
