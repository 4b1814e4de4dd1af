"""Renders clips of a scene: every body is put where it is in each frame, nothing is simulated."""

from collections.abc import Callable, Mapping

import mujoco
import numpy as np
from numpy.typing import NDArray
from scipy.spatial.transform import Rotation

from dexbench.envs.rendering import HeadCamera

from .poses import Array

FAR_AWAY = np.array([0.0, 0.0, -10.0])
"""Where bodies are that a clip does not show, in m."""


class Film:
    """Renders clips of one session.

    Args:
        model: The scene, in which all that moves are mocap bodies and joints.
        size: Height and width of the pictures in px.
        camera: Name of the camera.
    """

    def __init__(self, model: mujoco.MjModel, size: tuple[int, int], camera: str):
        self.size = size
        """Height and width of the pictures in px."""
        self.data = mujoco.MjData(model)
        """State of the scene, whose joints `render` leaves to its caller."""
        self._model = model
        self._camera = HeadCamera(model, *size, camera)

    def render(
        self, bodies: Mapping[str, Array], set_joints: Callable[[int], None] | None = None
    ) -> list[NDArray[np.uint8]]:
        """Return the frames, each (height, width, 3) uint8.

        Args:
            bodies: Transforms (n, 4, 4) in the world by name of a mocap body; all others are far
                away.
            set_joints: Puts the joints where they are in a frame, by its number.
        """
        moved = np.stack(list(bodies.values()), axis=1)
        slots = [int(self._model.body(name).mocapid[0]) for name in bodies]
        quats = Rotation.from_matrix(moved[..., :3, :3].reshape(-1, 3, 3)).as_quat()
        quats = quats[:, [3, 0, 1, 2]].reshape(*moved.shape[:2], 4)
        self.data.mocap_pos[:] = FAR_AWAY
        frames = []
        for number, (place, quat) in enumerate(zip(moved[:, :, :3, 3], quats, strict=True)):
            if set_joints is not None:
                set_joints(number)
            self.data.mocap_pos[slots], self.data.mocap_quat[slots] = place, quat
            mujoco.mj_kinematics(self._model, self.data)
            mujoco.mj_camlight(self._model, self.data)
            frames.append(self._camera.render(self.data))
        return frames

    def close(self) -> None:
        """Free the renderer."""
        self._camera.close()
