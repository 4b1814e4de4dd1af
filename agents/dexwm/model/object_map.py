"""The object map: the part of a latent state that says where objects are.

Objects are smaller than a token, and how they move is a local matter: the hand takes along what is
in its way. So every token carries, beside its channels, a map of the cells under it. An eye sees
the map in a picture; a step moves it along with the hand. Both treat all places alike, and so learn
from few pushes.

Objects are asked for as they would be seen without the robot: one behind the hand is still there.
"""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from dexbench.agents.learning.hand_way import MOMENTS
from dexbench.envs.embodiment import camera
from dexbench.envs.embodiment.keypoints import N_DISTINCT
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
HIDDEN = 256
"""Width of the step's MLP."""
FAR = 6
"""Cells by which an object may move within an action, along rows and columns: about 17 cm."""
SOURCES = 96
"""Cells, those likeliest to show an object near the hand's path, whose content may move."""
NEAR = 0.2
"""Distance in m from the hand's middle at which a cell counts half as likely to be moved."""
AROUND = 5
"""Cells around a cell, to each side, that the step sees of the map."""
PLANE = 0.86
"""Height in m, base frame, at which cells are taken to be: 4 cm above the counter."""
UNIT, SQUASH = 0.125, 2.5
"""Metres of one unit of the hand's offset from a cell; no offset is longer than so many units."""
STAYS = 7.0
"""Logit of staying before training, against every move's 0."""
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


class ObjectStep(nn.Module):
    """Moves the map along with the hand.

    For cells near the hand an MLP tells how likely their content goes to each of the cells around,
    from where the hand is from there, in metres, and from the map around. So nothing is lost and
    nothing made, and what has been moved looks as before (Finn et al. 2016, "Unsupervised learning
    for physical interaction", call such a thing neural advection).
    """

    place: Tensor
    reach: Tensor
    around: Tensor

    def __init__(self, config: ModelConfig):
        super().__init__()
        self.grid = config.grid
        side, seen = 2 * FAR + 1, 2 * AROUND + 1
        self.net = nn.Sequential(
            nn.Linear(MOMENTS * N_DISTINCT * 3 + seen**2 + 2, HIDDEN),
            nn.GELU(),
            nn.Linear(HIDDEN, HIDDEN),
            nn.GELU(),
        )
        self.moves = nn.Linear(HIDDEN, side**2)
        nn.init.zeros_(self.moves.weight)
        nn.init.zeros_(self.moves.bias)
        nn.init.constant_(self.moves.bias[side**2 // 2], STAYS)
        self.spots = cell_spots()  # no buffer: bfloat16 would move them by half a centimetre
        for name, values in (
            ("place", cell_pixels().flip(-1) / torch.tensor([camera.HEIGHT, camera.WIDTH]) * 2 - 1),
            ("reach", _within(side, SIZE[1] + 2 * FAR)),
            ("around", _within(seen, SIZE[1] + 2 * AROUND)),
        ):
            self.register_buffer(name, values, persistent=False)

    def forward(self, cells: Tensor, way: Tensor) -> Tensor:
        """Return the map's part of the states that follow, ``(B, P, 49)``.

        Args:
            cells: The same of the last states.
            way: The hand's, ``(B, MOMENTS, 21, 3)`` in m, camera frame.
        """
        shown = as_map(cells.float(), self.grid).sigmoid()
        hand = camera.camera_to_base(way[:, :, :N_DISTINCT].float())
        source = self._sources(shown, hand)
        odds = self.odds(shown, hand, source).softmax(-1)
        moved = self._moved(shown, source, odds).clamp(LEAST, 1 - LEAST)
        return as_tokens(moved.logit())

    def odds(self, shown: Tensor, hand: Tensor, source: Tensor) -> Tensor:
        """Return logits ``(B, S, (2 * FAR + 1)**2)`` of where cells' content goes.

        Args:
            shown: Probabilities ``(B, 56, 98)``.
            hand: Its way, ``(B, MOMENTS, 17, 3)`` in m, base frame.
            source: Cells ``(B, S)``.
        """
        logits: Tensor = self.moves(self.net(self._told(shown, hand, source))).float()
        return logits

    @torch.no_grad()
    def _sources(self, shown: Tensor, hand: Tensor) -> Tensor:
        """Return the cells ``(B, SOURCES)`` whose content may move."""
        spots = self.spots.to(shown.device)[:, :2].expand(len(shown), -1, -1)
        away = torch.cdist(spots, hand.mean(2)[..., :2]).amin(-1)
        likely: Tensor = shown.flatten(1) / (1 + (away / NEAR) ** 4)
        return likely.topk(SOURCES).indices

    def _told(self, shown: Tensor, hand: Tensor, source: Tensor) -> Tensor:
        """Return what the MLP is told of each source ``(B, S)``, ``(B, S, ...)``."""
        spots = self.spots.to(shown.device)[source].unsqueeze(2)
        offsets = (hand.flatten(1, 2).unsqueeze(1) - spots) / UNIT
        offsets = offsets / (1 + offsets.norm(dim=-1, keepdim=True) / SQUASH)
        padded = F.pad(shown, (AROUND,) * 4).flatten(1)
        corner = source // SIZE[1] * (SIZE[1] + 2 * AROUND) + source % SIZE[1]
        seen = padded.gather(1, (corner.unsqueeze(-1) + self.around).flatten(1))
        place = self.place.float()[source]
        told = torch.cat([offsets.flatten(2), seen.view(*source.shape, -1), place], -1)
        return told.to(self.moves.weight.dtype)

    def _moved(self, shown: Tensor, source: Tensor, odds: Tensor) -> Tensor:
        """Move the content of cells.

        Args:
            shown: Probabilities ``(B, 56, 98)``.
            source: Cells ``(B, SOURCES)``.
            odds: Of each move, ``(B, SOURCES, (2 * FAR + 1)**2)``.

        Returns:
            ``(B, 56, 98)``: how many objects are expected in each cell.
        """
        (rows, columns), flat = SIZE, shown.flatten(1)
        wide = columns + 2 * FAR
        corner = source // columns * wide + source % columns
        arrived = shown.new_zeros(len(shown), (rows + 2 * FAR) * wide).scatter_add(
            1,
            (corner.unsqueeze(-1) + self.reach).flatten(1),
            (odds * flat.gather(1, source).unsqueeze(-1)).flatten(1),
        )
        within: Tensor = arrived.unflatten(1, (-1, wide))[:, FAR:-FAR, FAR:-FAR]
        stayed: Tensor = flat.scatter(1, source, 0.0).view_as(shown)
        return within + stayed


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


def _within(side: int, width: int) -> Tensor:
    """Return the places of a square's cells in a flat map, from its corner."""
    return (torch.arange(side)[:, None] * width + torch.arange(side)).flatten()
