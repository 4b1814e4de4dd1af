"""What the simulator's own cost of a state is, on states made by hand."""

from types import SimpleNamespace

import numpy as np
import pytest

from dexbench.envs.tasks import TASKS, Goal

CORNER = np.array([0.6, -0.2, 1.0])
UP = np.array([0.0, 0.0, 1.0])


def state_of(position, keypoints, touched=True):
    """A simulation with the object at (3,) and the hand's keypoints at (21, 3)."""
    return SimpleNamespace(
        keypoints=keypoints,
        object_position=lambda name: {"target": position}[name],
        hand_touches=lambda name: {"target": touched}[name],
    )


def cost(task, position, tips, displaced=0.0, touched=True):
    """Of a state with all keypoints at (3,); the goal has the object in the corner, hand at 0."""
    state = state_of(position, np.tile(tips, (21, 1)), touched)
    return TASKS[task].true_cost(state, "target", Goal(np.zeros((21, 3)), CORNER), displaced)


@pytest.mark.parametrize("task", ["place", "carry"])
def test_the_object_decides_and_the_hand_is_drawn_to_it(task):
    away = CORNER + 0.2 * UP
    assert cost(task, CORNER, CORNER) == 0
    assert cost(task, away, away) == pytest.approx(0.2)
    assert cost(task, CORNER, CORNER - 0.3 * UP) == pytest.approx(0.03)
    # The object two centimetres nearer outweighs a hand that is left ten centimetres behind.
    assert cost(task, away - 0.02 * UP, away + 0.08 * UP) < cost(task, away, away)
    assert cost(task, away, away, displaced=1.0) == cost(task, away, away)


def test_only_fingertips_are_drawn_to_the_object():
    points = np.zeros((21, 3))
    points[[4, 8, 12, 16]] = CORNER
    goal = Goal(points, CORNER)
    assert TASKS["place"].true_cost(state_of(CORNER, points), "target", goal, 0.0) == 0


@pytest.mark.parametrize("task", ["grasp", "pick"])
def test_grasp_and_pick_ask_for_an_object_between_thumb_and_fingers_and_for_touch(task):
    points = np.zeros((21, 3))
    points[4], points[[8, 12, 16]] = CORNER - 0.05 * UP, CORNER + 0.05 * UP
    goal, away = Goal(points, CORNER), CORNER + 0.2 * UP

    def cost(position, touched=True):
        return TASKS[task].true_cost(state_of(position, points, touched), "target", goal, 0.0)

    assert cost(CORNER) == pytest.approx(0), "fingertips around it"
    assert cost(CORNER, touched=False) == pytest.approx(0.05)
    assert cost(away) == pytest.approx(0.2 + 0.1)
    beside = np.tile(CORNER + 0.05 * UP, (21, 1))
    beside = TASKS[task].true_cost(state_of(CORNER, beside), "target", goal, 0.0)
    assert beside == pytest.approx(0.025), "as near, but all on one side"


@pytest.mark.parametrize("task", ["place", "carry", "push"])
def test_other_tasks_ask_for_no_touch(task):
    apart = cost(task, CORNER, CORNER + 0.1 * UP, touched=False)
    assert apart == cost(task, CORNER, CORNER + 0.1 * UP) == pytest.approx(0.01)


def test_push_asks_for_the_place_on_the_counter_and_the_pull_is_in_space():
    away = CORNER + [0.12, 0.16, 0.5]
    assert cost("push", away, away) == pytest.approx(0.2), "height does not count"
    assert cost("push", CORNER, CORNER + 0.4 * UP) == pytest.approx(0.04)
    assert cost("push", away, away, displaced=1.0) == cost("push", away, away)


def test_reach_asks_for_the_hand_alone():
    assert cost("reach", CORNER, 0.3 * UP) == pytest.approx(0.3)
    assert cost("reach", CORNER + UP, 0.3 * UP, displaced=1.0) == pytest.approx(0.3)


@pytest.mark.parametrize(
    ("displaced", "more"), [(0.0, 0.0), (0.03, 0.0), (0.031, 0.01), (0.05, 0.2)]
)
def test_avoid_asks_for_the_hand_and_for_objects_left_alone(displaced, more):
    assert cost("avoid", CORNER + UP, 0.3 * UP, displaced) == pytest.approx(0.3 + more)


def test_avoid_asks_where_wrist_and_fingertips_are():
    points, goal = np.zeros((21, 3)), Goal(np.zeros((21, 3)), CORNER)
    points[[1, 2, 3, 5, 6, 7]] = UP
    assert TASKS["avoid"].true_cost(state_of(CORNER, points), "target", goal, 0.0) == 0
    points[0] = UP
    assert TASKS["avoid"].true_cost(state_of(CORNER, points), "target", goal, 0.0) == 0.2
