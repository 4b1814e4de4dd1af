"""Renders a session's clip: every body is put where it is in each frame, nothing is simulated."""

import mujoco
import numpy as np
from numpy.typing import NDArray
from scipy.spatial.transform import Rotation

from dexbench.envs.rendering import HeadCamera

from .kitchen import Session
from .person_mjcf import CAMERA, HEIGHT, WIDTH
from .skeleton import JOINTS, SIDES, Array
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
        names = [side + bone for side in SIDES for bone in BONES]
        parts = [joints[:, [JOINTS.index(side + BONES[bone]) for side in SIDES for bone in BONES]]]
        names += [f"object_{number}" for number in shown] + [CAMERA]
        moved = np.concatenate([*parts, objects, camera[:, None]], axis=1)
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
