"""The one sample type of robots and people, and the actions between two of its frames.

The world frame of a clip is any frame that does not move; camera frames are optical (x right, y
down, z into the image). Lengths are in m.
"""

from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray
from scipy.spatial.transform import Rotation

LEFT, RIGHT = 0, 1
"""Which hand is which."""
WRIST = 0
"""Which of a hand's keypoints is the wrist."""
ActionKind = Literal["hands", "camera", "body"]
"""What an action tells: how both hands move (DexWM), how the upper body does without its fingers
(PEVA*), or neither (NWM*); and how the camera does (paper 4.3 and C.3)."""
BODY_JOINTS = 18
"""Points of the upper body, of hip, spine, neck, shoulders and arms down to the elbows."""
ACTION_ROWS: dict[ActionKind, int] = {"hands": 44, "camera": 2, "body": BODY_JOINTS + 4}
"""Rows of three numbers of each kind of action; the last two are the camera's translation and
angles. Before them stand both hands' keypoints, or the body's points and the two wrists."""


@dataclass(frozen=True, kw_only=True)
class Poses:
    """Where hands and camera are in n frames of a clip."""

    hands: NDArray[np.float32]
    """Keypoints (n, 2, 21, 3) in the world frame, in m, left hand first, in MANO order; zeros where
    a hand is absent."""
    seen: NDArray[np.bool_]
    """Whether each keypoint is a real one in the picture, (n, 2, 21)."""
    camera: NDArray[np.float64]
    """Poses (n, 4, 4) that take points of the camera's optical frame to the world frame."""
    intrinsics: NDArray[np.float64] | None
    """Camera matrix (3, 3) in px of the frames; None where nobody recorded it."""
    rate: float
    """Frames a second."""
    body: NDArray[np.float32] | None = None
    """Points (n, 18, 3) of the upper body in the world frame, in m, if recorded."""

    def __len__(self) -> int:
        """Return the number of frames."""
        return len(self.hands)

    @property
    def present(self) -> NDArray[np.bool_]:
        """Whether each hand is known, (n, 2)."""
        known: NDArray[np.bool_] = self.hands.any(axis=(2, 3))
        return known

    def at(self, index: NDArray[np.integer[Any]]) -> "Poses":
        """Return the poses of some frames, by their indices (k,)."""
        return Poses(
            hands=self.hands[index],
            seen=self.seen[index],
            camera=self.camera[index],
            intrinsics=self.intrinsics,
            rate=self.rate,
            body=None if self.body is None else self.body[index],
        )

    def actions(self, kind: ActionKind = "hands") -> NDArray[np.float32]:
        """Return the actions (n - 1, rows, 3) between neighbouring frames; see `action`."""
        return action(self.at(np.arange(len(self) - 1)), self.at(np.arange(1, len(self))), kind)


@dataclass(frozen=True, kw_only=True)
class Sample(Poses):
    """n frames of a clip: pictures, and where hands and camera are."""

    frames: NDArray[np.uint8]
    """Pictures (n, H, W, 3) RGB."""


def action(before: Poses, after: Poses, kind: ActionKind = "hands") -> NDArray[np.float32]:
    """Return the actions that lead from frames to later ones (paper Eq. 2, and C.3).

    All is in the camera frame of the frame before: how far each point moves, and how far and by
    which angles the camera does. So an action does not depend on where the world frame is. The
    release writes differences of world positions and world angles instead, and wraps the angles
    into 0..2 pi, where a turn of -0.01 rad becomes 6.27.

    Args:
        before: n frames.
        after: As many, later ones.
        kind: What it tells.

    Returns:
        ``(n, rows, 3)``, rows as ``ACTION_ROWS`` says: of "hands" left hand 21, right hand 21; of
        "body" its 18 points, left wrist, right wrist; then camera translation, in m; camera
        rotation as Euler angles about the fixed axes x, y, z in rad, within ±pi. A hand that is
        absent from either frame has zeros.

    Raises:
        ValueError: The body is asked for, and was not recorded.
    """
    turn = before.camera[:, :3, :3].swapaxes(1, 2)
    shift = after.camera[:, :3, 3] - before.camera[:, :3, 3]
    rows = np.empty((len(turn), ACTION_ROWS[kind], 3))
    # Rotated after they are subtracted: where the camera stays, the difference is exact.
    rows[:, :-2] = _moved(before, after, kind) @ turn.swapaxes(1, 2)
    rows[:, -2] = (turn @ shift[..., None])[..., 0]
    rows[:, -1] = _angles(turn @ after.camera[:, :3, :3])
    return rows.astype(np.float32)


def _moved(before: Poses, after: Poses, kind: ActionKind) -> NDArray[np.float32]:
    """How far the points ``(n, k, 3)`` that a kind of action tells of move in the world."""
    if kind == "camera":
        return np.zeros((len(before), 0, 3), np.float32)
    both = (before.present & after.present)[..., None, None]
    hands = np.where(both, after.hands - before.hands, np.float32(0))
    if kind == "hands":
        return hands.reshape(len(hands), ACTION_ROWS[kind] - 2, 3)
    if before.body is None or after.body is None:
        raise ValueError("the body was not recorded")
    return np.concatenate([after.body - before.body, hands[:, :, WRIST]], 1)


def _angles(turns: NDArray[np.float64]) -> NDArray[np.float64]:
    """Euler angles (n, 3) in rad of rotations (n, 3, 3)."""
    if not len(turns):
        return np.zeros((0, 3))
    angles: NDArray[np.float64] = Rotation.from_matrix(turns).as_euler("xyz")
    return angles


def project(
    points: NDArray[Any], camera: NDArray[np.float64], intrinsics: NDArray[np.float64]
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return where world points are in the picture.

    Args:
        points: ``(n, ..., 3)`` in m.
        camera: Camera-to-world poses ``(n, 4, 4)``.
        intrinsics: Camera matrix ``(3, 3)`` in px.

    Returns:
        Pixels ``(n, ..., 2)``, column and row, and depths ``(n, ...)`` in m along the optical axis.
        Pixels mean nothing where the depth is not positive.
    """
    flat = points.reshape(len(points), -1, 3) - camera[:, None, :3, 3]
    local = flat @ camera[:, :3, :3]
    depth = local[..., 2]
    pixels = (local @ intrinsics.T)[..., :2] / np.where(depth > 0, depth, 1)[..., None]
    return pixels.reshape(*points.shape[:-1], 2), depth.reshape(points.shape[:-1])


def in_picture(
    points: NDArray[Any],
    camera: NDArray[np.float64],
    intrinsics: NDArray[np.float64],
    size: tuple[int, int],
) -> NDArray[np.bool_]:
    """Return which world points ``(n, ..., 3)`` are inside the picture, and before the camera.

    Args:
        points: In m.
        camera: Camera-to-world poses ``(n, 4, 4)``.
        intrinsics: Camera matrix ``(3, 3)`` in px.
        size: Height and width of the picture in px.

    Returns:
        ``(n, ...)`` bool.
    """
    pixels, depth = project(points, camera, intrinsics)
    inside: NDArray[np.bool_] = ((pixels >= 0) & (pixels < size[::-1])).all(-1) & (depth > 0)
    return inside
