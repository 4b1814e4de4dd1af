"""How trials are drawn: what the expert avoids, and what is rejected."""

from types import SimpleNamespace

import numpy as np
import pytest

from dexbench.envs.embodiment.robot import OPEN_HAND, READY_ARM
from dexbench.envs.motion.expert import ScriptedExpert, straight
from dexbench.envs.motion.ik import ArmIK
from dexbench.envs.tasks import TASKS, Outcome, Rejected, Task, base, grasp, place, reach
from dexbench.utils.seeding import rng

READY = np.concatenate([READY_ARM, OPEN_HAND])


@pytest.fixture
def ready(sim):
    """The scene with the arm above the counter and the objects at rest."""
    sim.set_joints(READY)
    base.settle(sim)
    return sim


def test_a_way_that_knocks_is_replaced_by_one_over_the_middle(ready, monkeypatch):
    moved = iter([0.0, 1.0, 0.0])  # at the start, by the straight way, by the first detour
    monkeypatch.setattr(reach, "farthest_moved", lambda *_: next(moved))
    solve = TASKS["reach"].stage(ready, ready.objects[0], rng("test", "detour"))
    start = ready.get_state()
    ends = [ready.keypoints[0]]
    heights = []
    expert = ScriptedExpert(ready, lambda: heights.append(ready.keypoints[0][2]))
    solve(expert)
    ends.append(ready.keypoints[0])
    middle = np.mean(ends, axis=0)[2]
    assert max(heights) > middle + 0.5 * reach.DETOURS[0], "it passes above"
    assert len(expert.targets) <= 50
    ready.set_state(start)
    assert np.abs(ready.joint_positions - ready.joint_targets).max() < 0.1, "stage left the start"


def test_no_way_without_a_knock_rejects(ready, monkeypatch):
    moved = iter([0.0, 1.0, 1.0, 1.0])
    monkeypatch.setattr(reach, "farthest_moved", lambda *_: next(moved))
    with pytest.raises(Rejected, match="the expert knocks an object"):
        TASKS["reach"].stage(ready, ready.objects[0], rng("test", "detour"))


def test_postures_that_touch_an_object_are_drawn_again(ready, monkeypatch):
    touches = iter([True, True, False])
    monkeypatch.setattr(type(ready), "hand_touches", lambda *_: next(touches))
    stream = rng("test", "free")
    ready.set_joints(READY)
    posture = reach.free_posture(ready, stream)
    again = rng("test", "free")
    ready.set_joints(READY)
    draws = []
    for _ in range(3):
        draws.append(reach.draw_posture(ready, again))
        ready.set_joints(draws[-1])
    assert np.array_equal(posture, draws[2])
    monkeypatch.setattr(type(ready), "hand_touches", lambda *_: True)
    with pytest.raises(Rejected, match="no posture clear of the objects"):
        reach.free_posture(ready, stream)


@pytest.mark.parametrize(("speeds", "held"), [([0.0], 15), ([1.0, 1.0, 0.0], 25)])
def test_settling_waits_for_what_rocks(monkeypatch, speeds, held):
    """``speeds``: what the object moves, in mm, in each half second after the first second."""
    moves, steps, height = iter(speeds), [], [0.0]

    class Holding:
        def __init__(self, _):
            pass

        def hold(self, count):
            steps.append(count)
            if count == 5:
                height[0] += next(moves) / 1000

    monkeypatch.setattr(base, "ScriptedExpert", Holding)
    fake = SimpleNamespace(objects=("a",), object_position=lambda _: np.array([0, 0, height[0]]))
    base.settle(fake)
    assert sum(steps) == held
    moves = iter([1.0] * 100)
    with pytest.raises(Rejected, match="does not come to rest"):
        base.settle(fake)


def counter(*others, target=(0.6, -0.4)):
    """A counter as `free_spots` sees it: the target and others at (x, y)."""
    places = dict(zip(("target", "a", "b", "c", "d"), (target, *others), strict=False))
    return SimpleNamespace(
        objects=tuple(places), object_position=lambda name: np.array([*places[name], 0.9])
    )


def test_free_spots_are_far_enough_near_enough_and_clear():
    others = [(0.75, -0.25), (0.56, 0.05)]
    spots = np.array(place.free_spots(counter(*others), "target", rng("spots")))
    assert len(spots) > 1
    assert ((spots >= place.LOW) & (spots <= place.HIGH)).all()
    away = np.linalg.norm(spots - (0.6, -0.4), axis=1)
    assert away.min() > place.LEAST
    assert away.max() < place.MOST
    for other in others:
        assert np.linalg.norm(spots - other, axis=1).min() > place.CLEARANCE
    crowded = counter((0.7, -0.1), (0.6, 0.03), (0.8, 0.03), (0.8, -0.2))
    with pytest.raises(Rejected, match="no free place"):
        place.free_spots(crowded, "target", rng("spots"))


def test_place_takes_the_first_spot_that_the_arm_can_reach(ready, monkeypatch):
    asked = []

    def blocked_at_first(ik, start, end, turn, arm):
        asked.append(end)
        return None if len(asked) == 1 else straight(ik, start, end, turn, arm)

    monkeypatch.setattr(place, "straight", blocked_at_first)
    target = ready.objects[0]
    solve = TASKS["place"].stage(ready, target, rng("test", "place", 1))
    assert len(asked) >= 3, "one blocked, then over and down"
    before = ready.object_position(target)
    solve(ScriptedExpert(ready))
    carried = ready.object_position(target) - before
    assert np.linalg.norm(carried) > place.LEAST - 0.02
    assert np.abs(ready.keypoints[0] - asked[-1]).max() < 0.03, "where it ends is what was asked"


def test_place_without_a_reachable_spot_rejects(ready, monkeypatch):
    monkeypatch.setattr(place, "straight", lambda *_: None)
    with pytest.raises(Rejected, match="no reachable goal"):
        TASKS["place"].stage(ready, ready.objects[0], rng("test", "place", 1))


def test_grasp_asks_for_a_near_wrist_and_rejects_a_start_that_nudges(ready, monkeypatch):
    target, asked, stand_near = ready.objects[0], [], grasp.stand_near

    def asking(*args):
        asked.append(args[4])
        return find_grasp(*args)

    find_grasp = grasp.find_grasp
    monkeypatch.setattr(grasp, "find_grasp", asking)
    state = ready.get_state()
    TASKS["grasp"].stage(ready, target, rng("test", "nudge"))
    assert asked[0] < grasp.GOAL_DISTANCE

    def nudging(simulation, plan, stream):
        stand_near(simulation, plan, stream)
        nudged = simulation.object_position(target) + [0.02, 0, 0]
        simulation.place_object(target, nudged, 0.0)

    ready.set_state(state)
    monkeypatch.setattr(grasp, "stand_near", nudging)
    with pytest.raises(Rejected, match="touches an object at the start"):
        TASKS["grasp"].stage(ready, target, rng("test", "nudge"))


def test_a_straight_way_ends_where_it_is_asked_to(ready):
    ik, start = ArmIK(ready), ready.keypoints[0]
    turn = ready.base_turn().T @ ready.data.body("robot0_right_hand").xmat.reshape(3, 3)
    end = start + [0.02, -0.05, 0.04]
    rows = straight(ik, start, end, turn, ready.joint_targets[:7])
    assert rows.shape == (8, 7)
    ready.set_joints(np.concatenate([rows[-1], OPEN_HAND]))
    assert np.abs(ready.keypoints[0] - end).max() < 3e-3
    assert straight(ik, start, start + [2.0, 0, 0], turn, rows[0]) is None


class Waiting(Task):
    """The expert waits; the criterion holds or not, whatever happens."""

    name, threshold = "waiting", 1.0

    def __init__(self, holds=True, steps=20, views_target=True):
        self.holds, self.steps, self.views_target = holds, steps, views_target
        self.begun = []

    def evaluate(self, simulation, target, goal):
        return Outcome(self.holds, 0.0)

    def stage(self, simulation, target, rng):
        return lambda expert: expert.hold(self.steps)

    def check_start(self, outcome, sim, target):
        self.begun.append((outcome, target))


@pytest.fixture
def draw(ready, scene, monkeypatch):
    """Draws a trial of a task; ``views`` are what the start and the goal show."""

    def draw(task, *views):
        shown = iter(views)
        seen = {"hand": base.HAND_PIXELS, **dict.fromkeys(ready.objects, base.OBJECT_PIXELS)}
        monkeypatch.setattr(type(ready), "segment", lambda *_: seen | next(shown, {}))
        monkeypatch.setattr(base, "settle", lambda _: None)
        return task.draw_in(ready, scene, rng("test", "waiting"), ("test",))

    return draw


@pytest.mark.parametrize("moment", ["start", "goal"])
def test_trials_out_of_view_are_rejected(draw, scene, moment):
    target, *others = scene.objects
    before = [{}] * (moment == "goal")
    hidden = {"hand": base.HAND_PIXELS - 1}
    with pytest.raises(Rejected, match=f"hand out of view at the {moment}"):
        draw(Waiting(), *before, hidden)
    hidden = {target: base.OBJECT_PIXELS - 1}
    with pytest.raises(Rejected, match=f"object out of view at the {moment}"):
        draw(Waiting(), *before, hidden)
    with pytest.raises(Rejected, match="holding still succeeds"):  # so it went on
        draw(Waiting(views_target=False), *before, hidden)
    hidden |= dict.fromkeys(others, base.OBJECT_PIXELS - 1)
    with pytest.raises(Rejected, match=f"object out of view at the {moment}"):
        draw(Waiting(views_target=False), *before, hidden)


def test_trials_that_holding_still_or_no_expert_solves_are_rejected(draw, ready, monkeypatch):
    task = Waiting()
    with pytest.raises(Rejected, match="holding still succeeds"):
        draw(task)
    assert task.begun == [(Outcome(True, 0.0), ready.objects[0])]
    with pytest.raises(Rejected, match="the expert fails"):
        draw(Waiting(holds=False))
    with pytest.raises(Rejected, match="the expert needs too long"):
        draw(Waiting(steps=51))
    asked = []

    def solves(playback, actions):
        asked.append(actions)
        return len(asked) == 2

    monkeypatch.setattr(base.Playback, "solves", solves)
    trial = draw(Waiting(steps=50))
    assert trial.expert_actions.shape == asked[1].shape == (60, 23)
    assert np.array_equal(asked[1], trial.expert_actions)
    assert (asked[0] == asked[0][0]).all(), "first it holds still"
    positions = iter([0.0, 0.0051])
    monkeypatch.setattr(
        type(ready), "object_position", lambda *_: np.array([next(positions, 0.0051), 0.0, 0.0])
    )
    with pytest.raises(Rejected, match="the object moves by itself"):
        asked.clear()
        draw(Waiting())


@pytest.mark.parametrize(
    ("task", "distance", "touched", "reason"),
    [
        ("reach", 0.299, False, "too near the goal"),
        ("reach", 0.301, False, None),
        ("grasp", 0.209, False, "too near the object or too far"),
        ("grasp", 0.211, False, None),
        ("grasp", 0.349, False, None),
        ("grasp", 0.351, False, "too near the object or too far"),
        ("grasp", 0.3, True, "touches an object at the start"),
        ("place", 0.249, True, "too near the goal"),
        ("place", 0.251, True, None),
        ("place", 0.3, False, "the object is not in the hand"),
    ],
)
def test_starts_that_break_a_tasks_premise_are_rejected(task, distance, touched, reason):
    fake = SimpleNamespace(hand_touches=lambda *_: touched)
    if reason is None:
        TASKS[task].check_start(Outcome(False, distance), fake, "target")
        return
    with pytest.raises(Rejected, match=reason):
        TASKS[task].check_start(Outcome(False, distance), fake, "target")


@pytest.mark.parametrize(("moved", "touched"), [(0.019, True), (0.021, True), (0.0, False)])
def test_an_object_that_slips_is_rejected(moved, touched):
    fake = SimpleNamespace(
        object_position=lambda _: np.array([0.0, 0.0, moved]), hand_touches=lambda _: touched
    )
    trial = SimpleNamespace(target="target")
    if moved < 0.02 and touched:
        TASKS["place"].check_held(fake, trial, np.zeros(3))
        return
    with pytest.raises(Rejected, match="slips"):
        TASKS["place"].check_held(fake, trial, np.zeros(3))


@pytest.mark.parametrize(("gap", "reason"), [(0.191, "far from the object"), (0.189, "passed on")])
def test_a_grasp_goal_far_from_the_wrist_is_rejected(monkeypatch, gap, reason):
    def passed_on(*_):
        raise Rejected("passed on")

    monkeypatch.setattr(base.Task, "check", passed_on)
    fake = SimpleNamespace(
        set_state=lambda _: None,
        keypoints=np.zeros((21, 3)),
        hand_touches=lambda _: True,
        object_position=lambda _: np.array([gap, 0.0, 0.0]),
    )
    trial = SimpleNamespace(target="target", goal_state=None)
    with pytest.raises(Rejected, match=reason):
        TASKS["grasp"].check(fake, trial, np.zeros(3))
