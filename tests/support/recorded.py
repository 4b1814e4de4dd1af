"""Writes small recordings in the exact layouts of EgoDex and DROID, with known truth."""

import json

import h5py
import numpy as np
from scipy.spatial.transform import Rotation

from dexbench.utils.seeding import rng
from dexbench.utils.video import write_video

SIDES = ("left", "right")
FINGER = ("Metacarpal", "Knuckle", "IntermediateBase", "IntermediateTip", "Tip")
JOINTS = (
    "hip",
    *(f"spine{i}" for i in range(1, 8)),
    *(f"neck{i}" for i in range(1, 5)),
    *(f"{side}{part}" for side in SIDES for part in ("Shoulder", "Arm", "Forearm", "Hand")),
    *(f"{side}Thumb{part}" for side in SIDES for part in FINGER[1:]),
    *(
        f"{side}{finger}Finger{part}"
        for side in SIDES
        for finger in ("Index", "Middle", "Ring", "Little")
        for part in FINGER
    ),
)
"""EgoDex's 68 joints, written down independently of the reader."""
SIZE = (270, 480)
INTRINSICS = np.array([[184.16, 0, 240], [0, 184.16, 135], [0, 0, 1.0]])
"""EgoDex's camera at a quarter of its 1080x1920 px."""


def poses(points, turns=None):
    """Poses (n, 4, 4) at points (n, 3)."""
    out = np.tile(np.eye(4), (len(points), 1, 1))
    out[:, :3, 3] = points
    if turns is not None:
        out[:, :3, :3] = turns
    return out


def moving_camera(frames, seed=0):
    """A head that walks and turns, somewhere in the world; optical poses (n, 4, 4)."""
    draw = rng("recorded", "camera", seed)
    start = Rotation.random(random_state=seed)
    steps = draw.normal(0, 0.02, (frames, 3)).cumsum(0)
    turns = (start * Rotation.from_rotvec(steps)).as_matrix()
    return poses(draw.normal(0, 0.01, (frames, 3)).cumsum(0) + [1.0, 2.0, -0.5], turns)


def joints_in_view(frames, camera, seed=0):
    """World points (n, 3) by joint, all before the camera and within its picture."""
    draw = rng("recorded", "joints", seed)
    places = {}
    for name in JOINTS:
        pixel = draw.uniform((30, 30), (SIZE[1] - 30, SIZE[0] - 30)) + np.arange(frames)[:, None]
        depth = draw.uniform(0.3, 0.8)
        rays = np.concatenate([pixel, np.ones((frames, 1))], 1) @ np.linalg.inv(INTRINSICS).T
        local = rays * depth
        places[name] = (camera[:, :3, :3] @ local[..., None])[..., 0] + camera[:, :3, 3]
    return places


def dot(image, pixel, colour=(255, 255, 255), sigma=2.0):
    """Draw a smooth dot whose centre of mass is at a pixel (column, row) with its fraction."""
    rows, columns = np.mgrid[: image.shape[0], : image.shape[1]] + 0.5
    weight = np.exp(-((columns - pixel[0]) ** 2 + (rows - pixel[1]) ** 2) / (2 * sigma**2))
    image[:] = np.maximum(image, (weight[..., None] * np.array(colour)).round()).astype(np.uint8)


def write_egodex(folder, name="part1/stack_cups/0", frames=12, seed=0, draw=None, fps=30, **video):
    """Write a clip as EgoDex has it; ``draw(image, t, places, camera)`` paints each frame.

    Returns:
        World points (n, 3) by joint, and the camera's poses.
    """
    camera = moving_camera(frames, seed)
    places = joints_in_view(frames, camera, seed)
    path = folder / f"{name}.hdf5"
    path.parent.mkdir(parents=True, exist_ok=True)
    turns = Rotation.random(frames, random_state=seed).as_matrix()
    with h5py.File(path, "w") as file:
        file["camera/intrinsic"] = INTRINSICS.astype(np.float32)
        file["transforms/camera"] = camera.astype(np.float32)
        for joint, points in places.items():
            file[f"transforms/{joint}"] = poses(points, turns).astype(np.float32)
            file[f"confidences/{joint}"] = np.full(frames, 0.9, np.float32)
        file.attrs["llm_description"] = "Stack the cups."
        file.attrs["llm_description2"] = "Unstack the cups."
        file.attrs["which_llm_description"] = "1"
        file.attrs["llm_type"] = "reversible"
    pictures = []
    for t in range(frames):
        image = np.full((*SIZE, 3), 20, np.uint8)
        image[:, :, 2] = 10 * (t % 20)
        if draw:
            draw(image, t, places, camera)
        pictures.append(image)
    write_video(folder / f"{name}.mp4", pictures, fps=fps, **video)
    return places, camera


EXT1, EXT2, WRIST = "23404442", "29838012", "19824535"
"""Serial numbers of DROID's cameras; the left one outside is the second."""
PLACED = [0.4, -0.5, 0.6, -2.0, 0.1, -2.2]
"""Where it is: position in m, Euler angles in rad."""


def write_droid(
    folder, name="AUTOLab/success/2023-07-07/Fri_Jul__7_09:42:23_2023", frames=20, lag=1
):
    """Write a recording as DROID has it, whose video lacks the last ``lag`` frames.

    Returns:
        The end effector's six numbers (n, 6), and the gripper's positions (n,).
    """
    place = folder / name
    (place / "recordings" / "MP4").mkdir(parents=True)
    lab = name.partition("/")[2]
    left = f"{lab}/recordings/MP4/{EXT2}.mp4"
    metadata = {
        "uuid": "AUTOLab+0d4edc62+2023-07-07-09h-42m-23s",
        "lab": "AUTOLab",
        "current_task": "Move the cup",
        "trajectory_length": frames,
        "wrist_cam_serial": WRIST,
        "ext1_cam_serial": EXT1,
        "ext2_cam_serial": EXT2,
        "ext1_cam_extrinsics": [0.1, 0.6, 0.5, -1.9, 0.0, 3.0],
        "ext2_cam_extrinsics": PLACED,
        "wrist_mp4_path": f"{lab}/recordings/MP4/{WRIST}.mp4",
        "ext1_mp4_path": f"{lab}/recordings/MP4/{EXT1}.mp4",
        "ext2_mp4_path": left,
        "left_mp4_path": left,
        "right_mp4_path": f"{lab}/recordings/MP4/{EXT1}.mp4",
    }
    (place / f"metadata_{metadata['uuid']}.json").write_text(json.dumps(metadata))
    draw = rng("recorded", "droid", name)
    effector = draw.normal(0, 0.05, (frames, 6)).cumsum(0) + [0.5, 0, 0.3, 3.1, 0, 0]
    gripper = np.linspace(0, 1, frames)
    with h5py.File(place / "trajectory.h5", "w") as file:
        file["observation/robot_state/cartesian_position"] = effector
        file["observation/robot_state/gripper_position"] = gripper
        file["observation/timestamp/control/step_start"] = 1.7e12 + np.arange(frames) * 1000 / 15
        file[f"observation/camera_extrinsics/{EXT2}_left"] = np.tile(PLACED, (frames, 1))
    for serial, level in ((EXT1, 60), (EXT2, 120), (WRIST, 180)):
        pictures = [np.full((72, 128, 3), level + t, np.uint8) for t in range(frames - lag)]
        write_video(place / "recordings" / "MP4" / f"{serial}.mp4", pictures, fps=60)
    return effector, gripper


def write_lerobot(folder, lengths=(12, 9, 15), fps=15):
    """Write DROID as LeRobot publishes it: all episodes in one parquet and one video.

    Returns:
        Of each episode the end effector's six numbers (n, 6) and the gripper's positions (n,).
    """
    import pandas

    camera, total = "observation.images.exterior_1_left", sum(lengths)
    features = {
        name: {"dtype": "float32", "shape": [width], "names": None}
        for name, width in {
            "observation.state.cartesian_position": 6,
            "observation.state.gripper_position": 1,
            "camera_extrinsics.exterior_1_left": 6,
        }.items()
    } | {camera: {"dtype": "video", "shape": [180, 320, 3], "names": None}}
    info = {
        "codebase_version": "v3.0",
        "robot_type": "Franka",
        "total_episodes": len(lengths),
        "total_frames": total,
        "fps": fps,
        "data_path": "data/chunk-{chunk_index:03d}/file-{file_index:03d}.parquet",
        "video_path": "videos/{video_key}/chunk-{chunk_index:03d}/file-{file_index:03d}.mp4",
        "features": features,
    }
    for place in ("meta/episodes/chunk-000", "data/chunk-000"):
        (folder / place).mkdir(parents=True)
    (folder / "meta" / "info.json").write_text(json.dumps(info))
    rows, episodes, truth, first = [], [], [], 0
    for number, length in enumerate(lengths):
        draw = rng("recorded", "lerobot", number)
        effector = draw.normal(0, 0.05, (length, 6)).cumsum(0).astype(np.float32)
        gripper = draw.random(length).astype(np.float32)
        truth.append((effector, gripper))
        rows += [
            {
                "observation.state.cartesian_position": effector[t],
                "observation.state.gripper_position": gripper[t],
                "camera_extrinsics.exterior_1_left": np.array(PLACED, np.float32),
                "episode_index": number,
                "frame_index": t,
                "index": first + t,
            }
            for t in range(length)
        ]
        episodes.append(
            {
                "episode_index": number,
                "tasks": [f"task {number}"],
                "length": length,
                "data/chunk_index": 0,
                "data/file_index": 0,
                "dataset_from_index": first,
                "dataset_to_index": first + length,
                f"videos/{camera}/chunk_index": 0,
                f"videos/{camera}/file_index": 0,
                f"videos/{camera}/from_timestamp": first / fps,
                f"videos/{camera}/to_timestamp": (first + length) / fps,
                "stats/action/mean": [0.0],
            }
        )
        first += length
    pandas.DataFrame(rows).to_parquet(folder / "data/chunk-000/file-000.parquet")
    pandas.DataFrame(episodes).to_parquet(folder / "meta/episodes/chunk-000/file-000.parquet")
    pictures = [np.full((180, 320, 3), 5 * t + 20, np.uint8) for t in range(total)]
    write_video(folder / f"videos/{camera}/chunk-000/file-000.mp4", pictures, fps=fps)
    return truth
