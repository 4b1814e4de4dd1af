"""Training a model with an object map, on masks that are drawn without a simulator."""

import dataclasses

import numpy as np
import pytest
from support.synthetic_store import write_store
from support.trainings import SMALL, config, strict_rows

from dexbench.agents.dexwm.model.checkpoint import load_model
from dexbench.agents.dexwm.training.train import Trainer, train
from dexbench.agents.learning import object_masks
from dexbench.utils.errors import UserError

MODEL = dataclasses.replace(SMALL, object_map=True, hand_maps=True, residual=True)


@pytest.fixture
def settings(tmp_path, monkeypatch):
    """In every frame a block of pixels, which moves to the right from frame to frame."""

    def drawn(folders, clips):
        for first, length in zip(clips.first, clips.length, strict=True):
            masks = np.zeros((length, *object_masks.SIZE), np.int8)
            for frame in range(length):
                masks[frame, 60:70, 4 * frame : 4 * frame + 10] = 2
            yield int(first), masks

    monkeypatch.setattr(object_masks, "_drawn", drawn)
    store = write_store(tmp_path / "set")
    return config(store, tmp_path / "w.safetensors", model=MODEL, steps=(4, 3, 3))


def test_all_stages_learn_what_shows_objects(settings):
    trainer = Trainer(settings)
    eye, step = trainer.model.encoder.eye.net.out, trainer.model.predictor.step.moves.out
    before = [layer.bias.clone() for layer in (eye, step)]
    result = trainer.run()
    assert {"object_skill", "object_skill_1", "object_seen_1", "object_skill_3"} <= result.keys()
    assert result["object_seen_3"] != result["object_skill_3"], "true states, not predicted ones"
    rows = [row for row in strict_rows(settings.out) if "loss" in row]
    assert all(row["objects"] > 0 for row in rows)
    assert [("real_objects" in row) for row in rows] == [False] * 4 + [True] * 6
    assert [("moves" in row) for row in rows] == [True] * 4 + [False] * 6
    model, _ = load_model(settings.out)
    assert model.config.object_map and model.config.hand_maps and model.config.residual
    after = [model.encoder.eye.net.out.bias, model.predictor.step.moves.out.bias]
    for old, new in zip(before, after, strict=True):
        assert not np.allclose(old.detach(), new.detach(), atol=1e-4)


def test_windows_tell_how_far_objects_move(settings):
    masks = Trainer(settings).batches.masks
    frames = np.array([[1, 2, 4], [2, 2, 3], [0, 1, 2]])
    assert masks.moved(frames).tolist() == [[2.0, 4.0], [0.0, 2.0], [0.0, 2.0]], (
        "at 0 px it touches the edge"
    )


def test_its_weight_is_part_of_the_runs_identity(settings):
    train(settings)
    with pytest.raises(UserError, match="belongs to a run with other"):
        train(dataclasses.replace(settings, object_weight=1.0))


def test_without_the_head_its_weight_does_not_matter(settings):
    plain = dataclasses.replace(settings, model=SMALL)
    train(plain)
    train(dataclasses.replace(plain, object_weight=1.0))


def test_fewer_frames_than_the_masks_have_are_refused(settings):
    with pytest.raises(UserError, match="leave out --max-rate"):
        train(dataclasses.replace(settings, max_rate=5.0))


def test_an_encoder_that_is_taken_over_brings_its_eye(settings, tmp_path):
    train(settings)
    taken = dataclasses.replace(settings, out=tmp_path / "taken.safetensors", steps=(0, 2, 2))
    plain = dataclasses.replace(MODEL, object_map=False)
    train(dataclasses.replace(taken, encoder=str(settings.out), model=plain))
    assert load_model(taken.out)[0].config.object_map
    without = dataclasses.replace(plain, hand_maps=False)
    with pytest.raises(UserError, match="needs --model.hand-maps"):
        train(dataclasses.replace(taken, encoder=str(settings.out), model=without))
    with pytest.raises(UserError, match="has none"):
        train(dataclasses.replace(taken, encoder="dexwm"))
