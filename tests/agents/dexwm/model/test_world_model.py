import dataclasses

import numpy as np
import pytest
import torch
from support.stand_ins import busy_predictor, measured
from support.synthetic_store import keypoints_of

from dexbench.agents.dexwm.model.checkpoint import load_model, save_model
from dexbench.agents.dexwm.model.config import ModelConfig
from dexbench.agents.dexwm.model.encoder import CompactEncoder, PixelDecoder
from dexbench.agents.dexwm.model.keypoint_loss import keypoint_loss
from dexbench.agents.dexwm.model.keypoint_maps import Keypoints, project, soft_argmax, to_edge
from dexbench.agents.dexwm.model.layers import attention
from dexbench.agents.dexwm.model.predictor import Predictor
from dexbench.agents.dexwm.model.world_model import (
    DexWMModel,
    best_dtype,
    hand_action,
)
from dexbench.agents.learning.hand_way import straight
from dexbench.agents.learning.weights import save_tensors
from dexbench.envs.embodiment import camera
from dexbench.envs.embodiment.robot import INIT_JOINTS
from dexbench.utils.errors import UserError
from dexbench.utils.video import downsample

SMALL = ModelConfig(predictor_dim=48, predictor_blocks=2, predictor_heads=3, encoder_blocks=1)


def states(*shape):
    return torch.randn(*shape, SMALL.tokens, SMALL.latent_dim)


def test_predictor_starts_at_zero_with_identity_blocks():
    predictor = Predictor(SMALL)
    assert predictor(states(2, 3), torch.randn(2, 3, 132)).abs().max() == 0
    tokens = torch.randn(2, 1, SMALL.tokens, 48)
    key, value = predictor.blocks[0].history(tokens[:, 0])
    after = predictor.blocks[0](tokens, torch.randn(2, 1, 48), key, value)
    assert torch.equal(after, tokens)


@torch.no_grad()
def test_shared_history_equals_plain_repeated_computation():
    predictor = busy_predictor(SMALL)
    history, actions = states(1, 2), torch.randn(5, 3, 132)
    shared = predictor.rollout(predictor.encode_history(history), history[:, -1], actions)
    for candidate in range(5):
        frames = history
        for step in range(3):
            action = actions[candidate, step][None, None]
            plain = predictor.predict(predictor.encode_history(frames), frames[:, -1:], action)
            assert torch.allclose(shared[candidate, step], plain[0, 0], atol=1e-4)
            frames = torch.cat([frames, plain], 1)


@pytest.mark.parametrize("cdit", ["compact", "paper"])
def test_a_history_that_grows_in_place_predicts_as_one_that_is_copied(cdit):
    predictor = busy_predictor(dataclasses.replace(SMALL, cdit=cdit))
    seen, actions = states(1, 2), torch.randn(5, 3, 132)
    with torch.no_grad():
        history = predictor.encode_history(seen)
        before = [(key.clone(), value.clone()) for key, value in history]
        grown = predictor.rollout(history, seen[:, -1], actions)
        again = predictor.rollout(history, seen[:, -1], actions)
    copied = predictor.rollout(predictor.encode_history(seen), seen[:, -1], actions)
    assert copied.requires_grad and not grown.requires_grad
    assert torch.allclose(grown, copied, atol=1e-5)
    assert torch.equal(grown, again)
    for pair, old in zip(history, before, strict=True):
        assert all(torch.equal(a, b) for a, b in zip(pair, old, strict=True))


@pytest.mark.slow
@torch.no_grad()
def test_compiled_blocks_predict_the_same():
    torch.manual_seed(0)
    model = DexWMModel(SMALL).double().eval()  # in singles rounds differ
    for weights in model.predictor.parameters():
        torch.nn.init.normal_(weights, std=0.2)
    seen, actions = states(1, 2).double(), torch.randn(5, 3, 132).double()

    def answers():
        history = model.predictor.encode_history(seen)
        found = model.predictor.rollout(history, seen[:, -1], actions)
        return found, model.head(found.flatten(0, 1)).pixels

    plain = answers()
    model.compile_blocks()
    assert all(block._compiled_call_impl for block in (*model.predictor.blocks, *model.head.blocks))
    for before, after in zip(plain, answers(), strict=True):
        assert torch.allclose(before, after, rtol=0, atol=1e-9 * float(before.abs().max()))
    # A block that a compiler leaves in the middle is compiled in pieces.
    block, tokens = model.predictor.blocks[0], torch.randn(2, 1, SMALL.tokens, 48).double()
    keys = block.history(tokens[:, 0])
    said = torch._dynamo.explain(block.forward)(tokens, torch.randn(2, 1, 48).double(), *keys)
    assert said.graph_break_count == 0


@torch.no_grad()
def test_teacher_forcing_equals_one_step_at_a_time_and_sees_no_future():
    predictor = busy_predictor(SMALL)
    clip, actions = states(2, 3), torch.randn(2, 3, 132)
    together = predictor(clip, actions)
    for g in range(3):
        past = predictor.encode_history(clip[:, : g + 1])
        alone = predictor.predict(past, clip[:, g : g + 1], actions[:, g : g + 1])
        assert torch.allclose(together[:, g], alone[:, 0], atol=1e-4)
    changed = torch.cat([clip[:, :2], states(2, 1)], 1)
    assert torch.allclose(predictor(changed, actions)[:, :2], together[:, :2], atol=1e-5)
    assert not torch.allclose(predictor(changed, actions)[:, 2], together[:, 2], atol=1e-2)


@torch.no_grad()
def test_predictions_depend_on_action_and_on_the_first_frame():
    predictor = busy_predictor(SMALL)
    clip, actions = states(1, 2), torch.randn(1, 2, 132)
    base = predictor(clip, actions)[:, 1]
    assert not torch.allclose(predictor(clip, actions * 2)[:, 1], base, atol=1e-3)
    other = torch.cat([states(1, 1), clip[:, 1:]], 1)
    assert not torch.allclose(predictor(other, actions)[:, 1], base, atol=1e-4)


def test_too_long_a_history_is_refused():
    with pytest.raises(ValueError, match="at most 8"):
        Predictor(SMALL).encode_history(states(1, 9))


def test_explicit_attention_equals_fused():
    query, key, value = torch.randn(3, 4, 2, 5, 8).unbind(0)
    with torch.no_grad():
        fused = attention(query, key, value)
        shared = attention(query, key[:1], value[:1])
    assert torch.allclose(attention(query, key, value), fused, atol=1e-5)
    assert torch.allclose(attention(query, key[:1], value[:1]), shared, atol=1e-5)


def test_encoder_is_normalised_and_local_layout_is_row_major():
    encoder = CompactEncoder(SMALL)
    images = torch.randint(0, 255, (2, 112, 196, 3), dtype=torch.uint8)
    latent = encoder(images)
    assert latent.shape == (2, 112, 128)
    assert latent.mean(-1).abs().max() < 1e-4
    assert torch.allclose(latent.square().mean(-1), torch.ones(2, 112), atol=1e-2)
    patches = PixelDecoder(SMALL).patches(images)
    assert torch.equal(patches[0, 15].reshape(14, 14, 3), images[0, 14:28, 14:28])
    # A token's own 14x14 pixels must reach it more than those of a distant token.
    encoder.blocks = torch.nn.Identity()
    changed = images.clone()
    changed[0, 14:28, 14:28] = 0
    moved = (encoder(changed)[0] - encoder(images)[0]).norm(dim=-1)
    assert moved.argmax() == 15


def test_downsample_averages_and_refuses_other_sizes():
    pixels = np.arange(224 * 392 * 3, dtype=np.uint64).reshape(224, 392, 3) * 7 % 256
    small = downsample(pixels.astype(np.uint8))
    expected = np.floor(pixels.reshape(112, 2, 196, 2, 3).mean((1, 3)) + 0.5)
    assert np.array_equal(small, expected.astype(np.uint8))
    with pytest.raises(ValueError, match="224x392"):
        downsample(np.zeros((100, 100, 3), np.uint8))


def test_soft_argmax_decodes_a_rendered_heat_map():
    points = torch.from_numpy(keypoints_of(INIT_JOINTS)[None, :17])
    pixels, visible = project(points)
    assert visible.all()
    u, v = (torch.arange(98) + 0.5) * 4, (torch.arange(56) + 0.5) * 4
    squared = (u - pixels[..., :1, None]) ** 2 + (v[:, None] - pixels[..., 1:, None]) ** 2
    logits = (-squared / (2 * 4.8**2)).unflatten(2, (8, 7)).unflatten(4, (14, 7))
    logits = logits.permute(0, 2, 4, 1, 3, 5)  # (B, rows, columns, K, s, s)
    depths = points[..., 2][:, None, None].expand(1, 8, 14, 17)
    answer = soft_argmax(logits, depths)
    assert (answer.pixels - pixels).abs().max() < 0.3
    assert (answer.points() - points).norm(dim=-1).max() < 0.003
    maps = answer.heatmaps()
    assert maps.shape == (1, 17, 56, 98) and torch.allclose(maps.sum((2, 3)), torch.ones(1, 17))
    peak = maps[0, 0].argmax()
    assert (int(peak % 98), int(peak // 98)) == tuple(int(x / 4) for x in pixels[0, 0])
    # The loss is lowest where target and answer agree.
    wrong = points + torch.tensor([0.05, 0, 0])
    assert keypoint_loss(answer, points) < keypoint_loss(answer, wrong)


@pytest.mark.parametrize("away", [[5.0, 0, 0], [-5.0, 0, 0], [0, 5.0, 0], [5.0, 0, -1.5]])
def test_keypoints_out_of_view_are_asked_for_at_the_nearest_edge(away):
    gone = torch.from_numpy(keypoints_of(INIT_JOINTS)[None, :17]) + torch.tensor(away)
    pixels, visible = project(gone)
    assert not visible.any()
    logits = torch.zeros(1, 8, 14, 17, 7, 7, requires_grad=True)
    depths = gone[..., 2][:, None, None].expand(1, 8, 14, 17)
    keypoint_loss(soft_argmax(logits, depths), gone).backward()
    wanted = (-logits.grad).permute(0, 3, 1, 4, 2, 5).reshape(17, 56, 98).flatten(1).argmax(1)
    row, column = wanted // 98, wanted % 98
    at = (pixels[0] / 4).floor()
    assert torch.equal(column, at[:, 0].clamp(0, 97).long())
    assert torch.equal(row, at[:, 1].clamp(0, 55).long())


def test_metrics_tell_what_is_seen_from_what_has_left_the_picture():
    points = torch.from_numpy(keypoints_of(INIT_JOINTS)[None, :17]).repeat(2, 1, 1).float()
    points[1] += torch.tensor([5.0, 0, 0])  # this hand is to the right of the picture
    pixels, _ = project(points)
    at_edge = to_edge(pixels)
    assert (at_edge[1, :, 0] == 392).all() and torch.equal(at_edge[0], pixels[0])

    def metrics(pixels):
        answer = Keypoints(torch.zeros(0), None, pixels, points[..., 2])
        return measured(answer, points)

    right = metrics(at_edge)
    assert right["pck20"] == right["pck20_outside"] == 1 and right["pixel_error"] < 1e-3
    wrong = metrics(at_edge - torch.tensor([[[0.0, 0]], [[30, 0]]]))
    assert wrong["pck20"] == 1 and wrong["pck20_outside"] == 0
    points = points[:1]
    assert "pck20_outside" not in metrics(pixels[:1])


def test_the_papers_pck_alone_counts_the_ring_finger_twice():
    points = torch.from_numpy(keypoints_of(INIT_JOINTS)[None, :17])
    pixels, visible = project(points)
    assert visible.all()
    pixels = pixels.clone()
    pixels[0, 16, 0] += 25  # px; the ring finger's tip
    answer = Keypoints(torch.zeros(0), None, pixels, points[..., 2])
    metrics = measured(answer, points)
    assert metrics["pck20"] == pytest.approx(4 / 5)
    assert metrics["pck20_paper"] == pytest.approx(4 / 6)


def test_hand_action_layout():
    before, after = torch.zeros(21, 3), torch.arange(63.0).reshape(21, 3)
    action = hand_action(before, after)
    assert action[:63].abs().max() == 0 and action[126:].abs().max() == 0
    assert torch.equal(action[63:126], torch.arange(63.0))
    hands, model = torch.stack([before, after, after]).expand(2, 3, 21, 3), DexWMModel(SMALL)
    led = model.leading(model.action(straight(hands[:, :-1], hands[:, 1:])), hands[:, 0])
    assert led.shape == (2, 3, 132) and torch.equal(led[1, 1], action)
    assert not led[:, [0, 2]].any(), "nothing led to the first, and the last stayed"


def test_projection_is_the_cameras():
    points = torch.from_numpy(keypoints_of(INIT_JOINTS))
    assert torch.allclose(project(points)[0], camera.project(points))


def test_weights_round_trip(tmp_path):
    path = tmp_path / "a.safetensors"
    model = DexWMModel(SMALL)
    digest = save_model(path, model, {"seed": 1})
    loaded, again = load_model(path)
    assert digest == again and loaded.config == SMALL
    image = torch.randint(0, 255, (1, 112, 196, 3), dtype=torch.uint8)
    with torch.no_grad():
        assert torch.allclose(loaded.encoder(image), model.encoder(image), atol=0.02)
    assert save_model(tmp_path / "b.safetensors", model, {"seed": 1}) == digest


@pytest.mark.parametrize("damage", ["missing", "cut", "garbage", "format", "tensor", "nan"])
def test_damaged_weights_are_named(tmp_path, damage):
    path = tmp_path / "a.safetensors"
    model = DexWMModel(SMALL)
    save_model(path, model)
    if damage == "missing":
        path.unlink()
    elif damage == "cut":
        path.write_bytes(path.read_bytes()[:5000])
    elif damage == "garbage":
        path.write_bytes(b"\0" * 100)
    elif damage == "format":
        save_tensors(path, model.state_dict(), {"format": "other"})
    elif damage == "tensor":
        wider = DexWMModel(ModelConfig(predictor_blocks=1))
        save_tensors(
            path, wider.state_dict(), {"format": "dexbench-dexwm-1", "config": SMALL.to_json()}
        )
    else:
        with torch.no_grad():
            model.encoder.position[0, 0] = torch.nan
        with pytest.raises(UserError, match="not written: ..encoder.position"):
            save_model(path, model)
        metadata = {"format": "dexbench-dexwm-1", "config": SMALL.to_json()}
        save_tensors(path, model.state_dict(), metadata)
    with pytest.raises(UserError, match="a.safetensors"):
        load_model(path)


@pytest.mark.parametrize("amx", [False, True])
@pytest.mark.parametrize("avx512", [False, True])
def test_bfloat16_is_chosen_where_the_processor_multiplies_it(monkeypatch, amx, avx512):
    monkeypatch.setattr(torch.cpu, "_is_amx_tile_supported", lambda: amx)
    monkeypatch.setattr(torch.cpu, "_is_avx512_bf16_supported", lambda: avx512)
    assert (best_dtype("cpu") == torch.bfloat16) == (amx or avx512)
    assert best_dtype("cuda") == torch.bfloat16
