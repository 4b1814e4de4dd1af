"""What the windows hold: pictures and hands to predict from, and the truth to measure by."""

from collections.abc import Mapping
from dataclasses import dataclass, replace

import h5py
import numpy as np
import torch
from numpy.typing import NDArray

from dexbench.agents.dexwm.model.world_model import hand_action
from dexbench.agents.learning.hand_way import commanded
from dexbench.data_collection.readers.sample import ACTION_ROWS, RIGHT, ActionKind
from dexbench.data_collection.sets.info import MOVED
from dexbench.data_collection.store.masks import object_masks
from dexbench.envs.embodiment.kinematics import HandKinematics
from dexbench.envs.embodiment.robot import N_JOINTS
from dexbench.utils.errors import UserError
from dexbench.utils.progress import track
from dexbench.utils.video import downsample, read_video

from .windows import HORIZON, Windows

MOST_OBJECTS = 8
"""Objects of a scene that are kept track of; scenes have three to five."""


@dataclass(frozen=True)
class Objects:
    """The objects' truth, of N windows of T + 1 frames."""

    masks: NDArray[np.int8]
    """``(N, T + 1, 112, 196)`` as ``object_masks`` says."""
    moved: NDArray[np.bool_]
    """``(N, T + 1, 8)`` whether each object is 3 cm or more from where it was in the first."""
    contact: NDArray[np.bool_]
    """``(N, T + 1)`` whether the hand touches an object."""


@dataclass(frozen=True)
class Clips:
    """N windows of T + 1 frames: the one to predict from, and the T to come."""

    interval: float
    """Seconds between frames."""
    images: NDArray[np.uint8]
    """``(N, T + 1, H, W, 3)``."""
    points: NDArray[np.float32]
    """Keypoints ``(N, T + 1, 2, 21, 3)`` of the left and the right hand in m, as the benchmark's
    camera shows them. The robot's are what forward kinematics makes of the joints that it had."""
    known: NDArray[np.bool_]
    """``(N, T + 1, 2, 21)`` whether each is a true one."""
    actions: Mapping[ActionKind, NDArray[np.float32]]
    """Actions ``(N, T, D)`` from each frame to the next, of every kind that the data tell of."""
    before: NDArray[np.float32]
    """``(N, T, 21, 3)`` the right hand before each action, as ``points``. Where actions are
    transferred it is the reference's."""
    objects: Objects | None
    """None if not wanted."""
    asked: NDArray[np.float32] | None = None
    """``(N, T, MOMENTS, 21, 3)`` the right hand's way that joint targets ask for within each
    action, as ``points``; None where the data tell of none."""
    video: NDArray[np.uint8] | None = None
    """``(N, T, H, W, 3)`` what a video model makes of the first frames; None if there is none."""

    @property
    def seconds(self) -> list[float]:
        """When each predicted frame is, after the first."""
        steps = self.images.shape[1]
        return [round(self.interval * step, 3) for step in range(1, steps)]


def offsets_of(windows: Windows, interval: float) -> NDArray[np.int64]:
    """Return which of a window's control steps are frames, the first among them.

    Args:
        windows: Of a set.
        interval: Seconds between frames.

    Raises:
        UserError: It is no whole part of 4 s or no multiple of the set's.
    """
    control_hz = windows.store.info["control_hz"]
    gap, steps = interval * control_hz, HORIZON / interval
    if max(abs(gap - round(gap)), abs(steps - round(steps))) > 1e-6 or round(gap) < 1:
        raise UserError(
            f"--interval {interval:g} must be a multiple of {1 / control_hz:g} s, "
            f"the set's, and a whole part of {HORIZON:g} s, such as 0.2 or 0.4"
        )
    offsets: NDArray[np.int64] = round(gap) * np.arange(round(steps) + 1)
    return offsets


def read_clips(
    windows: Windows, interval: float, size: tuple[int, int], with_objects: bool
) -> Clips:
    """Read the windows.

    Args:
        windows: Which.
        interval: Seconds between frames.
        size: Height and width of the pictures in px.
        with_objects: Whether the objects' truth is wanted; their masks are drawn unless they are
            kept beside the set.

    Raises:
        UserError: The interval is no whole part of 4 s or no multiple of the set's; a file is
            missing or damaged; pictures are no whole multiple of ``size``; or the set is slim and
            objects are wanted.
    """
    store, offsets = windows.store, offsets_of(windows, interval)
    count, frames = len(windows.rows), len(offsets)
    images = np.empty((count, frames, *size, 3), np.uint8)
    keypoints = np.empty((count, frames, 21, 3), np.float32)
    targets = np.empty((count, frames, N_JOINTS), np.float32)
    moved = np.zeros((count, frames, MOST_OBJECTS), np.bool_)
    contact = np.zeros((count, frames), np.bool_)
    pairs = zip(windows.rows, windows.starts, strict=True)
    wanted = [(row, start + offsets) for row, start in pairs]
    for number, (row, index) in enumerate(track(wanted, "reading", unit="clip")):
        video, path = store.file(row, "mp4"), store.file(row, "h5")
        try:
            pictures = read_video(video)[index]
        except (OSError, ValueError, IndexError) as error:
            raise store.damaged(video, error) from error
        try:
            images[number] = downsample(pictures, size)
        except ValueError as error:
            raise UserError(f"{video}: {error}") from error
        try:
            with h5py.File(path) as file:
                keypoints[number] = file["keypoints"][()][index]
                led = np.concatenate([file["agent_pos"][:1], file["action"][()]])
                targets[number] = led[index]
                if with_objects:
                    contact[number] = file["contact"][()][index]
                    place = file["object_pos"][()][index][:, :MOST_OBJECTS]
                    away = np.linalg.norm(place - place[:1], axis=-1)
                    moved[number, :, : away.shape[1]] = away >= MOVED
        except (OSError, KeyError, ValueError, IndexError) as error:
            raise store.damaged(path, error) from error
    objects = None
    if with_objects:
        store.refuse_slim()
        objects = Objects(np.stack(object_masks(store.root, wanted)), moved, contact)
    clips = robot_clips(interval, images, keypoints, keypoints, objects)
    hands, joints = torch.from_numpy(keypoints[:, :-1]), torch.from_numpy(targets)
    asked = commanded(HandKinematics(), hands, joints[:, :-1], joints[:, 1:])
    return replace(clips, asked=asked.numpy())


def robot_clips(
    interval: float,
    images: NDArray[np.uint8],
    keypoints: NDArray[np.float32],
    told: NDArray[np.float32],
    objects: Objects | None,
) -> Clips:
    """Return clips of the robot, which has one hand and a camera that stays.

    Args:
        interval: Seconds between frames.
        images: ``(N, T + 1, H, W, 3)``.
        keypoints: The hand's, ``(N, T + 1, 21, 3)`` in m, camera frame.
        told: The same, whose changes are the actions.
        objects: The objects' truth.
    """
    points = np.zeros((*keypoints.shape[:2], 2, *keypoints.shape[2:]), np.float32)
    points[:, :, RIGHT] = keypoints
    known = np.zeros(points.shape[:-1], bool)
    known[:, :, RIGHT] = True
    hands = hand_action(torch.from_numpy(told[:, :-1]), torch.from_numpy(told[:, 1:])).numpy()
    still = np.zeros((*hands.shape[:2], 3 * ACTION_ROWS["camera"]), np.float32)
    actions: dict[ActionKind, NDArray[np.float32]] = {"hands": hands, "camera": still}
    return Clips(interval, images, points, known, actions, told[:, :-1], objects)
