import numpy as np

from dexbench.data_collection.scripted.motion import Track, minimum_jerk, quiet
from dexbench.data_collection.scripted.poses import pose, turns


def test_a_move_begins_and_ends_at_rest_in_its_goal():
    times = np.linspace(0, 1, 101)
    share = minimum_jerk(times)
    assert share[0] == 0 and share[-1] == 1 and abs(share[50] - 0.5) < 1e-12
    assert abs(np.diff(share)[[0, -1]]).max() < 1e-5 and np.diff(share).max() < 0.019


def test_moves_that_overlap_add_up_to_the_last_goal():
    track = Track(np.eye(4))
    first, second = (pose(turns("z", a), np.array([a, 0, 0])) for a in (0.5, 1.2))
    track.move(0.0, 1.0, first, np.array([0, 0, 0.1]))
    track.move(0.6, 1.5, second)
    path = track.sample(np.array([0.0, 0.5, 0.8, 1.5, 9.0]))
    np.testing.assert_allclose(path[0], np.eye(4))
    assert abs(path[1][2, 3] - 0.1) < 1e-9
    np.testing.assert_allclose(path[3:], [second, second], atol=1e-9)
    alone = Track(np.eye(4))
    alone.move(0.0, 1.0, first, np.array([0, 0, 0.1]))
    assert path[2][0, 3] > alone.sample(np.array([0.8]))[0][0, 3] + 0.01


def test_noise_is_silent_within_its_spans_only():
    factor = quiet(np.array([0.0, 2.0, 2.5, 5.0]), [(1.9, 2.6)])
    assert factor[1] == factor[2] == 0 and factor[[0, 3]].min() > 0.99
