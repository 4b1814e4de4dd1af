"""Action transfer: what a reference clip's actions do in another kitchen (paper Figure 9).

The truth is simulated: the other kitchen as one of its clips begins, but with the robot at rest in
the reference's posture, playing the reference's joint targets. It is kept beside the set.
"""

from typing import Any

import h5py
import numpy as np
from numpy.typing import NDArray

from dexbench.data_collection.sets.info import MOVED
from dexbench.data_collection.store.masks import SIZE, geom_labels
from dexbench.envs.motion.collision import stuck
from dexbench.envs.rendering import HeadCamera
from dexbench.envs.simulation import Simulation
from dexbench.utils.errors import UserError
from dexbench.utils.progress import track
from dexbench.utils.video import downsample

from .clips import MOST_OBJECTS, Clips, Objects, offsets_of, robot_clips
from .kept import keep, kept, place
from .scenes import Scenes
from .windows import Windows


def transfer_clips(windows: Windows, interval: float, size: tuple[int, int]) -> Clips:
    """Return the windows' actions in other kitchens; simulate and draw what is not kept yet.

    A window whose hand would stand inside something there is left out.

    Args:
        windows: The references. The kitchen is that of the next window in another scene.
        interval: Seconds between frames.
        size: Height and width of the pictures in px.

    Raises:
        UserError: As ``read_clips``; all windows are in one scene; fewer than two are left; or
            nothing can be written beside the set.
    """
    offsets = offsets_of(windows, interval)
    others = _others(windows)
    facts = [[row["h5"], start] for row, start in zip(windows.rows, windows.starts, strict=True)]
    paths = [
        place(windows.store.root, ["transfer", *facts[own], *facts[other], offsets.tolist()])
        for own, other in enumerate(others)
    ]
    missing = [own for own, path in enumerate(paths) if not path.is_file()]
    missing.sort(key=lambda own: str(windows.rows[others[own]]["model"]))
    if missing:
        scenes = Scenes(windows.store)
        try:
            for own in track(missing, "transferring", unit="clip"):
                row, start = windows.rows[others[own]], windows.starts[others[own]]
                reference = _reference(windows, own, offsets)
                made = _play(scenes.load(row), scenes.state(row, start), reference, offsets)
                keep(paths[own], *made)
        finally:
            scenes.close()
    images, told, found = [], [], []
    for own, path in enumerate(paths):
        pictures, arrays = kept(path)
        if arrays["valid"]:
            images.append(downsample(pictures, size))
            told.append(_reference(windows, own, offsets)["keypoints"])
            found.append(arrays)
    if len(found) < 2:
        raise UserError(
            f"{windows.store.root}: {len(found)} of {len(paths)} windows can be played in another "
            "kitchen, expected two or more; take more --windows, or leave out --transfer"
        )
    masks, keypoints, contact, places = (
        np.stack([arrays[name] for arrays in found])
        for name in ("masks", "keypoints", "contact", "places")
    )
    away = np.linalg.norm(places - places[:, :1], axis=-1)
    objects = Objects(masks, away >= MOVED, contact)
    return robot_clips(interval, np.stack(images), keypoints, np.stack(told), objects)


def _others(windows: Windows) -> list[int]:
    """Return which window each one's actions are played in: the next in another scene.

    Raises:
        UserError: There is one scene only.
    """
    models = [row["model"] for row in windows.rows]
    if len(set(models)) < 2:
        raise UserError(
            f"all windows of {windows.store.root} are in one scene, and --transfer needs another; "
            "take more --windows, or a set of more scenes"
        )
    count = len(models)
    ahead = [[(own + step) % count for step in range(1, count)] for own in range(count)]
    return [
        next(other for other in after if models[other] != models[own])
        for own, after in enumerate(ahead)
    ]


def _reference(windows: Windows, own: int, offsets: NDArray[np.int64]) -> dict[str, NDArray[Any]]:
    """Return a window's first posture ``joints``, its joint ``targets`` and its ``keypoints``."""
    start = windows.starts[own]
    path = windows.store.file(windows.rows[own], "h5")
    try:
        with h5py.File(path) as file:
            return {
                "joints": file["agent_pos"][start].astype(np.float64),
                "targets": file["action"][start : start + offsets[-1]],
                "keypoints": file["keypoints"][()][start + offsets],
            }
    except (OSError, KeyError, ValueError, IndexError) as error:
        raise windows.store.damaged(path, error) from error


def _play(
    simulation: Simulation,
    state: NDArray[np.float64],
    reference: dict[str, NDArray[Any]],
    offsets: NDArray[np.int64],
) -> tuple[list[NDArray[np.uint8]], dict[str, NDArray[Any]]]:
    """Return a picture of each frame, and what ``Clips`` need to know of it."""
    frames = len(offsets)
    pictures: list[NDArray[np.uint8]] = [np.zeros((*simulation.size, 3), np.uint8)] * frames
    arrays: dict[str, NDArray[Any]] = {
        "keypoints": np.zeros((frames, 21, 3), np.float32),
        "masks": np.zeros((frames, *SIZE), np.int8),
        "places": np.full((frames, MOST_OBJECTS, 3), np.nan),
        "contact": np.zeros(frames, np.bool_),
        "valid": np.array(False),
    }
    simulation.set_state(state)
    simulation.set_joints(reference["joints"])
    if stuck(simulation):
        return pictures, arrays
    labels = geom_labels(simulation.model, simulation.objects)
    camera = HeadCamera(simulation.model, *SIZE)
    try:
        for frame, (before, now) in enumerate(zip([0, *offsets], offsets, strict=False)):
            for target in reference["targets"][before:now]:
                simulation.step(target)
            pictures[frame] = simulation.render()
            arrays["masks"][frame] = labels[camera.segment(simulation.data)]
            arrays["keypoints"][frame] = simulation.keypoints_camera
            arrays["contact"][frame] = simulation.hand_touches()
            for number, name in enumerate(simulation.objects[:MOST_OBJECTS]):
                arrays["places"][frame, number] = simulation.object_position(name)
        arrays["valid"] = np.array(True)
    except FloatingPointError:
        pass  # a future that diverges is no truth
    finally:
        camera.close()
    return pictures, arrays
