"""A robomimic HDF5 with the names and shapes of the RoboCasa data released with DexWM."""

import json
from pathlib import Path
from typing import Any

import h5py
import mujoco
import numpy as np
from numpy.typing import NDArray

from dexbench.data_collection.sets.rerender import Camera
from dexbench.data_collection.store.states import SetStates, play_states
from dexbench.data_collection.store.store import EpisodeStore
from dexbench.envs.embodiment.keypoints import ARM_JOINTS, HAND_JOINTS
from dexbench.envs.embodiment.robot import FINGERS, HAND, INIT_LEFT_ARM, LOWER, UPPER
from dexbench.envs.rendering import CAMERA
from dexbench.envs.simulation import HAND_PREFIX, WRIST_BODY
from dexbench.utils.progress import track
from dexbench.utils.seeding import rng
from dexbench.utils.video import read_video

RELEASED = (600, 960, 80.0)
"""Height and width in px and vertical field of view in degrees of the released pictures."""
IMAGE = "robot0_robotview_2_image"
SITES = tuple(
    HAND_PREFIX + name
    for name in ("ft_frame", "grip_site", "ee_x", "ee_y", "ee_z", "grip_site_cylinder")
)
"""The sites before the 16 link origins in `keypoint_pose`."""
BASE = "mobilebase0_center"
VALID_SHARE = 0.1
"""Share of scenes under the filter key `valid`; the others are under `train`."""


def write(root: Path, out: Path, released_image: bool, normalise_actions: bool = False) -> None:
    """Write a set.

    Args:
        root: The set's folder.
        out: The HDF5.
        released_image: Whether to render the released size instead of copying the frames.
        normalise_actions: Whether to map actions from the joint limits to [-1, 1].
    """
    source, store = SetStates(root), EpisodeStore(root)
    model, loaded, total = None, "", 0
    with h5py.File(out, "w") as file:
        data = file.create_group("data")
        for number, row in enumerate(track(source.rows, "exporting", unit="episode")):
            if model is None or row["model"] != loaded:
                model, loaded = source.model(row), row["model"]
            states = source.states(row)
            demo = data.create_group(f"demo_{number}")
            with h5py.File(store.file(row, "h5")) as episode:
                meta = json.loads(episode.attrs["meta"])
                arrays = {
                    name: episode[name][()]
                    for name in ("action", "agent_pos", "keypoints", "contact")
                }
            count = row["frames"]
            frames = (
                _render(model, states) if released_image else read_video(store.file(row, "mp4"))
            )
            assert len(frames) == len(states) == count
            obs = {
                "robot0_joint_pos": np.concatenate(
                    [arrays["agent_pos"][:, ARM_JOINTS], np.tile(INIT_LEFT_ARM, (count, 1))], axis=1
                ),
                "robot0_right_gripper_qpos": arrays["agent_pos"][:, HAND_JOINTS],
                "keypoints_camera": arrays["keypoints"].reshape(count, 63),
                "hand_contact": arrays["contact"].reshape(count, 1),
            }
            places, objects = _kinematics(model, states, meta["objects"])
            for name, value in (obs | places).items():
                demo.create_dataset(f"obs/{name}", data=np.asarray(value, np.float64))
            demo.create_dataset(
                f"obs/{IMAGE}",
                data=frames,
                chunks=(1, *frames.shape[1:]),
                compression="gzip",
                compression_opts=1,
            )
            for name, value in objects.items():
                demo.create_dataset(f"datagen_info/object_poses/{name}", data=value)
            demo.create_dataset("datagen_info/base_pos", data=places["robot0_base_pos"])
            demo.create_dataset("states", data=states[:, : 1 + model.nq + model.nv])
            actions = arrays["action"].astype(np.float64)
            demo.create_dataset(
                "actions", data=_normalised(actions) if normalise_actions else actions
            )
            demo.create_dataset("rewards", data=np.zeros(count))
            demo.create_dataset("dones", data=(np.arange(count) == count - 1).astype(np.int64))
            demo.attrs["num_samples"] = count
            demo.attrs["model_file"] = source.xml(row)
            demo.attrs["ep_meta"] = json.dumps(meta, sort_keys=True)
            total += count
        data.attrs["total"] = total
        if normalise_actions:
            data.attrs["action_low"], data.attrs["action_high"] = LOWER, UPPER
        data.attrs["env_args"] = json.dumps(_env_args(source.info), sort_keys=True)
        for key, names in split_scenes(source.rows).items():
            file.create_dataset(f"mask/{key}", data=np.array(names, "S"))


def _normalised(actions: NDArray[np.float64]) -> NDArray[np.float64]:
    """Map joint targets (n, 23) in rad from the joint limits to [-1, 1]."""
    # Stored targets are float32 and may lie a rounding error beyond a limit.
    scaled: NDArray[np.float64] = 2 * (actions - LOWER) / (UPPER - LOWER) - 1
    return np.clip(scaled, -1, 1)


def _env_args(info: dict[str, Any]) -> dict[str, Any]:
    """Return what robomimic asks for; type 1 is robosuite, of which the scenes were made."""
    kwargs = {"robots": "FrankaTMRAllegro", "control_freq": info["control_hz"], "dexbench": info}
    return {"env_name": "DexKitchen", "type": 1, "env_kwargs": kwargs}


def split_scenes(
    rows: list[dict[str, Any]], valid_share: float = VALID_SHARE
) -> dict[str, list[str]]:
    """Return names of demos by filter key; scenes are held out whole, by their number alone.

    The first is always for training, and the last is held out where no other is.
    """
    others = sorted({row["scene"] for row in rows})[1:]
    held_out = {s for s in others if rng("export", "valid", s).random() < valid_share}
    held_out = held_out or set(others[-1:])
    names = [(f"demo_{i}", row["scene"] in held_out) for i, row in enumerate(rows)]
    return {
        "train": [n for n, is_held_out in names if not is_held_out],
        "valid": [n for n, is_held_out in names if is_held_out],
    }


def _render(model: mujoco.MjModel, states: NDArray[np.float64]) -> NDArray[np.uint8]:
    """Return frames (T, 600, 960, 3) uint8 as the released camera sees them."""
    height, width, fovy = RELEASED
    model.cam_fovy[model.camera(CAMERA).id] = fovy
    camera = Camera(model, height, width, CAMERA)
    try:
        return np.stack([camera.render(data) for data in play_states(model, states)])
    finally:
        camera.close()


def _kinematics(
    model: mujoco.MjModel, states: NDArray[np.float64], objects: list[str]
) -> tuple[dict[str, NDArray[np.float64]], dict[str, NDArray[np.float64]]]:
    """World poses in every state (T, n): the released observations, and objects' (T, 4, 4)."""
    links = [HAND_PREFIX + link.body for finger in FINGERS for link in HAND[finger]]
    sites = [model.site(name).id for name in SITES]
    bodies = [model.body(name).id for name in links]
    observations: dict[str, list[NDArray[np.float64]]] = {
        name: []
        for name in (
            "robot0_base_pos",
            "robot0_base_quat",
            "robot0_right_gripper_keypoint_pose",
            "robot0_right_hand_T_world_pose_mat",
        )
    }
    poses: dict[str, list[NDArray[np.float64]]] = {name: [] for name in objects}
    for data in play_states(model, states):
        base, quat = data.site(BASE), np.zeros(4)
        mujoco.mju_mat2Quat(quat, base.xmat)
        points = np.concatenate([data.site_xpos[sites], data.xpos[bodies]])
        observations["robot0_base_pos"].append(base.xpos.copy())
        observations["robot0_base_quat"].append(np.roll(quat, -1))  # x, y, z, w
        observations["robot0_right_gripper_keypoint_pose"].append(points.reshape(-1))
        observations["robot0_right_hand_T_world_pose_mat"].append(
            _pose(data, WRIST_BODY).reshape(-1)
        )
        for name in objects:
            poses[name].append(_pose(data, name))
    return (
        {name: np.array(value) for name, value in observations.items()},
        {name: np.array(value) for name, value in poses.items()},
    )


def _pose(data: mujoco.MjData, name: str) -> NDArray[np.float64]:
    """Pose (4, 4) of a body in the world."""
    pose = np.eye(4)
    pose[:3, :3], pose[:3, 3] = data.body(name).xmat.reshape(3, 3), data.body(name).xpos
    return pose
