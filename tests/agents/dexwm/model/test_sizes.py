import dataclasses
import json

import pytest
import torch
from support.stand_ins import SMALL_PAPER as PAPER
from support.stand_ins import busy_predictor, measured
from support.synthetic_store import keypoints_of

from dexbench.agents.dexwm.model.checkpoint import load_model, save_model
from dexbench.agents.dexwm.model.config import ModelConfig
from dexbench.agents.dexwm.model.encoder_specs import PRETRAINED
from dexbench.agents.dexwm.model.keypoint_head import PaperKeypointHead, build_head
from dexbench.agents.dexwm.model.keypoint_loss import keypoint_loss
from dexbench.agents.dexwm.model.keypoint_maps import project
from dexbench.agents.dexwm.model.predictor import Predictor
from dexbench.agents.dexwm.model.sizes import SIZES, sized
from dexbench.agents.dexwm.model.world_model import DexWMModel
from dexbench.agents.learning.weights import read_tensors, save_tensors
from dexbench.envs.embodiment.keypoints import PAPER_KEYPOINTS
from dexbench.envs.embodiment.robot import INIT_JOINTS
from dexbench.utils.errors import UserError


def millions(build, config):
    with torch.device("meta"):
        return sum(p.numel() for p in build(config).parameters()) / 1e6


@pytest.mark.parametrize(
    ("size", "expected"), [("S", 30.6), ("B", 104.0), ("L", 343.7), ("XL", 456.4)]
)
def test_the_papers_predictors_have_the_papers_parameters(size, expected):
    assert millions(Predictor, SIZES[size]) == pytest.approx(expected, rel=0.005)
    assert millions(build_head, SIZES[size]) == pytest.approx(5.7, rel=0.01)


@pytest.mark.parametrize("encoder", PRETRAINED)
def test_other_widths_are_projected_into_the_predictor_and_back(encoder):
    config = dataclasses.replace(sized("L", encoder), predictor_blocks=1)
    width = PRETRAINED[encoder].width
    assert (config.encoder, config.latent_dim, config.tokens) == (encoder, width, 448)
    with torch.device("meta"):
        predictor = Predictor(config)
        predicted = predictor(torch.empty(1, 2, 448, width), torch.empty(1, 2, 132))
    assert predicted.shape == (1, 2, 448, width)
    projections = 0 if width == 1024 else 2 * 1024 * width + 1024 + width
    plain = dataclasses.replace(config, latent_dim=1024)
    extra = (millions(Predictor, config) - millions(Predictor, plain)) * 1e6
    assert round(extra) == projections


def test_the_papers_head_has_one_map_a_keypoint_at_the_pictures_size():
    with torch.device("meta"):
        head = build_head(SIZES["XL"])
        assert isinstance(head, PaperKeypointHead) and len(head.blocks) == 6
        assert {block.heads for block in head.blocks} == {16}
        maps = head.heat(head.tokens(torch.empty(2, 448, 1024)))
    assert maps.shape == (2, 448, 12 * 14 * 14)


def test_a_papers_size_may_have_a_head_with_depth():
    config = dataclasses.replace(sized("S", depth_head=True), head_blocks=1)
    assert dataclasses.replace(config, head_blocks=6, head="paper", heat_scale=14) == SIZES["S"]
    head = build_head(config)
    torch.manual_seed(0)
    latent = torch.randn(1, 448, 1024)
    seen = head(latent)
    assert seen.points().shape == (1, 17, 3) and seen.heatmaps().shape == (1, 17, 112, 196)
    hand = torch.from_numpy(keypoints_of(INIT_JOINTS)[:17]).float()[None]
    optimizer = torch.optim.Adam(head.parameters(), 1e-3)
    for _ in range(40):
        optimizer.zero_grad()
        keypoint_loss(head(latent), hand).backward()
        optimizer.step()
    with torch.no_grad():
        before, after = ((one.points() - hand).norm(dim=-1).mean() for one in (seen, head(latent)))
    assert after < before / 5


def test_compact_stays_as_it_is():
    assert sized("compact") == ModelConfig() == SIZES["compact"]
    changed = ModelConfig(predictor_dim=48)
    assert sized("compact", model=changed) == changed
    # With another encoder all but the latent's width is as it was.
    other = sized("compact", "efficientnet-lite0", changed)
    assert (other.encoder, other.latent_dim, other.head_dim) == ("efficientnet-lite0", 112, 128)
    back = dataclasses.replace(other, encoder="compact", latent_dim=128, head_dim=None)
    assert back == changed
    for arguments, message in [
        (("huge",), "compact.*XL"),
        (("XL", "resnet"), "dinov2.*siglip2"),
        (("compact", "resnet"), "efficientnet-lite0"),
        (("XL", None, changed), "--model"),
        (("compact", None, None, True), "--depth-head needs a --size"),
    ]:
        with pytest.raises(UserError, match=message):
            sized(*arguments)


def test_later_fields_are_written_only_where_they_are_used(tmp_path):
    later = {"head", "head_dim", "head_heads", "head_mlp_ratio", "cdit"}
    written = json.loads(ModelConfig().to_json())
    assert not later & set(written) and "mlp_ratio" in written
    for field in later:
        value = "paper" if field in ("head", "cdit") else 64
        changed = dataclasses.replace(ModelConfig(), **{field: value})
        assert ModelConfig.from_json(changed.to_json()) == changed
    # A file of before, whose configuration lacks those fields, still loads.
    torch.manual_seed(0)
    save_model(tmp_path / "new", DexWMModel())
    tensors, metadata = read_tensors(tmp_path / "new")
    old = {f.name: f.default for f in dataclasses.fields(ModelConfig) if f.name not in later}
    save_tensors(tmp_path / "old", tensors, metadata | {"config": json.dumps(old)})
    assert load_model(tmp_path / "old")[0].config == ModelConfig()


def test_the_paper_form_starts_at_zero_with_identity_blocks():
    for latent_dim in (48, 128):  # without and with projections
        predictor = Predictor(dataclasses.replace(PAPER, latent_dim=latent_dim))
        states = torch.randn(2, 3, 112, latent_dim)
        assert predictor(states, torch.randn(2, 3, 132)).abs().max() == 0
    condition, tokens = torch.randn(2, 1, 132), torch.randn(2, 1, 112, 48)
    key, value = predictor.blocks[0].history(tokens, condition)
    assert torch.equal(predictor.blocks[0](tokens, condition, key, value), tokens)


@torch.no_grad()
@pytest.mark.parametrize("latent_dim", [48, 128])
def test_the_paper_form_shares_its_history_and_sees_past_actions_but_no_future(latent_dim):
    predictor = busy_predictor(dataclasses.replace(PAPER, latent_dim=latent_dim))
    clip, actions = torch.randn(2, 3, 112, latent_dim), torch.randn(2, 3, 132)
    together = predictor(clip, actions)
    for g in range(3):
        led = torch.cat([torch.zeros(2, 1, 132), actions[:, :g]], 1)
        past = predictor.encode_history(clip[:, : g + 1], actions=led)
        alone = predictor.predict(past, clip[:, g : g + 1], actions[:, g : g + 1])
        assert torch.allclose(together[:, g], alone[:, 0], atol=1e-4)
    later = actions.clone()
    later[:, 1] += 1
    changed = predictor(clip, later)
    assert torch.allclose(changed[:, 0], together[:, 0], atol=1e-5)
    assert not torch.allclose(changed[:, 2], together[:, 2], atol=1e-3)
    # Roll-outs from one shared history equal each candidate's own.
    shared = predictor.rollout(predictor.encode_history(clip[:1]), clip[:1, -1], actions)
    for candidate in range(2):
        past = predictor.encode_history(clip[:1])
        own = predictor.rollout(past, clip[:1, -1], actions[candidate : candidate + 1])
        assert torch.allclose(shared[candidate], own[0], atol=1e-4)


def paper_answer(points, head):
    """What the paper's head would say if its maps were right: (maps, answer)."""
    pixels, _ = project(points[:, list(PAPER_KEYPOINTS)])
    v, u = torch.meshgrid(torch.arange(224) + 0.5, torch.arange(392) + 0.5, indexing="ij")
    squared = (u - pixels[..., 0, None, None]) ** 2 + (v - pixels[..., 1, None, None]) ** 2
    maps = torch.zeros(len(points), 12, 224, 392)
    maps[:, 6:] = (-squared / (2 * 2.0**2)).exp()
    cells = maps.reshape(-1, 12, 16, 14, 28, 14).permute(0, 2, 4, 1, 3, 5)
    head.tokens = lambda latent: latent
    head.heat = torch.nn.Identity()
    return maps, head(cells.reshape(len(points), 448, -1))


def test_the_papers_heat_maps_are_decoded_and_scored_as_in_the_paper():
    points = torch.from_numpy(keypoints_of(INIT_JOINTS)[None])
    with torch.device("meta"):
        head = build_head(SIZES["S"])
    maps, answer = paper_answer(points, head)
    assert torch.equal(answer.heatmaps(), maps)
    pixels, visible = project(points[:, :17])
    tips = sorted(set(PAPER_KEYPOINTS))
    assert visible.all() and (answer.pixels - pixels)[:, tips].norm(dim=-1).max() < 0.75
    assert answer.pixels.isnan().any(-1).sum() == 12
    assert keypoint_loss(answer, points[:, :17]) < 1e-8
    # Eq. 5: the mean over 12 maps and all pixels.
    blank = answer._replace(logits=torch.zeros_like(answer.logits))
    expected = maps.square().mean()
    assert torch.allclose(keypoint_loss(blank, points[:, :17]), expected, rtol=1e-4)
    hidden = points[:, :17] + torch.tensor([5.0, 0, 0])
    assert keypoint_loss(blank, hidden) == 0
    with pytest.raises(UserError, match="no depth"):
        answer.points()

    metrics = measured(answer, points)
    assert metrics["pck20"] == metrics["pck20_paper"] == 1 and 0 < metrics["pixel_error"] < 0.75
    assert "point_error_m" not in metrics


@pytest.mark.parametrize("field", ["head", "cdit"])
def test_unknown_forms_are_refused(field):
    with pytest.raises(ValueError, match="'compact' or 'paper'"):
        DexWMModel(dataclasses.replace(PAPER, **{field: "other"}))


def test_a_paper_shaped_model_round_trips(tmp_path):
    model = DexWMModel(PAPER)
    digest = save_model(tmp_path / "w", model)
    loaded, again = load_model(tmp_path / "w")
    assert digest == again and loaded.config == PAPER
    assert set(loaded.state_dict()) == set(model.state_dict())
