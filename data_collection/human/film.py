"""Renders a session's clip: every body is put where it is in each frame, nothing is simulated."""

import mujoco
import numpy as np
from numpy.typing import NDArray
from scipy.spatial.transform import Rotation

from dexbench.envs.rendering import HeadCamera

from .kitchen import Session
from .person_mjcf import CAMERA, HEIGHT, WIDTH
from .skeleton import JOINTS, SIDES, Array, axes, pose
from .skin import BONES

FAR_AWAY = np.array([0.0, 0.0, -10.0])
"""Where objects are that a clip does not show, in m."""


class Film:
    """Renders clips of one session.

    Args:
        session: The scene.
        size: Height and width of the pictures in px.
    """

    def __init__(self, session: Session, size: tuple[int, int] = (HEIGHT, WIDTH)):
        self.size = size
        """Height and width of the pictures in px."""
        self._model = session.model
        self._data = mujoco.MjData(self._model)
        self._camera = HeadCamera(self._model, *size, CAMERA)
        self._data.mocap_pos[:] = FAR_AWAY

    def render(
        self, joints: Array, camera: Array, objects: Array, shown: list[int]
    ) -> list[NDArray[np.uint8]]:
        """Return the frames, each (height, width, 3) uint8.

        Args:
            joints: Transforms (n, 68, 4, 4) in the world.
            camera: Transforms (n, 4, 4) of the optical frame.
            objects: Transforms (n, k, 4, 4) of the objects that are shown.
            shown: Their numbers in the session.
        """
        bones = {side + bone: side + joint for side in SIDES for bone, joint in BONES.items()}
        body = joints[:, [JOINTS.index(joint) for joint in bones.values()]]
        for side in SIDES:
            body[:, list(bones).index(f"{side}Wrist")] = _wrist(joints, side)
        names = [*bones, *(f"object_{number}" for number in shown), CAMERA]
        moved = np.concatenate([body, objects, camera[:, None]], axis=1)
        slots = [int(self._model.body(name).mocapid[0]) for name in names]
        quats = Rotation.from_matrix(moved[..., :3, :3].reshape(-1, 3, 3)).as_quat()
        quats = quats[:, [3, 0, 1, 2]].reshape(*moved.shape[:2], 4)
        self._data.mocap_pos[:] = FAR_AWAY
        frames = []
        for place, quat in zip(moved[:, :, :3, 3], quats, strict=True):
            self._data.mocap_pos[slots], self._data.mocap_quat[slots] = place, quat
            mujoco.mj_kinematics(self._model, self._data)
            mujoco.mj_camlight(self._model, self._data)
            frames.append(self._camera.render(self._data))
        return frames

    def close(self) -> None:
        """Free the renderer."""
        self._camera.close()


def _wrist(joints: Array, side: str) -> Array:
    """Return the end of a forearm (n, 4, 4): it lies along the forearm and rolls with the hand."""
    hand, elbow = (joints[:, JOINTS.index(side + name)] for name in ("Hand", "Forearm"))
    place = hand[:, :3, 3]
    return pose(axes(place - elbow[:, :3, 3], hand[:, :3, 2]), place)
