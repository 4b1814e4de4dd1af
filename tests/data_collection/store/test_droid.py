import json

import h5py
import numpy as np
import pytest

from dexbench.data_collection.store.droid import DroidStore, GripperClip
from dexbench.data_collection.store.store import EpisodeStore
from dexbench.data_collection.store.verify import verify
from dexbench.utils.errors import UserError
from dexbench.utils.video import read_video


def clip():
    ramp = np.arange(4.0)
    return GripperClip(
        frames=[np.full((32, 32, 3), 20 * i, np.uint8) for i in range(4)],
        joints=np.tile(ramp[:, None], (1, 7)),
        tool=np.tile(ramp[:, None], (1, 6)),
        gripper=ramp / 3,
        camera=np.arange(6.0),
        intrinsic=np.eye(3),
        task="do it",
    )


@pytest.fixture
def store(tmp_path):
    store = DroidStore(tmp_path, {"strategy": "gripper", "seed": 0})
    store.commit([store.write_clip(i, clip()) | {"scene": 0} for i in range(2)])
    return store


def test_files_and_keys_are_droids(store):
    (row, _) = store.rows()
    folder = store.root / "dexbench/success/session_000/clip_000000"
    facts = json.loads(next(folder.glob("metadata_*.json")).read_bytes())
    assert facts["left_mp4_path"] == facts["ext1_mp4_path"]
    assert facts["ext1_cam_extrinsics"] == [0, 1, 2, 3, 4, 5]
    assert read_video(store.root / facts["left_mp4_path"]).shape == (4, 32, 32, 3)
    with h5py.File(folder / "trajectory.h5") as file:
        state = file["observation/robot_state"]
        assert state["cartesian_position"].shape == (4, 6)
        np.testing.assert_allclose(state["gripper_position"], np.arange(4) / 3)
        np.testing.assert_allclose(file["action/joint_position"][:, 0], [1, 2, 3, 3])
        serial = facts["ext1_cam_serial"]
        assert file[f"observation/camera_intrinsics/{serial}_left"].shape == (3, 3)
        assert set(np.diff(file["observation/timestamp/control/step_start"])) == {100}
    assert row["frames"] == 4


def test_a_set_is_verified_and_refused_as_robot_episodes(store):
    assert verify(store.root) == []
    path = next(store.root.rglob("metadata_*.json"))
    path.write_text("{}")
    assert [p.where for p in verify(store.root)] == [str(path.relative_to(store.root))]
    with pytest.raises(UserError, match="'droid'"):
        EpisodeStore(store.root)
