"""What the step of an object map learns from: where each object goes."""

import dataclasses
import math

import numpy as np
import pytest
import torch
from support.trainings import SMALL

from dexbench.agents.dexwm.model.object_map import SIZE
from dexbench.agents.dexwm.model.object_step import FAR, MoveOdds, ObjectStep
from dexbench.agents.dexwm.training import object_moves
from dexbench.agents.dexwm.training.object_moves import (
    DRAWN,
    FAVOUR,
    FEW,
    LEARNED,
    Moves,
    asked,
    chosen,
    mirrored,
    move_loss,
)
from dexbench.agents.learning.hand_way import MOMENTS, straight
from dexbench.agents.learning.object_masks import centres, shown_by_cells
from dexbench.envs.embodiment import camera

MODEL = dataclasses.replace(SMALL, object_map=True, hand_maps=True, residual=True)
SIDE = 2 * FAR + 1


def moves_of(*columns, number=2):
    """Windows of one object whose left edge is at these columns of pixels, and a hand above it."""
    masks = torch.zeros(len(columns), 112, 196, dtype=torch.int8)
    for frame, column in enumerate(columns):
        if column is not None:
            masks[frame, 60:70, column : column + 10] = number
    hand = camera.unproject(torch.tensor([[180.0, 130.0]]), torch.full((1,), 0.9)).expand(21, 3)
    return Moves(
        ways=straight(hand, hand).expand(1, len(columns) - 1, -1, -1, -1),
        shown=masks[None] > 0,
        cells=torch.from_numpy(shown_by_cells(masks.numpy()))[None],
        centres=torch.from_numpy(centres(masks.numpy()))[None],
        chance=torch.rand(1, len(columns) - 1, SIZE[0] * SIZE[1]),
    )


class Always(torch.nn.Module):
    """In place of `MoveOdds`: the same for whatever it is told."""

    def __init__(self, shares):
        super().__init__()
        self.odds = torch.zeros(SIDE, SIDE)
        for columns, share in shares.items():
            self.odds[FAR, FAR + columns] = share

    def forward(self, told):
        return self.odds.flatten().expand(*told.shape[:-1], -1)


def step_by(*columns):
    """A step that moves everything by so many whole columns of cells, or by each as likely."""
    step = ObjectStep(MODEL)
    step.moves = Always(dict.fromkeys(columns, 1 / len(columns)))
    return step


def test_it_costs_nothing_to_foresee_where_an_object_goes():
    right = moves_of(80, 86, 92)
    assert float(move_loss(step_by(3), right)) < 1e-4
    wrong = [float(move_loss(step_by(by), right)) for by in (-3, 0, 2)]
    assert wrong == pytest.approx([-math.log(FEW)] * 3), "though at 2 most of the mask is right"


def test_a_move_between_two_cells_is_shared_by_them():
    one = moves_of(80, 81)
    assert float(move_loss(step_by(0, 1), one)) == pytest.approx(math.log(2), rel=1e-4)
    assert float(move_loss(step_by(0), one)) == pytest.approx(-math.log(FEW) / 2, rel=1e-4)


def test_objects_that_leave_the_picture_teach_nothing_there():
    first = float(move_loss(step_by(3), moves_of(80, 80)))
    for gone in (None, 190):  # out of the picture, and partly so
        half = move_loss(step_by(3), moves_of(80, 80, gone))
        assert float(half) == pytest.approx(first / 2), "of twice as many"
    assert float(move_loss(step_by(3), moves_of(None, 80))) == 0


def test_farther_than_it_may_go_is_as_far_as_it_may():
    assert float(move_loss(step_by(FAR), moves_of(80, 80 + 4 * FAR))) < 0.2


@pytest.mark.parametrize("move", [(0, 9), (7, -7), (-FAR, FAR), (FAR, 0)])
def test_far_moves_are_learned_though_they_are_rare(move):
    """One of ten examples moves, the others stay."""
    torch.manual_seed(0)
    moves, told = MoveOdds(4), torch.ones(10, 4)
    went = torch.tensor([move] + [(0, 0)] * 9).float()
    adam = torch.optim.Adam(moves.parameters(), 0.03)
    for _ in range(150):
        adam.zero_grad()
        object_moves._error(moves(told), went).mean().backward()
        adam.step()
    with torch.no_grad():
        odds = moves(told[0]).view(SIDE, SIDE)
    assert odds[FAR + move[0], FAR + move[1]] > 0.05


def test_every_number_of_a_gaussian_is_taught():
    moves = MoveOdds(4)
    object_moves._error(moves(torch.ones(1, 4)), torch.tensor([[2.3, -1.4]])).sum().backward()
    assert moves.out.bias.grad.abs().min() > 1e-5


def test_every_part_of_the_step_is_taught():
    step = ObjectStep(MODEL)
    torch.nn.init.normal_(step.moves.out.weight, std=0.01)
    move_loss(step, moves_of(80, 86)).backward()
    assert all(float(parameter.grad.abs().max()) > 0 for parameter in step.parameters())


def test_later_actions_go_on_from_what_was_foreseen(monkeypatch):
    step, seen = step_by(-4), []
    odds = step.odds
    monkeypatch.setattr(step, "odds", lambda *told: seen.append(told[0]) or odds(*told))
    move_loss(step, moves_of(80, 86, 92))
    foreseen = [float((shown[0] > 0.5).nonzero()[:, 1].float().mean()) for shown in seen[::2]]
    assert len(seen) == 3, "a step between, and no more"
    assert foreseen[0] == 42
    assert foreseen[1] == 38, "not 45, where it really went"


def test_cells_of_objects_near_the_hand_are_asked_first():
    cells = torch.zeros(1, SIZE[0] * SIZE[1], dtype=torch.uint8)
    near, far, none = 20, 4000, 30
    cells[0, [near, far]] = 1
    spots = torch.full((SIZE[0] * SIZE[1], 3), 2.0)
    spots[near], spots[none] = 0.0, 0.0
    hand = torch.zeros(1, MOMENTS, 17, 3)
    chance = torch.full((1, len(spots)), 0.5)
    found = asked(cells, hand, spots, chance)[0]
    assert found[:2].tolist() == [near, far] and len(found) == LEARNED
    chance[0, near] = 1e-9
    assert asked(cells, hand, spots, chance)[0, 0] == near, "the far one is nearly never first"


def test_a_mirror_shows_hand_and_objects_on_the_other_side():
    one = moves_of(20, 30)
    both = Moves(*(torch.cat([part, part]) for part in one))
    turned = mirrored(both, torch.tensor([True, False]))
    for part, before in zip(turned, both, strict=True):
        assert torch.equal(part[1].nan_to_num(), before[1].nan_to_num())
    assert turned.shown[0, 0].nonzero().amin(0).tolist() == [60, 166]
    assert turned.cells[0, 0].nonzero().amin(0).tolist() == [30, 83]
    assert turned.centres[0, 0, 2].tolist() == [32.5, 98 - 12.5]
    pixel = camera.project(turned.ways[0, 0, 0, :1])[0].tolist()
    assert pixel == pytest.approx([392 - 180, 130], abs=1e-3)


def test_windows_in_which_objects_move_are_chosen_more_often():
    moved = np.zeros((6000, 3), np.float32)
    moved[:1500] = 2.0  # in every action
    moved[1500:3000, 1] = 2.0  # in one of three
    draw, picks = np.random.default_rng(0), []
    for _ in range(50):
        some = draw.choice(6000, 16 * DRAWN, replace=False)
        picked = chosen(moved[some], draw)
        assert len(set(picked)) == len(picked) == 16
        picks.append(some[picked])
    counts = np.histogram(np.concatenate(picks), [0, 1500, 3000, 6000])[0] / [1, 1, 2]
    assert counts[0] / counts[2] == pytest.approx(FAVOUR, rel=0.4), "less, as no window comes twice"
    assert 1.2 < counts[1] / counts[2] < 2.2


def test_small_moves_are_not_favoured():
    moved, draw = np.full((4 * DRAWN, 1), 0.5, np.float32), np.random.default_rng(0)
    moved[: 2 * DRAWN] = 0.0
    halves = [(chosen(moved, draw) < 2 * DRAWN).mean() for _ in range(500)]
    assert np.mean(halves) == pytest.approx(0.5, abs=0.05)
