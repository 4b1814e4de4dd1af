"""Clips of people and robots as training reads them: two hands, a camera that may move."""

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from dexbench.data_collection.readers.sample import RIGHT, ActionKind, Poses, action

from .episodes import Episodes
from .footage import Footage


class Hands(NamedTuple):
    """Both hands in windows of F frames, left one first."""

    points: NDArray[np.float32]
    """Keypoints ``(B, F, 2, 21, 3)`` in m in each frame's camera. Where a clip's camera has another
    matrix than the benchmark's, they are moved sideways, at their depth, to where the benchmark's
    camera would show them at the same pixels."""
    known: NDArray[np.bool_]
    """Whether the keypoint head may be asked for each, ``(B, F, 2, 21)``."""
    actions: NDArray[np.float32]
    """Actions from each frame to the next, ``(B, F - 1, 132)`` unless the clips' ``action`` is of
    another kind; see `readers.sample.action`."""
    way: NDArray[np.float32]
    """The right hand's way within each action, ``(B, F - 1, MOMENTS, 21, 3)`` in m, as in
    ``points``: where it is, then straight on, or as `Clips.targets` ask for."""


@dataclass(frozen=True, kw_only=True)
class Clips(Footage):
    """All frames of some clips, whoever is in them, one clip after the other."""

    hands: NDArray[np.float32]
    """Keypoints ``(N, 2, 21, 3)`` in the clip's world, in m, left hand first; zeros where one is
    absent."""
    known: NDArray[np.bool_]
    """``(N, 2, 21)`` whether each is a true one: seen, or the benchmark's own robot's."""
    camera: NDArray[np.float64]
    """Poses ``(N, 4, 4)`` that take points of the camera's optical frame to the world."""
    view: NDArray[np.float64]
    """``(E, 3, 3)`` by which a clip's camera points become those of `Hands.points`."""
    source: NDArray[np.int64]
    """``(E,)`` number of the data set that each clip is of."""
    own: NDArray[np.bool_]
    """``(E,)`` whether the benchmark recorded it: its robot, its camera."""
    action: ActionKind = "hands"
    """What actions tell."""
    targets: NDArray[np.float32] | None = None
    """Joint targets ``(N, 23)`` in rad that led to each frame, if actions are to lead to where the
    next ones ask the hand to go, instead of to where it comes to."""
    body: NDArray[np.float32] | None = None
    """Points of the upper body ``(N, 18, 3)`` in the clip's world, in m, where actions tell it."""

    def clip_of(self, index: NDArray[np.int64]) -> NDArray[np.int64]:
        """Return the clips that frames are of, by their indices, of any shape."""
        found: NDArray[np.int64] = np.searchsorted(self.first, index, side="right") - 1
        return found

    def hands_at(self, index: NDArray[np.int64]) -> Hands:
        """Return the hands in windows, by the indices ``(B, F)`` of their frames."""
        # Torch takes seconds to import, and to open a set needs none.
        import torch

        from dexbench.envs.embodiment.kinematics import HandKinematics

        from .hand_way import commanded, straight

        flat = index.reshape(-1)
        frames = Poses(
            hands=self.hands[flat],
            seen=self.known[flat],
            camera=self.camera[flat],
            intrinsics=None,
            rate=1.0,
            body=None if self.body is None else self.body[flat],
        )
        points = in_view(frames, self.view[self.clip_of(flat)]).reshape(*index.shape, 2, -1, 3)
        if self.targets is None:
            right = torch.from_numpy(points[:, :, RIGHT])
            way = straight(right[:, :-1], right[:, 1:])
        else:
            targets = torch.from_numpy(self.targets[index])
            reached = torch.from_numpy(points[:, :-1, RIGHT])
            way = commanded(HandKinematics(), reached, targets[:, :-1], targets[:, 1:])
        at = np.arange(index.size).reshape(index.shape)
        before, after = frames.at(at[:, :-1].reshape(-1)), frames.at(at[:, 1:].reshape(-1))
        if self.targets is not None:
            after.hands[:, RIGHT] = way[:, :, -1].flatten(0, 1).numpy()
        moves = action(before, after, self.action)
        actions = moves.reshape(len(index), index.shape[1] - 1, 3 * moves.shape[1])
        return Hands(points, frames.seen.reshape(*index.shape, 2, -1), actions, way.numpy())


def in_view(frames: Poses, view: NDArray[np.float64]) -> NDArray[np.float32]:
    """Return both hands' keypoints ``(n, 2, 21, 3)`` as `Hands.points` has them.

    Args:
        frames: n frames.
        view: ``(n or 1, 3, 3)`` as `Clips.view`.
    """
    turn = frames.camera[:, :3, :3] @ view.swapaxes(1, 2)
    away = frames.hands.reshape(len(frames), -1, 3) - frames.camera[:, None, :3, 3]
    points = (away @ turn).astype(np.float32).reshape(frames.hands.shape)
    points[~frames.present] = 0
    return points


def own_clips(episodes: Episodes, action: ActionKind = "hands", asked: bool = False) -> Clips:
    """Return episode sets as clips, in the camera's frame: it stays, and there is no left hand.

    Args:
        episodes: The sets.
        action: What actions tell; the robot has no "body".
        asked: Whether they tell of the hand that joint targets ask for.
    """
    count, clips = len(episodes.frames), len(episodes.length)
    hands = np.zeros((count, 2, *episodes.keypoints.shape[1:]), np.float32)
    hands[:, RIGHT] = episodes.keypoints
    known = np.zeros(hands.shape[:3], bool)
    known[:, RIGHT] = True
    return Clips(
        frames=episodes.frames,
        first=episodes.first,
        length=episodes.length,
        rate=episodes.rate,
        validation=episodes.validation,
        digest=episodes.digest,
        hands=hands,
        known=known,
        camera=np.broadcast_to(np.eye(4), (count, 4, 4)),
        view=np.broadcast_to(np.eye(3), (clips, 3, 3)),
        source=np.zeros(clips, np.int64),
        own=np.ones(clips, bool),
        action=action,
        targets=_led(episodes) if asked else None,
    )


def _led(episodes: Episodes) -> NDArray[np.float32]:
    """Return the joint targets ``(N, 23)`` that led to each frame.

    None led to an episode's first: it has the joints that it shows.
    """
    targets = np.roll(episodes.targets, 1, axis=0)
    targets[episodes.first] = episodes.joints[episodes.first]
    return targets
