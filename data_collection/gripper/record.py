"""Records one session of the gripper: a kitchen, a camera outside, and a few clips."""

from typing import Any
from xml.etree import ElementTree
from xml.etree.ElementTree import SubElement

import mujoco
import numpy as np
from scipy.spatial.transform import Rotation

from dexbench.data_collection.scripted.counter import lay_out
from dexbench.data_collection.scripted.film import Film
from dexbench.data_collection.scripted.kitchen import draw_kitchen
from dexbench.data_collection.scripted.objects import FREE, Solid, add_thing, draw_thing
from dexbench.data_collection.scripted.order import SessionOrder
from dexbench.data_collection.scripted.poses import Array, pose
from dexbench.data_collection.store.droid import DroidStore, GripperClip
from dexbench.utils.seeding import rng

from .arm import OPEN, Arm, add_panda
from .stage import GripperStage

CAMERA = "outside"
THINGS = 4
"""Objects of a session."""


def record_session(order: SessionOrder) -> list[dict[str, Any]]:
    """Draw a session, write its clips and return their manifest lines."""
    stream = rng("collect", "gripper", order.seed, order.index)
    root, _ = draw_kitchen(stream)
    stand = float(stream.uniform(0.06, 0.26)), float(stream.uniform(-0.98, -0.88))
    base = np.array([*stand, stream.uniform(0.80, 0.95)])
    add_panda(root, base)
    camera, focal = _draw_camera(stream, stand)
    _add_camera(root, camera, focal)
    files: dict[str, bytes] = {}
    for number, category in enumerate(stream.choice(FREE, THINGS, replace=False)):
        files |= add_thing(root, f"object_{number}", draw_thing(stream, str(category)))
    text = ElementTree.tostring(root, encoding="unicode")
    model = mujoco.MjModel.from_xml_string(text, assets=files)
    solids = [Solid(model, f"object_{number}", stream) for number in range(THINGS)]
    store, film = DroidStore(order.out), Film(model, order.size, CAMERA)
    ahead = np.array([[0.0, -1, 0], [1, 0, 0], [0, 0, 1]])
    arm = Arm(model, film.data, pose(ahead, base))
    height, width = order.size
    matrix = np.array([[focal * height, 0, width / 2], [0, focal * height, height / 2], [0, 0, 1]])
    rows = []
    for clip in range(order.clips):
        shown = sorted(int(i) for i in stream.permutation(THINGS)[: int(stream.integers(2, 5))])
        stage = _stage(solids, shown, stand, stream)
        recorded = _clip(film, arm, stage, shown, camera, matrix)
        rows.append(store.write_clip(order.clip(clip), recorded) | {"scene": order.index})
    film.close()
    return rows


def _clip(
    film: Film, arm: Arm, stage: GripperStage, shown: list[int], camera: Array, matrix: Array
) -> GripperClip:
    stage.run()
    times, goals, opening = stage.play()
    joints, tool = arm.follow(goals)
    objects = stage.objects(times, tool)
    frames = film.render(
        {f"object_{number}": objects[:, i] for i, number in enumerate(shown)},
        lambda frame: arm.set(joints[frame], float(opening[frame])),
    )
    inside = np.linalg.inv(arm.base)
    return GripperClip(
        frames=frames,
        joints=joints,
        tool=_numbers(inside @ tool),
        gripper=1 - opening / OPEN,
        camera=_numbers((inside @ camera)[None])[0],
        intrinsic=matrix,
        task="Move things on the counter",
    )


def _stage(
    solids: list[Solid], shown: list[int], stand: tuple[float, float], rng: np.random.Generator
) -> GripperStage:
    chosen = [solids[number] for number in shown]
    return GripperStage(stand, chosen, lay_out(stand, chosen, rng), rng)


def _draw_camera(rng: np.random.Generator, stand: tuple[float, float]) -> tuple[Array, float]:
    """Return a camera's optical frame (4, 4) in the world, and its focal length in heights."""
    side = float(rng.choice([-1, 1]))
    eye = np.array([
        stand[0] + side * rng.uniform(0.65, 1.0), rng.uniform(-1.0, -0.55), rng.uniform(1.3, 1.75)
    ])  # fmt: skip
    aim = np.array([stand[0], -0.50, 1.0]) + rng.normal(0, 0.05, 3)
    z = (aim - eye) / np.linalg.norm(aim - eye)
    right = np.cross(z, [0, 0, 1])
    right = right / np.linalg.norm(right)
    return pose(np.stack([right, np.cross(z, right), z], 1), eye), float(rng.uniform(0.72, 0.9))


def _add_camera(root: ElementTree.Element, camera: Array, focal: float) -> None:
    world = root.find("worldbody")
    assert world is not None
    quat = Rotation.from_matrix(camera[:3, :3] @ np.diag([1, -1, -1])).as_quat()[[3, 0, 1, 2]]
    SubElement(
        world, "camera", name=CAMERA, fovy=f"{np.degrees(2 * np.arctan(0.5 / focal)):.9g}",
        pos=" ".join(f"{value:.9g}" for value in camera[:3, 3]),
        quat=" ".join(f"{value:.9g}" for value in quat),
    )  # fmt: skip


def _numbers(poses: Array) -> Array:
    """Return DROID's numbers (n, 6) of poses (n, 4, 4): position, angles about x, y and z."""
    angles = Rotation.from_matrix(poses[:, :3, :3]).as_euler("xyz")
    return np.concatenate([poses[:, :3, 3], angles], 1)
