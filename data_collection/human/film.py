"""Renders a person at work: where each bone, object and the head's camera is in a frame."""

import numpy as np
from numpy.typing import NDArray

from dexbench.data_collection.scripted.film import Film
from dexbench.data_collection.scripted.poses import Array, axes, pose

from .person_mjcf import CAMERA, HEIGHT, WIDTH
from .session import Session
from .skeleton import JOINTS, SIDES
from .skin import BONES


class PersonFilm(Film):
    """Renders clips of one session.

    Args:
        session: The scene.
        size: Height and width of the pictures in px.
    """

    def __init__(self, session: Session, size: tuple[int, int] = (HEIGHT, WIDTH)):
        super().__init__(session.model, size, CAMERA)

    def shoot(
        self, joints: Array, camera: Array, objects: Array, shown: list[int]
    ) -> list[NDArray[np.uint8]]:
        """Return the frames, each (height, width, 3) uint8.

        Args:
            joints: Transforms (n, 68, 4, 4) in the world.
            camera: Transforms (n, 4, 4) of the optical frame.
            objects: Transforms (n, k, 4, 4) of the objects that are shown.
            shown: Their numbers in the session.
        """
        bodies = {
            side + bone: joints[:, JOINTS.index(side + joint)]
            for side in SIDES
            for bone, joint in BONES.items()
        }
        bodies |= {f"{side}Wrist": _wrist(joints, side) for side in SIDES}
        bodies |= {f"object_{number}": objects[:, i] for i, number in enumerate(shown)}
        return self.render(bodies | {CAMERA: camera})


def _wrist(joints: Array, side: str) -> Array:
    """Return the end of a forearm (n, 4, 4): it lies along the forearm and rolls with the hand."""
    hand, elbow = (joints[:, JOINTS.index(side + name)] for name in ("Hand", "Forearm"))
    place = hand[:, :3, 3]
    return pose(axes(place - elbow[:, :3, 3], hand[:, :3, 2]), place)
