"""The step of an object map: what it is told, where it moves things, and that it learns."""

import dataclasses

import pytest
import torch
from support.trainings import SMALL

from dexbench.agents.dexwm.model.object_map import MOST, PLANE, SIZE, as_map, as_tokens
from dexbench.agents.dexwm.model.object_step import (
    AROUND,
    FAR,
    GAUSSIANS,
    SOURCES,
    START,
    MoveOdds,
)
from dexbench.agents.dexwm.model.world_model import DexWMModel
from dexbench.agents.learning.hand_way import MOMENTS, straight
from dexbench.envs.embodiment import camera

MODEL = dataclasses.replace(SMALL, object_map=True, hand_maps=True, residual=True)
GRID, SIDE = MODEL.grid, 2 * FAR + 1


def build():
    torch.manual_seed(0)
    return DexWMModel(MODEL).eval()


def hand_at(row, column, height=0.88):
    """Keypoints ``(1, 21, 3)`` of a hand that is one point, above a cell, in the camera frame."""
    side = camera.HEIGHT / SIZE[0]
    pixel = torch.tensor([[(column + 0.5) * side, (row + 0.5) * side]])
    ray = camera.unproject(pixel, torch.ones(1))
    down = camera.camera_to_base(ray) - camera.camera_to_base(torch.zeros(1, 3))
    depth = (height - camera.HEAD_POS[2]) / down[:, 2]
    return camera.unproject(pixel, depth).expand(1, 21, 3)


def block(row, column, side=4):
    """Logits ``(1, 56, 98)`` of one object."""
    logits = torch.full((1, *SIZE), -MOST)
    logits[0, row : row + side, column : column + side] = MOST
    return logits


def probable(row, column):
    """Probabilities ``(1, 56, 98)`` of the same object: 0 or 1."""
    return (block(row, column) > 0).float()


@torch.no_grad()
def test_before_training_nearly_all_stays():
    hand, map_ = hand_at(30, 50), block(30, 48)
    after = as_map(build().predictor.step(as_tokens(map_), straight(hand, hand + 0.1)), GRID)
    assert (after.sigmoid() - map_.sigmoid()).abs().max() < 0.15


@torch.no_grad()
def test_what_moves_is_neither_lost_nor_made():
    step, shown = build().predictor.step, probable(20, 30)
    odds = torch.randn(1, SOURCES, SIDE**2).mul(3).softmax(-1)
    moved = step._moved(shown, shown.flatten(1).topk(SOURCES).indices, odds)
    assert float(moved.sum()) == pytest.approx(16, rel=1e-5) and (moved - shown).abs().max() > 0.5
    near = moved[0, 20 - FAR : 24 + FAR, 30 - FAR : 34 + FAR]
    assert float(near.sum()) == pytest.approx(16, rel=1e-5), "no farther than it may go"


@torch.no_grad()
def test_a_move_leads_where_it_says():
    step, odds = build().predictor.step, torch.zeros(1, SOURCES, SIDE**2)
    odds[..., (FAR - 3) * SIDE + FAR + 5] = 1.0  # three rows up, five to the right

    def moved(shown):
        return step._moved(shown, shown.flatten(1).topk(SOURCES).indices, odds)

    assert torch.allclose(moved(probable(20, 30)), probable(17, 35), atol=1e-5)
    assert float(moved(probable(0, 94)).sum()) < 1e-4, "out of the picture, and not in elsewhere"


@torch.no_grad()
def test_only_cells_near_the_hands_path_may_move():
    step = build().predictor.step
    near, far = probable(40, 30), probable(40, 80)
    hand = camera.camera_to_base(hand_at(41, 31)[:, None, :17])
    chosen = step._sources(near + far, hand)[0]
    columns = chosen % SIZE[1]
    first = columns[:16]
    assert ((first >= 30) & (first < 34)).all() and (chosen[:16] // SIZE[1] >= 40).all()


@torch.no_grad()
def test_the_step_is_told_where_the_hand_is_from_a_cell():
    step, hand = build().predictor.step, hand_at(41, 31, height=PLANE)[:, None, :17]
    hand = camera.camera_to_base(hand).expand(1, MOMENTS, 17, 3)
    shown = probable(40, 30)
    cells = torch.tensor([[41 * SIZE[1] + 31, 41 * SIZE[1] + 36]])
    told = step._told(shown, hand, cells)[0]
    offsets = told[:, : MOMENTS * 17 * 3].unflatten(1, (-1, 3))
    assert offsets[0].abs().max() < 1e-3, "the hand is there"
    # The base's y axis points left: five cells to the right the hand is to the left.
    assert (offsets[1, :, 1] > 0.3).all() and (offsets[1, :, 0].abs() < 0.05).all()
    patch = told[0, MOMENTS * 17 * 3 : -2].view(2 * AROUND + 1, 2 * AROUND + 1)
    assert torch.equal(patch, shown[0, 41 - AROUND : 42 + AROUND, 31 - AROUND : 32 + AROUND])


def odds_of(*gaussians, stay=-20.0):
    """Odds of moves, as a map ``(SIDE, SIDE)``, of Gaussians (weight, down, right, width)."""
    moves = MoveOdds(4)
    said = torch.full((GAUSSIANS, 5), -20.0)
    for number, (weight, down, right, width) in enumerate(gaussians):
        said[number] = torch.tensor([weight, down / START, right / START, width, width])
    with torch.no_grad():
        moves.out.bias.copy_(torch.cat([said.flatten(), torch.tensor([stay])]))
        return moves(torch.randn(4)).view(SIDE, SIDE)


def test_a_gaussian_moves_by_its_middle_and_knows_how_sure_it_is():
    exact, vague = odds_of((0.0, 4.0, -2.0, -4.0)), odds_of((0.0, 4.0, -2.0, 0.0))
    for odds in (exact, vague):
        assert float(odds.sum()) == pytest.approx(1, abs=1e-5)
        assert odds.argmax() == (FAR + 4) * SIDE + FAR - 2
    assert 0.99 > exact.max() > 0.9 > 0.1 > vague.max(), "never quite sure"
    anywhere = odds_of((0.0, 0.0, 0.0, 2.0))
    assert anywhere[0, 0] > 0.3 * anywhere.max()
    between = odds_of((0.0, 0.0, 2.5, -4.0))[FAR]
    assert float(between[FAR + 2 : FAR + 4].sum()) > 0.9 and torch.allclose(
        between[FAR + 2], between[FAR + 3], rtol=1e-3
    )


def test_it_may_stay_or_go_one_way_or_another():
    odds = odds_of((0.0, 0.0, 8.0, -4.0), (0.0, 0.0, -8.0, -4.0), stay=0.0)[FAR]
    for column in (FAR - 8, FAR, FAR + 8):
        assert float(odds[column - 1 : column + 2].sum()) == pytest.approx(1 / 3, abs=0.02)
    assert odds[FAR] > 0.25, "what stays, stays in its cell"


def test_before_training_every_gaussian_goes_another_way():
    said = MoveOdds(4).out.bias[:-1].view(GAUSSIANS, 5)
    assert torch.cdist(said[:, 1:3], said[:, 1:3]).fill_diagonal_(9).min() > 0.5


def test_pushes_are_learned_from_few():
    """A hand that sweeps over an object takes it along, one that stays beside it does not."""
    step = build().train().predictor.step
    adam = torch.optim.Adam(step.parameters(), 5e-3)
    draw = torch.Generator().manual_seed(0)

    def example(sweeps):
        row, column = (int(torch.randint(25, cells - 15, (), generator=draw)) for cells in SIZE)
        before, after = block(row, column), block(row, column + 5 * sweeps)
        start, end = hand_at(row + 2, column - 5), hand_at(row + 2, column - 5 + 10 * sweeps)
        return as_tokens(before), straight(start, end), after.sigmoid()

    def loss(batch):
        cells, way, after = (torch.cat(parts) for parts in zip(*batch, strict=True))
        said = as_map(step(cells, way), GRID)
        return torch.nn.functional.binary_cross_entropy_with_logits(said, after)

    unseen = [[example(sweeps) for _ in range(8)] for sweeps in (0, 1)]
    with torch.no_grad():
        untrained = float(loss(unseen[1]))
    for _ in range(40):
        adam.zero_grad()
        loss([example(number % 2) for number in range(8)]).backward()
        adam.step()
    with torch.no_grad():
        assert max(loss(unseen[0]), loss(unseen[1])) < 0.5 * untrained


@torch.no_grad()
@pytest.mark.parametrize("asked", [False, True])
def test_the_step_of_commanded_actions_hears_the_arc(monkeypatch, asked):
    model = DexWMModel(dataclasses.replace(MODEL, commanded=asked))
    heard = []
    monkeypatch.setattr(
        model.predictor.step, "forward", lambda cells, way: heard.append(way) or cells
    )
    way = torch.randn(2, 1, MOMENTS, 21, 3)
    states = torch.randn(2, 1, MODEL.tokens, MODEL.state_dim)
    model.predictor(states, model.action(way))
    expected = way if asked else straight(way[:, :, 0], way[:, :, -1])
    assert torch.allclose(heard[0], expected[:, 0], atol=1e-5)
