import json
import shutil

import h5py
import numpy as np
import pytest

from dexbench.data_collection.export import robomimic
from dexbench.data_collection.export.main import ExportConfig, main
from dexbench.data_collection.store.store import EpisodeStore
from dexbench.envs.assets import asset_root
from dexbench.envs.embodiment.camera import base_to_camera, camera_to_base
from dexbench.envs.freeze import load
from dexbench.utils.errors import UserError
from dexbench.utils.video import read_video

IMAGE = "robot0_robotview_2_image"
SHAPES = {
    "robot0_base_pos": (3,),
    "robot0_base_quat": (4,),
    "robot0_joint_pos": (14,),
    "robot0_right_gripper_qpos": (16,),
    "robot0_right_gripper_keypoint_pose": (66,),
    "robot0_right_hand_T_world_pose_mat": (16,),
    IMAGE: (224, 392, 3),
}
"""The released file's names and shapes but for the picture's, a row each."""


@pytest.fixture(scope="module")
def exported(real_set, tmp_path_factory):
    path = tmp_path_factory.mktemp("export") / "set.hdf5"
    main(ExportConfig(real_set, "robomimic", path))
    return path


def compiled(demo):
    """The scene of an exported clip."""
    return load(demo.attrs["model_file"], asset_root())


def test_names_and_shapes_are_the_released_ones(real_set, exported):
    with h5py.File(exported) as file:
        for row in EpisodeStore(real_set).rows():
            demo, count = file[f"data/demo_{row['id']}"], row["frames"]
            assert demo.attrs["num_samples"] == count
            assert demo.attrs["model_file"].startswith("<mujoco")
            assert "recipe" in json.loads(demo.attrs["ep_meta"])
            with h5py.File(real_set / f"episodes/{row['id']:06d}.h5") as episode:
                assert np.array_equal(demo["actions"], episode["action"][()].astype(float))
                state = episode["state"][()]
            model = compiled(demo)
            width = 1 + model.nq + model.nv  # time, qpos, qvel: what MuJoCo's states begin with
            assert np.array_equal(demo["states"], state[:, :width])
            for name, shape in SHAPES.items():
                assert demo[f"obs/{name}"].shape == (count, *shape), name
            video = read_video(real_set / "videos" / f"{row['id']:06d}.mp4")
            assert np.array_equal(demo[f"obs/{IMAGE}"], video)
            assert demo["dones"][()].tolist() == [0] * (count - 1) + [1]
        assert set(json.loads(file["data"].attrs["env_args"])) == {"env_name", "type", "env_kwargs"}
        keys = [file[f"mask/{key}"].asstr()[()].tolist() for key in ("train", "valid")]
        assert sorted(keys) == [["demo_0"], ["demo_1"]], "two scenes: one under either key"


@pytest.mark.parametrize("count", [1, 2, 5, 200])
def test_scenes_are_held_out_whole_and_some_are_left(count):
    rows = [{"scene": i // 4} for i in range(4 * count)]
    for share in (0.0, 0.1, 1.0):
        split = robomimic.split_scenes(rows, share)
        scenes = {key: {int(n.removeprefix("demo_")) // 4 for n in split[key]} for key in split}
        everything = [f"demo_{i}" for i in range(4 * count)]
        assert sorted(split["train"] + split["valid"]) == sorted(everything)
        assert not scenes["train"] & scenes["valid"]
        assert scenes["train"] and bool(scenes["valid"]) == (count > 1)


def test_poses_agree_with_what_was_recorded(real_set, exported):
    with h5py.File(exported) as file, h5py.File(real_set / "episodes/000001.h5") as episode:
        obs = {name: value[()] for name, value in file["data/demo_1/obs"].items()}
        keypoints, qpos = episode["keypoints"][()], episode["agent_pos"][()]
        meta = json.loads(episode.attrs["meta"])
        places = episode["object_pos"][()]
        objects = meta["objects"]
        poses = {o: file[f"data/demo_1/datagen_info/object_poses/{o}"][()] for o in objects}
        model = compiled(file["data/demo_1"])
    assert np.array_equal(obs["robot0_joint_pos"][:, :7], qpos[:, :7].astype(float))
    x, y, z, w = obs["robot0_base_quat"][0]
    yaw = 2 * np.arctan2(z, w)
    assert abs(x) + abs(y) < 1e-6
    turn = np.array([[np.cos(yaw), -np.sin(yaw), 0], [np.sin(yaw), np.cos(yaw), 0], [0, 0, 1]])
    # Index, middle, ring, thumb; the recorded order is wrist, thumb, index, middle, ring, ring.
    world = obs["robot0_right_gripper_keypoint_pose"].reshape(-1, 22, 3)[:, 6:]
    base = (world - obs["robot0_base_pos"][:, None]) @ turn
    links = base_to_camera(base)[:, [12, 13, 14, 15, *range(12)]]
    # The site `center` may stand above the base frame's origin: fingers relative to one another.
    off = links - keypoints[:, 1:17]
    assert np.ptp(off.reshape(-1, 3), axis=0).max() < 1e-5
    wrist = obs["robot0_right_hand_T_world_pose_mat"].reshape(-1, 4, 4)[:, :3, 3]
    wrist = base_to_camera((wrist - obs["robot0_base_pos"]) @ turn)
    assert np.abs(wrist - keypoints[:, 0] - off[0, 0]).max() < 1e-5
    # Recorded are centres of mass, which the scene has at a fixed place in each body's frame.
    site = (base[:, [12, 13, 14, 15, *range(12)]] - camera_to_base(keypoints)[:, 1:17])[0, 0]
    centres = (places + site) @ turn.T + obs["robot0_base_pos"][:, None]
    assert len(objects) == places.shape[1] > 1
    for index, name in enumerate(objects):
        inside = model.body(name).ipos @ poses[name][:, :3, :3].transpose(0, 2, 1)
        assert np.abs(poses[name][:, :3, 3] + inside - centres[:, index]).max() < 1e-5, name


def test_robomimics_own_loader_reads_it(exported):
    pytest.importorskip("robomimic")
    from robomimic.utils import file_utils, obs_utils
    from robomimic.utils.dataset import SequenceDataset

    low = [name for name in SHAPES if name != IMAGE]
    obs_utils.initialize_obs_utils_with_obs_specs({"obs": {"low_dim": low, "rgb": [IMAGE]}})
    assert file_utils.get_env_metadata_from_dataset(str(exported))["env_name"] == "DexKitchen"
    shapes = file_utils.get_shape_metadata_from_dataset(str(exported), all_obs_keys=[*SHAPES])
    assert shapes["ac_dim"] == 23
    data = SequenceDataset(
        str(exported),
        obs_keys=tuple(SHAPES),
        dataset_keys=("actions", "rewards", "dones"),
        frame_stack=1,
        seq_length=2,
        hdf5_cache_mode=None,
        load_next_obs=False,
    )
    with h5py.File(exported) as file:  # closed again before robomimic opens it in its own mode
        total, actions = file["data"].attrs["total"], file["data/demo_0/actions"][:2]
        pictures = file[f"data/demo_0/obs/{IMAGE}"][:2]
    assert len(data) == total
    first = data[0]
    assert np.allclose(first["actions"], actions)
    assert np.allclose(np.sort(np.ravel(first["obs"][IMAGE])), np.sort(np.ravel(pictures)))


def test_actions_can_be_normalised_and_mapped_back(real_set, exported, tmp_path):
    path = tmp_path / "set.hdf5"
    main(ExportConfig(real_set, "robomimic", path, normalise_actions=True))
    with h5py.File(path) as file, h5py.File(exported) as stored:
        low, high = (file["data"].attrs[name] for name in ("action_low", "action_high"))
        assert low.shape == high.shape == (23,)
        for demo in file["data"]:
            scaled = file[f"data/{demo}/actions"][()]
            assert np.abs(scaled).max() <= 1
            back = low + (scaled + 1) / 2 * (high - low)
            assert np.allclose(back, stored[f"data/{demo}/actions"], rtol=0, atol=1e-6)
        assert np.ptp(scaled) > 0.5 and "action_low" not in stored["data"].attrs
    with pytest.raises(UserError, match="--normalise-actions is for --format robomimic"):
        main(ExportConfig(real_set, "lerobot", tmp_path / "out", normalise_actions=True))


@pytest.mark.slow
def test_the_released_picture_shows_the_same(real_set, exported, tmp_path):
    path = tmp_path / "set.hdf5"
    main(ExportConfig(real_set, "robomimic", path, image="released"))
    with h5py.File(path) as file, h5py.File(exported) as stored:
        large = file[f"data/demo_0/obs/{IMAGE}"][0].astype(float)
        small = stored[f"data/demo_0/obs/{IMAGE}"][0].astype(float)
    assert large.shape == (600, 960, 3)
    from PIL import Image

    crop = Image.fromarray(large[26:574].astype(np.uint8)).resize((392, 224), Image.Resampling.BOX)
    assert np.abs(np.asarray(crop) - small).mean() < 4


@pytest.fixture(scope="module")
def lerobot(real_set, tmp_path_factory):
    pytest.importorskip("pyarrow")
    out = tmp_path_factory.mktemp("lerobot") / "set"
    main(ExportConfig(real_set, "lerobot", out))
    return out


def test_lerobot_tables_and_videos_fit_together(real_set, lerobot):
    import pandas as pd

    rows = list(EpisodeStore(real_set).rows())
    info = json.loads((lerobot / "meta/info.json").read_text())
    assert info["codebase_version"] == "v3.0"
    assert info["total_frames"] == sum(row["frames"] for row in rows)
    episodes = pd.read_parquet(lerobot / "meta/episodes/chunk-000/file-000.parquet")
    data = pd.read_parquet(lerobot / "data/chunk-000/file-000.parquet")
    assert data["index"].tolist() == list(range(info["total_frames"]))
    key = "observation.images.head"
    assert set(data.columns) | {key} == set(info["features"])
    stats = json.loads((lerobot / "meta/stats.json").read_text())
    assert set(stats) == set(info["features"])
    assert np.shape(stats[key]["mean"]) == (3, 1, 1)
    assert 0 < np.min(stats[key]["min"]) + np.max(stats[key]["max"]) <= 2
    for row, (_, episode) in zip(rows, episodes.iterrows(), strict=True):
        video = lerobot / info["video_path"].format(
            video_key=key,
            chunk_index=episode[f"videos/{key}/chunk_index"],
            file_index=episode[f"videos/{key}/file_index"],
        )
        assert video.read_bytes() == EpisodeStore(real_set).file(row, "mp4").read_bytes()
        part = data[episode["dataset_from_index"] : episode["dataset_to_index"]]
        assert (part["episode_index"] == row["id"]).all()
        assert part["frame_index"].tolist() == list(range(row["frames"]))
        with h5py.File(EpisodeStore(real_set).file(row, "h5")) as file:
            assert np.array_equal(np.stack(part["action"]), file["action"][()])
            assert np.array_equal(np.stack(part["observation.state"]), file["agent_pos"][()])
    tasks = pd.read_parquet(lerobot / "meta/tasks.parquet")
    assert tasks.iloc[0].name == "expert"


def test_lerobots_columns_can_be_normalised(lerobot):
    import pandas as pd

    features = json.loads((lerobot / "meta/info.json").read_text())["features"]
    observed = [name for name in features if name.startswith("observation.")]
    for name in [*observed, "action"]:
        assert features[name]["dtype"] in ("float32", "video"), name
    stats = json.loads((lerobot / "meta/stats.json").read_text())
    data = pd.read_parquet(lerobot / "data/chunk-000/file-000.parquet")
    quantiles = {"q01": 0.01, "q10": 0.1, "q50": 0.5, "q90": 0.9, "q99": 0.99}
    for name, of_column in stats.items():
        assert set(of_column) == {"min", "max", "mean", "std", "count", *quantiles}
        for quantile, share in quantiles.items():
            assert np.shape(of_column[quantile]) == np.shape(of_column["mean"])
            if name in data and name != "observation.contact":
                expected = np.quantile(np.stack(data[name]), share, axis=0)
                assert np.allclose(of_column[quantile], expected), (name, quantile)


@pytest.mark.parametrize("mode", ["MEAN_STD", "MIN_MAX", "QUANTILES", "QUANTILE10"])
def test_lerobots_own_normaliser_takes_it(lerobot, mode):
    datasets = pytest.importorskip("lerobot.datasets.lerobot_dataset")
    from lerobot.configs.types import NormalizationMode
    from lerobot.datasets.utils import dataset_to_policy_features
    from lerobot.processor import NormalizerProcessorStep, TransitionKey

    data = datasets.LeRobotDataset("local/set", root=lerobot, video_backend="pyav")
    features = dataset_to_policy_features(data.meta.features)
    step = NormalizerProcessorStep.from_lerobot_dataset(
        data, features, {kind.type: NormalizationMode[mode] for kind in features.values()}
    )
    item = data.hf_dataset[3]  # decoding the video is another matter
    seen = {key: value for key, value in item.items() if key.startswith("observation.")}
    seen["observation.images.head"] = item["action"].new_full((3, 224, 392), 0.5)
    done = step({TransitionKey.OBSERVATION: seen, TransitionKey.ACTION: item["action"]})
    assert set(features) == {*seen, "action"}
    for value in (*done[TransitionKey.OBSERVATION].values(), done[TransitionKey.ACTION]):
        assert value.isfinite().all()


def test_lerobots_own_loader_reads_it(lerobot):
    datasets = pytest.importorskip("lerobot.datasets.lerobot_dataset")
    data = datasets.LeRobotDataset("local/set", root=lerobot, video_backend="pyav")
    item = data[3]
    assert tuple(item["action"].shape) == (23,)
    assert tuple(item["observation.images.head"].shape) == (3, 224, 392)
    assert item["task"] == "expert"


@pytest.mark.parametrize("form", ["robomimic", "lerobot"])
def test_bad_input_writes_nothing(real_set, tmp_path, form):
    (tmp_path / "there").touch()
    with pytest.raises(UserError, match="exists"):
        main(ExportConfig(real_set, form, tmp_path / "there"))
    with pytest.raises(UserError, match="no episode set"):
        main(ExportConfig(tmp_path / "nothing", form, tmp_path / "out"))
    assert [path.name for path in tmp_path.iterdir()] == ["there"]


@pytest.mark.parametrize("damaged", ["videos/000001.mp4", "episodes/000001.h5"])
def test_a_damaged_set_is_named_and_nothing_written(real_set, tmp_path, damaged):
    path = shutil.copytree(real_set, tmp_path / "set") / damaged
    whole = path.read_bytes()
    flipped = bytes([*whole[:-9], whole[-9] ^ 1, *whole[-8:]])
    for spoilt, form in ((whole[:100], "robomimic"), (flipped, "robomimic"), (flipped, "lerobot")):
        path.write_bytes(spoilt)
        with pytest.raises(UserError, match=f"{damaged} is missing or damaged .*data verify"):
            main(ExportConfig(tmp_path / "set", form, tmp_path / "out"))
        assert [path.name for path in tmp_path.iterdir()] == ["set"]


def test_what_cannot_be_exported_is_refused_and_writes_nothing(real_set, tmp_path):
    EpisodeStore(tmp_path / "empty", {"strategy": "programmatic", "seed": 0})
    with pytest.raises(UserError, match="holds no episodes; collect some first"):
        main(ExportConfig(tmp_path / "empty", "robomimic", tmp_path / "out"))
    with pytest.raises(UserError, match="--image released is for --format robomimic"):
        main(ExportConfig(real_set, "lerobot", tmp_path / "out", image="released"))
    (tmp_path / "file").write_text("mine")
    with pytest.raises(OSError, match="file"):  # The command line says it in a line.
        main(ExportConfig(real_set, "robomimic", tmp_path / "file" / "out"))
    assert sorted(path.name for path in tmp_path.iterdir()) == ["empty", "file"]
