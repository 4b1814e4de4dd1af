import re
from dataclasses import replace

import numpy as np
import pytest
import torch

from dexbench.envs.embodiment.kinematics import HandKinematics
from dexbench.envs.embodiment.robot import INIT_JOINTS, JOINTS, LOWER, TIP_LENGTH, UPPER
from dexbench.envs.real.limits import AHEAD, NOISE, POINTS, SLACK, Limits, hand_points
from dexbench.envs.real.playback import PACE, interpolate
from dexbench.envs.real.robot import Look
from dexbench.envs.suite import Suite

LIMITS = Limits()
READY = Suite.load("v1").trial("grasp", 0).expert_actions[0].astype(float)
"""The hand over the counter, in rad."""


def moved(joint: int, by: float) -> np.ndarray:
    joints = READY.copy()
    joints[joint] += by
    return joints


def test_the_points_are_the_wrist_and_the_fingers_true_ends() -> None:
    kinematics = HandKinematics(dtype=torch.float64)
    keypoints = kinematics.keypoints(torch.tensor(READY)).numpy()
    points = hand_points(READY)
    assert POINTS == ("wrist", "index tip", "middle tip", "ring tip", "thumb tip")
    assert np.allclose(points[0], keypoints[0])
    for point, last, finger in zip(points[1:], (8, 12, 16, 4), TIP_LENGTH, strict=True):
        assert np.linalg.norm(point - keypoints[last]) == pytest.approx(TIP_LENGTH[finger])
    assert np.allclose(hand_points(np.stack([READY, INIT_JOINTS]))[1], hand_points(INIT_JOINTS))


@pytest.mark.parametrize(
    ("joint", "by", "reason"),
    [
        (0, 0.14, None),
        (0, 0.16, "commanded arm joint right_fr3_joint1 moves at 1.600 rad/s, too fast"),
        (0, -0.16, "commanded arm joint right_fr3_joint1 moves at -1.600 rad/s, too fast"),
        (8, 0.29, None),
        (8, 0.31, "commanded hand joint joint_1.0 moves at 3.100 rad/s, too fast"),
        (5, np.nan, "commanded arm joint right_fr3_joint6 is nan rad, no number"),
        (22, -np.inf, "commanded hand joint joint_15.0 is -inf rad, no number"),
        (6, 4.0, "commanded arm joint right_fr3_joint7 is .* rad, out of its range"),
    ],
)
def test_what_is_commanded(joint: int, by: float, reason: str | None) -> None:
    targets = np.stack([READY, moved(joint, by)])
    said = LIMITS.commanded(targets, READY, 0.1)
    assert said is None if reason is None else re.fullmatch(reason, said or ""), said
    # The first step counts too.
    said = LIMITS.commanded(targets[1:], READY, 0.1)
    assert said is None if reason is None else re.fullmatch(reason, said or ""), said


@pytest.mark.parametrize("axis", range(3))
@pytest.mark.parametrize("side", ["box_low", "box_high"])
def test_each_side_of_the_box_is_a_limit(axis: int, side: str) -> None:
    points = hand_points(READY)[:, axis]
    edge = points.min() if side == "box_low" else points.max()
    outwards = -1e-6 if side == "box_low" else 1e-6
    for gap, within in ((outwards, True), (-outwards, False)):
        box = list(getattr(LIMITS, side))
        box[axis] = edge + gap
        limits = replace(LIMITS, **{side: tuple(box)})
        for what, said in (
            ("commanded", limits.commanded(READY[None], READY, 0.1)),
            ("measured", limits.measured(READY, READY, READY, 0.1)),
        ):
            assert (said is None) == within
            assert within or re.match(rf"{what} .* has {'xyz'[axis]} = .* m, expected", said or "")


@pytest.mark.parametrize(
    ("joint", "by", "reason"),
    [
        (1, 0.19, None),
        (1, 0.21, "is 0.210 rad from its target: a contact"),
        (10, 1.1, None),
        (10, -1.3, "is 1.300 rad from its target: a contact"),
        (2, np.nan, "is nan rad, no number"),
        (2, np.inf, "is inf rad, no number"),
    ],
)
def test_what_is_measured(joint: int, by: float, reason: str | None) -> None:
    other = moved(joint, by)
    pair = (READY, other) if np.isfinite(by) else (other, READY)
    said = LIMITS.measured(*pair, READY, 0.1)
    if reason is None:
        assert said is None
    else:
        part = "arm" if joint < 7 else "hand"
        assert said is not None and said.startswith(
            f"measured {part} joint {JOINTS[joint]} {reason}"
        )


def test_a_runaway_joint_is_too_fast() -> None:
    for factor, fast in ((0.9, False), (1.1, True)):
        by = factor * NOISE * LIMITS.arm_speed * 0.05
        said = LIMITS.measured(moved(0, by), moved(0, by), READY, 0.05)
        assert (said is not None and "too fast" in said) == fast


def test_a_joint_may_be_measured_a_little_out_of_its_range() -> None:
    wide = replace(LIMITS, box_low=(-9, -9, -9), box_high=(9, 9, 9))
    for bound, outwards in ((LOWER, -1), (UPPER, 1)):
        for share, within in ((0.9, True), (1.1, False)):
            now = READY.copy()
            now[4] = bound[4] + outwards * share * SLACK
            said = wide.measured(now, now, now, 0.1)
            assert (said is None) == within
            assert wide.commanded(now[None], now, 0.1) is not None


def test_what_is_seen() -> None:
    picture = np.zeros((4, 6, 3), np.uint8)
    assert LIMITS.seen(Look(picture, 10.0), 10.0 + LIMITS.picture_age - 0.01) is None
    old = LIMITS.seen(Look(picture, 10.0), 10.0 + LIMITS.picture_age + 0.01)
    assert old == "the newest picture is 0.51 s old, at most 0.5 s may be"
    assert LIMITS.seen(Look(picture, 10.0 + AHEAD - 0.01), 10.0) is None
    for look in (
        Look(picture, 10.0 + AHEAD + 0.01),
        Look(picture, np.nan),
        Look(picture, -np.inf),
        Look(picture[..., 0], 10.0),
        Look(picture[..., :1], 10.0),
        Look(picture.astype(float), 10.0),  # type: ignore[arg-type]
    ):
        assert LIMITS.seen(look, 10.0) is not None


@pytest.mark.parametrize(("suite", "task"), [("v1", "grasp"), ("v2", "avoid"), ("v2", "carry")])
def test_the_experts_stay_within_the_defaults(suite: str, task: str) -> None:
    """What a lab does not change must not stop what the benchmark's own expert does."""
    shipped = Suite.load(suite)
    for index in range(0, 50, 10):
        actions = shipped.trial(task, index).expert_actions.astype(float)
        path = interpolate(actions[0], actions, 20.0, PACE)
        assert LIMITS.commanded(path, actions[0], 1 / 20) is None
