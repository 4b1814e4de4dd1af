import dataclasses
import json
import wave
from pathlib import Path

import h5py
import numpy as np
import pytest
import torch
from safetensors.torch import load_file
from support.synthetic_store import keypoints_of, picture, write_store
from support.trainings import SMALL, config, losses

from dexbench.agents.dexwm.agent import COSTS, DexWM
from dexbench.agents.dexwm.model.checkpoint import weights_file
from dexbench.agents.dexwm.model.config import ModelConfig
from dexbench.agents.dexwm.model.decoder import decoder_path, load_decoder
from dexbench.agents.dexwm.model.world_model import DexWMModel
from dexbench.agents.dexwm.training import train as training
from dexbench.agents.dexwm.training.train import train
from dexbench.agents.learning.episodes import GAPS, load_episodes
from dexbench.agents.learning.weights import read_tensors, save_tensors
from dexbench.agents.planning.cem import CEMConfig
from dexbench.agents.reference.keypoint_fk import KeypointFK
from dexbench.envs.embodiment.robot import INIT_JOINTS
from dexbench.utils.errors import UserError
from dexbench.utils.seeding import rng


@pytest.fixture(scope="module")
def store(tmp_path_factory):
    return write_store(tmp_path_factory.mktemp("store") / "set")


@pytest.fixture(scope="module")
def trained(store, tmp_path_factory):
    out = tmp_path_factory.mktemp("trained") / "w.safetensors"
    return out, train(config(store, out))


def test_reader_decodes_once_and_holds_out_whole_episodes(store, tmp_path):
    episodes = load_episodes([store], tmp_path, progress=False)
    assert episodes.frames.shape == (96, 112, 196, 3)
    assert episodes.validation.sum() >= 1 and (~episodes.validation).sum() >= 1
    written = (tmp_path / "frames.u8").stat().st_mtime_ns
    load_episodes([store], tmp_path, progress=False)
    assert (tmp_path / "frames.u8").stat().st_mtime_ns == written
    with h5py.File(store / "episodes" / "000001.h5") as file:
        assert np.array_equal(episodes.joints[24:48], file["agent_pos"][()])
        assert np.array_equal(episodes.targets[24:48], file["action"][()])
    # The dots are where the keypoints of the same frame are.
    for frame in (0, 23, 24, 95):
        expected = picture(episodes.keypoints[frame]).astype(int)[1::2, 1::2]
        assert np.abs(episodes.frames[frame].astype(int) - expected).mean() < 6


def test_metrics_tell_what_the_reader_gives_and_what_the_trainer_takes(trained):
    out, _ = trained
    rows = (out.with_name(out.name + ".work") / "metrics.jsonl").read_text().splitlines()
    rows = [row for row in map(json.loads, rows) if "loss" in row]
    assert all(0 < row["frames_s"] < row["reader_frames_s"] for row in rows)


def test_windows_stay_inside_their_episode_and_split(store, tmp_path):
    episodes = load_episodes([store], tmp_path, progress=False)
    index = episodes.windows(rng("test"), 500)
    episode = index // 24
    assert (episode == episode[:, :1]).all() and not episodes.validation[episode].any()
    gaps = np.diff(index, axis=1)
    assert gaps.min() >= 1 and gaps.sum(1).max() <= 23 and len(np.unique(gaps)) > 8
    longest = np.diff(episodes.windows(rng("test"), 9, planner_share=1.0), axis=1)
    assert (longest == 7).all()  # (24 - 1) // 3
    single = np.diff(episodes.windows(rng("test"), 500, steps=1), axis=1)
    assert (single.min(), single.max()) == GAPS
    held_out = episodes.windows(rng("test"), 50, validation=True) // 24
    assert episodes.validation[held_out].all()


@pytest.mark.parametrize("frames", [4, 5])
def test_windows_fit_into_episodes_of_a_few_frames(tmp_path, frames):
    folder = write_store(tmp_path / "set", frames=frames)
    episodes = load_episodes([folder], tmp_path / "cache", progress=False)
    index = episodes.windows(rng("test"), 200)
    assert (index // frames == index[:, :1] // frames).all() and np.diff(index, axis=1).min() >= 1


DAMAGE = ["no video", "half a video", "no pictures", "no episode", "short", "no action"]


@pytest.mark.parametrize("damage", DAMAGE)
def test_a_damaged_set_is_named_with_its_cure(tmp_path, damage):
    folder = write_store(tmp_path / "set")
    video, episode = folder / "videos" / "000002.mp4", folder / "episodes" / "000002.h5"
    if damage == "no video":
        video.unlink()
    elif damage == "half a video":
        video.write_bytes(video.read_bytes()[:2000])
    elif damage == "no pictures":
        with wave.open(str(video), "wb") as sound:
            sound.setparams((1, 2, 8000, 0, "NONE", ""))
            sound.writeframes(bytes(800))
    elif damage == "no episode":
        episode.unlink()
    else:
        with h5py.File(episode, "a") as file:
            action = file["action"][:20]
            del file["action"]
            if damage == "short":
                file["action"] = action
    with pytest.raises(UserError, match=r"000002\.(mp4|h5).*dexbench data verify"):
        load_episodes([folder], tmp_path / "cache", progress=False)


def test_bad_stores_are_named(store, tmp_path):
    with pytest.raises(UserError, match="manifest.jsonl"):
        load_episodes([tmp_path], tmp_path / "cache", progress=False)
    (tmp_path / "manifest.jsonl").write_text("{\n")
    with pytest.raises(UserError, match="line 1"):
        load_episodes([tmp_path], tmp_path / "cache", progress=False)


def test_pictures_of_another_size_are_refused(store, tmp_path):
    with pytest.raises(UserError, match="000000.mp4: .* whole multiple of 100x100 .*another size"):
        load_episodes([store], tmp_path / "cache", size=(100, 100), progress=False)


def test_training_lowers_the_loss(store, tmp_path):
    out = tmp_path / "w.safetensors"
    train(config(store, out, steps=(25, 25, 1), rates=(3e-3, 3e-3, 1e-3)))
    for stage in ("encoder", "predictor"):
        values = [value for name, _, value in losses(out) if name == stage]
        assert np.mean(values[-4:]) < 0.8 * np.mean(values[:3])


def test_resumed_training_gives_the_same_losses_and_weights(store, trained, tmp_path):
    out, result = trained
    again = tmp_path / "w.safetensors"
    stops = iter([("encoder", 5), ("encoder", 7), ("predictor", 4), ("rollout", 4), None])
    stop = None

    def interrupt(row):
        if stop == (row["stage"], row["step"]):
            raise KeyboardInterrupt

    for stop in stops:
        if stop is None:
            assert train(config(store, again), interrupt)["weights_hash"] is not None
        else:
            with pytest.raises(KeyboardInterrupt):
                train(config(store, again), interrupt)
    assert losses(again) == losses(out)
    assert again.read_bytes()[-4096:] == out.read_bytes()[-4096:]  # the last tensors
    assert result["ratio_1"] > 0


def test_end_to_end_trains_the_encoder_too_and_resumes(store, trained, tmp_path):
    """From the frozen recipe's weights: the encoder and decoder move, and nothing collapses."""
    out = tmp_path / "w.safetensors"
    settings = {"init": trained[0], "steps": (0, 0, 6), "end_to_end": True}
    result = train(config(store, out, **settings))
    before, after = load_file(trained[0]), load_file(out)
    moved = {name.split(".")[0] for name in after if not torch.equal(before[name], after[name])}
    assert moved == {"encoder", "head", "predictor"}
    assert decoder_path(out).read_bytes() != decoder_path(trained[0]).read_bytes()
    assert result["latent_std"] > 0.5 * trained[1]["latent_std"]

    def interrupt(row):
        if row["step"] == 4:
            raise KeyboardInterrupt

    again = tmp_path / "again.safetensors"
    with pytest.raises(KeyboardInterrupt):
        train(config(store, again, **settings), interrupt)
    train(config(store, again, **settings))
    assert losses(again) == losses(out)


@pytest.mark.parametrize("other", [{"features": "f"}, {"size": "S"}])
def test_only_a_compact_encoder_that_sees_pictures_is_trained_end_to_end(store, tmp_path, other):
    changes = {"end_to_end": True, "model": ModelConfig(), **other}
    with pytest.raises(UserError, match="--end-to-end"):
        train(config(store, tmp_path / "w.safetensors", **changes))


def test_a_checkpoint_of_another_run_is_refused(store, trained):
    for change in ({"seed": 1}, {"dtype": "bfloat16"}):
        with pytest.raises(UserError, match="other data, seed"):
            train(config(store, trained[0], **change))


def interrupted(settings, stage, step):
    """Trains up to a step."""

    def interrupt(row):
        if (row["stage"], row["step"]) == (stage, step):
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        train(settings, interrupt)


def test_a_run_goes_on_in_the_dtype_that_it_began_in(store, tmp_path, monkeypatch):
    settings = config(store, tmp_path / "w.safetensors", dtype="auto", steps=(4, 1, 1))
    monkeypatch.setattr(training, "best_dtype", lambda device: torch.bfloat16)
    interrupted(settings, "encoder", 4)
    monkeypatch.setattr(training, "best_dtype", lambda device: torch.float32)
    with pytest.raises(UserError, match="run in bfloat16.*give --dtype bfloat16"):
        train(settings)
    monkeypatch.setattr(training, "best_dtype", lambda device: torch.bfloat16)
    train(settings)
    assert len(losses(settings.out)) == 6


def test_a_checkpoint_of_before_steps_and_dtype_were_kept_goes_on(store, tmp_path):
    settings = config(store, tmp_path / "w.safetensors", dtype="auto", steps=(4, 3, 1))
    interrupted(settings, "predictor", 2)
    checkpoint = tmp_path / "w.safetensors.work" / "checkpoint.safetensors"
    tensors, metadata = read_tensors(checkpoint)
    state = json.loads(metadata["state"])
    del state["taken"], state["dtype"]
    save_tensors(checkpoint, tensors, {**metadata, "state": json.dumps(state)})
    train(settings)
    notes = json.loads(read_tensors(settings.out)[1]["notes"])
    assert notes["steps"] == [None, 3, 1]
    train(settings)  # ended, and no more is asked of it


def test_a_budget_may_be_raised_midway(store, tmp_path):
    settings = config(store, tmp_path / "w.safetensors", steps=(3, 3, 2))
    interrupted(settings, "predictor", 3)
    raised = dataclasses.replace(settings, steps=(6, 4, 2))
    train(raised)
    train(raised)
    assert json.loads(read_tensors(settings.out)[1]["notes"])["steps"] == [3, 4, 2]
    settings.out.unlink()  # as when it is killed before they are written
    train(dataclasses.replace(raised, steps=(6, 4, 9)))
    assert settings.out.exists()


def test_a_run_that_ended_takes_no_larger_budget(store, trained):
    before = trained[0].read_bytes()
    with pytest.raises(UserError, match="ended with a smaller budget.*--init"):
        train(config(store, trained[0], steps=(8, 5, 6)))
    assert trained[0].read_bytes() == before


def test_notes_tell_the_steps_that_were_taken(trained):
    notes = json.loads(read_tensors(trained[0])[1]["notes"])
    assert notes["steps"] == [8, 5, 5] and notes["compute_dtype"] == "torch.float32"


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"threads": 0}, "--threads is 0, expected at least 1"),
        ({"clips": 0}, "--clips is 0"),
        ({"checkpoint_every": 0}, "--checkpoint-every is 0"),
        ({"validate_every": 0}, "--validate-every is 0"),
        ({"validation_windows": 0}, "--validation-windows is 0"),
        ({"steps": (1, -1, 1)}, "--steps is -1, expected at least 0"),
        ({"minutes": float("nan")}, "--minutes must be above 0"),
        ({"holdout": 1.5}, "--holdout, a share, below 1"),
        ({"device": "gpu"}, "no device 'gpu'"),
        ({"model": dataclasses.replace(SMALL, max_frames=2)}, "max_frames is 2"),
        ({"recipe": "paper", "model": dataclasses.replace(SMALL, max_frames=7)}, "max_frames is 7"),
    ],
)
def test_bad_training_settings_are_named(store, tmp_path, change, message):
    with pytest.raises(UserError, match=message):
        train(config(store, tmp_path / "w.safetensors", **change))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"predictor_heads": 5}, "predictor_dim is 48, expected a multiple of 5"),
        ({"head_heads": 3}, "latent_dim is 128, expected a multiple of 3"),
        ({"head_heads": 3, "head_dim": 64}, "head_dim is 64, expected a multiple of 3"),
        ({"latent_dim": 129, "head_dim": 128}, "latent_dim is 129, expected a multiple of 2"),
        ({"encoder_width": 20}, "encoder_width is 20, expected a multiple of 8"),
        ({"grid": (0, 14)}, "grid is .0, 14., expected 1 row"),
        ({"image_size": (100, 100)}, "image_size .* does not fit model.grid"),
    ],
)
def test_bad_model_sizes_are_named(change, message):
    with pytest.raises(UserError, match=message):
        DexWMModel(dataclasses.replace(SMALL, **change))


def test_training_on_from_packaged_weights_keeps_their_decoder(store, tmp_path):
    out = tmp_path / "w.safetensors"
    base = config(store, out, model=ModelConfig(), init=Path("compact"), steps=(0, 0, 0))
    train(base)
    ours, theirs = (load_decoder(path) for path in (out, weights_file("compact")))
    for name, value in theirs.state_dict().items():
        assert torch.equal(value, ours.state_dict()[name]), name


def observation(steps_left=60):
    joints = INIT_JOINTS.astype(np.float32)
    keypoints = keypoints_of(joints)
    return {
        "pixels": picture(keypoints),
        "goal": picture(keypoints + 0.03),
        "agent_pos": joints,
        "agent_target": joints,
        "keypoints": keypoints,
        "steps_left": np.array([steps_left]),
    }


@pytest.mark.parametrize("cost", sorted(COSTS))
@pytest.mark.parametrize("task", ["reach", "grasp"])
def test_dexwm_plans_with_trained_weights(trained, cost, task):
    agent = DexWM(weights=trained[0], cost=cost, dtype="float32", cem=CEMConfig(16, 4, 3), tile=8)
    runs = []
    for _ in range(2):
        agent.reset(task, 3)
        runs.append(np.stack([agent.act(observation(left)) for left in (60, 40, 20)]))
    assert runs[0].shape == (3, 20, 23) and np.array_equal(*runs)
    assert len(agent.weights_hash) == 64 and agent.metadata["dtype"] == "float32"
    assert agent.last_plan.elite_costs[-1] <= agent.last_plan.elite_costs[0]


def test_keypoint_fk_detects_the_goal_once_a_trial(trained):
    agent = KeypointFK(weights=trained[0])
    agent.reset("reach", 0)
    goal = agent.goal_keypoints(observation())
    assert goal.shape == (17, 3) and goal is agent.goal_keypoints(observation())
    assert agent.act(observation()).shape == (20, 23)
