from types import SimpleNamespace

import numpy as np
import pytest
import torch

from dexbench.agents.dexwm.model.keypoint_head import LEFT, RIGHT
from dexbench.agents.dexwm.model.keypoint_maps import Keypoints
from dexbench.bench.openloop.clips import Objects
from dexbench.bench.openloop.measures import (
    contact_onset,
    hand_error,
    hands_error,
    latent_error,
    object_error,
    object_skills,
)
from dexbench.data_collection.store.masks import ROBOT
from dexbench.envs.embodiment import camera
from dexbench.envs.embodiment.keypoints import N_DISTINCT


def readout_that_says(pixels, depth):
    return SimpleNamespace(keypoints=lambda states: Keypoints(None, None, pixels, depth))


def test_keypoints_count_where_they_are_seen_and_near():
    pixels = torch.full((2, N_DISTINCT, 2), 100.0)
    pixels[1, 4, 0] = -30  # of the second state a fingertip is outside the picture
    depth = torch.full((2, N_DISTINCT), 0.8)
    truth = torch.zeros(2, 21, 3)
    truth[:, :N_DISTINCT] = camera.unproject(pixels, depth)
    said = pixels.clone()
    said[0, 0, 0] += 4  # the wrist
    said[0, 8, 0] += 30
    found = hand_error(torch.zeros(2, 1, 1), truth, readout_that_says(said, depth), (1, 2))
    assert found["pck2.5"][0].tolist() == [[3, 4]] and found["pck2.5"][1].tolist() == [[5, 4]]
    assert found["pck5"][0].tolist() == [[4, 4]]
    assert found["pck20"][0].tolist() == [[4, 4]]
    assert found["pck20_all"][1].tolist() == [[5, 5]]  # one outside counts as a miss
    top, bottom = found["hand_cm"]
    assert bottom.tolist() == [[17, 16]]
    assert top[0, 0] == pytest.approx(100 * 0.8 * 34 / camera.FOCAL, rel=1e-4)
    assert top[0, 1] == pytest.approx(0, abs=1e-4)


def test_both_hands_count_where_they_are_known():
    """The left one is absent from the second state; of the right one a fingertip is a guess."""
    pixels = torch.full((2, N_DISTINCT, 2), 100.0)
    depth = torch.full((2, N_DISTINCT), 0.8)
    truth = torch.zeros(2, 2, 21, 3)
    truth[:, :, :N_DISTINCT] = camera.unproject(pixels, depth)[:, None]
    truth[1, LEFT] = 0
    known = truth.any(-1)
    known[0, RIGHT, 4] = False
    off = pixels + torch.tensor([30.0, 0])
    answers = {
        RIGHT: Keypoints(None, None, pixels, depth),
        LEFT: Keypoints(None, None, off, depth),
    }
    readout = SimpleNamespace(keypoints=SimpleNamespace(hands=lambda states: answers))
    found = hands_error(torch.zeros(2, 1, 1), truth, known, readout, (1, 2))
    assert [part.tolist() for part in found["pck20"]] == [[[4, 5]], [[9, 5]]]
    assert found["pck20_all"][1].tolist() == [[10, 5]]
    assert found["hand_cm"][1].tolist() == [[33, 17]]
    del answers[LEFT]
    found = hands_error(torch.zeros(2, 1, 1), truth, known, readout, (1, 2))
    assert [part.tolist() for part in found["pck20"]] == [[[4, 5]], [[4, 5]]]


def test_the_grip_is_measured_about_the_wrist():
    pixels = torch.full((2, N_DISTINCT, 2), 100.0)
    depth = torch.full((2, N_DISTINCT), 0.8)
    truth = torch.zeros(2, 21, 3)
    truth[:, :N_DISTINCT] = camera.unproject(pixels, depth)
    said = pixels.clone()
    said[0] += 10  # the whole hand
    said[1, 8, 0] += 34  # a fingertip
    found = hand_error(torch.zeros(2, 1, 1), truth, readout_that_says(said, depth), (1, 2))
    off = [100 * 0.8 * 10 * 2**0.5 / camera.FOCAL, 100 * 0.8 * 2 / camera.FOCAL]
    for name, expected in (("hand_cm", off), ("grip_cm", [0, off[1]])):
        top, bottom = found[name]
        np.testing.assert_allclose((top / bottom)[0], expected, rtol=1e-3, atol=1e-4)


def test_latents_by_two_norms():
    predicted, true = torch.zeros(1, 1, 2, 2), torch.zeros(1, 1, 2, 2)
    true[0, 0, 0, 0] = 2
    found = latent_error(predicted, true)
    assert found["latent_l2"][0].tolist() == [[1.0]] and found["latent_l1"][0].tolist() == [[0.5]]


def a_push():
    """An object goes from columns 0-9 to 20-29 in the second step; another never moves."""
    masks = np.zeros((1, 3, 112, 196), np.int8)
    masks[0, :2, 50, :10] = 1
    masks[0, 2, 50, 20:30] = 1
    masks[0, :, 80, 50:90] = 2
    moved = np.zeros((1, 3, 8), bool)
    moved[0, 2, 0] = True
    return Objects(masks, moved, np.zeros((1, 3), bool))


def test_objects_are_measured_where_they_moved():
    objects = a_push()
    exact = (objects.masks[:, 1:] > 0).astype(np.float32)
    error, counted = object_error(exact, objects, slice(0, 1))
    assert error.tolist() == [[0, 0]] and counted.tolist() == [[0, 1]]
    stays = np.repeat((objects.masks[:, :1] > 0).astype(np.float32), 2, 1)
    assert object_error(stays, objects, slice(0, 1))[0].tolist() == [[0, 1]]
    stays[:, :, 80] = 0.5  # what is said of the other object counts nowhere
    assert object_error(stays, objects, slice(0, 1))[0].tolist() == [[0, 1]]


def test_what_the_robot_hides_does_not_count():
    objects = a_push()
    objects.masks[0, 2, 50, :10] = ROBOT
    said = np.zeros((1, 2, 112, 196), np.float32)
    said[0, 1, 50, 20:25] = 1
    error, _ = object_error(said, objects, slice(0, 1))
    assert error[0, 1] == pytest.approx(0.5)


def test_skill_is_measured_against_objects_that_stay():
    errors = {"copy": 0.8, "model": 0.2, "worse": 1.2}
    one = np.ones((1, 1))
    measured = {name: {"object_error": (one * error, one)} for name, error in errors.items()}
    object_skills(measured)
    skills = {name: found["object_skill"] for name, found in measured.items()}
    ratios = {name: float(top.sum() / bottom.sum()) for name, (top, bottom) in skills.items()}
    assert ratios == pytest.approx({"copy": 0, "model": 0.75, "worse": -0.5})


@pytest.mark.parametrize(
    ("said", "true", "top", "bottom"),
    [
        ("0011", "00011", 2, 2),  # a step early: near enough
        ("1111", "00001", 0, 2),  # three steps early: neither found nor right
        ("0000", "00011", 0, 1),
        ("0001", "00000", 0, 1),
        ("0000", "00000", 0, 0),
        ("1111", "10000", 0, 0),  # it begins in contact
    ],
)
def test_first_contacts(said, true, top, bottom):
    touches = np.array([[c == "1" for c in said]])
    contact = np.array([[c == "1" for c in true]])
    objects = Objects(None, None, contact)
    tops, bottoms = contact_onset(touches, objects, slice(0, 1), 0.2)
    assert (tops.item(), bottoms.item()) == (top, bottom)
