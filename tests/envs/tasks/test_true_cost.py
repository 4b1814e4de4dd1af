"""What the simulator's own cost of a state is, on states made by hand."""

from types import SimpleNamespace

import numpy as np
import pytest

from dexbench.envs.tasks import TASKS, Goal

CORNER = np.array([0.6, -0.2, 1.0])
UP = np.array([0.0, 0.0, 1.0])


def cost(task, position, tips, displaced=0.0):
    """Of a state with the object at (3,) and all the hand's keypoints at (3,); the goal's is 0."""
    state = SimpleNamespace(
        keypoints=np.tile(tips, (21, 1)), object_position=lambda name: {"target": position}[name]
    )
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
    state = SimpleNamespace(keypoints=points, object_position=lambda name: CORNER)
    assert TASKS["place"].true_cost(state, "target", Goal(points, CORNER), 0.0) == 0


def test_reach_asks_for_the_hand_alone():
    assert cost("reach", CORNER, 0.3 * UP) == pytest.approx(0.3)
    assert cost("reach", CORNER + UP, 0.3 * UP, displaced=1.0) == pytest.approx(0.3)
