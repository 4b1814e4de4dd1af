"""The map of objects in a latent state: its cells and its eye."""

import dataclasses

import pytest
import torch
from support.trainings import SMALL

from dexbench.agents.dexwm.model.config import MAP_SIDE
from dexbench.agents.dexwm.model.object_map import (
    LEAST,
    MOST,
    PLANE,
    SCALE,
    SIZE,
    as_map,
    as_pixels,
    as_tokens,
    cell_spots,
    true_map,
)
from dexbench.agents.dexwm.model.world_model import DexWMModel
from dexbench.envs.embodiment import camera
from dexbench.utils.errors import UserError

MODEL = dataclasses.replace(SMALL, object_map=True, hand_maps=True, residual=True)
GRID = MODEL.grid


def build():
    torch.manual_seed(0)
    return DexWMModel(MODEL).eval()


def test_a_tokens_cells_are_those_under_it():
    maps = torch.zeros(1, *SIZE)
    maps[0, 3 * MAP_SIDE + 2, 5 * MAP_SIDE + 4] = 1.0
    cells = as_tokens(maps)
    assert cells.shape == (1, GRID[0] * GRID[1], MAP_SIDE**2)
    assert cells[0, 3 * GRID[1] + 5, 2 * MAP_SIDE + 4] == 1 / SCALE and (cells != 0).sum() == 1
    anything = torch.randn(2, *SIZE)
    assert torch.allclose(as_map(as_tokens(anything), GRID), anything)


def test_cells_are_where_the_camera_shows_them():
    spots = cell_spots()
    row, column = 40, 30
    spot = spots[row * SIZE[1] + column]
    assert float(spot[2]) == pytest.approx(PLANE, abs=1e-5)
    pixel = camera.project(camera.base_to_camera(spot[None]))[0] / (camera.HEIGHT / SIZE[0])
    assert pixel.tolist() == pytest.approx([column + 0.5, row + 0.5], abs=1e-3)
    above = spots[: SIZE[1]]
    assert (above[:, 0] > 3).all(), "the wall is far ahead, and not behind"


@torch.no_grad()
def test_the_true_map_is_what_pixels_show():
    shown = torch.zeros(1, 112, 196, dtype=torch.bool)
    shown[0, 40:46, 60:64] = True
    shown[0, 46, 60] = True
    logits = as_map(true_map(shown), GRID)[0]
    assert torch.allclose(logits[20:23, 30:32].sigmoid(), torch.tensor(1 - LEAST))
    assert float(logits[23, 30].sigmoid()) == pytest.approx(0.25)
    assert float(logits[23, 31].sigmoid()) == pytest.approx(LEAST, rel=1e-3)
    assert torch.equal(as_pixels(true_map(shown), GRID)[0, ::2, ::2], logits)


@torch.no_grad()
def test_the_head_reads_what_the_eye_saw():
    model = build()
    torch.nn.init.normal_(model.encoder.eye.net.out.weight, std=0.1)
    images = torch.randint(0, 255, (2, *MODEL.image_size, 3), dtype=torch.uint8)
    states = model.encoder(images)
    assert states.shape == (2, MODEL.tokens, MODEL.state_dim)
    pixels = torch.nn.functional.pixel_unshuffle(images.float().movedim(-1, 1) / 64 - 2, 2)
    seen = model.encoder.eye.net(pixels)[:, 0].clamp(-MOST, MOST)
    read = model.objects(states)
    assert torch.allclose(read[:, ::2, ::2], seen, atol=1e-4)
    assert torch.equal(read[:, ::2], read[:, 1::2]) and torch.equal(read[..., ::2], read[..., 1::2])


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"hand_maps": False}, "needs --model.hand-maps"),
        ({"encoder": "dinov2", "latent_dim": 1024}, "the compact encoder"),
        ({"image_size": (224, 392), "grid": (16, 28)}, "needs a model.grid"),
    ],
)
def test_models_that_cannot_have_a_map_are_refused(changes, message):
    with pytest.raises(UserError, match=message):
        DexWMModel(dataclasses.replace(MODEL, **changes))


def test_models_without_it_have_the_weights_they_had():
    plain = dataclasses.replace(MODEL, object_map=False)
    names, more = (DexWMModel(config).state_dict().keys() for config in (plain, MODEL))
    assert {".".join(n.split(".")[:2]) for n in more - names} == {"encoder.eye", "predictor.step"}
    assert not names - more
