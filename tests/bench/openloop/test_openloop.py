"""The command, on tiny sets and models."""

import csv
import dataclasses
import json

import numpy as np
import pytest
import torch
from PIL import Image
from support.synthetic_store import write_store
from support.trainings import SMALL

from dexbench.agents.dexwm.model.checkpoint import load_model, save_model
from dexbench.agents.dexwm.model.decoder import save_decoder
from dexbench.agents.dexwm.model.encoder import PixelDecoder
from dexbench.agents.dexwm.model.predictor import Predictor
from dexbench.agents.dexwm.model.world_model import DexWMModel
from dexbench.agents.dexwm.readout.layers import Readout, save_readout
from dexbench.agents.dexwm.training.hands import hands_at
from dexbench.agents.dexwm.training.losses import placed_actions
from dexbench.agents.learning.features import encoder_digest
from dexbench.agents.learning.hand_way import MOMENTS
from dexbench.agents.learning.recordings import load_clips
from dexbench.bench.openloop.clips import read_clips
from dexbench.bench.openloop.evaluate import actions_of
from dexbench.bench.openloop.main import OpenLoopConfig, main
from dexbench.bench.openloop.subjects import subjects
from dexbench.bench.openloop.windows import draw_windows
from dexbench.envs.embodiment.camera import project
from dexbench.envs.embodiment.keypoints import WRIST_AND_TIPS
from dexbench.envs.simulation import Simulation
from dexbench.envs.suite import Suite
from dexbench.utils.errors import UserError
from dexbench.utils.video import downsample, read_video


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """Two models on one encoder, one with a decoder; one of another; a layer; a set."""
    folder = tmp_path_factory.mktemp("openloop")
    torch.manual_seed(0)
    model = DexWMModel(SMALL)
    for name in ("one", "two"):
        model.predictor = Predictor(SMALL)
        for weights in model.predictor.parameters():
            torch.nn.init.normal_(weights, std=0.02)
        save_model(folder / f"{name}.safetensors", model)
    save_decoder(folder / "one.safetensors", PixelDecoder(SMALL))
    rounded = model.half().float()
    readout = Readout(SMALL, encoder_digest(rounded.encoder), False)
    save_readout(folder / "layer.safetensors", readout, {})
    save_model(folder / "other.safetensors", DexWMModel(SMALL))
    asked = DexWMModel(dataclasses.replace(SMALL, hand_maps=True, commanded=True))
    for weights in asked.predictor.parameters():
        torch.nn.init.normal_(weights, std=0.02)
    save_model(folder / "asked.safetensors", asked)
    write_store(folder / "set", episodes=4, frames=44)
    return folder


def config(folder, out, *names, **changes):
    usual = OpenLoopConfig(
        (folder / "set",),
        tuple(str(folder / f"{name}.safetensors") for name in names),
        (folder / "layer.safetensors",),
        interval=0.8,
        threads=1,
        out=out,
    )
    return dataclasses.replace(usual, **changes)


@pytest.fixture(scope="module")
def written(folder, tmp_path_factory):
    out = tmp_path_factory.mktemp("out") / "openloop"
    main(config(folder, out, "one", "two"))
    return out


def values(out):
    rows = json.loads((out / "openloop.json").read_text())["rows"]
    return {
        (row["model"], row["source"], row["measure"], row["seconds"]): row["value"] for row in rows
    }


def test_every_source_is_measured_by_every_measure(written):
    found = values(written)
    for source in ("model", "copy", "shuffled", "no action", "truth"):
        for measure in ("latent_l2", "latent_l1", "pck2.5", "pck20", "pck20_all", "hand_cm"):
            for when in ("0.8", "4.0", "mean"):
                assert found["one", source, measure, when] is not None
    assert found["one", "truth", "latent_l2", "mean"] == 0
    assert found["one", "copy", "latent_l2", "4.0"] > found["one", "copy", "latent_l2", "0.8"] > 0
    assert (
        len({found["one", s, "latent_l2", "4.0"] for s in ("model", "shuffled", "no action")}) == 3
    )


def test_floors_and_ceiling_do_not_depend_on_the_predictor(written):
    found = values(written)
    for source, measure in (("copy", "latent_l2"), ("copy", "pck20"), ("truth", "hand_cm")):
        assert found["one", source, measure, "mean"] == found["two", source, measure, "mean"]
    assert found["one", "model", "latent_l2", "4.0"] != found["two", "model", "latent_l2", "4.0"]
    difference = found["one - two", "model", "latent_l2", "4.0"]
    both = [found[name, "model", "latent_l2", "4.0"] for name in ("one", "two")]
    assert difference == pytest.approx(both[0] - both[1])


def test_the_files_say_what_was_measured(written, folder):
    facts = json.loads((written / "openloop.json").read_text())
    assert [model["model"] for model in facts["models"]] == ["one", "two"]
    assert facts["models"][0]["encoder_sha256"] == facts["models"][1]["encoder_sha256"]
    assert facts["models"][0]["weights_sha256"] != facts["models"][1]["weights_sha256"]
    assert facts["models"][0]["history"] == 3
    [windows] = facts["sets"]
    assert len(windows["windows"]) == 4 and len(windows["windows_sha256"]) == 64
    table = list(csv.DictReader((written / "openloop.csv").open()))
    assert len(table) == len(facts["rows"]) and {row["set"] for row in table} == {"set"}


def test_strips_are_drawn_where_there_is_a_decoder(written):
    assert [path.name for path in written.glob("*.png")] == ["one-set.png"]
    page = np.asarray(Image.open(written / "one-set.png"))
    strip = 14 + 2 * 112 + 6
    assert page.shape == (4 * strip, 6 * 196, 3)
    assert np.ptp(page[14:126].reshape(-1, 3), axis=0).max() > 100  # dots on grey


def test_the_film_shows_every_frame_for_as_long_as_it_stands(written, folder):
    film = read_video(written / "one-set.mp4")
    assert film.shape == (6 * 8, 2 * 112, 4 * 196, 3)  # 0 to 4 s, 0.8 s each at 10 Hz
    page = np.asarray(Image.open(written / "one-set.png"))
    for column in range(6):
        tiles = page[14:238, 196 * column : 196 * (column + 1)]
        for frame in film[8 * column : 8 * column + 8, :, :196]:
            off = np.abs(frame.astype(int) - tiles)
            # What an untrained decoder draws is noise, of which H.264 keeps little.
            assert off[:112].mean() < 4 and off[112:].mean() < 40
    assert np.abs(film[0].astype(int) - film[-1]).max() > 100


def test_again_it_measures_the_same(written, folder, tmp_path):
    main(config(folder, tmp_path / "again", "one", strips=0))
    first, again = values(written), values(tmp_path / "again")
    assert again and all(first[key] == pytest.approx(again[key], rel=1e-5) for key in again)


def test_without_layers_only_latents_are_measured(folder, tmp_path):
    main(config(folder, tmp_path, "other", layers=(), strips=0))
    assert {key[2] for key in values(tmp_path)} == {"latent_l2", "latent_l1"}


def test_dexwm_comes_with_layers_that_read_the_hand():
    (subject,) = subjects(["dexwm"], (), torch.device("cpu"), None)
    assert subject.readout is not None and subject.readout.objects is not None
    suite, chosen, errors = Suite.load("v2"), list(WRIST_AND_TIPS), []
    for number in range(4):
        trial = suite.trial("push", number)
        simulation = Simulation(trial.xml, trial.objects)
        simulation.set_state(trial.start_state)
        picture = downsample(simulation.render(), subject.model.config.image_size)
        true = project(simulation.keypoints_camera[chosen])
        simulation.close()
        latent = subject.model.encoder(torch.from_numpy(picture[None])).float()
        answer = subject.readout.keypoints(latent)
        errors.append(np.linalg.norm(answer.pixels[0, chosen].numpy() - true, axis=-1))
    assert np.mean(np.array(errors) < 20) > 0.8, "PCK@20, px of 224x392"


def test_a_model_of_commanded_actions_is_measured_by_what_was_asked(folder, tmp_path):
    main(config(folder, tmp_path, "asked", layers=(), strips=0))
    found = values(tmp_path)
    said = {found["asked", s, "latent_l2", "4.0"] for s in ("model", "shuffled", "no action")}
    assert len(said) == 3 and None not in said


def test_actions_are_those_of_training(folder, tmp_path):
    model = load_model(folder / "asked.safetensors", dtype=torch.float32)[0]
    windows = draw_windows(folder / "set", "all", 0, 4)
    clips = read_clips(windows, 0.8, SMALL.image_size, with_objects=False)
    trained = load_clips(
        [folder / "set"], tmp_path, size=SMALL.image_size, progress=False, commanded=True
    )
    index = np.array(
        [
            int(trained.first[row["id"]]) + start + 8 * np.arange(6)
            for row, start in zip(windows.rows, windows.starts, strict=True)
        ]
    )
    hands = hands_at(trained, index, torch.device("cpu"))
    taken, none = actions_of(model, clips, torch.device("cpu"))
    assert torch.allclose(taken, placed_actions(model, hands), atol=1e-5)
    where = none[..., model.config.action_dim :].unflatten(-1, (MOMENTS, 21, 3))
    first = torch.from_numpy(clips.points[:, :1, 1])
    assert torch.equal(where, first.unsqueeze(2).expand_as(where)), "it stays where it was at first"
    assert not none[..., : model.config.action_dim].any()
    with pytest.raises(UserError, match="tell what was reached"):
        actions_of(model, dataclasses.replace(clips, asked=None), torch.device("cpu"))


@pytest.mark.parametrize(
    ("names", "changes", "says"),
    [
        (["other"], {}, "none of --layers is of the encoder"),
        (
            [],
            {"weights": ("dexwm",)},
            "is of the encoder .* none of --weights has",
        ),
        (["one", "one"], {}, "not told apart"),
        (["one"], {"interval": 0.3}, "whole part of 4 s"),
        (["one"], {"interval": 0.05}, "multiple of 0.1 s"),
        (["one"], {"windows": 1}, "--windows is 1"),
        (["asked"], {"layers": (), "transfer": True}, "joint targets ask for .* without"),
    ],
)
def test_bad_requests_are_refused(folder, tmp_path, names, changes, says):
    with pytest.raises(UserError, match=says):
        main(config(folder, tmp_path, *names, **changes))
    assert not list(tmp_path.iterdir())
