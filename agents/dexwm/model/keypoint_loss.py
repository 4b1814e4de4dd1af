"""The hand-consistency loss of keypoint heads (paper 3.3, Eq. 5).

Our head is trained by spatial softmax cross-entropy and by its depth error, the paper's by the
squared error of its heat-maps.
"""

import torch
import torch.nn.functional as F
from torch import Tensor

from dexbench.envs.embodiment import camera
from dexbench.envs.embodiment.keypoints import N_DISTINCT, N_KEYPOINTS, WRIST_AND_TIPS

from .keypoint_head import DEPTH_SPREAD, PAPER_MAPS, KeypointHead, PaperKeypointHead
from .keypoint_maps import NEAREST, Keypoints, cell_centres, project, to_edge

SIGMA = 1.2
"""Standard deviation of the target heat-maps in heat-map cells."""
PAPER_SIGMA = 2.0
"""The same in the paper's, in pixels of the 224x392 image."""


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


def _gaussian(position: Tensor, cells: int, pixels: int) -> Tensor:
    """Normalised Gaussians ``(..., cells)`` around pixel positions along one axis."""
    centres = cell_centres(cells, pixels, position.device)
    sigma = SIGMA * pixels / cells
    return F.softmax(-0.5 * ((centres - position.unsqueeze(-1)) / sigma) ** 2, -1)
