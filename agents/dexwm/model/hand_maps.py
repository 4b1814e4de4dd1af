"""Where in the picture the hand is before, during and after an action, told to every token.

The action of Eq. 2 says how keypoints move, not where they are: a predictor has to find the hand in
the latent and work out which tokens it will sweep. The joints tell, so these maps do.
"""

import torch
from torch import Tensor, nn

from dexbench.envs.embodiment import camera
from dexbench.envs.embodiment.keypoints import N_DISTINCT

from .keypoint_head import DEPTH_CENTRE, DEPTH_SPREAD
from .keypoint_maps import cell_centres, project, to_edge

MOMENTS = 5
"""Moments of the path at which the hand is drawn, the first and the last among them."""
FEATURES = 7
"""Of a token at a moment: keypoints near it; their depth; their motion in x, y and z; their
offset from the token's centre in u and v."""
MOTION = 0.1
"""Metres to which motions are scaled."""


class HandMaps(nn.Module):
    """Draws the hand on the token grid at moments between two of its configurations.

    The hand is taken to move straight from one to the other; every keypoint weighs on the tokens
    around it by a Gaussian as wide as a token.

    Args:
        grid: Rows and columns of tokens.
        dim: Width of what is added to each token; at first it is zero.
    """

    centres: Tensor
    moments: Tensor

    def __init__(self, grid: tuple[int, int], dim: int):
        super().__init__()
        rows, columns = grid
        v, u = cell_centres(rows, camera.HEIGHT), cell_centres(columns, camera.WIDTH)
        centres = torch.stack(torch.meshgrid(u, v, indexing="xy"), -1).flatten(0, 1)
        self.side = camera.HEIGHT / rows
        self.register_buffer("centres", centres, persistent=False)
        self.register_buffer("moments", torch.linspace(0, 1, MOMENTS), persistent=False)
        self.embed = nn.Sequential(nn.Linear(MOMENTS * FEATURES, dim), nn.SiLU())
        self.out = nn.Linear(dim, dim)
        nn.init.zeros_(self.out.weight)
        nn.init.zeros_(self.out.bias)

    def forward(self, before: Tensor, motion: Tensor) -> Tensor:
        """Return what is added to the tokens, ``(B, G, P, dim)``.

        Args:
            before: Keypoints ``(B, G, 21, 3)`` in m, camera frame.
            motion: Their displacements ``(B, G, 21, 3)`` in m.
        """
        drawn = self.draw(before[..., :N_DISTINCT, :].float(), motion[..., :N_DISTINCT, :].float())
        maps: Tensor = self.out(self.embed(drawn.to(self.out.weight.dtype)))
        return maps

    def draw(self, before: Tensor, motion: Tensor) -> Tensor:
        """Return the maps themselves, ``(B, G, P, MOMENTS * FEATURES)`` float32.

        Args:
            before: Keypoints ``(B, G, 17, 3)`` in m, camera frame.
            motion: Their displacements ``(B, G, 17, 3)`` in m.
        """
        centres = self.centres.float()
        points = (
            before[..., None, :, :] + self.moments.float()[:, None, None] * motion[..., None, :, :]
        )
        # Where the hand has left the picture it is drawn on the edge, where the head reads it too.
        pixels = to_edge(project(points)[0])  # (B, G, moments, 17, 2)
        # Offsets along each axis, of 17 keypoints from the P tokens.
        away = (pixels[..., None, :, :] - centres[:, None]) / self.side
        weight = (-0.5 * away.square().sum(-1)).exp() / 4  # (B, G, moments, P, 17)
        depth = (points[..., 2:] - DEPTH_CENTRE) / DEPTH_SPREAD
        moved = (motion / MOTION).unsqueeze(-3).expand_as(points)
        values = torch.cat([torch.ones_like(depth), depth, moved], -1)  # (B, G, moments, 17, 5)
        offsets = (weight.unsqueeze(-1) * away).sum(-2)
        drawn = torch.cat([weight @ values, offsets], -1)  # (B, G, moments, P, 7)
        return drawn.transpose(-3, -2).flatten(-2)
