"""The row of a video model, with a tiny random one and with some whose frames are known."""

import json
import types

import numpy as np
import pytest
import torch
from PIL import Image
from support.synthetic_store import write_store
from support.tiny_cosmos import Checker, write_cosmos
from support.trainings import SMALL

from dexbench.agents.dexwm.model.checkpoint import save_model
from dexbench.agents.dexwm.model.decoder import save_decoder
from dexbench.agents.dexwm.model.encoder import PixelDecoder
from dexbench.agents.dexwm.model.world_model import DexWMModel
from dexbench.agents.dexwm.readout.layers import Readout, save_readout
from dexbench.agents.learning.features import encoder_digest
from dexbench.bench import cli
from dexbench.bench.openloop import cosmos
from dexbench.bench.openloop.main import OpenLoopConfig, main
from dexbench.bench.openloop.video_model import VideoConfig, VideoModel
from dexbench.bench.openloop.windows import draw_windows
from dexbench.utils.errors import UserError
from dexbench.utils.video import read_video

CPU = torch.device("cpu")


@pytest.fixture(scope="module")
def weights(tmp_path_factory):
    """A model with a decoder, its layer, and a video model."""
    folder = tmp_path_factory.mktemp("weights")
    torch.manual_seed(0)
    model = DexWMModel(SMALL)
    save_model(folder / "one.safetensors", model)
    save_decoder(folder / "one.safetensors", PixelDecoder(SMALL))
    readout = Readout(SMALL, encoder_digest(model.half().float().encoder), False)
    save_readout(folder / "layer.safetensors", readout, {})
    write_cosmos(folder / "cosmos")
    return folder


@pytest.fixture
def data(tmp_path):
    return write_store(tmp_path / "set", episodes=3, frames=44)


class Known:
    """A pipeline whose frames are known: ``frames`` makes them of the picture that it is given."""

    def __init__(self, frames):
        self.frames, self.asked = frames, []

    def __call__(self, image, generator, **options):
        self.asked.append(options)
        frames = self.frames(np.asarray(image), options["height"], options["width"])
        return types.SimpleNamespace(frames=frames[None] / np.float32(255))


def put(monkeypatch, pipeline):
    monkeypatch.setattr(cosmos, "load_pipeline", lambda *_: pipeline)


def video_model(weights, **changes):
    return VideoModel(weights / "cosmos", VideoConfig(height=128, **changes), CPU)


def brightening(picture, height, width):
    """Each frame is 2 brighter than the last, and 60 brighter in the upper left quarter."""
    frames = np.zeros((cosmos.FRAMES, height, width, 3), np.uint8)
    frames += 2 * np.arange(len(frames), dtype=np.uint8)[:, None, None, None]
    frames[:, : height // 2, : width // 2] += 60
    return frames


def test_frames_are_those_of_the_time_and_of_the_set_s_size(weights, data, monkeypatch):
    pipeline = Known(brightening)
    put(monkeypatch, pipeline)
    windows = draw_windows(data, "all", 0, 2)
    seconds = [round(0.2 * step, 3) for step in range(1, 21)]
    found = video_model(weights).predict(windows, (112, 196), seconds)
    assert found.shape == (2, 20, 112, 196, 3)
    frames = found[:, :, 70:, 110:].mean((0, 2, 3, 4)) / 2
    np.testing.assert_allclose(frames, np.rint(np.multiply(16, seconds)), atol=0.7)
    quarter = found[:, :, :56, :98].mean((0, 2, 3, 4)) / 2
    np.testing.assert_allclose(quarter - frames, 30, atol=1)
    asked = pipeline.asked[0]
    assert (asked["height"], asked["width"]) == (128, 224)
    assert (asked["num_frames"], asked["fps"], asked["num_inference_steps"]) == (93, 16, 35)


def test_videos_are_kept_beside_the_set(weights, data, monkeypatch):
    monkeypatch.setattr(cosmos, "FRAMES", 9)  # a whole video takes longer to write
    first = Known(brightening)
    put(monkeypatch, first)
    windows = draw_windows(data, "all", 0, 2)
    made = video_model(weights).predict(windows, (112, 196), [0.2, 0.4])
    kept = data.with_name("set.futures")
    assert [path.suffix for path in sorted(kept.iterdir())] == [".mp4", ".npz"] * 2
    video = read_video(next(kept.glob("*.mp4")))
    assert video.shape == (9, 224, 392, 3)

    # Again, for another size and other times, nothing is made.
    put(monkeypatch, None)
    again = video_model(weights).predict(windows, (224, 392), [0.4])
    assert np.abs(again[:, 0].mean((1, 2, 3)) - made[:, 1].mean((1, 2, 3))).max() < 1

    # Whatever a video depends on makes another, and a third window one more.
    others = Known(brightening)
    put(monkeypatch, others)
    for changes in ({"prompt": "it waits"}, {"steps": 3}, {"seed": 1}):
        video_model(weights, **changes).predict(windows, (112, 196), [0.4])
    video_model(weights).predict(draw_windows(data, "all", 0, 3), (112, 196), [0.4])
    assert len(first.asked) == 2 and len(others.asked) == 7


def test_each_video_begins_with_its_windows_first_picture(weights, data, monkeypatch):
    given = []

    def note(picture, height, width):
        given.append(picture)
        return brightening(picture, height, width)

    put(monkeypatch, Known(note))
    windows = draw_windows(data, "all", 0, 3)
    video_model(weights).predict(windows, (112, 196), [4.0])
    for picture, row, start in zip(given, windows.rows, windows.starts, strict=True):
        video = read_video(windows.store.file(row, "mp4"))
        np.testing.assert_array_equal(picture, video[start])


def values(out):
    rows = json.loads((out / "openloop.json").read_text())["rows"]
    return {(row["source"], row["measure"], row["seconds"]): row["value"] for row in rows}


def config(weights, data, out, height=64):
    return OpenLoopConfig(
        (data,),
        (str(weights / "one.safetensors"),),
        (weights / "layer.safetensors",),
        interval=0.8,
        threads=1,
        strips=2,
        video=VideoConfig(weights / "cosmos", "a hand", steps=2, height=height),
        out=out,
    )


def test_a_video_of_the_truth_is_measured_as_the_truth(weights, data, tmp_path, monkeypatch):
    windows = draw_windows(data, "all", 0, 200)
    clips = [
        read_video(windows.store.file(row, "mp4"))[start : start + 41]
        for row, start in zip(windows.rows, windows.starts, strict=True)
    ]

    def truth(picture, height, width):
        [clip] = [clip for clip in clips if (clip[0] == picture).all()]
        index = np.minimum(np.rint(10 * np.arange(93) / 16).astype(int), 40)
        return clip[index].repeat(height // 224, 1).repeat(width // 392, 2)

    put(monkeypatch, Known(truth))
    main(config(weights, data, tmp_path / "out", height=448))
    found = values(tmp_path / "out")
    for when in ("0.8", "2.4", "4.0"):
        error, copied = (found[name, "latent_l2", when] for name in ("video model", "copy"))
        assert error < 0.3 * copied
    hand, best = (found[name, "hand_cm", "mean"] for name in ("video model", "truth"))
    assert hand == pytest.approx(best, rel=0.1)
    page = np.asarray(Image.open(tmp_path / "out" / "one-set.png")).astype(int)
    strip = 14 + 3 * 112 + 6
    assert page.shape == (2 * strip, 6 * 196, 3)
    true, shown = page[14:126], page[14 + 2 * 112 : strip - 6]
    assert np.abs(true - shown).mean() < 3


def test_a_random_video_model_goes_all_the_way(weights, data, tmp_path, monkeypatch):
    monkeypatch.setattr(cosmos, "safety_checker", Checker)
    monkeypatch.setattr(cosmos, "FRAMES", 9)  # a whole video takes seconds
    main(config(weights, data, tmp_path / "first"))
    found = values(tmp_path / "first")
    assert found["video model", "latent_l2", "4.0"] > 0
    for measure in ("latent_l1", "pck20", "hand_cm"):
        assert found["video model", measure, "mean"] is not None
    facts = json.loads((tmp_path / "first" / "openloop.json").read_text())["video_model"]
    assert facts["prompt"] == "a hand" and len(facts["sha256"]) == 64
    put(monkeypatch, None)
    main(config(weights, data, tmp_path / "again"))
    assert values(tmp_path / "again") == pytest.approx(found, nan_ok=True)


def test_without_weights_one_line_says_what_to_fetch(data, tmp_path, capsys):
    missing, out = tmp_path / "nothing", tmp_path / "out"
    command = ["openloop", "--data", str(data), "--out", str(out), "--video.model", str(missing)]
    with pytest.raises(SystemExit, match="2"):
        cli.main(command)
    [line] = capsys.readouterr().err.strip().splitlines()
    assert "hf download nvidia/Cosmos-Predict2-2B-Video2World" in line and str(missing) in line
    assert not list(out.iterdir())


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({"steps": 1}, r"--video\.steps is 1, expected at least 2"),
        ({"height": 480}, r"--video\.height is 480, expected a multiple of 64"),
    ],
)
def test_bad_settings_are_refused(weights, changes, says):
    with pytest.raises(UserError, match=says):
        VideoModel(weights / "cosmos", VideoConfig(**changes), CPU)


def test_a_damaged_clip_is_named(weights, data, monkeypatch):
    put(monkeypatch, Known(brightening))
    windows = draw_windows(data, "all", 0, 2)
    path = windows.store.file(windows.rows[0], "mp4")
    path.write_bytes(b"no video")
    with pytest.raises(UserError, match=f"{path.name} is missing or damaged"):
        video_model(weights).predict(windows, (112, 196), [4.0])
