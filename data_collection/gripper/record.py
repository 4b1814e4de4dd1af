"""Records one session of the gripper: a kitchen, a camera outside, and a few clips."""

from pathlib import Path
from typing import Any
from xml.etree import ElementTree
from xml.etree.ElementTree import SubElement

import mujoco
import numpy as np
from numpy.typing import NDArray
from scipy.spatial.transform import Rotation

from dexbench.data_collection.human.kitchen import draw_kitchen, lay_out
from dexbench.data_collection.human.objects import FREE, Solid, add_thing, draw_thing
from dexbench.data_collection.human.skeleton import Array, Person, pose
from dexbench.data_collection.store.droid import DroidStore, GripperClip
from dexbench.envs.rendering import HeadCamera
from dexbench.utils.seeding import rng

from .arm import OPEN, Arm, add_panda
from .stage import GripperStage

CAMERA = "outside"
THINGS = 4
"""Objects of a session."""
_FAR_AWAY = np.array([0.0, 0.0, -10.0])


def record_session(
    out: Path, seed: int, index: int, size: tuple[int, int], clips: int
) -> list[dict[str, Any]]:
    """Draw session ``index`` of a set, write its clips and return their manifest lines.

    Args:
        out: The set's folder.
        seed: Names the set's random streams.
        index: Number of the session, on which alone it depends besides the seed.
        size: Height and width of the pictures in px.
        clips: How many a session has.
    """
    stream = rng("collect", "gripper", seed, index)
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
    data = mujoco.MjData(model)
    ahead = np.array([[0.0, -1, 0], [1, 0, 0], [0, 0, 1]])
    arm = Arm(model, data, pose(ahead, base))
    store, film = DroidStore(out), HeadCamera(model, *size, CAMERA)
    height, width = size
    matrix = np.array([[focal * height, 0, width / 2], [0, focal * height, height / 2], [0, 0, 1]])
    rows = []
    for clip in range(clips):
        shown = sorted(int(i) for i in stream.permutation(THINGS)[: int(stream.integers(2, 5))])
        stage = _stage(solids, shown, stand, stream)
        stage.run()
        times, goals, opening = stage.play()
        joints, tool = arm.follow(goals)
        objects = stage.objects(times, tool)
        frames = _film(model, data, film, arm, joints, opening, objects, shown)
        inside = np.linalg.inv(arm.base)
        recorded = GripperClip(
            frames=frames,
            joints=joints,
            tool=_numbers(inside @ tool),
            gripper=1 - opening / OPEN,
            camera=_numbers((inside @ camera)[None])[0],
            intrinsic=matrix,
            task="Move things on the counter",
        )
        rows.append(store.write_clip(index * clips + clip, recorded) | {"scene": index})
    film.close()
    return rows


def _stage(
    solids: list[Solid], shown: list[int], stand: tuple[float, float], rng: np.random.Generator
) -> GripperStage:
    # The counter's free places are those before whoever stands there.
    place = Person(1.7, 1.0, 1.0, stand, 0.2)
    chosen = [solids[number] for number in shown]
    return GripperStage(place, chosen, lay_out(place, chosen, rng), rng)


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


def _film(
    model: mujoco.MjModel,
    data: mujoco.MjData,
    film: HeadCamera,
    arm: Arm,
    joints: Array,
    opening: Array,
    objects: Array,
    shown: list[int],
) -> list[NDArray[np.uint8]]:
    slots = [int(model.body(f"object_{number}").mocapid[0]) for number in shown]
    quats = Rotation.from_matrix(objects[..., :3, :3].reshape(-1, 3, 3)).as_quat()
    quats = quats[:, [3, 0, 1, 2]].reshape(*objects.shape[:2], 4)
    data.mocap_pos[:] = _FAR_AWAY
    frames = []
    for row, way, place, quat in zip(joints, opening, objects[:, :, :3, 3], quats, strict=True):
        arm.set(row, float(way))
        data.mocap_pos[slots], data.mocap_quat[slots] = place, quat
        mujoco.mj_kinematics(model, data)
        mujoco.mj_camlight(model, data)
        frames.append(film.render(data))
    return frames


def _numbers(poses: Array) -> Array:
    """Return DROID's numbers (n, 6) of poses (n, 4, 4): position, angles about x, y and z."""
    angles = Rotation.from_matrix(poses[:, :3, :3]).as_euler("xyz")
    return np.concatenate([poses[:, :3, 3], angles], 1)
