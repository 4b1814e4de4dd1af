import dataclasses

import pytest
import torch
from support.stand_ins import SMALL_PAPER
from support.synthetic_store import write_store
from support.trainings import SMALL

from dexbench.agents.dexwm.model.checkpoint import save_model
from dexbench.agents.dexwm.model.object_loss import MASK
from dexbench.agents.dexwm.model.world_model import DexWMModel
from dexbench.agents.dexwm.readout.layers import ObjectLayer, Readout, load_readout, save_readout
from dexbench.agents.dexwm.readout.train import KeypointLayerConfig, read_frames, train
from dexbench.agents.learning.features import encoder_digest
from dexbench.agents.learning.recordings import load_clips
from dexbench.utils.errors import UserError


@pytest.fixture(scope="module")
def weights(tmp_path_factory):
    """An encoder that nobody trained."""
    torch.manual_seed(0)
    path = tmp_path_factory.mktemp("model") / "model.safetensors"
    save_model(path, DexWMModel(SMALL))
    return path


@pytest.fixture(scope="module")
def store(tmp_path_factory):
    return write_store(tmp_path_factory.mktemp("set") / "set", episodes=6)


def config(weights, store, out, **changes):
    usual = {"steps": 4, "batch": 8, "frames": 100, "threads": 1, "objects": False}
    return KeypointLayerConfig((store,), out, str(weights), **{**usual, **changes})


@torch.no_grad()
def test_a_token_tells_of_its_own_pixels():
    layer = ObjectLayer(SMALL)
    torch.nn.init.zeros_(layer.mask.weight)
    layer.mask.bias.copy_(torch.arange(196).float())
    layer.blocks = torch.nn.Identity()
    masks, contact = layer.read(torch.zeros(2, SMALL.tokens, SMALL.latent_dim))
    assert masks.shape == (2, 112, 196) and contact.shape == (2,)
    # 14 x 14 px a token, row by row.
    assert masks[0, 28, 14 * 5] == 0 and masks[0, 28, 14 * 5 + 3] == 3
    assert masks[0, 28 + 2, 14 * 5 + 3] == 31


def test_the_papers_head_is_replaced_by_one_with_depth():
    readout = Readout(SMALL_PAPER, "abc", False)
    answer = readout.keypoints(torch.zeros(1, SMALL_PAPER.tokens, SMALL_PAPER.latent_dim))
    assert answer.points().shape == (1, 17, 3) and readout.objects is None


@pytest.mark.parametrize("with_objects", [False, True])
def test_layers_are_read_as_they_were_written(tmp_path, with_objects):
    readout = Readout(SMALL, "abc", with_objects).eval()
    digest = save_readout(tmp_path / "layer", readout, {})
    loaded, again = load_readout(tmp_path / "layer")
    assert (loaded.encoder, again) == ("abc", digest)
    assert (loaded.objects is not None) == with_objects
    latent = torch.randn(1, SMALL.tokens, SMALL.latent_dim)
    said = readout.keypoints(latent).pixels
    torch.testing.assert_close(loaded.keypoints(latent).pixels, said, atol=0.5, rtol=0)


def test_a_model_is_no_layer(weights):
    with pytest.raises(UserError, match="train keypoint-layer"):
        load_readout(weights)


def test_training_learns_the_hand_and_names_the_encoder(weights, store, tmp_path):
    before = train(config(weights, store, tmp_path / "none", steps=1))
    after = train(config(weights, store, tmp_path / "layer", steps=40))
    assert after["pixel_error"] < 0.95 * before["pixel_error"]
    readout, _ = load_readout(tmp_path / "layer")
    torch.manual_seed(0)
    model = DexWMModel(SMALL).half().float()
    assert readout.encoder == encoder_digest(model.encoder)


def test_the_same_command_gives_the_same_layer(weights, store, tmp_path):
    first = train(config(weights, store, tmp_path / "a"))
    second = train(config(weights, store, tmp_path / "b", frames=100))
    other = train(config(weights, store, tmp_path / "c", seed=1))
    tensors = [dict(load_readout(tmp_path / n)[0].named_parameters()) for n in "abc"]
    assert first["layer_hash"] != other["layer_hash"]
    assert all(torch.equal(tensors[0][k], tensors[1][k]) for k in tensors[0])
    assert not all(torch.equal(tensors[0][k], tensors[2][k]) for k in tensors[0])
    assert second.keys() == {"pck20", "pixel_error", "layer_hash"}


def test_models_that_share_an_encoder_may_have_other_grids(store, tmp_path):
    """A pretrained encoder's digest says nothing of the grid that its tokens are brought to."""
    episodes = load_clips([store], tmp_path / "work", 0.06, SMALL.image_size)
    read = [
        read_frames(
            KeypointLayerConfig((store,), objects=False),
            episodes,
            Grid(cells),
            f"tokens {cells}",
            tmp_path / "work",
            torch.device("cpu"),
            validation=False,
            count=8,
        )
        for cells in (4, 2)
    ]
    assert [len(frames.latents[0]) for frames in read] == [4, 2]


class Grid(torch.nn.Module):
    digest = "of the backbone"

    def __init__(self, cells):
        super().__init__()
        self.cells = cells

    def forward(self, images):
        return torch.zeros(len(images), self.cells, 3)


def test_objects_need_states(weights, store, tmp_path):
    with pytest.raises(UserError):
        train(config(weights, store, tmp_path / "out", objects=True))
    assert not (tmp_path / "out").exists()
    with pytest.raises(UserError, match="--steps is 0"):
        train(config(weights, store, tmp_path / "out", steps=0))


@torch.no_grad()
def test_a_tokens_pixels_are_those_of_its_place():
    torch.manual_seed(0)
    layer = ObjectLayer(SMALL)
    rows, columns = SMALL.grid
    tokens = torch.zeros(1, rows * columns, SMALL.latent_dim)
    tokens[0, 3 * columns + 5] = 1.0
    shown = layer.masks(tokens)[0] != layer.mask.bias[0]
    side = MASK[0] // rows
    expected = torch.zeros(MASK, dtype=torch.bool)
    expected[3 * side : 4 * side, 5 * side : 6 * side] = True
    assert torch.equal(shown, expected)
    # Within it the numbers are row by row.
    cell = layer.masks(tokens)[0, 3 * side : 4 * side, 5 * side : 6 * side]
    assert torch.allclose(cell.flatten(), layer.mask(tokens[0, 3 * columns + 5]))


def test_a_grid_that_does_not_divide_the_masks_is_refused():
    with pytest.raises(UserError, match="does not divide"):
        ObjectLayer(dataclasses.replace(SMALL, image_size=(96, 160), grid=(6, 10)))
