"""Pre-training on other people's data, and fine-tuning on the robot: the whole road, small."""

import dataclasses
import json

import numpy as np
import pytest
import torch
from safetensors.torch import load_file
from support.recorded import write_droid, write_egodex
from support.synthetic_store import write_store
from support.trainings import SMALL, config, losses

from dexbench.agents.dexwm.agent import DexWM
from dexbench.agents.dexwm.model.checkpoint import load_model
from dexbench.agents.dexwm.training.train import Trainer, train
from dexbench.agents.learning.weights import read_tensors
from dexbench.utils.errors import UserError

PAPER = dataclasses.replace(SMALL, cdit="paper", head="paper", max_frames=9)


@pytest.fixture(scope="module")
def folders(tmp_path_factory):
    root = tmp_path_factory.mktemp("data")
    for number in range(3):
        write_egodex(root / "people", f"part1/stack/{number}", 40, number)
    for number in range(3):
        write_droid(root / "arms", f"AUTOLab/success/2023-07-0{number}/a", 30)
    return root / "people", root / "arms", write_store(root / "robot", frames=30)


def outside(folders, out, **changes):
    """A pre-training on people and arms, the first with three times the share."""
    base = config(folders[0], out, steps=(3, 3, 3), clips=4)
    settings = {"data": folders[:2], "data_shares": (3.0, 1.0), **changes}
    return dataclasses.replace(base, **settings)


@pytest.fixture(scope="module")
def pretrained(folders, tmp_path_factory):
    out = tmp_path_factory.mktemp("pretrained") / "pre.safetensors"
    return out, train(outside(folders, out))


def test_weights_say_what_they_have_seen_and_know_both_hands(pretrained):
    out, result = pretrained
    model, _ = load_model(out)
    assert model.pretraining == "people + arms" and model.config.left_hand
    assert 0 <= result["pck20_left"] <= 1


def test_fine_tuning_on_the_robot_keeps_both(folders, pretrained, tmp_path):
    out = tmp_path / "w.safetensors"
    before = load_file(pretrained[0])
    train(config(folders[2], out, steps=(0, 0, 3), init=pretrained[0]))
    model, _ = load_model(out)
    assert model.pretraining == "people + arms" and model.config.left_hand
    after = load_file(out)
    assert not torch.equal(after["predictor.out.weight"], before["predictor.out.weight"])
    # The robot has no left hand, of which nothing is learned; only its decay is left.
    left = [name for name in after if "left_heat.bias" in name]
    assert left and all(torch.equal(after[name], before[name]) for name in left)
    agent = DexWM(weights=out, dtype="float32")
    assert agent.metadata["pretraining"] == "people + arms"


def test_own_data_alone_have_a_right_hand_alone(folders, tmp_path):
    out = tmp_path / "w.safetensors"
    train(config(folders[2], out, steps=(1, 1, 1)))
    model, _ = load_model(out)
    assert model.pretraining == "none" and not model.config.left_hand


@pytest.mark.parametrize("stop", [("encoder", 2), ("predictor", 3), ("rollout", 1)])
def test_a_run_on_a_mixture_goes_on_as_if_it_had_not_stopped(folders, pretrained, tmp_path, stop):
    out = tmp_path / "w.safetensors"

    def interrupt(row):
        if (row["stage"], row["step"]) == stop:
            raise KeyboardInterrupt

    settings = outside(folders, out, checkpoint_every=1)
    with pytest.raises(KeyboardInterrupt):
        train(settings, interrupt)
    train(settings)
    assert losses(out) == losses(pretrained[0])
    ours, theirs = load_file(out), load_file(pretrained[0])
    assert all(torch.equal(ours[name], theirs[name]) for name in theirs)
    with pytest.raises(UserError, match="belongs to a run with other data"):
        train(dataclasses.replace(settings, data_shares=(1.0, 1.0)))


@pytest.mark.parametrize("form", ["compact", "paper", "features"])
def test_a_batch_in_parts_teaches_what_it_does_whole(folders, tmp_path, form):
    settings = outside(folders, tmp_path / "one.safetensors", images=8)
    if form == "paper":
        settings = dataclasses.replace(settings, recipe="paper", model=PAPER, steps=(0, 3, 3))
    elif form == "features":
        settings = dataclasses.replace(settings, features=tmp_path / "f", steps=(0, 3, 3))
    parts = dataclasses.replace(settings, out=tmp_path / "two.safetensors", accumulate=2)
    train(settings)
    train(parts)
    whole, apart = losses(settings.out), losses(parts.out)
    assert [row[:2] for row in whole] == [row[:2] for row in apart]
    assert np.allclose([row[2] for row in whole], [row[2] for row in apart], rtol=1e-3)
    one, two = load_file(settings.out), load_file(parts.out)
    moved = sum(float((one[k].float() - two[k].float()).abs().sum()) for k in one)
    start = tmp_path / "start.safetensors"
    train(dataclasses.replace(settings, out=start, steps=(0, 0, 0)))
    begun = load_file(start)
    learned = sum(float((one[k].float() - begun[k].float()).abs().sum()) for k in one)
    assert moved < 0.1 * learned


def test_a_batch_that_cannot_be_cut_is_named(folders, tmp_path):
    with pytest.raises(UserError, match="6 pictures or windows .* 4 equal parts; make --images"):
        Trainer(outside(folders, tmp_path / "w.safetensors", images=6, accumulate=4))


def test_notes_tell_the_shares(pretrained):
    notes = json.loads(read_tensors(pretrained[0])[1]["notes"])
    assert notes["training"]["data_shares"] == [3.0, 1.0]
    assert notes["training"]["data"] == ["people", "arms"]
