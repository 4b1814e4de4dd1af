"""A person as MJCF: a mocap body a bone, the skins upon them, and the camera on the head."""

from dataclasses import dataclass
from typing import Any
from xml.etree.ElementTree import Element, SubElement

import imageio.v3 as iio
import numpy as np
from numpy.typing import NDArray
from scipy.spatial.transform import Rotation

from dexbench.data_collection.scripted.poses import Array

from .skeleton import SIDES, Person
from .skin import Skin, arm_skin, hand_skin, picture

HEIGHT, WIDTH = 224, 398
"""Of pictures, in px: EgoDex's 16 to 9."""
FOCAL = 736.6339 / 1080
"""Focal length of EgoDex's camera, in heights of its picture."""
CAMERA = "human_camera"


@dataclass(frozen=True)
class Look:
    """Colours of somebody, 0..255, and what they wear."""

    skin: tuple[float, float, float]
    """Of the back of the hand."""
    cloth: tuple[float, float, float]
    """Of the sleeves."""
    cuff: float
    """Where sleeves end, as a share of the forearm from the elbow; less than zero: above it."""
    folds: int
    """Names the sleeves' folds."""


def intrinsic(size: tuple[int, int] = (HEIGHT, WIDTH)) -> Array:
    """Return the camera matrix (3, 3) in px of pictures of a height and width."""
    height, width = size
    return np.array([[FOCAL * height, 0, width / 2], [0, FOCAL * height, height / 2], [0, 0, 1]])


def _text(values: NDArray[np.floating[Any]]) -> str:
    return " ".join(f"{value:.5g}" for value in values.ravel())


def add_person(root: Element, person: Person, look: Look) -> dict[str, bytes]:
    """Add somebody to a scene, as mocap bodies ``<side><bone>`` and a mocap camera.

    Args:
        root: The scene's MJCF.
        person: Measures.
        look: Colours.

    Returns:
        The pictures that the scene's assets name, as PNG files by name.
    """
    asset, world = root.find("asset"), root.find("worldbody")
    assert asset is not None and world is not None
    files = {
        "human_skin.png": picture(np.array(look.skin), 0),
        "human_cloth.png": picture(np.array(look.cloth), look.folds, cloth=True),
    }
    for name, shine in (("human_skin", "0.25"), ("human_cloth", "0.02")):
        SubElement(asset, "texture", name=name, type="2d", file=f"{name}.png")
        SubElement(asset, "material", name=name, texture=name, specular=shine, shininess="0.3")
    deformable = SubElement(root, "deformable")
    sleeve = arm_skin(person, True, look.cuff * person.forearm, look.folds)
    arm = arm_skin(person, False)
    for side in SIDES:
        hand = hand_skin(person, side)
        for bone in (*hand.bones, *arm.bones):
            SubElement(world, "body", name=side + bone, mocap="true")
        _add_skin(deformable, f"{side}_hand", hand, side, "human_skin")
        _add_skin(deformable, f"{side}_arm", arm, side, "human_skin")
        _add_skin(deformable, f"{side}_sleeve", sleeve, side, "human_cloth")
    head = SubElement(world, "body", name=CAMERA, mocap="true")
    fovy = np.degrees(2 * np.arctan(0.5 / FOCAL))
    # MuJoCo's camera looks along -z with y up; the body's frame is optical.
    SubElement(head, "camera", name=CAMERA, fovy=f"{fovy:.9g}", quat="0 1 0 0")
    return {name: iio.imwrite("<bytes>", image, extension=".png") for name, image in files.items()}


def _add_skin(deformable: Element, name: str, skin: Skin, side: str, material: str) -> None:
    element = SubElement(
        deformable, "skin", name=name, material=material, vertex=_text(skin.vertices),
        texcoord=_text(skin.shades), face=" ".join(map(str, skin.faces.ravel())),
    )  # fmt: skip
    for column, (bone, rest) in enumerate(skin.bones.items()):
        moved = np.flatnonzero(skin.weights[:, column])
        if not len(moved):
            continue
        quat = Rotation.from_matrix(rest[:3, :3]).as_quat()[[3, 0, 1, 2]]
        SubElement(
            element, "bone", body=side + bone, bindpos=_text(rest[:3, 3]), bindquat=_text(quat),
            vertid=" ".join(map(str, moved)), vertweight=_text(skin.weights[moved, column]),
        )  # fmt: skip
