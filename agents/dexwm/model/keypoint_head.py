"""The keypoint head g_theta: hand keypoints from a latent state (paper 3.3 and A.3), with depth.

The paper's head yields twelve heat-maps and its planner compares pixels. Six pixel positions leave
the hand's depth open, so this head also yields each keypoint's depth, and it covers all 17
distinct keypoints of the right hand, or of both. The paper's own head is here too, for comparison.
"""

import torch
from torch import Tensor, nn

from dexbench.envs.embodiment import camera
from dexbench.envs.embodiment.keypoints import N_DISTINCT, PAPER_KEYPOINTS, WRIST_AND_TIPS

from .config import ModelConfig
from .keypoint_maps import Keypoints, soft_argmax, whole_maps
from .layers import Block

DEPTH_CENTRE = 0.85
"""Metres; with ``DEPTH_SPREAD`` it brings the hand's depth to zero mean, unit variance."""
DEPTH_SPREAD = 0.15
PAPER_MAPS = 2 * len(PAPER_KEYPOINTS)
"""Heat-maps of the paper's head: wrist and five tips of the left hand, then of the right."""
LEFT, RIGHT = 0, 1
"""Which hand is which."""


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
        latent = latent[..., : self.config.latent_dim]
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
        whole = whole_maps(maps[..., -len(PAPER_KEYPOINTS) :, :, :])
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
