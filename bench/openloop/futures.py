"""What comes of each of the eight motions, from the stored states that windows begin with.

All are simulated, and kept beside the set (``kept``), one pair of files a window.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from dexbench.data_collection.store.masks import SIZE, geom_labels
from dexbench.envs.embodiment.robot import CONTROL_HZ
from dexbench.envs.rendering import HeadCamera
from dexbench.envs.rollouts import Rollouts
from dexbench.envs.simulation import Simulation
from dexbench.utils.progress import track
from dexbench.utils.seeding import rng
from dexbench.utils.video import downsample

from .clips import MOST_OBJECTS
from .kept import keep, kept, place
from .motions import KINDS, STEPS, motions
from .scenes import Scenes
from .windows import Windows

EVERY = 0.8
"""Seconds between the pictures of a future."""
FRAMES = np.arange(0, STEPS + 1, round(EVERY * CONTROL_HZ))
"""Which control steps are pictured; the first, 0, is the stored state's and only has a mask."""
HAND = -2
"""What a mask holds where it shows the hand; ``masks.ROBOT`` is the rest of the robot."""


@dataclass(frozen=True)
class Futures:
    """The K futures of one window, at T + 1 frames of which the first is the state itself."""

    images: NDArray[np.uint8]
    """``(K, T, H, W, 3)``."""
    keypoints: NDArray[np.float32]
    """``(K, 41, 21, 3)`` the hand's in m, camera frame, after each control step."""
    masks: NDArray[np.int8]
    """``(K, T + 1, 112, 196)`` as ``object_masks`` says, and ``HAND``."""
    places: NDArray[np.float64]
    """``(K, T + 1, 8, 3)`` of the objects in m, base frame; not a number where there is none."""
    contact: NDArray[np.bool_]
    """``(K, 41)`` whether the hand touches an object."""
    valid: NDArray[np.bool_]
    """``(K,)``; False where no motion was found or the simulation diverged."""


def simulate(windows: Windows) -> None:
    """Simulate and draw the futures of all windows that are not kept yet.

    Raises:
        UserError: The set is slim or damaged, was recorded with other assets, or nothing can be
            written beside it.
    """
    missing = [
        (row, start)
        for row, start in zip(windows.rows, windows.starts, strict=True)
        if not _place(windows, row, start).is_file()
    ]
    if not missing:
        return
    scenes = Scenes(windows.store)
    missing.sort(key=lambda window: str(window[0]["model"]))
    try:
        for row, start in track(missing, "simulating", unit="window"):
            stream = rng("openloop", "futures", row["id"], start)
            pictures, arrays = _play(scenes.load(row), scenes.state(row, start), stream)
            keep(_place(windows, row, start), pictures, arrays)
    finally:
        scenes.close()


def read_futures(windows: Windows, size: tuple[int, int]) -> Iterator[Futures]:
    """Yield each window's futures, which ``simulate`` has made.

    Args:
        windows: Which.
        size: Height and width of the pictures in px.

    Raises:
        UserError: A file is damaged, or pictures are no whole multiple of ``size``.
    """
    for row, start in zip(windows.rows, windows.starts, strict=True):
        pictures, arrays = kept(_place(windows, row, start))
        frames = pictures.reshape(len(KINDS), len(FRAMES) - 1, *pictures.shape[1:])
        yield Futures(images=downsample(frames, size), **arrays)


def _place(windows: Windows, row: dict[str, Any], start: int) -> Path:
    """Return where a window's futures are kept."""
    return place(windows.store.root, ["futures", row["h5"], row["model"], start])


def _play(
    simulation: Simulation, state: NDArray[np.float64], stream: np.random.Generator
) -> tuple[list[NDArray[np.uint8]], dict[str, NDArray[Any]]]:
    """Return the pictures of all kinds, one after the other, and the arrays of ``Futures``."""
    simulation.set_state(state)
    targets = motions(simulation, stream)
    played = {kind: rows for kind, rows in targets.items() if rows is not None}
    results = Rollouts(simulation).play(state, list(played.values()), _watch)
    seen = dict(zip(played, results, strict=True))
    labels = geom_labels(simulation.model, simulation.objects)
    labels[:-1][simulation.hand_geoms] = HAND
    count, frames = len(KINDS), len(FRAMES)
    pictures = [np.zeros((*simulation.size, 3), np.uint8)] * (count * (frames - 1))
    arrays: dict[str, NDArray[Any]] = {
        "keypoints": np.zeros((count, STEPS + 1, 21, 3), np.float32),
        "masks": np.zeros((count, frames, *SIZE), np.int8),
        "places": np.full((count, frames, MOST_OBJECTS, 3), np.nan),
        "contact": np.zeros((count, STEPS + 1), np.bool_),
        "valid": np.array([seen.get(kind) is not None for kind in KINDS]),
    }
    camera = HeadCamera(simulation.model, *SIZE)
    try:
        for number, kind in enumerate(KINDS):
            came = seen.get(kind)
            if came is None:
                continue
            simulation.set_state(state)
            steps = [_look(simulation), *came]
            arrays["keypoints"][number] = [step["keypoints"] for step in steps]
            arrays["contact"][number] = [step["contact"] for step in steps]
            for frame, step in enumerate(steps[at] for at in FRAMES):
                simulation.set_state(step["state"])
                arrays["masks"][number, frame] = labels[camera.segment(simulation.data)]
                places = step["places"][:MOST_OBJECTS]
                arrays["places"][number, frame, : len(places)] = places
                if frame:
                    pictures[number * (frames - 1) + frame - 1] = simulation.render()
    finally:
        camera.close()
    return pictures, arrays


def _watch(states: Iterator[Simulation]) -> list[dict[str, Any]]:
    """Note what comes of a rollout, step by step."""
    return [_look(simulation) for simulation in states]


def _look(simulation: Simulation) -> dict[str, Any]:
    """Note what a frame of ``Futures`` needs."""
    return {
        "state": simulation.get_state(),
        "keypoints": simulation.keypoints_camera,
        "contact": simulation.hand_touches(),
        "places": np.array([simulation.object_position(name) for name in simulation.objects]),
    }
