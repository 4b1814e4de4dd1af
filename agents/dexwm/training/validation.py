"""How a training's model is measured on held-out episodes."""

import torch
from torch import Tensor

from dexbench.agents.dexwm.model.keypoint_head import LEFT, RIGHT
from dexbench.agents.dexwm.model.keypoint_maps import project, to_edge
from dexbench.agents.dexwm.model.world_model import DexWMModel
from dexbench.agents.learning.clips import Clips
from dexbench.agents.learning.footage import WINDOW
from dexbench.agents.learning.object_masks import ObjectMasks
from dexbench.envs.embodiment.keypoints import N_DISTINCT, PAPER_KEYPOINTS, WRIST_AND_TIPS
from dexbench.utils.seeding import rng

from .hands import hands_at
from .losses import placed_actions

FEWEST = 20
"""Pixels of 112x196 that an object must have entered or left to count as moved; it covers 100."""
PCK_PIXELS = 20.0
"""Threshold of PCK@20, in pixels of the 224x392 image (paper 4.2)."""


def keypoint_metrics(
    model: DexWMModel, states: Tensor, points: Tensor, known: Tensor
) -> dict[str, float]:
    """Keypoint errors of the head on states ``(B, P, C)``.

    Only keypoints of the right hand count that the head has, that are known and visible. ``pck20``
    is of wrist and tips; ``pck20_paper`` counts the ring finger's tip twice, as the paper's release
    does. ``point_error_m`` needs a head with depth, and so does ``pck20_outside``: the share of the
    keypoints outside the picture that are read off where they left it. ``pck20_left`` is there
    where the head and the data have a left hand.

    Args:
        model: Its head is measured.
        states: ``(B, P, C)``.
        points: True keypoints ``(B, 2, 21, 3)`` in metres, camera frame.
        known: ``(B, 2, 21)`` bool.
    """
    answers = model.head.hands(states)
    answer, keypoints = answers[RIGHT], points[:, RIGHT]
    pixels, visible = project(keypoints[:, :N_DISTINCT])
    inside, visible = visible, visible & known[:, RIGHT, :N_DISTINCT]
    pixel_error = (answer.pixels - pixels).norm(dim=-1)
    result = {}
    for name, indices in (("pck20", WRIST_AND_TIPS), ("pck20_paper", PAPER_KEYPOINTS)):
        seen = visible[:, list(indices)]
        close = (pixel_error[:, list(indices)] < PCK_PIXELS) & seen
        result[name] = float(close.sum() / seen.sum().clamp(min=1))
    if answer.depth is None:
        seen_by_head = list(WRIST_AND_TIPS)
        pixel_error, visible = pixel_error[:, seen_by_head], visible[:, seen_by_head]
    seen = visible.sum().clamp(min=1)
    result["pixel_error"] = float((pixel_error * visible).sum() / seen)
    if answer.depth is not None:
        outside = ~inside & known[:, RIGHT, :N_DISTINCT]
        if outside.any():
            edge = (answer.pixels - to_edge(pixels)).norm(dim=-1) < PCK_PIXELS
            result["pck20_outside"] = float(edge[outside].float().mean())
        point_error = (answer.points() - keypoints[:, :N_DISTINCT]).norm(dim=-1)
        result["point_error_m"] = float((point_error * visible).sum() / seen)
    left = list(WRIST_AND_TIPS)
    if LEFT in answers and (asked := known[:, LEFT, left]).any():
        apart = (answers[LEFT].pixels[:, left] - project(points[:, LEFT, left])[0]).norm(dim=-1)
        result["pck20_left"] = float((apart[asked] < PCK_PIXELS).float().mean())
    return result


def object_skill(
    model: DexWMModel, states: Tensor, shown: Tensor, before: Tensor | None = None
) -> float:
    """Return 1 minus the squared error of what shows an object, over that of knowing nothing.

    Args:
        model: Has an object map.
        states: ``(B, P, C)``.
        shown: The truth ``(B, 112, 196)`` bool.
        before: If given, the truth of an earlier frame, which is then what "knowing nothing" says.
            Pixels count that show an object now or did then, in frames in which some differ by
            ``FEWEST`` or more. Without it all pixels do, and "nothing" is that there are none.
    """
    said = model.objects(states).sigmoid()  # type: ignore[misc]
    if before is None:
        return float(1 - (said - shown.float()).square().sum() / shown.sum().clamp(min=1))
    changed = before ^ shown
    moved = changed.sum((1, 2)) >= FEWEST
    counted = (before | shown) & moved[:, None, None]
    error = ((said - shown.float()).square() * counted).sum()
    return float(1 - error / (changed & counted).sum().clamp(min=1))


def object_still(
    model: DexWMModel, first: Tensor, states: Tensor, before: Tensor, shown: Tensor
) -> float | None:
    """Return how well the model keeps objects where none moves: 1 is perfect, 0 as a bad copy.

    It is 1 minus the squared error of predicted states over the number of pixels that show an
    object, less that of reading the first frame, over frames in which fewer than ``FEWEST`` pixels
    changed. A model that moves whatever the hand is near falls far below 1.

    Args:
        model: Has an object map.
        first: True states of the first frame ``(B, P, C)``.
        states: Predicted ones ``(B, P, C)``.
        before: Whether pixels show an object in the first frame ``(B, 112, 196)`` bool.
        shown: The same at the predicted time.

    Returns:
        None if something moves in every frame.
    """
    still = (before ^ shown).sum((1, 2)) < FEWEST
    if not still.any():
        return None
    truth = shown[still].float()
    error, read = (
        (model.objects(latent[still]).sigmoid() - truth).square().sum()  # type: ignore[misc]
        for latent in (states, first)
    )
    return float(1 - (error - read) / truth.sum().clamp(min=1))


@torch.no_grad()
def validate(
    model: DexWMModel, clips: Clips, masks: ObjectMasks | None, predict: bool, windows: int
) -> dict[str, float]:
    """Measure the model on held-out episodes, at gaps of 2 s or the longest of which three fit.

    Returns:
        Of true states: ``latent_std`` (over frames, of each latent number: 0 means collapse),
        ``pck20``, ``pck20_paper``, ``pixel_error`` (px at 224x392), ``point_error_m``. If
        ``predict``, for k = 1, 2, 3 steps rolled out from one frame: ``ratio_k`` (latent error over
        that of copying the first frame), ``pck20_k``, ``pck20_paper_k``, ``pixel_error_k`` and
        ``point_error_m_k``; ``copy_pck20_k`` and ``copy_pck20_paper_k``. With ``masks`` also
        ``object_skill``, of true states against "there are none", ``object_skill_k`` of objects
        that have moved, ``object_seen_k`` of the true state in place of the predicted one, and
        ``object_still_k`` of those that have not moved.
    """
    param = next(model.parameters())
    draw = rng("dexwm", "validation")
    index = clips.windows(draw, windows, validation=True, planner_share=1.0)
    hands = hands_at(clips, index, param.device)
    points, known = hands.points, hands.known
    images = torch.from_numpy(clips.frames[index.reshape(-1)]).to(param.device)
    states = torch.cat([model.encoder(part) for part in images.split(64)])
    result = {"latent_std": float(states.float().std(0).mean())}
    result |= keypoint_metrics(model, states, points.flatten(0, 1), known.flatten(0, 1))
    if not predict:
        return result
    states = states.unflatten(0, index.shape)
    shown = None if masks is None else torch.from_numpy(masks[index]).to(param.device)
    if model.objects is not None and shown is not None:
        result["object_skill"] = object_skill(model, states[:, 0], shown[:, 0])
    actions = placed_actions(model, hands)
    predicted = torch.cat(
        [
            model.rollout(model.predictor.encode_history(s[:, :1]), s[:, 0], a)
            for s, a in zip(states.split(32), actions.split(32), strict=True)
        ]
    )
    for step in range(1, WINDOW):
        error = (predicted[:, step - 1] - states[:, step]).float().square().mean()
        copy = (states[:, 0] - states[:, step]).float().square().mean()
        result[f"ratio_{step}"] = float(error / copy.clamp(min=1e-9))
        truth = points[:, step], known[:, step]
        metrics = keypoint_metrics(model, predicted[:, step - 1], *truth)
        result |= {f"{name}_{step}": value for name, value in metrics.items()}
        if model.objects is not None and shown is not None:
            skill = object_skill(model, predicted[:, step - 1], shown[:, step], shown[:, 0])
            result[f"object_skill_{step}"] = skill
            seen = object_skill(model, states[:, step], shown[:, step], shown[:, 0])
            result[f"object_seen_{step}"] = seen
            kept = predicted[:, step - 1], shown[:, 0], shown[:, step]
            if (still := object_still(model, states[:, 0], *kept)) is not None:
                result[f"object_still_{step}"] = still
        copied = keypoint_metrics(model, states[:, 0], *truth)
        for name in ("pck20", "pck20_paper"):
            result[f"copy_{name}_{step}"] = copied[name]
    return result
