"""A tiny random Cosmos-Predict2 through the code that loads the real one."""

import json
import shutil
import socket
import sys
import types

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file
from support.tiny_cosmos import Checker, write_cosmos

from dexbench.bench.openloop import cosmos
from dexbench.utils.errors import UserError
from dexbench.utils.seeding import rng

CPU = torch.device("cpu")
PICTURE = rng("cosmos").integers(0, 256, (224, 392, 3), np.uint8)


@pytest.fixture(autouse=True)
def offline(monkeypatch):
    def refuse(*_):
        raise AssertionError("no network")

    monkeypatch.setattr(socket.socket, "connect", refuse)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return write_cosmos(tmp_path_factory.mktemp("cosmos") / "tiny")


@pytest.fixture
def pipeline(folder, monkeypatch):
    monkeypatch.setattr(cosmos, "safety_checker", Checker)
    monkeypatch.setattr(cosmos, "FRAMES", 5)  # a real video takes seconds
    return cosmos.load_pipeline(folder, CPU)


def test_it_makes_a_video_that_its_inputs_decide(pipeline):
    def made(picture=PICTURE, prompt="a hand", seed=0):
        return cosmos.sample(pipeline, picture, prompt, 2, 64, seed)

    video = made()
    assert video.shape == (5, 224, 392, 3) and video.dtype == np.uint8
    assert (video == made()).all()
    for other in (made(picture=PICTURE[::-1]), made(prompt="an arm"), made(seed=1)):
        assert (video != other).any()


def test_the_checker_sees_prompt_and_video(pipeline):
    with pytest.raises(UserError, match=r"refuses: .*a duck.* Change --video\.prompt"):
        cosmos.sample(pipeline, PICTURE, "a duck", 2, 64, 0)
    pipeline.safety_checker = Checker(blackens=True)
    assert not cosmos.sample(pipeline, PICTURE, "a hand", 2, 64, 0).any()
    assert pipeline.safety_checker.videos == [(5, 64, 112, 3)]


def test_loading_leaves_random_numbers_alone(folder, monkeypatch):
    monkeypatch.setattr(cosmos, "safety_checker", Checker)
    torch.manual_seed(5)
    cosmos.load_pipeline(folder, CPU)
    after = torch.rand(3)
    torch.manual_seed(5)
    assert (after == torch.rand(3)).all()


def remove(part):
    return lambda folder: shutil.rmtree(folder / part)


def of_another_pipeline(folder):
    (folder / "model_index.json").write_text(json.dumps({"_class_name": "WanPipeline"}))


def as_a_pickle(folder):
    [path] = (folder / "vae").glob("*.safetensors")
    torch.save(load_file(path), path.with_suffix(".bin"))
    path.unlink()


def cut(folder):
    [path] = (folder / "transformer").glob("*.safetensors")
    path.write_bytes(path.read_bytes()[:-100])


def without_a_tensor(folder):
    [path] = (folder / "transformer").glob("*.safetensors")
    tensors = load_file(path)
    del tensors["proj_out.weight"]
    save_file(tensors, path, {"format": "pt"})


@pytest.mark.parametrize(
    ("damage", "says"),
    [
        (shutil.rmtree, "model_index.json is missing or damaged"),
        (of_another_pipeline, "holds a WanPipeline"),
        (remove("text_encoder"), "no safetensors in text_encoder"),
        (remove("tokenizer"), "tokenizer is damaged or incomplete"),
        (remove("scheduler"), "scheduler is damaged or incomplete"),
        (as_a_pickle, "no safetensors in vae"),
        (cut, "transformer is damaged or incomplete"),
        (without_a_tensor, r"transformer lacks tensors \['proj_out.weight'\]"),
    ],
    ids=lambda value: getattr(value, "__name__", ""),
)
def test_what_is_incomplete_is_named_with_what_to_fetch(
    folder, tmp_path, monkeypatch, damage, says
):
    monkeypatch.setattr(cosmos, "safety_checker", Checker)
    copied = shutil.copytree(folder, tmp_path / "copied")
    whole = cosmos.weights_sha256(copied)
    damage(copied)
    with pytest.raises(UserError, match=says) as caught:
        assert cosmos.weights_sha256(copied) != whole
        cosmos.load_pipeline(copied, CPU)
    text = str(caught.value)
    assert "hf download nvidia/Cosmos-Predict2-2B-Video2World --include" in text
    assert f"--local-dir {copied}" in text and "\n" not in text


def test_the_hash_is_of_what_is_read(folder, tmp_path):
    copied = shutil.copytree(folder, tmp_path / "copied")
    whole = cosmos.weights_sha256(copied)
    (copied / "vae" / "preview.mp4").write_bytes(b"other")
    assert cosmos.weights_sha256(copied) == whole
    settings = copied / "scheduler" / "scheduler_config.json"
    settings.write_text(settings.read_text().replace("1000", "999"))
    assert cosmos.weights_sha256(copied) != whole


@pytest.mark.parametrize("package", ["transformers", "cosmos_guardrail"])
def test_a_package_that_is_missing_is_named(folder, monkeypatch, package):
    monkeypatch.setitem(sys.modules, package, None)
    with pytest.raises(UserError, match=f"needs {package}.*pip install"):
        cosmos.load_pipeline(folder, CPU)


def test_the_real_transformer_needs_torchvision(folder, tmp_path, monkeypatch):
    monkeypatch.setattr(cosmos, "safety_checker", Checker)
    monkeypatch.setitem(sys.modules, "torchvision", None)
    copied = shutil.copytree(folder, tmp_path / "copied")
    path = copied / "transformer" / "config.json"
    config = json.loads(path.read_text()) | {"concat_padding_mask": True, "in_channels": 16}
    path.write_text(json.dumps(config))
    with pytest.raises(UserError, match="needs torchvision"):
        cosmos.load_pipeline(copied, CPU)


def test_the_checkers_weights_are_not_downloaded(monkeypatch, tmp_path):
    from huggingface_hub import constants, snapshot_download

    def fetch():
        snapshot_download("nvidia/Cosmos-1.0-Guardrail", cache_dir=tmp_path)

    package = types.SimpleNamespace(CosmosSafetyChecker=fetch)
    monkeypatch.setitem(sys.modules, "cosmos_guardrail", package)
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", False)
    with pytest.raises(UserError, match="hf download nvidia/Cosmos-1.0-Guardrail"):
        cosmos.safety_checker()
    assert constants.HF_HUB_OFFLINE is False
