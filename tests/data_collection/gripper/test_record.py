import json
from xml.etree import ElementTree

import h5py
import mujoco
import numpy as np
import pytest
from scipy.spatial.transform import Rotation

from dexbench.data_collection.gripper import record, stage
from dexbench.data_collection.gripper.arm import OPEN, Arm, add_panda
from dexbench.data_collection.gripper.record import record_session
from dexbench.data_collection.readers.gripper import poses_of
from dexbench.data_collection.readers.layouts import open_layout
from dexbench.data_collection.readers.sample import project
from dexbench.data_collection.scripted.film import Film
from dexbench.data_collection.scripted.order import SessionOrder
from dexbench.data_collection.scripted.poses import pose
from dexbench.data_collection.store.droid import DroidStore
from dexbench.utils.video import read_video

SIZE = (64, 112)


def by_kinematics(joints):
    """The tool's poses (n, 4, 4) in the robot's base for joints (n, 7)."""
    root = ElementTree.fromstring("<mujoco><compiler angle='radian'/><asset/><worldbody/></mujoco>")
    add_panda(root, np.array([0.3, -0.2, 0.9]))
    model = mujoco.MjModel.from_xml_string(ElementTree.tostring(root, encoding="unicode"))
    base = pose([[0, -1, 0], [1, 0, 0], [0, 0, 1]], [0.3, -0.2, 0.9])
    arm, tools = Arm(model, mujoco.MjData(model), base), []
    for row in joints:
        arm.set(row, 0.0)
        tools.append(np.linalg.inv(base) @ arm.tool())
    return np.array(tools)


def test_the_gripper_is_drawn_where_the_files_say(tmp_path, monkeypatch):
    monkeypatch.setattr(stage, "LONG", 3.0)
    ways = []

    def render(film, bodies, set_joints):
        def watched(frame):
            set_joints(frame)
            ways.append(film.data.joint("finger_joint1").qpos[0])

        return Film.render(film, bodies, watched)

    monkeypatch.setattr(record, "Film", type("Watched", (Film,), {"render": render}))
    store = DroidStore(tmp_path, {"strategy": "gripper", "seed": 5, "image_size": [*SIZE]})
    (row,) = record_session(SessionOrder(tmp_path, 5, 0, SIZE, 1))
    frames = read_video(store.file(row, "mp4")).astype(int)
    assert frames.shape == (row["frames"], *SIZE, 3)
    facts = json.loads(store.file(row, "json").read_bytes())
    camera = np.array(facts["ext1_cam_extrinsics"])
    turn = Rotation.from_euler("xyz", camera[3:]).as_matrix()
    with h5py.File(store.file(row, "h5")) as file:
        state = file["observation/robot_state"]
        tool, angles = np.split(state["cartesian_position"][:], 2, axis=1)
        joints, closed = state["joint_positions"][:], state["gripper_position"][:]
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
    assert sample.rate == 10
    poses = poses_of(np.concatenate([tool, angles], 1))
    assert np.abs(poses - by_kinematics(joints)).max() < 1e-6, "joints lead to the tool's pose"
    # 0 is wide open, 1 closed; both fingers are as far apart as the file says.
    assert closed == pytest.approx(1 - np.array(ways) / OPEN, abs=1e-9) and np.ptp(closed) > 0.1
    # What changes between two moments is the arm: the tool is at both ends of it.
    far = int(np.linalg.norm(pixels - pixels[0], axis=1).argmax())
    changed = np.abs(frames[far] - frames[0]).sum(-1) > 40
    for column, height in pixels[[0, far]].astype(int):
        around = changed[max(0, height - 3) : height + 4, max(0, column - 3) : column + 4]
        assert around.any()
