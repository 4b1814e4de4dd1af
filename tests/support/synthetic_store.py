"""A tiny episode store: the pictures are noise-free dots where the hand's keypoints are."""

import hashlib
import json

import h5py
import imageio.v3 as iio
import numpy as np
import torch

from dexbench.envs.embodiment import camera
from dexbench.envs.embodiment.kinematics import HandKinematics
from dexbench.envs.embodiment.robot import INIT_JOINTS, LOWER, UPPER
from dexbench.utils.seeding import rng

KINEMATICS = HandKinematics()


def keypoints_of(joints):
    """Camera-frame keypoints (..., 21, 3) of joints (..., 23)."""
    points = KINEMATICS.keypoints(torch.as_tensor(joints, dtype=torch.float32))
    return camera.base_to_camera(points).numpy()


def picture(keypoints, background=60):
    """A grey picture with a bright square at each keypoint."""
    image = np.full((camera.HEIGHT, camera.WIDTH, 3), background, np.uint8)
    for u, v in camera.project(keypoints):
        row, column = int(v), int(u)
        image[max(row - 6, 0) : row + 6, max(column - 6, 0) : column + 6] = (240, 200, 40)
    return image


def write_store(folder, episodes=4, frames=24, seed=0):
    """Writes a store in the agreed form; returns its folder."""
    (folder / "episodes").mkdir(parents=True)
    (folder / "videos").mkdir()
    rows = []
    for number in range(episodes):
        draw, name = rng("synthetic", seed, number), f"{number:06d}"
        ends = INIT_JOINTS + draw.normal(0, 0.25, (2, 23))
        path = np.linspace(*np.clip(ends, LOWER, UPPER), frames).astype(np.float32)
        keypoints = keypoints_of(path)
        with h5py.File(folder / "episodes" / f"{name}.h5", "w") as file:
            file["agent_pos"], file["keypoints"] = path, keypoints
            file["action"] = np.clip(path + 0.03, LOWER, UPPER).astype(np.float32)
        path = folder / "videos" / f"{name}.mp4"
        video = np.stack([picture(k) for k in keypoints])
        iio.imwrite(path, video, plugin="pyav", codec="libx264", fps=10)
        digest = hashlib.sha256(path.read_bytes()).hexdigest()
        rows.append({"id": name, "frames": frames, "mp4_sha256": digest, "kind": "synthetic"})
    (folder / "manifest.jsonl").write_text("".join(json.dumps(r) + "\n" for r in rows))
    return folder
