"""What a set covers, measured from its stored joints, keypoints, objects and contacts.

Positions are in the robot's base frame: x forward, y left, z up, in m.
"""

import json
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import h5py
import numpy as np
from numpy.typing import NDArray

from dexbench.data_collection.readers.clip import ClipFacts
from dexbench.data_collection.readers.index import Index
from dexbench.data_collection.sets.info import MOVED, displacement
from dexbench.data_collection.store.store import EpisodeStore
from dexbench.envs.embodiment.camera import HEIGHT, WIDTH, camera_to_base, project
from dexbench.envs.embodiment.keypoints import ARM_JOINTS, HAND_JOINTS, WRIST_AND_TIPS
from dexbench.envs.embodiment.robot import CONTROL_HZ
from dexbench.envs.scenes.layouts import COUNTER_HEIGHT
from dexbench.envs.scenes.objects import category_of
from dexbench.envs.scenes.recipe import BASE_HEIGHT, COUNTER_FRONT
from dexbench.envs.tasks.grasp import Grasp
from dexbench.envs.trial import HELD_STEPS
from dexbench.utils.progress import track

COUNTER_TOP = COUNTER_HEIGHT - BASE_HEIGHT
"""Height of the counter's top above the base frame, in m."""
CELL = 0.05
"""Edge in m of the cells that visited places are counted in."""


@dataclass(frozen=True)
class Clip:
    """What is measured of a clip of T frames."""

    kind: str
    scene: int
    layout: str | None
    style: str | None
    categories: tuple[str, ...]
    """Of the objects in the scene."""
    joints: NDArray[np.float32]
    """Achieved joint angles (T, 23) in rad."""
    error: NDArray[np.float32]
    """Commanded minus achieved (T - 1, 23) in rad, at the end of each control step."""
    points: NDArray[np.float32]
    """Wrist and fingertips (T, 5, 3) in m."""
    in_view: NDArray[np.bool_]
    """Whether all five are within the head camera's picture, (T,) bool."""
    contact: NDArray[np.bool_]
    """Whether the hand touches any object, (T,) bool."""
    near: NDArray[np.bool_]
    """Whether the wrist is within the grasp task's threshold of any object, (T,) bool."""
    lifted: bool
    moved: bool
    """Whether an object gets 3 cm from where it began."""


@dataclass(frozen=True)
class Coverage:
    """What was measured of a set of robot episodes."""

    clips: Sequence[Clip]
    """Those that were measured."""
    hz: float = CONTROL_HZ
    """Their frames a second."""

    def stack(self, get: Callable[[Clip], NDArray[Any]]) -> NDArray[Any]:
        """Return an array of every clip, one after the other."""
        return np.concatenate([get(clip) for clip in self.clips])

    def scenes(self, get: Callable[[Clip], Sequence[str | None]]) -> dict[str, int]:
        """In how many of the measured clips' scenes each of the named things is."""
        firsts = {clip.scene: clip for clip in reversed(self.clips)}
        return Counter(name for clip in firsts.values() for name in set(get(clip)) if name)


@dataclass(frozen=True)
class Rates:
    """Contacts in the clips of one kind; shares of clips, but for `contact`."""

    kind: str
    clips: int
    contact: float
    """Share of frames in which the hand touches an object."""
    touched: float
    """Shares of clips in which it does so at least once,"""
    loose: float
    """with the wrist within 20 cm of an object meanwhile,"""
    held: float
    """for 1 s on end, which is the paper's grasp,"""
    lifted: float
    """in which an object rises by 5 cm while the hand touches one,"""
    moved: float
    """and in which an object gets 3 cm from where it began."""


def measure(store: EpisodeStore, clips: Sequence[ClipFacts], name: str) -> Coverage:
    """Measure episodes of a set.

    Args:
        store: The set.
        clips: Which of its episodes.
        name: What to call it on the progress bar.

    Raises:
        UserError: The set is damaged.
    """
    rows = {f"{row['id']:06d}": row for row in store.rows()}
    chosen = track(clips, label=name, unit="clip")
    return Coverage([_clip(store, rows[clip.name]) for clip in chosen], store.info["control_hz"])


def spread(index: Index, most: int) -> list[ClipFacts]:
    """At most so many clips, spread evenly over the set and over its kinds of clips."""
    by_kind = sorted(index.clips, key=lambda clip: clip.text)
    picked = np.unique(np.linspace(0, len(by_kind) - 1, most).round().astype(int))
    return [by_kind[i] for i in picked]


def rates(coverage: Coverage) -> list[Rates]:
    """Return contacts by kind of clip, in the order of the kinds' names."""
    by_kind = []
    for kind in sorted({clip.kind for clip in coverage.clips}):
        clips = [clip for clip in coverage.clips if clip.kind == kind]
        grasps = [clip.contact & clip.near for clip in clips]
        by_kind.append(
            Rates(
                kind,
                len(clips),
                float(np.concatenate([clip.contact for clip in clips]).mean()),
                float(np.mean([clip.contact.any() for clip in clips])),
                float(np.mean([grasp.any() for grasp in grasps])),
                float(
                    np.mean(
                        [
                            longest(grasp) >= HELD_STEPS * coverage.hz / CONTROL_HZ
                            for grasp in grasps
                        ]
                    )
                ),
                float(np.mean([clip.lifted for clip in clips])),
                float(np.mean([clip.moved for clip in clips])),
            )
        )
    return by_kind


def longest(mask: NDArray[np.bool_]) -> int:
    """Length of the longest run of True in a mask (T,)."""
    edges = np.flatnonzero(np.diff(np.concatenate([[0], mask.astype(int), [0]])))
    return int((edges[1::2] - edges[::2]).max(initial=0))


def speeds(coverage: Coverage) -> dict[str, NDArray[np.float32]]:
    """Return speeds between neighbouring frames by what they are of, with the unit."""
    wrist = coverage.stack(lambda clip: np.linalg.norm(np.diff(clip.points[:, 0], axis=0), axis=1))
    turn = coverage.stack(lambda clip: np.abs(np.diff(clip.joints, axis=0)))
    return {
        "wrist [m/s]": wrist * coverage.hz,
        "fastest arm joint [rad/s]": turn[:, ARM_JOINTS].max(axis=1) * coverage.hz,
        "fastest finger joint [rad/s]": turn[:, HAND_JOINTS].max(axis=1) * coverage.hz,
    }


def summary(coverage: Coverage) -> dict[str, str]:
    """Measured figures, as text by their names."""
    points = coverage.stack(lambda clip: clip.points)
    sunk = (points[..., 0] > COUNTER_FRONT) & (points[..., 2] < COUNTER_TOP)
    return {
        "frames in contact": _percent(coverage.stack(lambda clip: clip.contact).mean()),
        "clips that move an object by 3 cm": _percent(
            np.mean([clip.moved for clip in coverage.clips])
        ),
        "frames with wrist and fingertips in view": _percent(
            coverage.stack(lambda clip: clip.in_view).mean()
        ),
        "frames with wrist or a fingertip inside the counter": _percent(sunk.any(axis=1).mean()),
        "5 cm cells visited by the wrist": f"{_cells(points[:, 0])}",
        "5 cm cells visited by fingertips": f"{_cells(points[:, 1:].reshape(-1, 3))}",
    } | {f"median speed, {name}": f"{np.median(v):.2f}" for name, v in speeds(coverage).items()}


def _percent(share: float | np.floating[Any]) -> str:
    return f"{100 * share:.1f}%"


def _cells(points: NDArray[np.float32]) -> int:
    return len(np.unique(np.floor(points / CELL).astype(int), axis=0))


def _clip(store: EpisodeStore, row: dict[str, Any]) -> Clip:
    path = store.file(row, "h5")
    try:
        with h5py.File(path) as file:
            meta = json.loads(file.attrs["meta"])
            joints, action = file["agent_pos"][()], file["action"][()]
            keypoints, objects = file["keypoints"][()][:, WRIST_AND_TIPS], file["object_pos"][()]
            contact = file["contact"][()]
    except (OSError, KeyError, ValueError) as error:
        raise store.damaged(path, error) from error
    points, pixels = camera_to_base(keypoints), project(keypoints)
    inside = (keypoints[..., 2] > 0) & (pixels >= 0).all(-1) & (pixels < (WIDTH, HEIGHT)).all(-1)
    gaps = np.linalg.norm(objects - points[:, :1], axis=-1)
    recipe = meta.get("recipe", {})
    return Clip(
        kind=row["kind"],
        scene=row["scene"],
        layout=_name(recipe.get("layout")),
        style=_name(recipe.get("style")),
        categories=tuple(category_of(name) for name in meta["instances"]),
        joints=joints,
        # Row t is commanded from frame t on; what it achieved shows in frame t + 1.
        error=action[:-1] - joints[1:],
        points=points,
        in_view=inside.all(axis=1),
        contact=contact,
        near=gaps.min(axis=1, initial=np.inf) < Grasp.threshold,
        lifted=row["lifted"],
        moved=displacement(objects) >= MOVED,
    )


def _name(number: str | int | None) -> str | None:
    """Return a layout or style as text; RoboCasa's have numbers."""
    return None if number is None else str(number)
