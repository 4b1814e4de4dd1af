import json

import h5py
import numpy as np
from scipy.spatial.transform import Rotation

from dexbench.data_collection.gripper import stage
from dexbench.data_collection.gripper.record import record_session
from dexbench.data_collection.readers.layouts import open_layout
from dexbench.data_collection.readers.sample import project
from dexbench.data_collection.scripted.order import SessionOrder
from dexbench.data_collection.store.droid import DroidStore
from dexbench.utils.video import read_video

SIZE = (64, 112)


def test_the_gripper_is_drawn_where_the_files_say(tmp_path, monkeypatch):
    monkeypatch.setattr(stage, "LONG", 3.0)
    store = DroidStore(tmp_path, {"strategy": "gripper", "seed": 5, "image_size": [*SIZE]})
    (row,) = record_session(SessionOrder(tmp_path, 5, 0, SIZE, 1))
    frames = read_video(store.file(row, "mp4")).astype(int)
    assert frames.shape == (row["frames"], *SIZE, 3)
    facts = json.loads(store.file(row, "json").read_bytes())
    camera = np.array(facts["ext1_cam_extrinsics"])
    turn = Rotation.from_euler("xyz", camera[3:]).as_matrix()
    with h5py.File(store.file(row, "h5")) as file:
        tool = file["observation/robot_state/cartesian_position"][:, :3]
        matrix = file[f"observation/camera_intrinsics/{facts['ext1_cam_serial']}_left"][:]
    seen = (tool - camera[:3]) @ turn
    assert (seen[:, 2] > 0.3).all()
    pixels = seen @ matrix.T
    pixels = pixels[:, :2] / pixels[:, 2:]
    assert ((pixels > 0) & (pixels < SIZE[::-1])).all()
    (name,) = (layout := open_layout(tmp_path)).names()
    sample = layout.clip(name).sample()
    hand, _ = project(sample.hands[:, 1], sample.camera, sample.intrinsics)
    assert (np.linalg.norm(hand.mean(1) - pixels, axis=1) < 4).all(), "dummy keypoints at the tool"
    # What changes between two moments is the arm: the tool is at both ends of it.
    far = int(np.linalg.norm(pixels - pixels[0], axis=1).argmax())
    changed = np.abs(frames[far] - frames[0]).sum(-1) > 40
    for column, height in pixels[[0, far]].astype(int):
        around = changed[max(0, height - 3) : height + 4, max(0, column - 3) : column + 4]
        assert around.any()
