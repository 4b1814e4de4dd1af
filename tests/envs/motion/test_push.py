import numpy as np
import pytest

from dexbench.envs.embodiment.keypoints import WRIST
from dexbench.envs.embodiment.robot import OPEN_HAND, READY_ARM, TIP_LENGTH
from dexbench.envs.motion.expert import ScriptedExpert
from dexbench.envs.motion.hand import surface
from dexbench.envs.motion.push import BEHIND, HANDS, RISE, pushes
from dexbench.envs.simulation import Simulation
from dexbench.envs.suite import Suite
from dexbench.utils.seeding import rng

FORWARD, BACK = np.array([1.0, 0.0]), np.array([-1.0, 0.0])
LEFT, RIGHT = np.array([0.0, 1.0]), np.array([0.0, -1.0])


@pytest.fixture(scope="module")
def simulation():
    """A kitchen at rest, the hand above the counter."""
    trial = Suite.load("v1").trial("reach", 3)
    simulation = Simulation(trial.xml, trial.objects)
    simulation.set_joints(np.concatenate([READY_ARM, OPEN_HAND]))
    ScriptedExpert(simulation).hold(15)
    return simulation


@pytest.fixture(autouse=True)
def _restored(simulation):
    state = simulation.get_state()
    yield
    simulation.set_state(state)


@pytest.mark.parametrize("style", ["edge", "tips"])
@pytest.mark.parametrize("heading", [FORWARD, BACK, LEFT, RIGHT], ids=["away", "to", "left", "rt"])
def test_a_push_comes_down_clear_of_the_object_and_moves_it_that_way(simulation, style, heading):
    state, planned = simulation.get_state(), 0
    for name in simulation.objects:
        plan = next(pushes(simulation, name, heading, 0.15, style, rng("test", style)), None)
        if plan is None:
            continue
        planned += 1
        before = simulation.object_position(name)
        expert = ScriptedExpert(simulation)
        expert.move(plan.down[0], plan.hand)
        expert.follow(plan.down, plan.hand)
        assert np.linalg.norm(simulation.object_position(name) - before) < 0.005
        expert.follow(plan.stroke, plan.hand)
        expert.hold(2)
        along = (simulation.object_position(name) - before)[:2] @ heading
        assert 0.03 < along < 0.15 + 0.03
        simulation.set_state(state)
    assert planned >= 2


def test_planning_leaves_the_simulation_as_it_was(simulation):
    state = simulation.get_state()
    plans = pushes(simulation, simulation.objects[0], LEFT, 0.1, "edge", rng("test"))
    assert next(plans, None) is not None
    assert np.array_equal(simulation.get_state(), state)


def test_a_push_is_as_long_as_fast_and_as_high_as_asked(simulation):
    name, wrists = simulation.objects[0], {}
    for speed, clearance in ((0.1, 0.012), (0.3, 0.012), (0.1, 0.032)):
        plan = next(pushes(simulation, name, RIGHT, 0.2, "tips", rng("a"), speed, clearance))
        path = []
        for arm in np.concatenate([plan.down[:1], plan.stroke]):
            simulation.set_joints(np.concatenate([arm, plan.hand]))
            path.append(simulation.keypoints[WRIST])
        above, *stroke = np.array(path)
        assert above[2] - stroke[0][2] == pytest.approx(RISE, abs=0.005)
        length = np.linalg.norm(stroke[-1] - stroke[0])
        assert length == pytest.approx(0.2 + BEHIND, abs=0.005)
        assert length / (len(plan.stroke) - 1) == pytest.approx(speed / 10, rel=0.1)
        wrists[speed, clearance] = stroke[0]
    raised = wrists[0.1, 0.032] - wrists[0.1, 0.012]
    assert raised == pytest.approx([0, 0, 0.02], abs=0.005)


def test_what_blocks_the_hand_is_seen(simulation):
    """Something stands where the hand would come down, or where the push would end."""
    name, other = simulation.objects[:2]
    state, here = simulation.get_state(), simulation.object_position(name)

    def plans():
        return list(pushes(simulation, name, FORWARD, 0.15, "tips", rng("test")))

    free = plans()
    for off in (-0.1, 0.06):
        simulation.set_state(state)
        simulation.place_object(other, here + [off, 0, 0], yaw=0.0)
        assert len(plans()) < len(free)


def test_the_surface_of_a_stretched_hand_is_as_long_as_its_links():
    points, of_fingers = surface(HANDS["edge"] * 0)
    fingers = points[of_fingers]
    length = 0.0164 + 0.054 + 0.0384 + TIP_LENGTH["index"]
    assert fingers[:, 2].max() == pytest.approx(length, abs=0.003)
    assert points[~of_fingers, 1].max() > fingers[:, 1].max(), "the thumb stands off"
    bent, _ = surface(HANDS["tips"])
    assert bent[:, 2].max() < 0.06 and bent[:, 0].max() > 0.15, "fingers before the palm"
