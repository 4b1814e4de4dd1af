import dataclasses
import json
import socket
import sys

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file
from support.planners import pictured
from support.synthetic_store import write_store

from dexbench.agents.dexwm.agent import DexWM
from dexbench.agents.dexwm.cost_config import COSTS
from dexbench.agents.dexwm.model.checkpoint import load_model, save_model
from dexbench.agents.dexwm.model.config import ModelConfig
from dexbench.agents.dexwm.model.decoder import decoder_path
from dexbench.agents.dexwm.model.encoder import build_encoder
from dexbench.agents.dexwm.model.encoder_specs import HUB
from dexbench.agents.dexwm.model.pretrained import PretrainedEncoder
from dexbench.agents.dexwm.model.world_model import DexWMModel
from dexbench.agents.dexwm.training.config import TrainConfig
from dexbench.agents.dexwm.training.train import train
from dexbench.agents.diffusion_policy.agent import DiffusionPolicy
from dexbench.agents.diffusion_policy.config import PolicyConfig
from dexbench.agents.diffusion_policy.train import train as train_policy
from dexbench.agents.diffusion_policy.train_config import PolicyTrainConfig
from dexbench.agents.learning.weights import read_tensors, save_tensors
from dexbench.agents.planning.cem import CEMConfig
from dexbench.utils.errors import UserError
from dexbench.utils.video import downsample

transformers = pytest.importorskip("transformers")

WIDTH = 48


@pytest.fixture(autouse=True)
def offline(monkeypatch):
    def refuse(*_):
        raise AssertionError("no network")

    monkeypatch.setattr(socket.socket, "connect", refuse)


def tiny(name):
    """A random model of an encoder's architecture, with its true patch size."""
    size = {"hidden_size": WIDTH, "num_hidden_layers": 2, "num_attention_heads": 2}
    dino = {**size, "intermediate_size": 64, "patch_size": HUB[name].patch}
    if name in ("dinov2", "webssl"):
        return transformers.Dinov2Model(transformers.Dinov2Config(image_size=224, **dino))
    if name == "dinov3":
        config = transformers.DINOv3ViTConfig(num_register_tokens=4, **dino)
        return transformers.DINOv3ViTModel(config)
    if name == "vjepa2":
        head = {f"pred_{key}": value for key, value in size.items()}
        config = transformers.VJEPA2Config(crop_size=256, **size, **head)
        return transformers.VJEPA2Model(config)
    text = {**size, "intermediate_size": 64, "vocab_size": 100}
    vision = {**dino, "image_size": 224}
    return transformers.SiglipModel(
        transformers.SiglipConfig(text_config=text, vision_config=vision)
    )


@pytest.fixture(scope="module")
def folders(tmp_path_factory):
    made = {}
    for name in HUB:
        torch.manual_seed(0)
        made[name] = tmp_path_factory.mktemp(name)
        tiny(name).save_pretrained(made[name])
    return made


def config(name="dinov2", **changes):
    paper = {
        "image_size": (224, 392),
        "grid": (16, 28),
        "latent_dim": WIDTH,
        "head": "paper",
        "head_dim": 32,
        "head_blocks": 1,
        "heat_scale": 14,
        "cdit": "paper",
        "predictor_dim": 24,
        "predictor_blocks": 1,
        "max_frames": 9,
        **changes,
    }
    return ModelConfig(encoder=name, **paper)


def loaded(name, folder):
    encoder = build_encoder(config(name))
    encoder.load(folder)
    return encoder


def images(count=1):
    return torch.randint(0, 256, (count, 224, 392, 3), dtype=torch.uint8)


@pytest.mark.parametrize("name", HUB)
def test_an_encoder_gives_its_patches_on_the_grid_in_row_major_order(folders, name):
    encoder = loaded(name, folders[name])
    before = images()
    latent = encoder(before)
    assert latent.shape == (1, 448, WIDTH) and latent.std() > 0.01
    after = before.clone()
    after[0, 2 * 14 : 3 * 14, 5 * 14 : 6 * 14] = 255 - after[0, 2 * 14 : 3 * 14, 5 * 14 : 6 * 14]
    moved = (encoder(after) - latent)[0].norm(dim=-1)
    assert moved.argmax() == 2 * 28 + 5
    encoder.to(torch.bfloat16)
    assert encoder(before).dtype == torch.bfloat16
    assert (encoder(before).float() - latent).abs().max() < 0.15


@pytest.mark.parametrize("name", [name for name in HUB if name != "vjepa2"])
def test_tokens_are_those_of_the_model_itself(folders, name):
    encoder, spec = loaded(name, folders[name]), HUB[name]
    picture = images()
    inputs = encoder.pixels(picture)
    assert inputs.shape == (1, 3, 16 * spec.patch, 28 * spec.patch)
    plain = tiny(name).vision_model if name == "siglip2" else tiny(name)
    plain.load_state_dict(encoder.backbone.model.state_dict())
    arguments = {"interpolate_pos_encoding": True} if name == "siglip2" else {}
    with torch.no_grad():
        tokens = plain.eval()(inputs, **arguments).last_hidden_state
    assert tokens.shape[1] == 448 + spec.drop
    assert torch.allclose(encoder(picture), tokens[:, -448:], atol=1e-5)


def test_vjepa2_is_itself_on_its_own_square_and_numbers_wider_grids_by_row(folders):
    square = build_encoder(config("vjepa2", image_size=(224, 224), grid=(16, 16)))
    square.load(folders["vjepa2"])
    plain = transformers.VJEPA2Model.from_pretrained(folders["vjepa2"])
    picture = torch.randint(0, 256, (1, 224, 224, 3), dtype=torch.uint8)
    with torch.no_grad():
        clip = square.pixels(picture)[:, None].repeat(1, 2, 1, 1, 1)
        expected = plain.get_vision_features(clip)
    expected = torch.nn.functional.layer_norm(expected, (WIDTH,))
    assert torch.allclose(square(picture), expected, atol=1e-4)
    rows, columns = torch.meshgrid(torch.arange(16), torch.arange(28), indexing="ij")
    for layer in loaded("vjepa2", folders["vjepa2"]).backbone.model.encoder.layer:
        found = layer.attention.get_position_ids(torch.empty(1, 448, WIDTH))
        for ids, wanted in zip(found, (rows * 0, rows, columns), strict=True):
            assert torch.equal(ids, wanted.flatten())


def test_vjepa2_latents_have_unit_variance(folders):
    latent = loaded("vjepa2", folders["vjepa2"])(images())
    assert torch.allclose(latent.var(-1, correction=0), torch.ones(1, 448), atol=1e-2)


def processor(name):
    """The image processor that transformers has for an encoder, at our picture's size."""
    if name in ("dinov2", "webssl"):
        mean, std = transformers.image_utils.IMAGENET_DEFAULT_MEAN, [0.229, 0.224, 0.225]
        return transformers.BitImageProcessorPil(
            do_resize=False, do_center_crop=False, image_mean=mean, image_std=std
        )
    if name == "siglip2":
        return transformers.SiglipImageProcessorPil(do_resize=False)
    pytest.importorskip("torchvision", reason="transformers' processor needs torchvision")
    size = {"height": 256, "width": 448}
    if name == "dinov3":
        return transformers.DINOv3ViTImageProcessorFast(size=size)
    made = transformers.VJEPA2VideoProcessor()
    return lambda picture, **extra: {
        "pixel_values": made(picture[None], size=size, do_center_crop=False, **extra)[
            "pixel_values_videos"
        ][0]
    }


@pytest.mark.parametrize("name", HUB)
def test_pixels_are_those_of_transformers_own_processor(name):
    # Smooth, so that rounding to whole grey levels between resizing and scaling hardly shows.
    v, u = np.mgrid[:224, :392]
    smooth = np.stack([v, u * 0.6, 255 - v - u * 0.05], -1).clip(0, 255).astype(np.uint8)
    expected = processor(name)(smooth, return_tensors="pt")["pixel_values"]
    found = PretrainedEncoder(config(name)).pixels(torch.from_numpy(smooth)[None])
    exact = HUB[name].patch == 14 or name == "dinov3"
    assert torch.allclose(found, expected, atol=1e-5 if exact else 0.02)


def test_the_backbone_is_frozen_and_not_part_of_the_weights(folders, tmp_path):
    model = DexWMModel(config())
    model.encoder.load(folders["dinov2"])
    model.train()
    model.requires_grad_(True)
    backbone = model.encoder.backbone.model
    assert not backbone.training and not any(p.requires_grad for p in backbone.parameters())
    assert not list(model.encoder.parameters()) and not model.encoder.state_dict()
    assert not model.encoder(images()).requires_grad
    save_model(tmp_path / "w", model)
    assert not any("encoder" in key for key in read_tensors(tmp_path / "w")[0])


def test_loading_draws_no_random_numbers(folders):
    torch.manual_seed(1)
    expected = torch.rand(3)
    torch.manual_seed(1)
    loaded("dinov2", folders["dinov2"])
    assert torch.equal(torch.rand(3), expected)


class Payload:
    def __reduce__(self):
        return (print, ("executed",))


@pytest.mark.parametrize(
    "damage", ["empty", "pickle", "cut", "garbage", "tensor", "type", "width", "config", "missing"]
)
def test_bad_folders_are_refused_in_one_line(folders, tmp_path, damage, capfd):
    path = tmp_path / "model.safetensors"
    if damage != "empty":
        (tmp_path / "config.json").write_bytes((folders["dinov2"] / "config.json").read_bytes())
        path.write_bytes((folders["dinov2"] / "model.safetensors").read_bytes())
    if damage == "pickle":
        path.unlink()
        torch.save({"payload": Payload()}, tmp_path / "pytorch_model.bin")
    elif damage == "cut":
        path.write_bytes(path.read_bytes()[:-1000])
    elif damage == "garbage":
        path.write_bytes(b"\0" * 64)
    elif damage == "tensor":
        tensors = load_file(path)
        del tensors["layernorm.weight"]
        save_file(tensors, path, {"format": "pt"})
    elif damage == "type":
        (tmp_path / "config.json").write_text(json.dumps({"model_type": "siglip"}))
    elif damage == "config":
        (tmp_path / "config.json").write_text("{")
    where = tmp_path / "none" if damage == "missing" else tmp_path
    encoder = build_encoder(config(latent_dim=32) if damage == "width" else config())
    with pytest.raises(UserError, match="hf download facebook/dinov2-large") as error:
        encoder.load(where)
    assert str(where) in str(error.value) and encoder.backbone is None
    assert "executed" not in capfd.readouterr().out


@pytest.fixture
def cache(tmp_path, monkeypatch):
    """An empty Hugging Face cache."""
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path / "hub"))
    return tmp_path / "hub"


def put(cache, name, folder):
    """Copies a folder's files to where the cache has an encoder's pinned revision."""
    spec = HUB[name]
    repository = "models--" + spec.repository.replace("/", "--")
    snapshot = cache / repository / "snapshots" / spec.revision
    snapshot.mkdir(parents=True)
    for file in folder.iterdir():
        (snapshot / file.name).write_bytes(file.read_bytes())


def test_the_cache_is_used_and_missing_weights_are_named(folders, cache):
    encoder = build_encoder(config())
    with pytest.raises(UserError, match="47b73eefe95e8d44ec3623f8890bd894b6ea2d6c") as error:
        encoder(images())
    assert "--encoder-weights FOLDER" in str(error.value) and "\n" not in str(error.value)
    put(cache, "dinov2", folders["dinov2"])
    assert encoder(images()).shape == (1, 448, WIDTH)
    assert encoder.digest == loaded("dinov2", folders["dinov2"]).digest


def test_without_transformers_the_extra_is_named(folders, monkeypatch):
    monkeypatch.setitem(sys.modules, "transformers", None)
    with pytest.raises(UserError, match=r"pip install 'dexbench\[encoders\]'"):
        loaded("dinov2", folders["dinov2"])


def test_unknown_encoders_are_refused():
    with pytest.raises(UserError, match="'resnet'.*dinov2"):
        build_encoder(config("resnet"))


@pytest.mark.slow
def test_a_policy_knows_the_encoder_it_learnt_with(folders, tmp_path):
    """DexWM's file lends its encoder; the policy's holds, as that one's, only its sha256."""
    folder = folders["dinov2"]
    small = config(image_size=(112, 196), grid=(8, 14))
    world, out = tmp_path / "w.safetensors", tmp_path / "p.safetensors"
    data = (write_store(tmp_path / "set"),)
    train(
        TrainConfig(
            data=data,
            out=world,
            encoder_weights=folder,
            steps=(0, 0, 0),
            clips=1,
            threads=1,
            dtype="float32",
            model=small,
            validation_windows=1,
            progress=False,
        )
    )
    policy = PolicyConfig(dim=32, blocks=1, heads=2, feature_dim=small.latent_dim)
    train_policy(
        PolicyTrainConfig(
            data=data,
            out=out,
            encoder=world,
            encoder_weights=folder,
            steps=1,
            batch=4,
            threads=1,
            model=policy,
            progress=False,
        )
    )
    agent = DiffusionPolicy(weights=out, encoder_weights=folder, steps=10)
    assert agent.metadata["pretraining"] == "dinov2 encoder"
    whole = PretrainedEncoder(small)
    whole.load(folder)
    image = torch.from_numpy(downsample(pictured()["pixels"]))[None]
    with torch.inference_mode():
        assert torch.equal(agent.model.encoder(image), whole.eval()(image))
    with pytest.raises(UserError, match="trained with other weights of dinov2"):
        DiffusionPolicy(weights=out, encoder_weights=other(folder, tmp_path))
    tensors, metadata = read_tensors(out)
    del metadata["encoder_sha256"]
    save_tensors(out, tensors, metadata)
    with pytest.raises(UserError, match="does not say with which weights of dinov2"):
        DiffusionPolicy(weights=out, encoder_weights=folder)


@pytest.mark.slow
def test_a_paper_model_trains_resumes_loads_and_plans(folders, cache, tmp_path):
    out, folder = tmp_path / "w.safetensors", folders["dinov2"]
    small = config(image_size=(112, 196), grid=(8, 14))
    settings = TrainConfig(
        data=(write_store(tmp_path / "set"),),
        out=out,
        encoder_weights=folder,
        steps=(9, 2, 1),
        clips=1,
        threads=1,
        dtype="float32",
        model=small,
        checkpoint_every=1,
        validation_windows=1,
        progress=False,
    )

    def interrupt(row):
        if (row["stage"], row["step"]) == ("predictor", 2):
            raise KeyboardInterrupt

    decoder_path(out).write_bytes(b"another encoder's")
    with pytest.raises(KeyboardInterrupt):
        train(settings, interrupt)
    result = train(settings)
    assert not decoder_path(out).exists()
    rows = (tmp_path / "w.safetensors.work" / "metrics.jsonl").read_text().splitlines()
    stages = [json.loads(row)["stage"] for row in rows if '"loss"' in row]
    assert stages == ["predictor", "predictor", "rollout"]
    assert "pixel_error_3" in result and "point_error_m" not in result
    assert json.loads(read_tensors(out)[1]["notes"])["training"]["hand_weight"] == 100
    with pytest.raises(UserError, match="no weights of dinov2"):
        load_model(out)
    with pytest.raises(UserError, match="trained with other weights of dinov2"):
        load_model(out, encoder_weights=other(folder, tmp_path))
    model, digest = load_model(out, encoder_weights=folder)
    assert digest == result["weights_hash"] and model.config == small
    put(cache, "dinov2", folder)
    agent = DexWM(weights=out, dtype="float32", cem=CEMConfig(4, 2, 2))
    assert agent.costs.config == COSTS["paper"], "its head has no depth"
    agent.reset("reach", 0)
    assert agent.act(pictured()).shape == (20, 23)
    with pytest.raises(UserError, match="no depth.*plan with cost=paper"):
        DexWM(weights=out, cost="predicted", dtype="float32")


def other(folder, tmp_path):
    """A folder with the same model but for one number."""
    made = tmp_path / "other"
    made.mkdir()
    (made / "config.json").write_bytes((folder / "config.json").read_bytes())
    tensors = load_file(folder / "model.safetensors")
    tensors["layernorm.bias"][0] += 1
    save_file(tensors, made / "model.safetensors", {"format": "pt"})
    return made


def test_a_training_run_without_weights_stops_before_it_writes(cache, tmp_path):
    settings = TrainConfig(data=(tmp_path / "set",), out=tmp_path / "w", size="S", progress=False)
    with pytest.raises(UserError, match="no weights of dinov2"):
        train(settings)
    with pytest.raises(UserError, match="no weights of siglip2"):
        train(dataclasses.replace(settings, encoder="siglip2"))
    assert not list(tmp_path.iterdir())
