"""What is left to do with objects: how the predicted ones differ from the goal's.

All is read off the object maps of latent states: of the picture seen, of predictions, and of the
goal picture. Objects that stay cancel out, and no object has to be named.
"""

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

from dexbench.agents.dexwm.model.keypoint_maps import Keypoints, cell_centres
from dexbench.agents.dexwm.model.object_loss import MASK
from dexbench.envs.embodiment import camera
from dexbench.envs.embodiment.keypoints import N_DISTINCT

CELL = 2
"""Mask pixels a side that are averaged first."""
BLURS = (2.0, 5.0, 12.0)
"""Standard deviations in cells by which maps are blurred, about 5, 12 and 28 cm on the counter:
masks that no longer overlap still tell how far they are apart."""
USUAL = 25.0
"""Cells of the usual object, five a side."""
LEAST = 2.0
"""Cells by which the usual object moves where that counts as nothing to do, about 5 cm."""
ELSEWHERE = 0.05
"""Weight of places that look alike at the start and in the goal, against those that differ most.
What lies there may be large: were it to count in full, a plan that pushes it a little would cost
more than one that leaves a small object where it is. Where nothing differs all count in full."""
REACH = 50.0
"""Distance in px to which the hand's distance is scaled."""
FADED = 2.0
"""Predictions that show less in all than the goal are taken up to so many times; more, likewise."""


@dataclass
class ObjectGoal:
    """The objects where they are and where they should be, read off two pictures."""

    start: Tensor
    """Blurred maps of the objects in the trial's first picture ``(3, h, w)``."""
    goal: Tensor
    """The same in the goal."""

    @staticmethod
    def read(start: Tensor, goal: Tensor) -> "ObjectGoal":
        """Make it of logits ``(1, 112, 196)`` of object maps."""
        wanted = blurred(goal)
        return ObjectGoal(_as_much(blurred(start), wanted)[0], wanted[0])

    def left(self, logits: Tensor) -> Tensor:
        """Return how much of the difference between start and goal is left, ``(B,)``.

        It is what the goal shows and the prediction does not: 0 where all objects are at the goal
        and 1 where nothing has moved; more where an object is farther off than it was. Places count
        by how much they differ between start and goal. Less than what ``LEAST`` makes is held
        against that. A goal that shows no object asks for nothing.

        What the prediction shows and the goal does not is left out. Counted, it would weigh much at
        the start and little beyond the goal, and a push by twice the way would cost less than a
        short one. So nobody asks which object fills the goal: another one that is pushed there
        counts as well.

        Args:
            logits: Of predicted states ``(B, 112, 196)``.
        """
        weights, (_, least) = self._weights(), _usual(self.start)
        lacks = (self.goal - _as_much(blurred(logits), self.goal)).clamp(min=0)
        whole = (weights * (self.goal - self.start).clamp(min=0)).sum((-1, -2))
        ratios: Tensor = (weights * lacks).sum((-1, -2)) / torch.maximum(whole, least)
        return ratios.mean(-1)

    def reach(self, logits: Tensor, hand: Keypoints) -> Tensor:
        """Return how far the hand is from the objects that are not at their goals yet, ``(B,)``.

        It is the picture's distance from the middle of the hand's keypoints to where too much is
        shown, in units of ``REACH``.

        Args:
            logits: Of predicted states ``(B, 112, 196)``.
            hand: What the keypoint head reads off them.
        """
        shown = _as_much(blurred(logits), self.goal)[:, 1]
        surplus = (shown - self.goal[1]).clamp(min=0).square()
        mass = surplus.sum((-1, -2)).clamp(min=1e-6)
        rows, columns = surplus.shape[-2:]
        v, u = (
            cell_centres(rows, camera.HEIGHT, logits.device),
            cell_centres(columns, camera.WIDTH, logits.device),
        )
        place = torch.stack([surplus.sum(-2) @ u / mass, surplus.sum(-1) @ v / mass], -1)
        middle = hand.pixels[:, :N_DISTINCT].nanmean(1)
        distance: Tensor = (place - middle).norm(dim=-1) / REACH
        return distance

    def _weights(self) -> Tensor:
        """Return how much places count ``(3, h, w)``, from ``ELSEWHERE`` to 1."""
        differ = (self.start - self.goal).abs()
        most, least = differ.amax((-1, -2)), _usual(differ)[0] / 2
        alike = 1 - differ / torch.maximum(most, least)[:, None, None]
        told = (most / least).clamp(max=1)[:, None, None]
        weights: Tensor = 1 - (1 - ELSEWHERE) * told * alike
        return weights


def _usual(like: Tensor) -> tuple[Tensor, Tensor]:
    """Return what blurred maps show of the usual object, ``(3,)`` each, where ``like`` is.

    First is the value in its middle, then the cells that a move by ``LEAST`` takes away.
    """
    variances = like.new_tensor(BLURS).square()
    wide = variances + USUAL / (2 * torch.pi)
    return USUAL / (2 * torch.pi * wide), 0.4 * LEAST * USUAL / wide.sqrt()


def _as_much(maps: Tensor, goal: Tensor) -> Tensor:
    """Return maps ``(B, 3, h, w)`` that show as much in all as a goal's.

    What is left to do is about places. A prediction that is faint all over would otherwise cost
    more than one that is wrong.
    """
    share = goal.sum((-1, -2), keepdim=True) / maps.sum((-1, -2), keepdim=True).clamp(min=1e-6)
    return maps * share.clamp(1 / FADED, FADED)


def blurred(logits: Tensor) -> Tensor:
    """Return maps of how much of an object each cell shows, blurred three ways.

    Args:
        logits: ``(B, 112, 196)``.

    Returns:
        ``(B, 3, 56, 98)``.
    """
    cells = F.avg_pool2d(logits.sigmoid().unsqueeze(1), CELL)
    across = torch.stack([_smear(MASK[1] // CELL, sigma, cells.device) for sigma in BLURS])
    down = torch.stack([_smear(MASK[0] // CELL, sigma, cells.device) for sigma in BLURS])
    maps: Tensor = down @ cells @ across
    return maps


def _smear(cells: int, sigma: float, device: torch.device) -> Tensor:
    """Return the matrix ``(cells, cells)`` that blurs a line of cells; it is symmetric."""
    place = torch.arange(cells, device=device, dtype=torch.float32)
    gaussian = (-0.5 * ((place[:, None] - place) / sigma) ** 2).exp()
    smear: Tensor = gaussian / (sigma * (2 * torch.pi) ** 0.5)
    return smear
