"""Differences of futures, made up so that one knows what should come out."""

import json
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from support.trainings import SMALL

from dexbench.agents.dexwm.model.checkpoint import save_model
from dexbench.agents.dexwm.model.keypoint_maps import Keypoints
from dexbench.agents.dexwm.model.world_model import DexWMModel
from dexbench.agents.dexwm.readout.layers import Readout, save_readout
from dexbench.agents.learning.features import encoder_digest
from dexbench.bench.openloop.counterfactual import kind_measures, pair_measures
from dexbench.bench.openloop.futures import FRAMES, HAND, Futures
from dexbench.bench.openloop.main import OpenLoopConfig, main
from dexbench.bench.openloop.motions import APPROACH, CLOSE, DIRECTIONS, KINDS
from dexbench.data_collection.store.masks import ROBOT
from dexbench.envs.embodiment import camera
from dexbench.envs.embodiment.keypoints import N_DISTINCT
from dexbench.utils.errors import UserError

GRID, LAST = (8, 14), len(FRAMES) - 1
K = len(KINDS)


def cell(row, column):
    """The pixels of a mask that a token has."""
    return slice(14 * row, 14 * row + 14), slice(14 * column, 14 * column + 14)


def two_futures():
    """Only the first two are there: of the first the hand is in token (1, 2), of the other in (1,
    3); one object is at rest in (5, 5), another is in (6, 6) or, 4 cm on, in (6, 7)."""
    masks = np.zeros((K, LAST + 1, 112, 196), np.int8)
    places = np.full((K, LAST + 1, 8, 3), np.nan)
    places[:, :, :2] = 0
    for number in (0, 1):
        masks[number][:, *cell(1, 2 + number)] = HAND
        masks[number][:, *cell(5, 5)] = 1
        masks[number][:, *cell(6, 6 + number)] = 2
        places[number, :, 1, 0] = 0.04 * number
    valid = np.arange(K) < 2
    keypoints = np.zeros((K, 41, 21, 3), np.float32)
    return Futures(
        np.zeros((K, LAST, 1, 1, 3), np.uint8),
        keypoints,
        masks,
        places,
        np.zeros((K, 41), bool),
        valid,
    )


def values(found):
    return {name: float(top.sum() / bottom.sum()) for name, (top, bottom) in found.items()}


def states():
    torch.manual_seed(0)
    return torch.randn(K, LAST, GRID[0] * GRID[1], 6)


def token(row, column):
    return row * GRID[1] + column


def test_the_right_difference_has_cosine_and_slope_one():
    true = states()
    assert values(pair_measures(true, true, two_futures(), GRID)) == pytest.approx(
        {"hand_cosine": 1, "hand_slope": 1, "object_cosine": 1, "object_slope": 1}
    )
    # What both futures are wrong by cancels.
    said = 0.5 * true + torch.randn(true.shape[1:])
    assert values(pair_measures(said, true, two_futures(), GRID)) == pytest.approx(
        {"hand_cosine": 1, "hand_slope": 0.5, "object_cosine": 1, "object_slope": 0.5}
    )


def test_a_model_that_sees_no_difference_has_none():
    found = values(pair_measures(states()[:1].expand(K, -1, -1, -1), states(), two_futures(), GRID))
    assert set(found.values()) == {0}


def test_regions_are_told_apart():
    true = states()
    for wrong, expected in (
        ([(1, 2), (1, 3)], {"hand": -1, "object": 1}),
        ([(6, 6), (6, 7)], {"hand": 1, "object": -1}),
        ([(5, 5), (0, 0)], {"hand": 1, "object": 1}),  # an object at rest, and the kitchen
    ):
        said = true.clone()
        index = [token(*place) for place in wrong]
        said[:, :, index] *= -1
        found = values(pair_measures(said, true, two_futures(), GRID))
        assert {name: found[f"{name}_cosine"] for name in expected} == pytest.approx(expected)


def test_where_the_robot_is_no_object_counts():
    future, true = two_futures(), states()
    future.masks[0][:, 14 * 6, 14 * 6] = ROBOT
    said = true.clone()
    said[:, :, token(6, 6)] *= -1
    assert values(pair_measures(said, true, future, GRID))["object_cosine"] == pytest.approx(1)
    future.masks[1][:, 14 * 6, 14 * 7 + 3] = HAND
    assert pair_measures(said, true, future, GRID)["object_cosine"][1].tolist() == [[0] * LAST]


def test_a_future_that_is_not_there_does_not_count():
    true = states()
    said = true.clone()
    said[2:] *= -1
    assert values(pair_measures(said, true, two_futures(), GRID))["hand_cosine"] == pytest.approx(1)
    future = two_futures()
    future.valid[:] = False
    assert {bottom.sum() for _, bottom in pair_measures(said, true, future, GRID).values()} == {0}


def readout_that_says(points, objects=None):
    depth = points[..., 2]
    return SimpleNamespace(
        keypoints=lambda states: Keypoints(None, None, camera.project(points), depth),
        objects=objects,
    )


def moving(share):
    """Every direction's keypoints go 1 cm every 2 control steps; a readout sees a share of it."""
    future = two_futures()
    future.valid[:] = True
    start = torch.zeros(21, 3)
    start[:, 0] = torch.linspace(-0.1, 0.1, 21)
    start[:, 2] = 0.9
    axes = torch.zeros(K, 3)
    for number, axis in enumerate(DIRECTIONS.values()):
        axes[number] = torch.tensor(axis) @ torch.tensor(camera.OPTICAL_IN_BASE).float()
    way = 0.005 * torch.arange(41.0)[:, None, None] * axes[:, None, None]
    future.keypoints[:] = (start + way).numpy()
    said = (start + share * way[:, FRAMES[1:]])[:, :, :N_DISTINCT].flatten(0, 1)
    return future, readout_that_says(torch.cat([start[None, :N_DISTINCT], said]))


@pytest.mark.parametrize("share", [1.0, 0.5, -0.5])
def test_the_way_seen_is_measured_against_the_way_told(share):
    future, readout = moving(share)
    readout.keypoints = _whole_or_rest(readout.keypoints(None))
    found = kind_measures(torch.zeros(K, LAST, 1, 1), torch.zeros(1, 1, 1), future, readout)
    for kind in DIRECTIONS:
        measured = values(found[kind])
        assert measured["way_slope"] == pytest.approx(share, abs=1e-4)
        assert measured["way_cosine"] == pytest.approx(np.sign(share), abs=1e-4)
        assert (measured["hand_cm"] < 0.01) == (share == 1)
    assert "way_slope" not in found[CLOSE]


def _whole_or_rest(answer):
    """Keypoints of the first state and all others, or of the others alone."""

    def read(states):
        if len(states) == len(answer.pixels):
            return answer
        return Keypoints(None, None, answer.pixels[1:], answer.depth[1:])

    return read


def test_contact_and_objects_of_each_kind():
    future, readout = moving(1.0)
    readout.keypoints = _whole_or_rest(readout.keypoints(None))
    future.contact[0] = True
    touching = torch.full((K * LAST,), 1.0)
    shown = torch.full((K * LAST, 112, 196), 100.0)
    readout.objects = SimpleNamespace(read=lambda states: (shown, touching))
    states = torch.zeros(K, LAST, 1, 1), torch.zeros(1, 1, 1)
    found = kind_measures(*states, future, readout)
    left, right, *_ = KINDS
    assert values(found[left])["contact_error"] == 0 and values(found[left])["object_error"] == 0
    assert values(found[right])["contact_error"] == 1
    shown[:] = 0.0
    assert values(kind_measures(*states, future, readout)[left])["object_error"] == 0.25


def test_a_hand_that_closes_on_something_does_not_count():
    future, readout = moving(1.0)
    readout.keypoints = _whole_or_rest(readout.keypoints(None))
    future.contact[[0, KINDS.index(CLOSE)], 7] = True
    found = kind_measures(torch.zeros(K, LAST, 1, 1), torch.zeros(1, 1, 1), future, readout)
    assert found[CLOSE]["hand_cm"][1].sum() == 0 < found[KINDS[0]]["hand_cm"][1].sum()


@pytest.fixture(scope="module")
def written(real_clips, tmp_path_factory):
    folder = tmp_path_factory.mktemp("counterfactual")
    torch.manual_seed(0)
    model = DexWMModel(SMALL)
    for weights in model.predictor.parameters():
        torch.nn.init.normal_(weights, std=0.02)
    for name in ("one", "two"):
        save_model(folder / f"{name}.safetensors", model)
    readout = Readout(SMALL, encoder_digest(model.half().float().encoder), True)
    save_readout(folder / "layer.safetensors", readout, {})
    config = OpenLoopConfig(
        (real_clips,),
        tuple(str(folder / f"{name}.safetensors") for name in ("one", "two")),
        (folder / "layer.safetensors",),
        interval=0.8,
        counterfactual=True,
        threads=1,
        strips=0,
        out=folder / "out",
    )
    main(config)
    return config


def test_the_command_writes_pairs_and_kinds(written):
    facts = json.loads((written.out / "openloop.json").read_text())
    rows = {
        (r["future"], r["model"], r["source"], r["measure"], r["seconds"]): r["value"]
        for r in facts["counterfactual"]
    }
    assert (written.out / "counterfactual.csv").read_text().count("\n") == 1 + len(rows)
    for region in ("hand", "object"):
        assert rows["pairs", "one", "truth", f"{region}_slope", "mean"] == pytest.approx(1)
        assert rows["pairs", "one", "copy", f"{region}_slope", "mean"] == 0
    assert rows["pairs", "one - two", "model", "hand_slope", "mean"] == 0
    model, shuffled = (rows["pairs", "one", s, "hand_cosine", "4.0"] for s in ("model", "shuffled"))
    assert 0 != model != shuffled != 0
    for kind in (*DIRECTIONS, APPROACH):
        assert rows[kind, "one", "truth", "hand_cm", "0.8"] > 0
    assert rows["left", "one", "copy", "way_slope", "4.0"] == pytest.approx(0, abs=0.05)


def test_an_interval_that_skips_the_pictures_is_refused(written, tmp_path):
    changed = OpenLoopConfig(
        written.data, written.weights[:1], interval=0.5, counterfactual=True, out=tmp_path, strips=0
    )
    with pytest.raises(UserError, match="no whole part"):
        main(changed)
    assert not list(tmp_path.iterdir())
