"""A tiny episode store: the pictures are noise-free dots where the hand's keypoints are."""

import numpy as np
import torch

from dexbench.data_collection.store.store import Episode, EpisodeStore
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


def write_store(folder, episodes=4, frames=24, seed=0, lifted=False, strategy="programmatic"):
    """Write an episode set of hands that move along straight lines; return its folder."""
    store = EpisodeStore(folder, {"strategy": strategy, "seed": seed})
    rows = []
    for number in range(episodes):
        draw = rng("synthetic", seed, number)
        ends = INIT_JOINTS + draw.normal(0, 0.25, (2, 23))
        joints = np.linspace(*np.clip(ends, LOWER, UPPER), frames).astype(np.float32)
        keypoints = keypoints_of(joints)
        episode = Episode(
            frames=np.stack([picture(k) for k in keypoints]),
            agent_pos=joints,
            action=np.clip(joints + 0.03, LOWER, UPPER).astype(np.float32),
            keypoints=keypoints,
            state=np.zeros((frames, 1)),
            object_pos=np.zeros((frames, 1, 3)),
            contact=np.zeros(frames, bool),
            xml=f"<mujoco model='{seed}.{number}'/>",
            meta={"kind": "synthetic", "lifted": lifted},
        )
        rows.append(store.write(number, episode))
    store.commit(rows)
    return folder
