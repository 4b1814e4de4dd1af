"""What objects and hands do in each task: nothing moves by itself, nothing jumps."""

import numpy as np
import pytest

from dexbench.data_collection.human import tasks
from dexbench.data_collection.human.body import joints
from dexbench.data_collection.human.grasp import _gaps, finger_points, take
from dexbench.data_collection.human.record import STILL, play
from dexbench.data_collection.human.skeleton import JOINTS
from dexbench.data_collection.human.tasks import TASKS
from dexbench.data_collection.scripted.counter import lay_out
from dexbench.data_collection.scripted.poses import pose
from dexbench.envs.embodiment.robot import CONTROL_HZ
from dexbench.envs.scenes.layouts import COUNTER_HEIGHT
from dexbench.utils.seeding import rng


def held_in_turn(stage, number):
    """Holds of an object, in order of time."""
    own = [hold for hold in stage.holds if hold.thing == number]
    return sorted(own, key=lambda hold: hold.start)


@pytest.mark.parametrize("task", [*TASKS])
def test_objects_follow_a_hand_or_rest(session, task, monkeypatch):
    monkeypatch.setattr(tasks, "MANY", 2.0)
    shown = [2, 1, 0]
    stage = play(session, task, shown, rng("test", task))
    n = stage.frames()
    hands, places = stage.play(n)
    assert bool(stage.holds) != (task in STILL)
    times = np.arange(n) / CONTROL_HZ
    for number, solid in enumerate(stage.solids):
        held = np.zeros(n, bool)
        for hold in stage.holds:
            if hold.thing == number:
                held |= (times >= hold.start - 0.1) & (times <= hold.end + 0.1)
        steps = np.linalg.norm(np.diff(places[:, number, :3, 3], axis=0), axis=1)
        assert steps.max(initial=0) < 0.2  # m in 0.1 s
        assert steps[~(held[1:] | held[:-1])].max(initial=0) == 0
        own = held_in_turn(stage, number)
        for hold, later in zip(own, [hold.start for hold in own[1:]] + [np.inf], strict=False):
            end = min(hold.end, later)
            during = (times >= hold.start) & (times < end)
            wrist = hands.wrists[hold.side][during]
            inside = np.linalg.inv(wrist) @ places[during, number]
            assert np.ptp(inside, axis=0).max(initial=0) < 1e-9, "it goes with the hand"
        bottom = (solid.points @ places[0, number, :3, :3].T)[:, 2].min() + places[0, number, 2, 3]
        assert abs(bottom - COUNTER_HEIGHT) < 0.003
    for side in ("left", "right"):
        wrist = hands.wrists[side][:, :3, 3]
        assert np.linalg.norm(np.diff(wrist, axis=0), axis=1).max() < 0.25
        assert wrist[:, 2].min() > COUNTER_HEIGHT


def test_a_hand_that_holds_something_touches_it_and_not_the_counter(session):
    for number, side in ((0, "right"), (1, "left"), (2, "right")):
        stream = rng("test", "take", number)
        (there,) = lay_out(session.person.stand, [session.solids[number]], stream)
        plan = take(session.solids[number], there, session.person, side, COUNTER_HEIGHT, stream)
        points = finger_points(plan.closed[None], side, session.person.hand)[0]
        inside = np.linalg.inv(plan.wrist) @ there
        gaps = _gaps(session.solids[number], inside, points).min(1) - 0.0085 * session.person.hand
        assert gaps[0] < 0.012 and np.sort(gaps[1:])[1] < 0.006  # thumb, and two fingers or more
        assert gaps.min() > -0.012
        world = points.reshape(-1, 3) @ plan.wrist[:3, :3].T + plan.wrist[:3, 3]
        assert world[:, 2].min() > COUNTER_HEIGHT


def test_arms_are_whole_and_the_camera_looks_down_at_the_counter(session):
    stage = play(session, "open_close_hands", [0], rng("test", "arms"))
    hands, _ = stage.play(stage.frames())
    body, camera = joints(session.person, hands, rng("test", "body"))
    at = {name: body[:, i, :3, 3] for i, name in enumerate(JOINTS)}
    for side in ("left", "right"):
        upper = np.linalg.norm(at[f"{side}Arm"] - at[f"{side}Forearm"], axis=1)
        lower = np.linalg.norm(at[f"{side}Forearm"] - at[f"{side}Hand"], axis=1)
        np.testing.assert_allclose(upper, session.person.upper_arm, atol=1e-6)
        np.testing.assert_allclose(lower, session.person.forearm, atol=1e-6)
    down = -camera[:, 2, 2]
    assert down.min() > 0.3 and down.max() < 0.95
    assert np.linalg.norm(np.diff(camera[:, :3, 3], axis=0), axis=1).max() < 0.03
    assert np.ptp(camera[:, :3, 3], axis=0).max() > 0.005  # it bobs
    np.testing.assert_allclose(np.linalg.det(camera[:, :3, :3]), 1)
    assert pose(np.eye(3), np.zeros(3)).shape == (4, 4)
