"""Windows of people: two hands, a moving camera, and models that are told different things."""

import dataclasses
import json
from pathlib import Path

import numpy as np
import pytest
import torch
from support.recorded import write_egodex
from support.synthetic_store import write_store
from support.trainings import SMALL

from dexbench.agents.dexwm.model.checkpoint import save_model
from dexbench.agents.dexwm.model.predictor import Predictor
from dexbench.agents.dexwm.model.world_model import DexWMModel
from dexbench.agents.dexwm.readout.layers import Readout, load_readout, save_readout
from dexbench.agents.dexwm.readout.train import KeypointLayerConfig, train
from dexbench.agents.learning.features import encoder_digest
from dexbench.agents.learning.recordings import load_clips
from dexbench.bench.openloop.main import OpenLoopConfig, main
from dexbench.bench.openloop.others import draw_others, read_others
from dexbench.bench.openloop.video_model import VideoConfig
from dexbench.utils.errors import UserError

KINDS = ("hands", "camera", "body")
SIZE = (112, 196)
FPS = 5


@pytest.fixture(scope="module")
def people(tmp_path_factory):
    """Five clips of over 4 s, two of them for tests; one that is too short, one damaged."""
    folder = tmp_path_factory.mktemp("data") / "people"
    for number in range(3):
        write_egodex(folder, f"part1/stack/{number}", 23, number, fps=FPS)
    for number in range(2):
        write_egodex(folder, f"test/stack/{number}", 24, 7 + number, fps=FPS)
    write_egodex(folder, "part1/stack/3", 12, 3, fps=FPS)
    write_egodex(folder, "part1/stack/4", 23, 4, fps=FPS)
    (folder / "part1/stack/4.mp4").unlink()
    return folder


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """A model of each kind of action on one encoder, and a layer of both hands."""
    folder = tmp_path_factory.mktemp("openloop")
    torch.manual_seed(0)
    model = DexWMModel(SMALL)
    for kind in KINDS:
        model.config = dataclasses.replace(SMALL, action=kind)
        model.predictor = Predictor(model.config)
        for weights in model.predictor.parameters():
            torch.nn.init.normal_(weights, std=0.1)  # so that actions tell
        save_model(folder / f"{kind}.safetensors", model)
    readout = Readout(SMALL, encoder_digest(model.half().float().encoder), False, left_hand=True)
    save_readout(folder / "layer.safetensors", readout, {})
    return folder


def config(folder, data, out, *names, **changes):
    usual = OpenLoopConfig(
        (data,),
        tuple(str(folder / f"{name}.safetensors") for name in names),
        (folder / "layer.safetensors",),
        interval=0.8,
        threads=1,
        strips=0,
        out=out,
    )
    return dataclasses.replace(usual, **changes)


def test_windows_are_drawn_of_whole_clips_that_are_long_enough(people, capsys):
    drawn = draw_others(people, "all", 0, 200)
    assert "1 clips are left out" in capsys.readouterr().err
    names = [name for name, _ in drawn.facts["windows"]]
    assert sorted(names) == [
        *(f"part1/stack/{n}" for n in range(3)),
        *(f"test/stack/{n}" for n in range(2)),
    ]
    longest = {"part1": 23, "test": 24}
    for name, start in drawn.facts["windows"]:
        assert 0 <= start < longest[name.partition("/")[0]] - 4 * FPS
    assert drawn.body and drawn.facts["set"] == "people"
    assert draw_others(people, "all", 0, 200).facts == drawn.facts
    assert draw_others(people, "all", 0, 2).facts["windows"] == drawn.facts["windows"][:2]
    other = draw_others(people, "all", 1, 200).facts
    assert other["windows_sha256"] != drawn.facts["windows_sha256"]


def test_held_out_are_the_clips_that_are_named_for_tests(people):
    names = [name for name, _ in draw_others(people, "held-out", 0, 9).facts["windows"]]
    assert sorted(names) == ["test/stack/0", "test/stack/1"]
    (short := people.parent / "short").mkdir()
    write_egodex(short, "part1/stack/0", 20, fps=FPS)
    with pytest.raises(UserError, match="has 0 whole clips of over 4 s in the split 'all'"):
        draw_others(short, "all", 0, 9)


def test_the_packaged_layers_serve_the_benchmarks_own_sets_alone(
    people, folder, tmp_path, monkeypatch
):
    packaged = (folder / "layer.safetensors",)
    monkeypatch.setattr("dexbench.bench.openloop.subjects.PACKAGED_LAYERS", packaged)
    write_store(tmp_path / "own", episodes=4, frames=44)
    for data, measured in ((people, False), (tmp_path / "own", True)):
        out = tmp_path / f"of-{data.name}"
        main(config(folder, data, out, "hands", layers=()))
        rows = json.loads((out / "openloop.json").read_text())["rows"]
        assert ("pck20" in {row["measure"] for row in rows}) == measured


def test_clips_are_what_training_reads(people, tmp_path):
    windows = draw_others(people, "all", 0, 200)
    clips = read_others(windows, 0.8, SIZE)
    names = [name for name, _ in windows.facts["windows"]]
    for kind in KINDS:
        trained = load_clips([people], tmp_path, size=SIZE, progress=False, action=kind)
        order = ["part1/stack/0", "part1/stack/1", "part1/stack/2", "part1/stack/3"]
        order += ["test/stack/0", "test/stack/1"]
        first = [trained.first[order.index(name)] for name in names]
        index = np.array(
            [f + s + 4 * np.arange(6) for f, s in zip(first, windows.starts, strict=True)]
        )
        hands = trained.hands_at(index)
        assert np.allclose(clips.points, hands.points, atol=1e-6)
        assert np.array_equal(clips.known, hands.known)
        assert np.array_equal(clips.actions[kind], hands.actions) and hands.actions.any()
        assert np.array_equal(clips.images, trained.frames[index])
    assert clips.objects is None


def test_models_of_all_kinds_are_measured_on_the_same_windows(folder, people, tmp_path):
    main(config(folder, people, tmp_path, *KINDS))
    facts = json.loads((tmp_path / "openloop.json").read_text())
    found = {
        (row["model"], row["source"], row["measure"]): row["value"]
        for row in facts["rows"]
        if row["seconds"] == "mean"
    }
    for kind in KINDS:
        sources = ("model", "shuffled", "no action")
        assert len({found[kind, source, "latent_l2"] for source in sources}) == 3
        assert found[kind, "truth", "pck20"] == found["hands", "truth", "pck20"] is not None
        assert found[kind, "copy", "hand_cm"] == found["hands", "copy", "hand_cm"]
    assert len({found[kind, "model", "latent_l2"] for kind in KINDS}) == 3
    assert found["hands - body", "model", "pck20"] is not None
    assert not any(measure == "object_skill" for _, _, measure in found)


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({"counterfactual": True}, "no simulator's states"),
        ({"transfer": True}, "no simulator's states"),
        (
            {"video": VideoConfig(Path("cosmos"))},
            "on the benchmark's own sets",
        ),
        ({"interval": 0.1}, "no shorter than a frame, 0.2 s here"),
        ({"interval": 0.7}, "whole part of 4 s"),
    ],
)
def test_bad_requests_are_refused(folder, people, tmp_path, changes, says):
    with pytest.raises(UserError, match=says):
        main(config(folder, people, tmp_path, "hands", **changes))
    assert not list(tmp_path.iterdir())


def test_the_robot_has_no_body_to_tell_of(folder, tmp_path):
    robot = write_store(tmp_path / "robot", episodes=3, frames=44)
    with pytest.raises(UserError, match="upper body moves, which robot does not say"):
        main(config(folder, robot, tmp_path / "out", "hands", "body"))
    main(config(folder, robot, tmp_path / "out", "hands", "camera"))
    rows = json.loads((tmp_path / "out" / "openloop.json").read_text())["rows"]
    found = {
        (row["model"], row["source"]): row["value"]
        for row in rows
        if (row["measure"], row["seconds"]) == ("latent_l2", "mean")
    }
    # The robot's camera stays, so that NWM* hears nothing.
    assert found["camera", "model"] == found["camera", "no action"] == found["camera", "shuffled"]
    assert found["hands", "model"] != found["hands", "no action"]


def test_a_layer_learns_both_hands_of_people(folder, people, tmp_path):
    weights, out = str(folder / "hands.safetensors"), tmp_path / "layer.safetensors"
    settings = KeypointLayerConfig(
        (people,), out, weights, steps=1, batch=8, frames=60, threads=1, objects=False
    )
    learned = []
    for steps in (1, 3):
        result = train(dataclasses.replace(settings, steps=steps))
        assert 0 <= result["pck20"] <= 1 and result["pixel_error"] > 0
        learned.append(load_readout(out)[0].keypoints)
    # Biases do not decay, so that they move by what is learned alone.
    assert not torch.equal(*(head.left_heat.bias for head in learned))
    assert not torch.equal(*(head.heat.bias for head in learned))
    with pytest.raises(UserError, match="no states to learn objects from: --no-objects"):
        train(dataclasses.replace(settings, objects=True))
