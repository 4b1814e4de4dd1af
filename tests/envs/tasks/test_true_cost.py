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


@pytest.mark.parametrize("task", ["grasp", "place"])
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


def test_grasp_asks_for_touch_and_place_does_not():
    for task, more in (("grasp", 0.05), ("place", 0.0)):
        apart = cost(task, CORNER, CORNER + 0.1 * UP, touched=False)
        assert apart == pytest.approx(0.01 + more)
        assert cost(task, CORNER, CORNER + 0.1 * UP) == pytest.approx(0.01)


def test_reach_asks_for_the_hand_alone():
    assert cost("reach", CORNER, 0.3 * UP) == pytest.approx(0.3)
    assert cost("reach", CORNER + UP, 0.3 * UP, displaced=1.0) == pytest.approx(0.3)
