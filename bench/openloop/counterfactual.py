"""Whether a world model tells one future from another, against futures that were all simulated.

From each stored state eight futures are predicted. Measured are the differences of every two of
them; how far the hand is seen to go when it is told to go straight (paper Figure 7); and what is
made of each kind by itself. All stands beside floors and a ceiling, as in ``evaluate``.
"""

from collections.abc import Iterator, Sequence
from itertools import combinations

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from dexbench.agents.dexwm.model.keypoint_maps import project
from dexbench.agents.dexwm.model.unroll import unroll
from dexbench.agents.dexwm.model.world_model import DexWMModel
from dexbench.agents.dexwm.readout.layers import Readout
from dexbench.agents.learning.hand_way import straight
from dexbench.data_collection.sets.info import MOVED
from dexbench.data_collection.store.masks import ROBOT
from dexbench.envs.embodiment.keypoints import N_DISTINCT
from dexbench.envs.embodiment.robot import CONTROL_HZ
from dexbench.utils.errors import UserError
from dexbench.utils.progress import track

from .clips import Clips, Objects
from .futures import EVERY, FRAMES, HAND, Futures, read_futures
from .measures import Measured, hand_error, join, object_error
from .motions import CLOSE, DIRECTIONS, KINDS
from .shown import PAIRS
from .windows import Windows

SOURCES = ("model", "copy", "shuffled", "truth")
"""As in ``evaluate``; shuffled predictions are those of the next kind."""
SECONDS = [round(float(step) / CONTROL_HZ, 3) for step in FRAMES[1:]]
"""When futures are compared."""
LEAST = 0.01
"""A hand that has gone less than this, in m, has no direction."""


def check_interval(interval: float) -> None:
    """Raise UserError if frames so many seconds apart miss the futures' pictures."""
    parts = EVERY / interval
    if round(parts) < 1 or abs(parts - round(parts)) > 1e-6:
        raise UserError(
            f"--counterfactual compares futures each {EVERY:g} s, of which --interval "
            f"{interval:g} is no whole part; choose 0.2 or 0.4"
        )


@torch.no_grad()
def counterfactual(
    model: DexWMModel, windows: Windows, clips: Clips, readout: Readout | None, label: str
) -> dict[str, dict[str, Measured]]:
    """Return the measures of ``PAIRS`` and of each kind, by source.

    Args:
        model: In float32.
        windows: Whose futures have been simulated.
        clips: The same windows, for their first pictures and for the interval.
        readout: Layers of the model's encoder; None compares latents alone.
        label: Of the progress bar.

    Raises:
        UserError: A file of futures is damaged.
    """
    gap, every = round(clips.interval * CONTROL_HZ), round(EVERY * CONTROL_HZ)
    parts: dict[str, dict[str, list[Measured]]] = {
        kind: {source: [] for source in SOURCES} for kind in (PAIRS, *KINDS)
    }
    device = next(model.parameters()).device
    futures = read_futures(windows, model.config.image_size)
    count = len(windows.rows)
    for number, future in enumerate(track(futures, label, count, unit="window")):
        images = torch.from_numpy(future.images).to(device)
        true = model.encoder(images.flatten(0, 1)).unflatten(0, images.shape[:2])
        first = model.encoder(torch.from_numpy(clips.images[number, :1]).to(device))
        hands = torch.from_numpy(future.keypoints[:, ::gap]).to(device)
        begin = first.expand(len(KINDS), -1, -1, -1)
        actions = model.action(straight(hands[:, :-1], hands[:, 1:]))
        predicted = unroll(model, begin, actions)[:, every // gap - 1 :: every // gap]
        states = {
            "model": predicted,
            "copy": begin.expand_as(true),
            "shuffled": predicted.roll(-1, 0),
            "truth": true,
        }
        for source, said in states.items():
            parts[PAIRS][source].append(pair_measures(said, true, future, model.config.grid))
            if readout is not None:
                for kind, found in kind_measures(said, first, future, readout).items():
                    parts[kind][source].append(found)
    return {
        kind: {source: join(found) for source, found in sources.items()}
        for kind, sources in parts.items()
        if sources[SOURCES[0]]
    }


def pair_measures(said: Tensor, true: Tensor, future: Futures, grid: tuple[int, int]) -> Measured:
    """Compare the difference of every two futures' latent states with the true difference.

    Args:
        said: Predicted states ``(K, T, P, C)``.
        true: True ones.
        future: The window's futures.
        grid: Rows and columns of tokens.

    Returns:
        For the hand's region and the objects' the cosine (mean over pairs) and the slope of
        predicted on true (through 0, over all pairs); ``(1, T)`` each. 1 is perfect.
    """
    found: Measured = {
        f"{region}_{measure}": (np.zeros((1, true.shape[1])), np.zeros((1, true.shape[1])))
        for region in ("hand", "object")
        for measure in ("cosine", "slope")
    }
    for first, second in combinations(np.flatnonzero(future.valid), 2):
        wanted, got = true[first] - true[second], said[first] - said[second]
        for step in range(true.shape[1]):
            for region, tokens in _regions(future, first, second, step + 1, grid):
                if not tokens.any():
                    continue
                index = torch.from_numpy(tokens).to(true.device)
                there, here = wanted[step, index].double(), got[step, index].double()
                along, of = float((here * there).sum()), float(there.square().sum())
                lengths = float(here.norm()) * of**0.5
                for measure, top, bottom in (
                    ("cosine", along / lengths if lengths else 0.0, 1.0),
                    ("slope", along, of),
                ):
                    tops, bottoms = found[f"{region}_{measure}"]
                    tops[0, step] += top
                    bottoms[0, step] += bottom
    return found


def _regions(
    future: Futures, first: int, second: int, frame: int, grid: tuple[int, int]
) -> Iterator[tuple[str, NDArray[np.bool_]]]:
    """Yield the regions of two futures and which tokens (P,) belong to them.

    The hand's shows the hand in either. The objects' shows, in either, an object that is in two
    places 3 cm or more apart, and the robot in none: the hand alone would explain that.
    """
    masks = future.masks[[first, second], frame]
    apart = future.places[first, frame] - future.places[second, frame]
    moved = 1 + np.flatnonzero(np.linalg.norm(apart, axis=-1) >= MOVED)
    yield "hand", _tokens((masks == HAND).any(0), grid)
    objects, robot = np.isin(masks, moved).any(0), (masks <= ROBOT).any(0)
    yield "object", _tokens(objects, grid) & ~_tokens(robot, grid)


def _tokens(pixels: NDArray[np.bool_], grid: tuple[int, int]) -> NDArray[np.bool_]:
    """Return which tokens (P,) have any of some pixels (112, 196)."""
    rows, columns = (
        -(-np.arange(count) * size // count) for count, size in zip(grid, pixels.shape, strict=True)
    )
    within = np.logical_or.reduceat(np.logical_or.reduceat(pixels, rows, 0), columns, 1)
    return np.array(within.ravel())


def kind_measures(
    said: Tensor, first: Tensor, future: Futures, readout: Readout
) -> dict[str, Measured]:
    """Measure each kind of future by itself, ``(1, T)`` each.

    Args:
        said: Predicted states ``(K, T, P, C)``.
        first: The true first state ``(1, P, C)``.
        future: The window's futures.
        readout: The layers.

    Returns:
        By kind: PCK and hand error as in ``measures``; of the six directions the slope of the way
        that the hand is seen to have gone on the way that it was told, and their cosine; the
        squared error on pixels that show an object, first or now, and not the robot; and the share
        of steps at which contact is said wrongly. Nothing counts of a future that is not there, nor
        of a hand that closes on something.
    """
    flat, shape = said.flatten(0, 1), said.shape[:2]
    keypoints = torch.from_numpy(future.keypoints[:, FRAMES]).to(flat.device)
    found = hand_error(flat, keypoints[:, 1:].flatten(0, 1), readout, shape)
    points = readout.keypoints(torch.cat([first, flat])).points()
    way = points[1:].unflatten(0, shape) - points[:1]
    slope, cosine = _ways(way, keypoints[:, :, :N_DISTINCT])
    if readout.objects is not None:
        masks, touching = readout.objects.read(flat)
        shown = masks.sigmoid().unflatten(0, shape).cpu().numpy()
        there = np.isfinite(future.places[..., 0])
        truth = Objects(np.maximum(future.masks, ROBOT), there, future.contact)
        found["object_error"] = object_error(shown, truth, slice(None))
        touches = (touching > 0).unflatten(0, shape).cpu().numpy()
        wrong = touches != future.contact[:, FRAMES[1:]]
        found["contact_error"] = wrong.astype(np.float64), np.ones(shape)
    by_kind: dict[str, Measured] = {}
    for number, kind in enumerate(KINDS):
        counts = future.valid[number] and not (kind == CLOSE and future.contact[number].any())
        every = found | ({"way_slope": slope, "way_cosine": cosine} if kind in DIRECTIONS else {})
        by_kind[kind] = {
            name: (counts * top[number : number + 1], counts * of[number : number + 1])
            for name, (top, of) in every.items()
        }
    return by_kind


def _ways(said: Tensor, keypoints: Tensor) -> Sequence[tuple[NDArray[np.float64], ...]]:
    """Return slope and cosine of the hand's way, mean over keypoints that are visible all along.

    Args:
        said: What the keypoints are seen to have moved, ``(K, T, 17, 3)`` in m.
        keypoints: Where they are, ``(K, T + 1, 17, 3)``, camera frame.
    """
    _, visible = project(keypoints)
    both = (visible[:, 1:] & visible[:, :1]).double()[..., None]
    count = both.sum(-2)
    seen, told = (
        ((moved.double() * both).sum(-2) / count.clamp(min=1)).cpu().numpy()
        for moved in (said, keypoints[:, 1:] - keypoints[:, :1])
    )
    along, of = (seen * told).sum(-1), np.square(told).sum(-1)
    lengths = np.linalg.norm(seen, axis=-1) * np.sqrt(of)
    far = (of >= LEAST**2).astype(np.float64)
    cosine = np.divide(along, lengths, out=np.zeros_like(along), where=lengths > 0)
    return (along, of), (far * cosine, far)
