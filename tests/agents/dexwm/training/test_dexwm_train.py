import dataclasses
import json
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import load_file
from support.planners import pictured
from support.synthetic_store import write_store
from support.trainings import SMALL, config, losses, strict_rows

from dexbench.agents.dexwm.agent import DexWM
from dexbench.agents.dexwm.cost_config import COSTS
from dexbench.agents.dexwm.model.checkpoint import weights_file
from dexbench.agents.dexwm.model.config import ModelConfig
from dexbench.agents.dexwm.model.decoder import decoder_path, load_decoder
from dexbench.agents.dexwm.model.keypoint_maps import Keypoints
from dexbench.agents.dexwm.model.world_model import DexWMModel
from dexbench.agents.dexwm.training import train as training
from dexbench.agents.dexwm.training.train import Trainer, train
from dexbench.agents.learning.weights import read_tensors, save_tensors
from dexbench.agents.planning.cem import CEMConfig
from dexbench.agents.reference.keypoint_fk import KeypointFK
from dexbench.utils.errors import UserError


@pytest.fixture(scope="module")
def store(tmp_path_factory):
    return write_store(tmp_path_factory.mktemp("store") / "set")


@pytest.fixture(scope="module")
def trained(store, tmp_path_factory):
    out = tmp_path_factory.mktemp("trained") / "w.safetensors"
    return out, train(config(store, out))


def test_metrics_tell_what_the_reader_gives_and_what_the_trainer_takes(trained):
    out, _ = trained
    rows = (out.with_name(out.name + ".work") / "metrics.jsonl").read_text().splitlines()
    rows = [row for row in map(json.loads, rows) if "loss" in row]
    assert all(0 < row["frames_s"] < row["reader_frames_s"] for row in rows)


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


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_a_loss_that_is_not_finite_stops_the_run_and_keeps_its_checkpoint(store, tmp_path, value):
    settings = config(store, tmp_path / "w.safetensors", steps=(8, 1, 1))
    checkpoint = tmp_path / "w.safetensors.work" / "checkpoint.safetensors"
    trainer, kept = Trainer(settings, lambda row: kept.append(checkpoint.exists())), []

    def diverging(*batch):
        loss, parts = trainer.stages[0].loss(*batch)
        return loss * (value if len(kept) == 4 else 1.0), parts

    stages = trainer.stages
    first = dataclasses.replace(stages[0], loss=diverging)
    trainer.run_stage = lambda stage, run=trainer.run_stage: run(
        first if stage is stages[0] else stage
    )
    with pytest.raises(UserError, match=f"loss is {value} at step 5 .*lower --rates.*--out"):
        trainer.run()
    assert kept == [False, False, True, True], "the run ends with the step that diverged"
    tensors, metadata = read_tensors(checkpoint)
    assert json.loads(metadata["state"])["step"] == 3
    assert all(tensor.isfinite().all() for tensor in tensors.values())
    assert not settings.out.exists()
    rows = strict_rows(settings.out)
    assert [row["step"] for row in rows] == [1, 2, 3, 4, 5] and rows[-1]["loss"] is None


def test_weights_that_are_not_finite_become_neither_checkpoint_nor_file(store, tmp_path):
    """As after a last step that was too large, of which no loss tells."""
    settings = config(store, tmp_path / "w.safetensors", steps=(0, 3, 0))

    def overflow(row):
        if row["step"] == 3:
            with torch.no_grad():
                trainer.model.encoder.position[0, 0] = torch.inf

    trainer = Trainer(settings, overflow)
    with pytest.raises(UserError, match=r"diverged.*another --out"):
        trainer.run()
    assert not settings.out.exists()
    checkpoint = tmp_path / "w.safetensors.work" / "checkpoint.safetensors"
    tensors, metadata = read_tensors(checkpoint)
    assert json.loads(metadata["state"])["step"] == 3, "as of the third step"
    assert all(tensor.isfinite().all() for tensor in tensors.values())
    strict_rows(settings.out)


def test_places_are_tried_before_the_first_step(store, tmp_path):
    folder, file = tmp_path / "folder", tmp_path / "file"
    folder.mkdir()
    file.touch()
    for change, message in (
        ({"out": folder}, "--out .*folder is a folder"),
        ({"out": file / "w.safetensors"}, "--out: nothing can be written into"),
        ({"work": file}, "--work: nothing can be written into"),
        ({"features": file}, "--features: nothing can be written into"),
    ):
        settings = config(store, tmp_path / "w.safetensors", steps=(1, 1, 1))
        with pytest.raises(UserError, match=message):
            train(dataclasses.replace(settings, **change), lambda row: pytest.fail("it trained"))
    file.chmod(0o444)
    with pytest.raises(UserError, match="--out .*file is read-only"):
        train(config(store, file))


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
    base = config(store, out, model=ModelConfig(), init=Path("dexwm"), steps=(0, 0, 0))
    train(base)
    ours, theirs = (load_decoder(path) for path in (out, weights_file("dexwm")))
    for name, value in theirs.state_dict().items():
        assert torch.equal(value, ours.state_dict()[name]), name


@pytest.mark.parametrize("cost", sorted(COSTS.keys() - {"objects"}))  # which needs a head
@pytest.mark.parametrize("task", ["reach", "grasp"])
def test_dexwm_plans_with_trained_weights(trained, cost, task):
    agent = DexWM(weights=trained[0], cost=cost, dtype="float32", cem=CEMConfig(8, 4, 2), tile=8)
    runs = []
    for _ in range(2):
        agent.reset(task, 3)
        runs.append(np.stack([agent.act(pictured(steps_left=left)) for left in (60, 40, 20)]))
    assert runs[0].shape == (3, 20, 23) and np.array_equal(*runs)
    assert len(agent.weights_hash) == 64 and agent.metadata["dtype"] == "float32"
    assert agent.last_plan.elite_costs[-1] <= agent.last_plan.elite_costs[0]


def test_keypoint_fk_detects_the_goal_once_a_trial(trained, monkeypatch):
    monkeypatch.setattr(Keypoints, "shows_hand", lambda self: True)  # so little training says no
    agent = KeypointFK(weights=trained[0])
    agent.reset("reach", 0)
    goal = agent.goal_keypoints(pictured())
    assert goal.shape == (17, 3) and torch.equal(goal, agent.goal_keypoints({}))
    assert agent.act(pictured()).shape == (20, 23)
