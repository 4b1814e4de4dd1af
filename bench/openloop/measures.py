"""What is measured of predicted latent states, clip by clip.

Every measure is a pair of arrays: what is counted, and of how many. A table divides their sums.
"""

from collections.abc import Mapping

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from dexbench.agents.dexwm.model.keypoint_maps import Keypoints, project
from dexbench.agents.dexwm.readout.layers import Readout
from dexbench.data_collection.store.masks import ROBOT
from dexbench.envs.embodiment.keypoints import N_DISTINCT, WRIST, WRIST_AND_TIPS

from .clips import Clips, Objects

THRESHOLDS = (2.5, 5, 10, 20)
"""Of PCK, in px of the 224x392 picture."""
TOLERANCE = 0.4
"""Seconds by which a predicted first contact may differ from the true one."""

Pair = tuple[NDArray[np.float64], NDArray[np.float64]]
"""What is counted and of how many, ``(clips, steps)`` each; one step where only the whole counts"""
Measured = dict[str, Pair]


def measure(
    predicted: Tensor, true: Tensor, clips: Clips, part: slice, readout: Readout | None
) -> Measured:
    """Return every measure of some windows' predictions.

    Args:
        predicted: Latent states ``(B, T, P, C)``.
        true: Those of the true frames.
        clips: All windows.
        part: Which of them these are.
        readout: The layers; None measures latents alone.
    """
    found = latent_error(predicted, true)
    if readout is None:
        return found
    flat, shape = predicted.flatten(0, 1), predicted.shape[:2]
    points, known = (
        torch.from_numpy(values[part, 1:]).to(flat.device).flatten(0, 1)
        for values in (clips.points, clips.known)
    )
    found |= hands_error(flat, points, known, readout, shape)
    if readout.objects is not None and clips.objects is not None:
        masks, touching = readout.objects.read(flat)
        shown = masks.sigmoid().unflatten(0, shape).cpu().numpy()
        found["object_error"] = object_error(shown, clips.objects, part)
        touches = (touching > 0).unflatten(0, shape).cpu().numpy()
        found["contact_f1"] = contact_onset(touches, clips.objects, part, clips.interval)
    return found


def latent_error(predicted: Tensor, true: Tensor) -> Measured:
    """Root mean square and mean absolute error over all numbers of states ``(B, T, P, C)``."""
    error = (predicted - true).float()
    one = np.ones(error.shape[:2])
    return {
        "latent_l2": (_numpy(error.square().mean((-1, -2)).sqrt()), one),
        "latent_l1": (_numpy(error.abs().mean((-1, -2))), one),
    }


def hand_error(states: Tensor, keypoints: Tensor, readout: Readout, shape: torch.Size) -> Measured:
    """Return PCK of wrist and tips, and mean distances of visible keypoints in cm.

    ``hand_cm`` is in space; ``grip_cm`` is about the wrist: whether the fingers are as they should.

    Args:
        states: Latent states ``(B * T, P, C)``.
        keypoints: True ones of the right hand, ``(B * T, 21, 3)`` in m, camera frame.
        readout: The layers.
        shape: B and T.
    """
    known = torch.ones_like(keypoints[..., 0], dtype=torch.bool)
    return _in_shape(_of_hand(readout.keypoints(states), keypoints, known), shape)


def hands_error(
    states: Tensor, points: Tensor, known: Tensor, readout: Readout, shape: torch.Size
) -> Measured:
    """Return the same of all hands that the layers read, together.

    Args:
        states: Latent states ``(B * T, P, C)``.
        points: True keypoints ``(B * T, 2, 21, 3)``, left hand first; zeros where one is absent.
        known: ``(B * T, 2, 21)`` bool; others do not count as visible.
        readout: The layers.
        shape: B and T.
    """
    parts = [
        _of_hand(answer, points[:, side], known[:, side])
        for side, answer in readout.keypoints.hands(states).items()
    ]
    found = {
        name: (np.sum([part[name][0] for part in parts], 0), np.sum([p[name][1] for p in parts], 0))
        for name in parts[0]
    }
    return _in_shape(found, shape)


def _of_hand(answer: Keypoints, keypoints: Tensor, known: Tensor) -> Measured:
    """Measure one hand's keypoints ``(B * T, 21, 3)``; every array is ``(B * T,)``."""
    truth = keypoints[:, :N_DISTINCT]
    pixels, inside = project(truth)
    visible = inside & known[:, :N_DISTINCT]
    chosen = list(WRIST_AND_TIPS)
    apart, seen = (answer.pixels - pixels).norm(dim=-1)[:, chosen], visible[:, chosen]
    found: Measured = {}
    total = _numpy(seen.sum(-1))
    all_of_them = len(chosen) * _numpy(keypoints.flatten(1).any(-1))
    for threshold in THRESHOLDS:
        close = _numpy(((apart < threshold) & seen).sum(-1))
        found[f"pck{threshold:g}"] = close, total
        found[f"pck{threshold:g}_all"] = close, all_of_them
    off = 100 * (answer.points() - truth)
    about_wrist = off - off[:, WRIST : WRIST + 1]
    with_wrist = visible & visible[:, WRIST : WRIST + 1]
    for name, error, counted in (("hand", off, visible), ("grip", about_wrist, with_wrist)):
        distance = error.norm(dim=-1) * counted
        found[f"{name}_cm"] = _numpy(distance.sum(-1)), _numpy(counted.sum(-1))
    return found


def _in_shape(found: Measured, shape: torch.Size) -> Measured:
    return {name: (top.reshape(shape), of.reshape(shape)) for name, (top, of) in found.items()}


def object_error(shown: NDArray[np.float32], objects: Objects, clips: slice) -> Pair:
    """Squared error of what pixels show, where an object moved.

    The pixels are those where a moved object was in the first frame or is now, but not those that
    show the robot now: the hand alone would tell about them.

    Args:
        shown: Probability of each pixel to show any object, ``(B, T, 112, 196)``.
        objects: The truth.
        clips: Which of its windows these are.

    Returns:
        The mean over those pixels, and 1; both 0 where nothing has moved.
    """
    masks, moved = objects.masks[clips], objects.moved[clips]
    errors, counted = np.zeros((2, *shown.shape[:2]))
    for clip, step in np.argwhere(moved[:, 1:].any(-1)):
        names = 1 + np.flatnonzero(moved[clip, step + 1])
        first, now = masks[clip, 0], masks[clip, step + 1]
        pixels = (np.isin(first, names) | np.isin(now, names)) & (now != ROBOT)
        if pixels.any():
            off = shown[clip, step][pixels] - (now > 0)[pixels]
            errors[clip, step], counted[clip, step] = np.square(off).mean(), 1
    return errors, counted


def contact_onset(
    touches: NDArray[np.bool_], objects: Objects, clips: slice, interval: float
) -> Pair:
    """F1 of when the hand first touches an object, over clips that begin without contact.

    Args:
        touches: Predicted, ``(B, T)``.
        objects: The truth.
        clips: Which of its windows these are.
        interval: Seconds between steps.

    Returns:
        Twice the true positives, and that plus false positives and false negatives; ``(B, 1)``. A
        first contact that is more than ``TOLERANCE`` off is both of the latter.
    """
    truth = objects.contact[clips]
    tops, bottoms = np.zeros((2, len(touches), 1))
    for clip, row in enumerate(touches):
        if truth[clip, 0]:
            continue
        said, was = (
            int(steps.argmax()) if steps.any() else None for steps in (row, truth[clip, 1:])
        )
        near = None not in (said, was) and abs(said - was) * interval <= TOLERANCE + 1e-9  # type: ignore[operator]
        tops[clip] = 2 * near
        bottoms[clip] = (said is not None) + (was is not None)
    return tops, bottoms


def object_skills(measured: Mapping[str, Measured]) -> None:
    """Turn each source's ``object_error`` into ``object_skill``, against the source "copy".

    It is 1 minus the error over that of copying, which says that objects stay: 1 is perfect, 0 is
    no better than that.
    """
    if "object_error" not in measured["copy"]:
        return
    stays, _ = measured["copy"]["object_error"]
    for found in measured.values():
        error, _ = found.pop("object_error")
        found["object_skill"] = stays - error, stays


def join(parts: list[Measured]) -> Measured:
    """Put the measures of batches one after the other."""
    return {
        name: (
            np.concatenate([part[name][0] for part in parts]),
            np.concatenate([part[name][1] for part in parts]),
        )
        for name in parts[0]
    }


def _numpy(values: Tensor) -> NDArray[np.float64]:
    array: NDArray[np.float64] = values.double().cpu().numpy()
    return array
