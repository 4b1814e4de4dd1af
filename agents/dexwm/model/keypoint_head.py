"""The keypoint head g_theta: hand keypoints from a latent state (paper 3.3 and A.3), with depth.

The paper's head yields twelve heat-maps and its planner compares pixels. Six pixel positions leave
the hand's depth open, so this head also yields each keypoint's depth, and it covers all 17
distinct keypoints of the right hand, or of both. It is trained by spatial softmax cross-entropy.
The paper's own head is here too, for comparison.
"""

from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from dexbench.envs.embodiment import camera
from dexbench.envs.embodiment.keypoints import (
    N_DISTINCT,
    N_KEYPOINTS,
    PAPER_KEYPOINTS,
    WRIST_AND_TIPS,
)
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
LEFT, RIGHT = 0, 1
"""Which hand is which."""
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
            return _whole(self.logits)
        return _whole((self.logits - self.log_total[:, None, None, :, None, None]).exp())

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


def _whole(cells: Tensor) -> Tensor:
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
        if config.left_hand:
            self.left_heat = nn.Linear(dim, N_DISTINCT * config.heat_scale**2)
            self.left_depth = nn.Linear(dim, N_DISTINCT)

    def forward(self, latent: Tensor) -> Keypoints:
        """Read the right hand's keypoints off latent states ``(B, P, C)``."""
        return self._read(self.tokens(latent), self.heat, self.depth)

    def hands(self, latent: Tensor) -> dict[int, Keypoints]:
        """Read all hands that the head has, by ``RIGHT`` and ``LEFT``; else as ``forward``."""
        x = self.tokens(latent)
        found = {RIGHT: self._read(x, self.heat, self.depth)}
        if self.config.left_hand:
            found[LEFT] = self._read(x, self.left_heat, self.left_depth)
        return found

    def _read(self, x: Tensor, heat: nn.Module, depth: nn.Module) -> Keypoints:
        """Read a hand off tokens ``(B, P, dim)``."""
        grid, side = self.config.grid, self.config.heat_scale
        logits = heat(x).float().reshape(-1, *grid, N_DISTINCT, side, side)
        depths = depth(x).float().reshape(-1, *grid, N_DISTINCT)
        return soft_argmax(logits, DEPTH_CENTRE + DEPTH_SPREAD * depths)


class PaperKeypointHead(Trunk):
    """Latent state to the paper's twelve heat-maps; a keypoint is where its map is highest."""

    def __init__(self, config: ModelConfig):
        super().__init__(config)
        dim = self.norm.normalized_shape[0]
        self.heat = nn.Linear(dim, PAPER_MAPS * config.heat_scale**2)

    def forward(self, latent: Tensor) -> Keypoints:
        """Read the right hand's keypoints, and all maps, off latent states ``(B, P, C)``."""
        return self._read(self._maps(latent))

    def hands(self, latent: Tensor) -> dict[int, Keypoints]:
        """Read both hands, each with its own maps, by ``RIGHT`` and ``LEFT``."""
        maps = self._maps(latent)
        half = len(PAPER_KEYPOINTS)
        return {RIGHT: self._read(maps[..., half:, :, :]), LEFT: self._read(maps[..., :half, :, :])}

    def _maps(self, latent: Tensor) -> Tensor:
        grid, side = self.config.grid, self.config.heat_scale
        maps: Tensor = self.heat(self.tokens(latent)).float()
        return maps.reshape(-1, *grid, PAPER_MAPS, side, side)

    @staticmethod
    def _read(maps: Tensor) -> Keypoints:
        """Read a hand off the last six of some maps ``(B, rows, columns, K, s, s)``."""
        whole = _whole(maps[..., -len(PAPER_KEYPOINTS) :, :, :])
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


def hands_loss(
    head: KeypointHead | PaperKeypointHead, latent: Tensor, points: Tensor, known: Tensor
) -> Tensor:
    """Hand-consistency loss of all hands that a head has; see ``keypoint_loss``.

    Args:
        head: A keypoint head.
        latent: B states ``(B, P, C)``.
        points: True keypoints ``(B, 2, 21, 3)`` of left and right hand in metres, camera frame.
        known: ``(B, 2, 21)`` bool; a keypoint that is not known counts as right.

    Returns:
        The hands' sum, a scalar. So a hand that is nowhere known adds nothing, and takes nothing
        from the other's weight.
    """
    count = N_KEYPOINTS if isinstance(head, PaperKeypointHead) else N_DISTINCT
    right, *left = [
        keypoint_loss(answer, points[:, side, :count], known[:, side, :count])
        for side, answer in head.hands(latent).items()
    ]
    return right + left[0] if left else right


def keypoint_loss(
    predicted: Keypoints, target: Tensor, known: Tensor | None = None, depth_weight: float = 3.0
) -> Tensor:
    """Hand-consistency loss of a hand: heat-map cross-entropy plus absolute depth error.

    A keypoint outside the image is asked for at the nearest edge (and 5 cm ahead at the least): a
    head that says nothing of such states lets a planner take a hand that has left the picture for
    one that is at the goal.

    Of the paper's head it is Eq. 5: the mean squared error of its heat-maps. Those of keypoints
    outside the image have no target and count as right.

    Args:
        predicted: The head's answer for B states.
        target: True keypoints ``(B, 17, 3)`` in metres, camera frame; of the paper's head also 21,
            with a little finger of their own.
        known: ``(B, 17)`` or ``(B, 21)`` bool; others count as right. All are, if left out.
        depth_weight: Weight of the depth error (in units of ``DEPTH_SPREAD``).

    Returns:
        The mean over keypoints, a scalar.
    """
    known = torch.ones_like(target[..., 0], dtype=torch.bool) if known is None else known
    if predicted.log_total is None or predicted.depth is None:
        return _paper_loss(predicted, target, known)
    pixels = to_edge(project(target)[0])
    rows, columns, side = *predicted.logits.shape[1:3], predicted.logits.shape[4]
    along_u = _gaussian(pixels[..., 0], columns * side, camera.WIDTH).unflatten(-1, (columns, side))
    along_v = _gaussian(pixels[..., 1], rows * side, camera.HEIGHT).unflatten(-1, (rows, side))
    # The target is a product of two one-dimensional Gaussians; ij are a token's cells (v, u).
    target_map = torch.einsum("bkri,bkcj->brckij", along_v, along_u)
    expected = (predicted.logits * target_map).sum((1, 2, 4, 5))
    cross_entropy = predicted.log_total - expected
    depth_error = (predicted.depth - target[..., 2].clamp(min=NEAREST)).abs() / DEPTH_SPREAD
    return ((cross_entropy + depth_weight * depth_error) * known).mean()


def _paper_loss(predicted: Keypoints, target: Tensor, known: Tensor) -> Tensor:
    """Squared distance of a hand's maps from unnormalised Gaussians: over 12 maps, and all cells.

    It is the right hand's, if there are maps of both.
    """
    # The last keypoint is the little finger's tip; of 17, the ring finger's instead of it.
    tips = [*WRIST_AND_TIPS, target.shape[1] - 1]
    pixels, visible = project(target[:, tips])
    maps = predicted.heatmaps()[:, -len(tips) :]
    height, width = maps.shape[2:]
    along = []
    for axis, (cells, size) in enumerate([(width, camera.WIDTH), (height, camera.HEIGHT)]):
        away = cell_centres(cells, size, maps.device) - pixels[..., axis : axis + 1]
        along.append((-0.5 * (away / PAPER_SIGMA) ** 2).exp())
    expected = torch.einsum("bkv,bku->bkvu", along[1], along[0])
    squared = (maps - expected).square().mean((2, 3)) * (visible & known[:, tips])
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
