"""`dexbench data index` names every way in which a clip can be wrong, and replaces nothing."""

import dataclasses
import json
import shutil

import av
import h5py
import numpy as np
import pytest
from support.recorded import EXT2, SIZE, write_droid, write_egodex, write_lerobot
from support.synthetic_store import write_store

from dexbench.data_collection.readers.clip import Clip
from dexbench.data_collection.readers.errors import ClipError
from dexbench.data_collection.readers.index import Index, IndexConfig, main, make_index
from dexbench.data_collection.readers.layouts import open_layout
from dexbench.utils.errors import UserError
from dexbench.utils.video import write_video

GOOD, BAD = "part1/fold/0", "part1/fold/1"
DROID_GOOD, DROID_BAD = "RAIL/success/2023-05-01/Mon_1", "RAIL/success/2023-05-01/Mon_2"


@pytest.fixture(scope="module")
def egodex(tmp_path_factory):
    folder = tmp_path_factory.mktemp("egodex")
    for seed, name in enumerate((GOOD, BAD)):
        write_egodex(folder, name, frames=20, seed=seed)
    return folder


@pytest.fixture(scope="module")
def droid(tmp_path_factory):
    folder = tmp_path_factory.mktemp("droid")
    for name in (DROID_GOOD, DROID_BAD):
        write_droid(folder, name)
    return folder


def change(path, name, value):
    """Put another array in an HDF5, or none."""
    with h5py.File(path, "a") as file:
        del file[name]
        if value is not None:
            file[name] = value


def cut(path, share=0.6):
    """Cut a file short."""
    data = path.read_bytes()
    path.write_bytes(data[: int(len(data) * share)])


def frames_first(path):
    """Write an mp4 anew so that its table comes first, as on the web; cut short it still opens."""
    with av.open(str(path)) as old:
        draft = path.with_suffix(".draft.mp4")
        with av.open(str(draft), "w", options={"movflags": "faststart"}) as new:
            stream = new.add_stream_from_template(old.streams.video[0])
            for packet in old.demux(video=0):
                if packet.dts is not None:
                    packet.stream = stream
                    new.mux(packet)
    draft.replace(path)


def filled(shape, value, place):
    array = np.tile(np.eye(4), (20, 1, 1)) if shape == "poses" else np.ones(shape)
    array[place] = value
    return array


EGODEX = {
    "no video": (lambda h, v: v.unlink(), "1.mp4", "is missing"),
    "no poses": (lambda h, v: h.unlink(), "1.hdf5", "is missing"),
    "poses cut short": (lambda h, v: cut(h), "1.hdf5", "cannot be read"),
    "video cut short": (lambda h, v: cut(v), "1.mp4", "cannot be read"),
    "end of the video lost": (lambda h, v: (frames_first(v), cut(v)), "1.mp4", "cannot be"),
    "empty video": (lambda h, v: v.write_bytes(b""), "1.mp4", "cannot be read"),
    "video of text": (lambda h, v: v.write_text("not found"), "1.mp4", "cannot be read"),
    "poses of text": (lambda h, v: h.write_text("not found"), "1.hdf5", "cannot be read"),
    "more frames": (
        lambda h, v: write_video(v, [np.zeros((*SIZE, 3), np.uint8)] * 21, fps=30),
        "1.hdf5",
        "has poses of 20 frames, but its video has 21",
    ),
    "fewer frames": (
        lambda h, v: write_video(v, [np.zeros((*SIZE, 3), np.uint8)] * 19, fps=30),
        "1.hdf5",
        "has poses of 20 frames, but its video has 19",
    ),
    "no camera": (
        lambda h, v: change(h, "transforms/camera", None),
        "1.hdf5",
        "lacks transforms/camera",
    ),
    "no intrinsics": (
        lambda h, v: change(h, "camera/intrinsic", None),
        "1.hdf5",
        "lacks camera/intrinsic",
    ),
    "no joint": (
        lambda h, v: change(h, "transforms/leftRingFingerTip", None),
        "1.hdf5",
        "lacks transforms/leftRingFingerTip",
    ),
    "camera of another shape": (
        lambda h, v: change(h, "transforms/camera", np.zeros((20, 3, 4))),
        "1.hdf5",
        "has transforms/camera of shape (20, 3, 4), expected nx4x4",
    ),
    "joint of another length": (
        lambda h, v: change(h, "transforms/hip", np.zeros((19, 4, 4))),
        "1.hdf5",
        "has transforms/hip of shape (19, 4, 4), expected (20, 4, 4)",
    ),
    "intrinsics of another shape": (
        lambda h, v: change(h, "camera/intrinsic", np.zeros((3, 4))),
        "1.hdf5",
        "has camera/intrinsic of shape (3, 4), expected 3x3",
    ),
    "confidence of another length": (
        lambda h, v: change(h, "confidences/leftHand", np.ones(3)),
        "1.hdf5",
        "has confidences/leftHand of shape (3,), expected 20",
    ),
    "NaN in a joint": (
        lambda h, v: change(h, "transforms/rightHand", filled("poses", np.nan, (7, 1, 3))),
        "1.hdf5",
        "has NaN or infinity in transforms/rightHand, first at (7, 1)",
    ),
    "infinity in the camera": (
        lambda h, v: change(h, "transforms/camera", filled("poses", np.inf, (3, 0, 0))),
        "1.hdf5",
        "has NaN or infinity in transforms/camera, first at (3, 0, 0)",
    ),
    "NaN in the intrinsics": (
        lambda h, v: change(h, "camera/intrinsic", filled((3, 3), np.nan, (1, 1))),
        "1.hdf5",
        "has NaN or infinity in camera/intrinsic",
    ),
    "a camera that is no rotation": (
        lambda h, v: change(h, "transforms/camera", filled("poses", 1.01, (5, 2, 2))),
        "1.hdf5",
        "has no rotation in transforms/camera, first at 5",
    ),
    "a camera of the other handedness": (
        lambda h, v: change(h, "transforms/camera", filled("poses", -1, (0, 1, 1))),
        "1.hdf5",
        "has no rotation in transforms/camera, first at 0",
    ),
    "a camera whose poses are transposed": (
        lambda h, v: change(h, "transforms/camera", filled("poses", 0.2, (4, 3, 0))),
        "1.hdf5",
        "has no rotation in transforms/camera, first at 4",
    ),
    "intrinsics transposed": (
        lambda h, v: change(h, "camera/intrinsic", [[184, 0, 0], [0, 184, 0], [240, 135, 1]]),
        "1.hdf5",
        "has no camera matrix in camera/intrinsic: [[184",
    ),
    "intrinsics of zeros": (
        lambda h, v: change(h, "camera/intrinsic", np.diag([0, 0, 1.0])),
        "1.hdf5",
        "has no camera matrix in camera/intrinsic: [[0",
    ),
    "a joint of words": (
        lambda h, v: change(h, "confidences/leftHand", ["sure"] * 20),
        "1.hdf5",
        "cannot be read (could not convert",
    ),
    "no frames at all": (
        lambda h, v: change(h, "transforms/camera", np.zeros((0, 4, 4))),
        "1.hdf5",
        "has transforms/leftHand of shape (20, 4, 4), expected (0, 4, 4)",
    ),
}


@pytest.mark.parametrize("case", EGODEX)
def test_egodex(egodex, tmp_path, case) -> None:
    root = shutil.copytree(egodex, tmp_path / "data")
    damage, file, what = EGODEX[case]
    damage(root / f"{BAD}.hdf5", root / f"{BAD}.mp4")
    index = make_index(root)
    assert [clip.name for clip in index.clips] == [GOOD], "the other is left out, none stands in"
    (problem,) = index.problems
    assert problem.clip == BAD and problem.file.endswith(file)
    assert problem.what.startswith(what), problem.what
    with pytest.raises(ClipError, match="get or record it again, or leave the clip out"):
        clip = open_layout(root).clip(BAD)
        clip.sample(np.arange(clip.pictures().count))


def metadata(place, **changes):
    (path,) = place.glob("metadata_*.json")
    path.write_text(json.dumps(json.loads(path.read_text()) | changes))


def matrix(place, value):
    with h5py.File(place / "trajectory.h5", "a") as file:
        file[f"observation/camera_intrinsics/{EXT2}_left"] = value


DROID = {
    "no metadata": (lambda p: next(p.glob("metadata_*")).unlink(), "lacks its metadata_*.json"),
    "metadata cut short": (lambda p: cut(next(p.glob("metadata_*"))), "cannot be read"),
    "metadata of a list": (
        lambda p: next(p.glob("metadata_*")).write_text("[]"),
        "is no JSON object",
    ),
    "no trajectory": (lambda p: (p / "trajectory.h5").unlink(), "is missing"),
    "trajectory cut short": (lambda p: cut(p / "trajectory.h5"), "cannot be read"),
    "no video": (lambda p: (p / f"recordings/MP4/{EXT2}.mp4").unlink(), "is missing"),
    "no left camera": (lambda p: metadata(p, left_mp4_path=None), "has left_mp4_path None"),
    "a camera of no name": (
        lambda p: metadata(p, ext2_mp4_path="x/11.mp4"),
        f"has no camera for the video {EXT2}.mp4",
    ),
    "no extrinsics": (
        lambda p: metadata(p, ext2_cam_extrinsics=None),
        "has ext2_cam_extrinsics None, expected a list",
    ),
    "extrinsics too short": (
        lambda p: metadata(p, ext2_cam_extrinsics=[1, 2, 3]),
        "has ext2_cam_extrinsics [1, 2, 3], expected six numbers",
    ),
    "NaN in the extrinsics": (
        lambda p: metadata(p, ext2_cam_extrinsics=[float("nan")] * 6),
        "has NaN or infinity in ext2_cam_extrinsics",
    ),
    "video much shorter": (
        lambda p: write_video(
            p / f"recordings/MP4/{EXT2}.mp4", [np.zeros((72, 128, 3), np.uint8)] * 18
        ),
        "has poses of 20 frames, but its video has 18",
    ),
    "video longer": (
        lambda p: write_video(
            p / f"recordings/MP4/{EXT2}.mp4", [np.zeros((72, 128, 3), np.uint8)] * 21
        ),
        "has poses of 20 frames, but its video has 21",
    ),
    "no gripper": (
        lambda p: change(p / "trajectory.h5", "observation/robot_state/gripper_position", None),
        "lacks observation/robot_state/gripper_position",
    ),
    "gripper of another length": (
        lambda p: change(
            p / "trajectory.h5", "observation/robot_state/gripper_position", np.zeros(4)
        ),
        "has observation/robot_state/gripper_position of shape (4,), expected 20",
    ),
    "NaN in the arm": (
        lambda p: change(
            p / "trajectory.h5",
            "observation/robot_state/cartesian_position",
            filled((20, 6), np.nan, (4, 2)),
        ),
        "has NaN or infinity in observation/robot_state/cartesian_position, first at (4, 2)",
    ),
    "a clock that stands": (
        lambda p: change(
            p / "trajectory.h5", "observation/timestamp/control/step_start", np.zeros(20)
        ),
        "has times in observation/timestamp/control/step_start that do not rise",
    ),
    "a clock of another length": (
        lambda p: change(
            p / "trajectory.h5", "observation/timestamp/control/step_start", np.zeros((20, 2))
        ),
        "has observation/timestamp/control/step_start of shape (20, 2), expected n",
    ),
    "a camera matrix that is none": (
        lambda p: matrix(p, np.zeros((20, 3, 3))),
        f"has no camera matrix in observation/camera_intrinsics/{EXT2}_left",
    ),
    "a camera matrix of another shape": (
        lambda p: matrix(p, np.zeros(4)),
        f"has observation/camera_intrinsics/{EXT2}_left of shape (4,), expected nx3x3",
    ),
    "a video of no pictures": (
        lambda p: (p / f"recordings/MP4/{EXT2}.mp4").write_bytes(b"\0" * 500),
        "cannot be read",
    ),
}


@pytest.mark.parametrize("case", DROID)
def test_droid(droid, tmp_path, case) -> None:
    root = shutil.copytree(droid, tmp_path / "data")
    damage, what = DROID[case]
    damage(root / DROID_BAD)
    index = make_index(root)
    assert [clip.name for clip in index.clips] == [DROID_GOOD]
    (problem,) = index.problems
    assert problem.clip == DROID_BAD and DROID_BAD in problem.file
    assert problem.what.startswith(what), problem.what


def test_lerobot(tmp_path) -> None:
    import pandas

    write_lerobot(tmp_path / "data", lengths=(6, 8, 7))
    table = tmp_path / "data/data/chunk-000/file-000.parquet"
    whole = pandas.read_parquet(table)
    assert len(make_index(tmp_path / "data").clips) == 3

    def problem():
        index = make_index(tmp_path / "data")
        assert [clip.name for clip in index.clips] == ["episode_000000", "episode_000002"]
        (found,) = index.problems
        assert found.clip == "episode_000001"
        return found.what

    second = whole["episode_index"] == 1
    whole[~(second & (whole["frame_index"] == 7))].to_parquet(table)
    assert problem() == "has poses of 7 frames, but its video has 8"
    whole[~(second & (whole["frame_index"] == 3))].to_parquet(table)
    assert problem() == "has frames of episode 1 twice, or leaves out some"
    rows = whole.copy()
    rows.at[9, "observation.state.cartesian_position"] = np.zeros(5, np.float32)
    rows.to_parquet(table)
    assert problem().startswith("has observation.state.cartesian_position of shape (5,) in a row")
    rows.at[9, "observation.state.cartesian_position"] = np.full(6, np.nan, np.float32)
    rows.to_parquet(table)
    assert problem().startswith("has NaN or infinity in observation.state.cartesian_position")
    rows = whole.copy()
    rows.loc[second, "frame_index"] = [0, 1, 2, 3, 3, 5, 6, 7]
    rows.to_parquet(table)
    assert problem() == "has frames of episode 1 twice, or leaves out some"
    whole.drop(columns="observation.state.gripper_position").to_parquet(table)
    index = make_index(tmp_path / "data")
    assert not index.clips and len(index.problems) == 3
    assert all("gripper_position" in problem.what for problem in index.problems)
    whole.to_parquet(table)
    list_of_episodes = tmp_path / "data/meta/episodes/chunk-000/file-000.parquet"
    episodes = pandas.read_parquet(list_of_episodes)
    for key in ("data/file_index", f"videos/{CAMERA}/from_timestamp", "length"):
        changed = episodes.copy()
        changed.loc[1, key] = np.nan
        changed.to_parquet(list_of_episodes)
        assert problem() == f"has {key} nan for episode 1, expected a number"
    episodes.to_parquet(list_of_episodes)
    cut(table)
    index = make_index(tmp_path / "data")
    assert not index.clips and len(index.problems) == 3
    assert all(problem.what.startswith("cannot be read") for problem in index.problems)
    whole.to_parquet(table)
    video = tmp_path / "data/videos/observation.images.exterior_1_left/chunk-000/file-000.mp4"
    write_video(video, [np.zeros((180, 320, 3), np.uint8)] * 15, fps=15)
    index = make_index(tmp_path / "data")
    assert [p.what for p in index.problems] == ["has 15 frames, expected 21"]
    video.unlink()
    assert [p.what for p in make_index(tmp_path / "data").problems] == ["is missing"] * 3


def test_an_episode_set(tmp_path) -> None:
    write_store(tmp_path / "set", episodes=3, frames=5)
    (tmp_path / "set/videos/000001.mp4").unlink()
    change(tmp_path / "set/episodes/000002.h5", "keypoints", np.full((5, 21, 3), np.nan))
    index = make_index(tmp_path / "set")
    assert [clip.name for clip in index.clips] == ["000000"]
    assert [problem.what for problem in index.problems] == [
        "is missing",
        "has NaN or infinity in keypoints, first at (0, 0, 0)",
    ]


CAMERA = "observation.images.exterior_1_left"


def released(path, **changes):
    arrays = {
        "robot0_robotview_2_image": np.zeros((4, 60, 96, 3), np.uint8),
        "robot0_right_hand_T_world_pose_mat": np.zeros((4, 16)),
        "robot0_right_gripper_keypoint_pose": np.ones((4, 66)),
        "robot0_base_pos": np.zeros((4, 3)),
        "robot0_base_quat": np.tile([0, 0, 0, 1.0], (4, 1)),
    } | changes
    with h5py.File(path, "w") as file:
        for name, value in arrays.items():
            if value is not None:
                file[f"data/demo_0/obs/{name}"] = value


RELEASED = {
    "robot0_base_pos": (None, "lacks robot0_base_pos"),
    "robot0_robotview_2_image": (None, "lacks data/demo_0/obs/robot0_robotview_2_image"),
    "robot0_base_quat": (np.zeros((4, 4)), "has no rotation in robot0_base_quat, first at 0"),
    "robot0_right_gripper_keypoint_pose": (np.ones((4, 63)), "has robot0_right_gripper_keypoint"),
    "robot0_right_hand_T_world_pose_mat": (np.full((4, 16), np.nan), "has NaN or infinity"),
}


@pytest.mark.parametrize("name", RELEASED)
def test_released(tmp_path, name) -> None:
    released(tmp_path / "combine_demos_0.hdf5")
    value, what = RELEASED[name]
    released(tmp_path / "combine_demos_1.hdf5", **{name: value})
    index = make_index(tmp_path)
    assert [clip.name for clip in index.clips] == ["combine_demos_0.hdf5/demo_0"]
    (problem,) = index.problems
    assert problem.clip == "combine_demos_1.hdf5/demo_0" and problem.what.startswith(what)


def test_released_pictures_and_files(tmp_path) -> None:
    image = "robot0_robotview_2_image"
    released(tmp_path / "a.hdf5")
    released(tmp_path / "b.hdf5", **{image: np.zeros((3, 60, 96, 3), np.uint8)})
    released(tmp_path / "c.hdf5", **{image: np.zeros((4, 64, 64, 3), np.uint8)})
    released(tmp_path / "d.hdf5")
    cut(tmp_path / "d.hdf5")
    with h5py.File(tmp_path / "e.hdf5", "w") as file:
        file["others"] = np.zeros(3)
    index = make_index(tmp_path)
    assert [clip.name for clip in index.clips] == ["a.hdf5/demo_0"]
    found = {problem.clip: problem.what for problem in index.problems}
    assert found["b.hdf5/demo_0"] == "has poses of 4 frames, but its video has 3"
    assert found["c.hdf5/demo_0"].startswith("has pictures of 64x64, expected the shape of")
    assert found["d.hdf5"].startswith("cannot be read") and found["e.hdf5"] == "lacks data"
    assert len(found) == 4


def test_the_command_says_what_there_is(egodex, tmp_path, capsys) -> None:
    root = shutil.copytree(egodex, tmp_path / "data")
    write_egodex(root, "test/fold/0", frames=40, seed=3, fps=10)
    (root / f"{BAD}.mp4").unlink()
    main(IndexConfig(root))
    out = capsys.readouterr().out
    assert f"{BAD}: {root / BAD}.mp4 is missing" in out
    lines = dict(line.split("  ", 1) for line in out.splitlines() if "  " in line)
    said = {name: value.strip() for name, value in lines.items()}
    assert said["layout"] == "egodex" and said["clips"] == "2 (1 of train, 1 of test)"
    assert said["frames"] == "60" and said["hours"] == f"{(20 / 30 + 4) / 3600:.3f}"
    assert said["frames a second"] == "1 of 30, 1 of 10"
    assert said["picture"] == "270x480" and said["left hand"] == "in 100 % of the frames"
    assert said["camera"] == "moves in 2 clips" and said["left out"] == "1 clips"
    index = Index.read(tmp_path / "data.index.json")
    assert index == dataclasses.replace(make_index(root), root=root.resolve())
    assert isinstance(index.clip(GOOD), Clip) and len(index.clip(GOOD).sample(np.arange(3))) == 3
    first = (tmp_path / "data.index.json").read_bytes()
    main(IndexConfig(root, tmp_path / "again.json"))
    assert (tmp_path / "again.json").read_bytes() == first, "the same folder, the same index"


def test_hands_and_camera_in_the_facts(egodex, droid, tmp_path) -> None:
    (of_people, *_), (of_arms, *_) = make_index(egodex).clips, make_index(droid).clips
    assert of_people.hands == (1.0, 1.0) and of_people.seen == 1.0 and of_people.moving_camera
    assert of_people.size == SIZE and of_people.text == "Stack the cups."
    assert of_arms.hands == (0.0, 1.0) and of_arms.seen == 0.0 and not of_arms.moving_camera
    assert of_arms.rate == 15.0 and of_arms.frames == 19


def test_nothing_whole_is_an_error_and_writes_nothing(egodex, tmp_path, capsys) -> None:
    root = shutil.copytree(egodex, tmp_path / "data")
    for video in root.rglob("*.mp4"):
        video.unlink()
    with pytest.raises(UserError, match=r"holds no whole clip .*0.mp4 is missing"):
        main(IndexConfig(root))
    (tmp_path / "empty").mkdir()
    for place, what in ((tmp_path / "empty", "holds no clips"), (tmp_path / "no", "not exist")):
        with pytest.raises(UserError, match=what):
            main(IndexConfig(place))
    assert sorted(path.name for path in tmp_path.iterdir()) == ["data", "empty"]


def test_an_index_that_cannot_be_written_or_read(egodex, tmp_path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(UserError, match="choose another --out"):
        main(IndexConfig(egodex, tmp_path / "file" / "index.json"))
    main(IndexConfig(egodex, tmp_path / "index.json"))
    with pytest.raises(UserError, match="holds no clips that dexbench reads"):
        make_index(tmp_path / "index.json")
    whole = (tmp_path / "index.json").read_text()
    for text in ("", "[]", whole[:-9], whole.replace('"schema": 1', '"schema": 2')):
        (tmp_path / "index.json").write_text(text)
        with pytest.raises(UserError, match="is no index or a damaged one"):
            Index.read(tmp_path / "index.json")
