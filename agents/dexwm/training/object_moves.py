"""What the step of an object map learns from: where each object goes, cell by cell.

Masks do not tell. An object that moves by less than its width covers some cells before and after,
and so a step that learns from masks may leave their content where it is.
"""

from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from dexbench.agents.dexwm.model.object_map import SIZE, as_map, true_map
from dexbench.agents.dexwm.model.object_step import FAR, ObjectStep
from dexbench.envs.embodiment import camera
from dexbench.envs.embodiment.keypoints import N_DISTINCT

LEARNED = 12
"""Cells of each frame that are asked."""
NEAR = 0.15
"""Distance in m from the hand's middle at which a cell is half as likely to be asked: what is far
from the hand stays, and there is much of it."""
DRAWN = 4
"""Windows that are drawn for one that is learned from."""
FEW = 1e-12
"""Added to the probability of every move: none costs more than 28 nats, and far ones, which are
rare, can still be learned before any Gaussian is near them."""
MOVED, FAVOUR = 1.0, 3.0
"""Cells by which an object must move, about 3 cm, for an action to count so many times when windows
are chosen: in three of four actions of `waypoints` nothing moves."""


class Moves(NamedTuple):
    """Windows of F frames that tell how objects move."""

    ways: Tensor
    """The hand's within each action, ``(B, F - 1, MOMENTS, 21, 3)`` in m, camera frame."""
    shown: Tensor
    """Whether pixels show an object, ``(B, F, 112, 196)`` bool."""
    cells: Tensor
    """The number of the object that each cell shows, or 0, ``(B, F, 56, 98)`` uint8."""
    centres: Tensor
    """The middle of each object, ``(B, F, 8, 2)`` in cells, row first; not a number where it is not
    known, see `ObjectMasks.numbers`."""
    chance: Tensor
    """Random numbers in 0..1, ``(B, F - 1, 56 * 98)``, which choose the cells that are asked."""


def move_loss(step: ObjectStep, moves: Moves) -> Tensor:
    """Return the cross-entropy of where the content of cells goes, a scalar.

    Cells that show no object, or one whose middle is not known, count as 0.

    Every window begins at its true map; then the step goes on from what it foresees, as it must
    when a plan is made, and still learns where the objects really went from where they really were.
    It needs no latents, and so can see many more pushes than ``prediction_loss``.
    """
    state, losses, last = true_map(moves.shown[:, 0]), [], moves.ways.shape[1] - 1
    for time, way in enumerate(moves.ways.unbind(1)):
        shown = as_map(state.float(), step.grid).sigmoid()
        hand = camera.camera_to_base(way[:, :, :N_DISTINCT].float())
        cells = moves.cells[:, time].flatten(1)
        source = asked(cells, hand, step.spots, moves.chance[:, time])
        number = cells.gather(1, source).long()
        went = moves.centres[:, time + 1] - moves.centres[:, time]
        went = went.gather(1, number.unsqueeze(-1).expand(-1, -1, 2))
        told = ~went.isnan().any(-1)
        losses.append(_error(step.odds(shown, hand, source)[told], went[told]))
        if time < last:
            with torch.no_grad():
                state = step(state, way)
    # By the number of cells, not of those that told: so parts of a batch add up to the whole.
    return torch.cat(losses).sum() / (len(losses) * LEARNED * len(moves.ways))


def chosen(moved: NDArray[np.float32], draw: np.random.Generator) -> NDArray[np.int64]:
    """Return which windows to learn from, one of ``DRAWN``: rather those in which objects move.

    Args:
        moved: How far in cells objects move within each action, ``(B * DRAWN, F - 1)``.
        draw: The random stream.

    Returns:
        Numbers of windows ``(B,)``, increasing.
    """
    weights = np.where(moved > MOVED, FAVOUR, 1.0).mean(1)
    count = len(moved) // DRAWN
    picked: NDArray[np.int64] = draw.choice(
        len(moved), count, replace=False, p=weights / weights.sum(), shuffle=False
    )
    return np.sort(picked)


def mirrored(moves: Moves, swap: Tensor) -> Moves:
    """Return windows as in a mirror: objects move the same way.

    Args:
        moves: The windows.
        swap: ``(B,)`` bool, which of them.
    """
    swap = swap.to(moves.ways.device)[:, None, None, None]
    sides = moves.ways.new_tensor([-1.0, 1.0, 1.0])
    ways = torch.where(swap.unsqueeze(-1), moves.ways * sides, moves.ways)
    shown, cells = (torch.where(swap, maps.flip(-1), maps) for maps in (moves.shown, moves.cells))
    turned = torch.stack([moves.centres[..., 0], SIZE[1] - moves.centres[..., 1]], -1)
    centres = torch.where(swap, turned, moves.centres)
    return moves._replace(ways=ways, shown=shown, cells=cells, centres=centres)


@torch.no_grad()
def asked(cells: Tensor, hand: Tensor, spots: Tensor, chance: Tensor) -> Tensor:
    """Return cells ``(B, LEARNED)`` that are asked where their content goes.

    Those of objects come first, the more likely the nearer the hand passes.

    Args:
        cells: Their objects' numbers, or 0, ``(B, 56 * 98)``.
        hand: Its way ``(B, MOMENTS, 17, 3)`` in m, base frame.
        spots: Where cells are, ``(56 * 98, 3)`` in m, base frame.
        chance: Random numbers in 0..1, ``(B, 56 * 98)``.
    """
    away = torch.cdist(spots[:, :2].to(hand).expand(len(hand), -1, -1), hand.mean(2)[..., :2])
    weight = (cells > 0) / (1 + (away.amin(-1) / NEAR) ** 4)
    # The largest of u ** (1 / w) are a sample without replacement, by the weights w.
    keys = chance.clamp(min=1e-6).log() / weight.clamp(min=1e-12)
    return keys.topk(LEARNED).indices


def _error(odds: Tensor, went: Tensor) -> Tensor:
    """Return cross-entropies ``(n,)`` of moves.

    A move lies between four whole ones, and each counts by how near it is.

    Args:
        odds: Probabilities ``(n, (2 * FAR + 1)**2)``.
        went: Cells along rows and columns, ``(n, 2)``.
    """
    side = 2 * FAR + 1
    place = (went + FAR).clamp(0, side - 1 - 1e-3)
    first = place.floor().long()
    share, chances, error = place - first, (odds + FEW).log(), odds.new_zeros(len(odds))
    for row, down in enumerate((1 - share[:, 0], share[:, 0])):
        for column, right in enumerate((1 - share[:, 1], share[:, 1])):
            move = (first[:, 0] + row) * side + first[:, 1] + column
            error = error - down * right * chances.gather(1, move[:, None]).squeeze(1)
    return error
