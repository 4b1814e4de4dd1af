import dataclasses
import json

import numpy as np
import pytest
import torch
from support.synthetic_store import write_store
from support.trainings import config

from dexbench.agents.dexwm.agent import DexWM
from dexbench.agents.dexwm.model.checkpoint import load_model
from dexbench.agents.dexwm.model.decoder import decoder_path, load_decoder
from dexbench.agents.dexwm.training.recipe import RECIPES
from dexbench.agents.dexwm.training.train import Trainer, train
from dexbench.agents.learning.episodes import load_episodes
from dexbench.agents.learning.optim import schedule
from dexbench.utils.errors import UserError
from dexbench.utils.seeding import rng

WIDER = {"predictor_dim": 96, "encoder_width": 64}
"""Other sizes than the small model's; the encoder's is not the run's to choose."""


@pytest.fixture(scope="module")
def store(tmp_path_factory):
    return write_store(tmp_path_factory.mktemp("store") / "set", episodes=4, frames=60)


@pytest.fixture(scope="module")
def trained(store, tmp_path_factory):
    out = tmp_path_factory.mktemp("trained") / "w.safetensors"
    train(config(store, out, steps=(2, 2, 2)))
    return out


def test_the_papers_windows_reach_back_4_s_by_any_8_frames(store, tmp_path):
    episodes = load_episodes([store], tmp_path, progress=False)
    index = RECIPES["paper"].windows(episodes, rng("t"), 3000)
    assert index.shape == (3000, 9)
    assert (index // 60 == index[:, :1] // 60).all()
    back = index[:, -1:] - index[:, :-1]
    assert back.min() == 1 and back.max() == 40 and (np.diff(index, axis=1) > 0).all()
    # Any of the 40 frames is as likely as another.
    counts = np.bincount(back.reshape(-1), minlength=41)[1:]
    assert counts.min() > 0.85 * 3000 * 8 / 40 and counts.max() < 1.15 * 3000 * 8 / 40
    assert {0, 59} <= set(index.reshape(-1) % 60), "from an episode's first frame to its last"


def test_a_shorter_episode_gives_what_it_has(tmp_path):
    episodes = load_episodes(
        [write_store(tmp_path / "short", episodes=3, frames=12)], tmp_path / "w", progress=False
    )
    index = RECIPES["paper"].windows(episodes, rng("t"), 500)
    assert (index // 12 == index[:, :1] // 12).all()
    assert (np.diff(index, axis=1) > 0).all() and (index[:, -1] - index[:, 0]).max() == 11
    with pytest.raises(UserError, match="no episode has the 14 frames"):
        episodes.windows(rng("t"), 5, 13, span=40)


@pytest.mark.parametrize("frames", [60, 8])
def test_fine_windows_have_any_gap_from_one_frame_and_up_to_eight_frames(tmp_path, frames):
    data = write_store(tmp_path / "set", episodes=3, frames=frames)
    episodes = load_episodes([data], tmp_path / "w", progress=False)
    lengths, gaps = [], []
    for number in range(300):
        index = RECIPES["fine"].windows(episodes, rng("t", number), 7)
        assert (index // frames == index[:, :1] // frames).all()
        assert len(index) * (index.shape[1] - 1) in range(43, 50), "as many transitions in each"
        lengths.append(index.shape[1])
        gaps.append(np.diff(index, axis=1).reshape(-1))
    counts = np.bincount(np.concatenate(gaps))
    assert counts[0] == 0 and set(lengths) == set(range(2, 9))
    if frames == 60:
        assert len(counts) == 21 and counts[1:].min() > 0
        # On a logarithmic scale 1 has as much room as 12 to 23, so 8.7 times that of 12 alone.
        assert 6.5 < counts[1] / counts[12] < 11
    else:
        assert len(counts) == 8, "from an episode's first frame to its last"


def test_even_windows_have_gaps_of_two_frames(store, tmp_path):
    episodes = load_episodes([store], tmp_path, progress=False)
    index = RECIPES["even"].windows(episodes, rng("t"), 100)
    assert (np.diff(index, axis=1) == 2).all()


def test_a_recipe_tells_of_later_fields_only_where_they_are_used():
    """Checkpoints of before, whose recipe had none, go on."""
    assert "gaps" not in RECIPES["compact"].settings() and "gaps" not in RECIPES["paper"].settings()
    assert RECIPES["fine"].settings()["gaps"] == (1, 20)


def test_the_papers_fine_tuning_rolls_out_eight_steps_from_one_frame(store, tmp_path):
    settings = config(store, tmp_path / "w.safetensors", steps=(0, 3, 3), recipe="paper", clips=2)
    trainer, asked = Trainer(settings), []

    def watched(stage):
        def loss(states, hands, weight, history, *objects):
            asked.append((stage.index, tuple(states.shape[:2]), history))
            return stage.loss(states, hands, weight, history, *objects)

        return dataclasses.replace(stage, loss=loss)

    trainer.stages = [watched(stage) for stage in trainer.stages]
    trainer.run()
    assert asked == [(1, (2, 9), None)] * 3 + [(2, (2, 9), 1)] * 3
    rows = (tmp_path / "w.safetensors.work" / "metrics.jsonl").read_text().splitlines()
    rates = [row["rate"] for row in map(json.loads, rows) if "loss" in row]
    assert rates[0] == 1e-4 and rates[3] == 1e-5, "no warm-up"
    assert rates[:3] == sorted(rates[:3], reverse=True)
    # Pre-training's 1e-4 falls to 1e-7, fine-tuning's 1e-5 to 4e-7.
    for rate, floor, end in zip((1e-4, 1e-5), trainer.recipe.floors[1:], (1e-7, 4e-7), strict=True):
        assert rate * schedule(1.0, 0.0, floor) == pytest.approx(end)
    assert not decoder_path(settings.out).exists(), "no stage trained one"


def test_a_run_may_begin_with_other_weights(store, trained, tmp_path):
    settings = config(store, tmp_path / "w.safetensors", steps=(0, 0, 0), init=trained)
    train(settings)
    (one, _), (two, _) = load_model(trained), load_model(settings.out)
    assert all(torch.equal(two.state_dict()[k], v) for k, v in one.state_dict().items())
    assert one.pretraining == two.pretraining == "none", "all of it is the benchmark's own robot"
    kept = load_decoder(settings.out)
    known = load_decoder(trained).state_dict()
    assert all(torch.equal(known[k], v) for k, v in kept.state_dict().items())
    other = dataclasses.replace(settings.model, predictor_dim=96)
    with pytest.raises(UserError, match="--init .* of other sizes"):
        train(dataclasses.replace(settings, model=other))


def test_an_encoder_may_be_another_models(store, trained, tmp_path):
    """It stays as it is, and its decoder with it; the predictor may have any size."""
    changes = {"steps": (0, 2, 2), "encoder": str(trained), "dtype": "bfloat16"}
    settings = config(store, tmp_path / "w.safetensors", **changes)
    settings = dataclasses.replace(settings, model=dataclasses.replace(settings.model, **WIDER))
    stages = []
    train(settings, lambda row: stages.append(row["stage"]))
    assert stages == ["predictor"] * 2 + ["rollout"] * 2
    (one, _), (two, _) = load_model(trained), load_model(settings.out)
    assert (two.config.predictor_dim, two.config.encoder_width) == (96, 16)
    kept = two.encoder.state_dict()
    assert all(torch.equal(kept[k], v) for k, v in one.encoder.state_dict().items())
    known, again = load_decoder(trained).state_dict(), load_decoder(settings.out).state_dict()
    assert all(torch.allclose(again[k], v, rtol=0.01) for k, v in known.items()), "in bfloat16"
    # It learns on only where that is asked for.
    moving = dataclasses.replace(settings, out=tmp_path / "m.safetensors", end_to_end=True)
    train(moving)
    moved = load_model(moving.out)[0].encoder.state_dict()
    assert any(not torch.equal(moved[k], v) for k, v in kept.items())
    for changes, message in [
        ({"encoder": "resnet"}, "unknown encoder 'resnet'.*or a DexWM's file"),
        ({"encoder": str(decoder_path(trained))}, "holds no DexWM"),
        ({"init": trained}, "has an encoder already"),
    ]:
        with pytest.raises(UserError, match=message):
            train(dataclasses.replace(settings, **changes))


def test_weights_remember_outside_data(trained, tmp_path):
    """A run on human video, say, and one that begins with its weights on the robot's own."""
    videos = write_store(tmp_path / "videos", strategy="egohand")
    robot = write_store(tmp_path / "robot")
    first, last = tmp_path / "first.safetensors", tmp_path / "last.safetensors"
    train(config(videos, first, steps=(0, 0, 0), init=trained))
    train(config(robot, last, steps=(0, 0, 0), init=first))
    assert DexWM(weights=last).metadata["pretraining"] == "videos"


def test_a_stage_without_a_share_is_left_out(store, trained, tmp_path):
    changes = {"steps": None, "minutes": 0.02, "shares": (0.0, 0.0, 1.0), "init": trained}
    settings = config(store, tmp_path / "w.safetensors", **changes)
    stages = []
    train(settings, lambda row: stages.append(row["stage"]))
    assert set(stages) == {"rollout"}
    for shares in ((0.0, 0.0, 0.0), (1.0, -1.0, 1.0)):
        with pytest.raises(UserError, match="expected none below 0, and one above of encoder"):
            train(dataclasses.replace(settings, shares=shares))
