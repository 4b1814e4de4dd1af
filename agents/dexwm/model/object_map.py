"""The object map: the part of a latent state that says where objects are.

Objects are smaller than a token, and how they move is a local matter: the hand takes along what is
in its way. So every token carries, beside its channels, a map of the cells under it. An eye sees
the map in a picture; a step (`object_step.py`) moves it along with the hand. Both treat all places
alike, and so learn from few pushes.

Objects are asked for as they would be seen without the robot: one behind the hand is still there.
"""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from dexbench.envs.embodiment import camera
from dexbench.utils.errors import UserError

from .config import MAP_SIDE, ModelConfig
from .keypoint_maps import cell_centres, whole_maps
from .unet import UNet

SIZE = (56, 98)
"""Rows and columns of the map; a cell is about 3 cm of a counter."""
RARE = -3.0
"""Logit of an object before training: 5%."""
MOST = 8.0
"""Largest logit of a map, either way."""
SCALE = 4.0
"""Logits of one unit of a state."""
EYE = (24, 48, 96, 128)
"""Channels of the eye's U-Net at full, half, quarter and eighth resolution."""
PLANE = 0.86
"""Height in m, base frame, at which cells are taken to be: 4 cm above the counter."""
LEAST = 3e-4
"""Least probability of a map, and of its contrary."""


def as_tokens(logits: Tensor) -> Tensor:
    """Cut maps ``(B, 56, 98)`` of logits into ``(B, P, 49)``, in units of a state."""
    cells = logits.unflatten(1, (-1, MAP_SIDE)).unflatten(3, (-1, MAP_SIDE))
    tokens: Tensor = cells.transpose(2, 3).flatten(3).flatten(1, 2) / SCALE
    return tokens


def as_map(cells: Tensor, grid: tuple[int, int]) -> Tensor:
    """Join ``(B, P, 49)`` into maps ``(B, 56, 98)`` of logits: what ``as_tokens`` undoes."""
    parts = cells.reshape(-1, *grid, 1, MAP_SIDE, MAP_SIDE)
    return whole_maps(parts).squeeze(1) * SCALE


def as_pixels(cells: Tensor, grid: tuple[int, int]) -> Tensor:
    """Join ``(B, P, 49)`` into logits ``(B, 112, 196)`` of masks' pixels."""
    logits: Tensor = as_map(cells, grid).repeat_interleave(2, 1).repeat_interleave(2, 2)
    return logits


class ObjectEye(nn.Module):
    """Sees where objects are in a picture.

    Raises:
        UserError: The token grid does not divide the map, or pictures are of another size.
    """

    def __init__(self, config: ModelConfig):
        super().__init__()
        rows, columns = config.grid
        if (rows * MAP_SIDE, columns * MAP_SIDE) != SIZE or config.image_size != (112, 196):
            raise UserError(
                "model.object_map needs a model.grid of (8, 14) and a model.image_size of "
                f"(112, 196), got {config.grid} and {config.image_size}"
            )
        self.net = UNet(3 * 4, 1, EYE, RARE)

    def forward(self, images: Tensor) -> Tensor:
        """Return the map's part of states, ``(B, P, 49)``, of pictures ``(B, 112, 196, 3)``."""
        pixels = images.to(self.net.first.weight.dtype).movedim(-1, 1) / 64 - 2
        logits = self.net(F.pixel_unshuffle(pixels, 2)).squeeze(1)
        return as_tokens(logits.clamp(-MOST, MOST))


class ObjectMap(nn.Module):
    """Reads the map off latent states, where the eye or the step put it; it learns nothing."""

    def __init__(self, config: ModelConfig):
        super().__init__()
        self.config = config

    def forward(self, latent: Tensor) -> Tensor:
        """Return logits ``(B, 112, 196)`` of each pixel showing any object.

        Args:
            latent: States ``(B, P, C)``.
        """
        return as_pixels(latent[..., self.config.latent_dim :].float(), self.config.grid)


def true_map(shown: Tensor) -> Tensor:
    """Return the map's part of states, ``(B, P, 49)``, of masks ``(B, 112, 196)`` bool."""
    cover = F.avg_pool2d(shown.float().unsqueeze(1), 2).squeeze(1)
    return as_tokens(cover.clamp(LEAST, 1 - LEAST).logit())


def cell_spots() -> Tensor:
    """Return where cells are on the plane, ``(56 * 98, 3)`` in m, base frame.

    Those that look above the horizon are far ahead.
    """
    pixels = cell_pixels()
    ahead = camera.unproject(pixels, torch.ones(len(pixels)))
    eye = torch.tensor(camera.HEAD_POS)
    ray = camera.camera_to_base(ahead) - eye
    spots: Tensor = eye + ray * ((PLANE - eye[2]) / ray[:, 2:].clamp(max=-0.05))
    return spots


def cell_pixels() -> Tensor:
    """Return the middles of cells, ``(56 * 98, 2)`` in px of the 224x392 picture."""
    v, u = cell_centres(SIZE[0], camera.HEIGHT), cell_centres(SIZE[1], camera.WIDTH)
    return torch.stack(torch.meshgrid(u, v, indexing="xy"), -1).flatten(0, 1)
