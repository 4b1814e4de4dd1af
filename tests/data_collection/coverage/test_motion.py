"""What is measured of clips of any layout: a motion that is known, at any rate."""

from pathlib import Path

import numpy as np
import pytest

from dexbench.data_collection.coverage.motion import Motions, motion
from dexbench.data_collection.coverage.motion_plots import before_camera, speeds
from dexbench.data_collection.readers.clip import Clip
from dexbench.data_collection.readers.sample import Poses
from dexbench.data_collection.scripted.poses import turns


class Known(Clip):
    """A right hand that moves at 0.4 m/s before a camera that turns and moves."""

    def __init__(self, rate, seconds=2.0, turning=0.3, travel=0.1, left=False):
        super().__init__("known", Path("known"))
        times = np.arange(round(seconds * rate)) / rate
        hands = np.zeros((len(times), 2, 21, 3), np.float32)
        hands[:, 1] = [0.2, 0.1, 2.0]
        hands[:, 1, :, 0] += 0.4 * times[:, None]
        if left:
            hands[: len(times) // 2, 0] = [-0.3, 0.1, 2.0]
        camera = np.tile(np.eye(4), (len(times), 1, 1))
        camera[:, :3, :3] = turns("y", turning * times)
        camera[:, 2, 3] = travel * times
        self.known = Poses(
            hands=hands, seen=np.zeros(hands.shape[:3], bool), camera=camera, intrinsics=None,
            rate=rate,
        )  # fmt: skip

    def pictures(self):
        raise AssertionError("pictures are not looked at")

    def poses(self):
        return self.known


@pytest.mark.parametrize("rate", [5.0, 10.0, 15.0, 30.0])
def test_speeds_are_those_of_the_world_whatever_the_rate(rate):
    found = motion(Known(rate))
    assert found.speeds[:, 1] == pytest.approx(0.4, rel=1e-4)
    assert np.isnan(found.speeds[:, 0]).all(), "there is no left hand"
    assert found.travel == pytest.approx(0.1) and found.turn == pytest.approx(0.3)


def test_a_tremor_from_frame_to_frame_is_no_speed():
    clip = Known(20.0)
    clip.known.hands[::2, 1, :, 0] += 0.01
    assert motion(clip).speeds[:, 1] == pytest.approx(0.4, rel=1e-4), "it is over after 0.1 s"


def test_wrists_are_in_the_camera_frame_of_their_own_frame():
    clip = Known(10.0, left=True)
    found, poses = motion(clip), clip.poses()
    for t in (0, 7, 19):
        expected = np.linalg.inv(poses.camera[t]) @ [*poses.hands[t, 1, 0], 1]
        assert found.wrists[t, 1] == pytest.approx(expected[:3], abs=1e-6)
    assert np.isfinite(found.wrists[:10, 0]).all() and np.isnan(found.wrists[10:, 0]).all()
    summary = Motions([found]).summary()
    assert summary["frames with both hands"] == "50.0%"
    assert summary["median over 0.1 s, left wrist [m/s]"] == "0.00"
    assert summary["median over 0.1 s, right wrist [m/s]"] == "0.40"
    assert summary["median over 0.1 s, camera [m/s]"] == "0.10"
    assert summary["median over 0.1 s, camera's turn [rad/s]"] == "0.30"


def test_what_is_absent_or_too_short_is_left_out():
    one = motion(Known(10.0, seconds=0.1))
    assert len(one.wrists) == 1 and not len(one.speeds) and not len(one.turn)
    assert "median over 0.1 s, camera [m/s]" not in Motions([one]).summary()
    alone = Motions([motion(Known(10.0))]).summary()
    assert "median over 0.1 s, left wrist [m/s]" not in alone
    nobody = Known(10.0)
    nobody.known.hands[:] = 0
    empty = Motions([motion(nobody)])
    assert empty.summary()["median depth of wrists before the camera [m]"] == "no hand"
    assert before_camera([empty])[0].startswith("<svg") and speeds([empty]).startswith("<svg")


def test_a_hand_is_drawn_where_it_is_and_an_absent_one_has_no_line():
    right, both = Motions([motion(Known(10.0))]), Motions([motion(Known(10.0, left=True))])
    pictures = before_camera([right, both])
    assert len(pictures) == 2 and all("left wrist, from above" in svg for svg in pictures)
    assert pictures[0] != pictures[1]
    lines = speeds([right, both])
    # Of four panels one has no left hand in the first set.
    assert lines.count("var(--c0)") < lines.count("var(--c1)")
