"""The step of an object map: it moves what the map shows along with the hand."""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from dexbench.agents.learning.hand_way import MOMENTS
from dexbench.envs.embodiment import camera
from dexbench.envs.embodiment.keypoints import N_DISTINCT

from .config import ModelConfig
from .object_map import LEAST, SIZE, as_map, as_tokens, cell_pixels, cell_spots

HIDDEN = 256
"""Width of the step's MLP."""
FAR = 12
"""Cells by which an object may move within an action, along rows and columns: about 30 cm sideways,
more away from the robot and less towards it. What rolls or falls goes as far, and a plan must not
take it for a short push."""
SOURCES = 96
"""Cells, those likeliest to show an object near the hand's path, whose content may move."""
NEAR = 0.2
"""Distance in m from the hand's middle at which a cell counts half as likely to be moved."""
AROUND = 5
"""Cells around a cell, to each side, that the step sees of the map."""
UNIT, SQUASH = 0.125, 2.5
"""Metres of one unit of the hand's offset from a cell; no offset is longer than so many units."""
GAUSSIANS = 6
"""Gaussians of which a move's odds are made, beside those of staying."""
SPREAD, NARROWEST, BOUNDS = 2.0, 0.3, (-4.0, 3.0)
"""A Gaussian's standard deviation in cells is ``exp(x) * SPREAD + NARROWEST``. x is within the
bounds, and 0 before training."""
STILL = 0.35
"""Standard deviation in cells of what stays: the middle of what is seen of an object that stands
still may be a fraction of a cell elsewhere. 94% stays in its cell."""
START = 3.0
"""Cells by which each Gaussian moves before training, every one another way."""
STAYS = 3.0
"""Logit of staying before training, and that of each Gaussian below 0."""


class MoveOdds(nn.Module):
    """Tells how likely each move is: a mixture of Gaussians over cells, and of staying.

    A few numbers stand for a table of ``(2 * FAR + 1)**2``, and moves that are alike are learned
    together (Bishop 1994, "Mixture density networks").
    """

    cells: Tensor

    def __init__(self, width: int):
        super().__init__()
        self.out = nn.Linear(width, GAUSSIANS * 5 + 1)
        turns = torch.arange(GAUSSIANS) * (2 * torch.pi / GAUSSIANS)
        first = torch.zeros(GAUSSIANS, 5)
        first[:, 0] = -STAYS
        first[:, 1], first[:, 2] = turns.cos(), turns.sin()
        nn.init.zeros_(self.out.weight)
        with torch.no_grad():
            self.out.bias.copy_(torch.cat([first.flatten(), torch.tensor([STAYS])]))
        self.register_buffer("cells", torch.arange(-FAR, FAR + 1.0), persistent=False)

    def forward(self, told: Tensor) -> Tensor:
        """Return probabilities ``(..., (2 * FAR + 1)**2)`` of moves, row by row.

        Args:
            told: Features ``(..., width)``.
        """
        said = self.out(told).float()
        weight, middle, width = said[..., :-1].unflatten(-1, (GAUSSIANS, 5)).split([1, 2, 2], -1)
        shares = torch.cat([weight.squeeze(-1), said[..., -1:]], -1).softmax(-1)
        spread = width.clamp(*BOUNDS).exp() * SPREAD + NARROWEST
        line = self.cells.float()
        along = -0.5 * ((line - middle.unsqueeze(-1) * START) / spread.unsqueeze(-1)) ** 2
        rows, columns = along.softmax(-1).unbind(-2)
        moves = (shares[..., :-1, None] * rows).transpose(-1, -2) @ columns
        still = (-0.5 * (line / STILL) ** 2).softmax(-1)
        stays = shares[..., -1, None, None] * (still[:, None] * still)
        odds: Tensor = (moves + stays).flatten(-2)
        return odds


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
        self.moves = MoveOdds(HIDDEN)
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
        odds = self.odds(shown, hand, source)
        moved = self._moved(shown, source, odds).clamp(LEAST, 1 - LEAST)
        return as_tokens(moved.logit())

    def odds(self, shown: Tensor, hand: Tensor, source: Tensor) -> Tensor:
        """Return how likely cells' content makes each move, ``(B, S, (2 * FAR + 1)**2)``.

        Args:
            shown: Probabilities ``(B, 56, 98)``.
            hand: Its way, ``(B, MOMENTS, 17, 3)`` in m, base frame.
            source: Cells ``(B, S)``.
        """
        odds: Tensor = self.moves(self.net(self._told(shown, hand, source)))
        return odds

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
        return told.to(self.place.dtype)

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


def _within(side: int, width: int) -> Tensor:
    """Return the places of a square's cells in a flat map, from its corner."""
    return (torch.arange(side)[:, None] * width + torch.arange(side)).flatten()
