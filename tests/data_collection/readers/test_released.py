"""The released RoboCasa HDF5: what the exporter writes is read back, and the release's numbers."""

import json

import h5py
import numpy as np
import pytest

from dexbench.data_collection.export.main import ExportConfig
from dexbench.data_collection.export.main import main as export
from dexbench.data_collection.readers.layouts import open_layout
from dexbench.data_collection.readers.released import SPLIT, TRIALS
from dexbench.data_collection.readers.sample import project
from dexbench.envs.embodiment.camera import base_to_camera
from dexbench.envs.embodiment.kinematics import HandKinematics
from dexbench.envs.embodiment.robot import INIT_ARM
from dexbench.utils.errors import UserError

IMAGE = "obs/robot0_robotview_2_image"


def write_demo(demo, wrist, frames=5, size=(60, 96), base=(0, 0, 0), quat=(0, 0, 0, 1)):
    """Write a demo whose wrist is at a place in the world, and 22 sites with numbers for places."""
    demo[IMAGE] = np.full((frames, *size, 3), 7, np.uint8)
    pose = np.eye(4)
    pose[:3, 3] = wrist
    demo["obs/robot0_right_hand_T_world_pose_mat"] = np.tile(pose.reshape(-1), (frames, 1))
    sites = np.repeat(np.arange(22.0), 3) * 0.01
    demo["obs/robot0_right_gripper_keypoint_pose"] = np.tile(sites, (frames, 1))
    demo["obs/robot0_base_pos"] = np.tile(np.array(base, float), (frames, 1))
    demo["obs/robot0_base_quat"] = np.tile(np.array(quat, float), (frames, 1))
    demo.attrs["ep_meta"] = json.dumps({"lang": "pick the can from the counter"})


def write_file(path, demos=(0,), **kwargs):
    with h5py.File(path, "w") as file:
        for number in demos:
            group = file.create_group(f"data/demo_{number}")
            write_demo(group, kwargs.pop("wrist", (0.72121, -0.258, 0.9787)), **kwargs)
        file["data"].attrs["env_args"] = json.dumps({"env_name": "PnP", "env_kwargs": {}})


def test_what_the_exporter_writes_is_read_back(real_set, tmp_path) -> None:
    path = tmp_path / "set.hdf5"
    export(ExportConfig(real_set, "robomimic", path))
    stored, written = open_layout(real_set), open_layout(path)
    assert written.name == "robocasa-hdf5"
    assert written.names() == ["set.hdf5/demo_0", "set.hdf5/demo_1"]
    for ours, name in zip(stored.names(), written.names(), strict=True):
        one, other = stored.clip(ours).sample(), written.clip(name).sample()
        assert np.array_equal(one.frames, other.frames)
        assert np.array_equal(one.present, other.present) and one.rate == other.rate == 10.0
        assert np.allclose(one.intrinsics, other.intrinsics)
        # One world frame is the camera's, the other the kitchen's; actions know of neither.
        assert np.abs(one.actions() - other.actions()).max() < 2e-6
        assert np.abs(one.actions()[:, 21:42]).max() > 1e-3
        (pixels, depth), (again, far) = (
            project(s.hands[:, 1], s.camera, s.intrinsics) for s in (one, other)
        )
        assert np.abs(depth - far).max() < 1e-5 and np.abs(pixels - again).max() < 0.02
        assert (one.seen == other.seen).mean() > 0.99
    assert {written.clip(name).facts().split for name in written.names()} == {"train", "valid"}


@pytest.mark.parametrize(
    ("place", "pixel"),
    [((0.72121, -0.258, 0.9787), (601.6, 439.3)), ((0.63446, -0.31844, 1.10308), (663.2, 433.1))],
)
@pytest.mark.parametrize("moved", [False, True])
def test_the_camera_is_the_released_one(tmp_path, place, pixel, moved) -> None:
    """Pixels of the wrist in the released 600x960 pictures, computed from the released robot."""
    base, quat, wrist = (0, 0, 0), (0, 0, 0, 1), np.array(place)
    if moved:  # the robot stands elsewhere, turned by 90 degrees
        base, quat = (3.0, -1.0, 0.1), (0, 0, np.sqrt(0.5), np.sqrt(0.5))
        wrist = np.array([-wrist[1], wrist[0], wrist[2]]) + base
    write_file(tmp_path / "combine_demos_1.hdf5", wrist=wrist, size=(600, 960), frames=1,
               base=base, quat=quat)  # fmt: skip
    sample = open_layout(tmp_path).clip("combine_demos_1.hdf5/demo_0").sample()
    pixels, _ = project(sample.hands[:, 1, :1], sample.camera, sample.intrinsics)
    assert np.abs(pixels[0, 0] - pixel).max() < 0.1
    # The first place is that of the robot's initial joints.
    joints = np.concatenate([INIT_ARM, np.zeros(16)])
    if place[0] > 0.7:
        import torch

        camera_frame = base_to_camera(HandKinematics().keypoints(torch.tensor(joints).float()))
        local = np.linalg.inv(sample.camera[0]) @ [*sample.hands[0, 1, 0], 1]
        assert np.allclose(camera_frame[0].numpy(), local[:3], atol=1e-4)


def test_links_are_in_mano_order_and_the_little_finger_is_the_ring(tmp_path) -> None:
    write_file(tmp_path / "combine_demos_0.hdf5", demos=(3,))
    sample = open_layout(tmp_path).clip("combine_demos_0.hdf5/demo_3").sample()
    # Sites 6 to 21: index, middle, ring, thumb.
    sites = [*range(18, 22), *range(6, 18), *range(14, 18)]
    assert np.allclose(sample.hands[0, 1, 1:, 0], 0.01 * np.array(sites))
    assert np.allclose(sample.hands[0, 1, 0], (0.72121, -0.258, 0.9787))
    assert not sample.hands[:, 0].any() and not sample.seen[:, 0].any()
    assert sample.rate == 20.0, "RoboCasa's, where the file names none"


def test_files_demos_and_the_published_split(tmp_path) -> None:
    for file, demos in ((0, (10, 9, 2)), (1, (133,))):
        write_file(tmp_path / f"combine_demos_{file}.hdf5", demos=demos)
    test = [["combine_demos_9.hdf5", f"demo_{1000 + i}"] for i in range(285)]
    test[3] = ["data/combine_demos_1.hdf5", "demo_133"]
    test[4] = ["combine_demos_0.hdf5", "demo_10"]
    lists = {"train": [["combine_demos_0.hdf5", "demo_2"]], "test": test}
    (tmp_path / SPLIT).write_text(json.dumps(lists))
    layout = open_layout(tmp_path)
    facts = {name: layout.clip(name).facts() for name in layout.names()}
    assert {name: fact.split for name, fact in facts.items()} == {
        "combine_demos_0.hdf5/demo_2": "train",
        "combine_demos_0.hdf5/demo_9": "train",
        "combine_demos_0.hdf5/demo_10": "test",
        "combine_demos_1.hdf5/demo_133": "trials",
    }
    assert list(facts) == [*facts], "in the order of numbers"
    assert facts["combine_demos_1.hdf5/demo_133"].text == "pick the can from the counter"
    assert len(TRIALS) == len(set(TRIALS)) == 50 and (TRIALS[0], TRIALS[-1]) == (3, 168)
    (tmp_path / SPLIT).write_text('{"train": []}')
    with pytest.raises(UserError, match="expected lists `train` and `test`"):
        open_layout(tmp_path)
