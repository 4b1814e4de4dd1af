"""The keypoint heads learn both hands where they are known, and planning reads the right one."""

import dataclasses

import pytest
import torch
from support.stand_ins import SMALL_PAPER
from support.synthetic_store import keypoints_of
from support.trainings import SMALL

from dexbench.agents.dexwm.model.checkpoint import load_model, save_model
from dexbench.agents.dexwm.model.config import ModelConfig
from dexbench.agents.dexwm.model.keypoint_head import LEFT, RIGHT, build_head
from dexbench.agents.dexwm.model.keypoint_loss import hands_loss, keypoint_loss
from dexbench.agents.dexwm.model.world_model import DexWMModel
from dexbench.envs.embodiment.robot import INIT_JOINTS

BOTH = dataclasses.replace(SMALL, left_hand=True)


def head_and_hands(config):
    torch.manual_seed(0)
    head = build_head(config)
    latent = torch.randn(3, config.tokens, config.latent_dim)
    right = torch.from_numpy(keypoints_of(INIT_JOINTS)).expand(3, -1, -1)
    points = torch.stack([right - torch.tensor([0.2, 0, 0]), right], 1)
    return head, latent, points, torch.ones(3, 2, 21, dtype=torch.bool)


def test_packaged_weights_have_the_right_hand_alone_and_read_as_before():
    model, _ = load_model("dexwm")
    assert not model.config.left_hand and "left_hand" not in model.config.to_json()
    latent = torch.randn(2, 112, 128, generator=torch.Generator().manual_seed(0))
    hands = model.head.hands(latent)
    assert hands.keys() == {RIGHT}
    answer = model.head(latent)
    assert torch.equal(answer.pixels, hands[RIGHT].pixels)
    assert torch.equal(answer.depth, hands[RIGHT].depth)


def test_with_a_left_hand_the_right_one_is_read_as_without(tmp_path):
    model = DexWMModel(BOTH)
    one = DexWMModel(SMALL)
    kept = {name: v for name, v in model.state_dict().items() if ".left_" not in name}
    one.load_state_dict(kept)
    latent = torch.randn(2, SMALL.tokens, SMALL.latent_dim)
    assert torch.equal(model.head(latent).points(), one.head(latent).points())
    assert not torch.equal(model.head.hands(latent)[LEFT].pixels, one.head(latent).pixels)
    save_model(tmp_path / "w.safetensors", model)
    loaded, _ = load_model(tmp_path / "w.safetensors")
    assert loaded.config == BOTH and "left_hand" in loaded.config.to_json()
    assert ModelConfig.from_json(SMALL.to_json()) == SMALL


@pytest.mark.parametrize("config", [BOTH, SMALL_PAPER], ids=["compact", "paper"])
def test_a_hand_that_is_not_known_is_not_learned(config):
    head, latent, points, known = head_and_hands(config)
    known[:, LEFT] = False
    loss = hands_loss(head, latent, points, known)
    count = 21 if config.head == "paper" else 17
    right = keypoint_loss(head.hands(latent)[RIGHT], points[:, RIGHT, :count])
    assert torch.equal(loss, right), "nor does it take from the other's weight"
    moved = points.clone()
    moved[:, LEFT] += 0.1
    assert torch.equal(loss, hands_loss(head, latent, moved, known))
    loss.backward()
    if config.head == "compact":
        assert head.heat.weight.grad.any()
        assert not head.left_heat.weight.grad.any() and not head.left_depth.weight.grad.any()
    else:
        grad = head.heat.weight.grad.unflatten(0, (12, -1)).flatten(1)
        assert grad.any(1).tolist() == [False] * 6 + [True] * 6


@pytest.mark.parametrize("config", [BOTH, SMALL_PAPER], ids=["compact", "paper"])
def test_of_a_hand_only_known_keypoints_are_learned(config):
    head, latent, points, known = head_and_hands(config)
    known[:, LEFT, 4] = False  # the thumb's tip, which both heads have
    loss = hands_loss(head, latent, points, known)
    moved = points.clone()
    moved[:, LEFT, 4] += 0.05
    assert torch.equal(loss, hands_loss(head, latent, moved, known))
    moved[:, LEFT, 8] += 0.05
    assert not torch.equal(loss, hands_loss(head, latent, moved, known))


def test_the_papers_head_learns_a_persons_little_finger():
    head, latent, points, known = head_and_hands(SMALL_PAPER)
    loss = hands_loss(head, latent, points, known)
    apart = points.clone()
    apart[:, :, 20] += 0.05
    assert not torch.equal(loss, hands_loss(head, latent, apart, known))


@pytest.mark.parametrize("config", [BOTH, SMALL_PAPER], ids=["compact", "paper"])
def test_both_hands_are_found_after_some_steps(config):
    head, latent, points, known = head_and_hands(config)
    optimizer = torch.optim.Adam(head.parameters(), 1e-2)
    losses = []
    for _ in range(60):
        optimizer.zero_grad()
        loss = hands_loss(head, latent, points, known)
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    assert losses[-1] < 0.7 * losses[0]
    if config.head == "compact":
        for side, answer in head.hands(latent).items():
            apart = (answer.points() - points[:, side, :17]).norm(dim=-1)
            assert apart.mean() < 0.03, "m"
