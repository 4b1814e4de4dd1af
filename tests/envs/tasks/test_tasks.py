from types import SimpleNamespace

import numpy as np
import pytest

from dexbench.envs.embodiment.robot import N_JOINTS, OPEN_HAND, READY_ARM
from dexbench.envs.scenes.objects import INSTANCES
from dexbench.envs.scenes.scene import Scene
from dexbench.envs.simulation import Simulation
from dexbench.envs.tasks import HELD_STEPS, TASKS, Goal, Rejected, reach
from dexbench.envs.tasks.base import HAND_PIXELS, OBJECT_PIXELS
from dexbench.envs.tasks.place import LEAST
from dexbench.envs.tasks.reach import draw_posture
from dexbench.envs.trial import STEPS
from dexbench.utils.seeding import rng

NAMES = ("reach", "grasp", "place")


def still(keypoints=None, objects=None, touched=()):
    """What a criterion sees of a simulation."""
    points = np.zeros((21, 3)) if keypoints is None else keypoints
    places = objects or {"target": np.zeros(3)}
    return SimpleNamespace(
        keypoints=points,
        object_position=lambda name: places[name],
        hand_touches=lambda name=None: bool(touched) if name is None else name in touched,
    )


def goal(**changes):
    values = {"keypoints": np.zeros((21, 3)), "object_position": np.zeros(3)}
    return Goal(**(values | changes))


def run_of(simulation, trial, actions):
    """Whether the criterion held at each step."""
    simulation.set_state(trial.goal_state)
    aim = Goal(simulation.keypoints, simulation.object_position(trial.target))
    simulation.set_state(trial.start_state)
    holds = []
    for row in actions:
        simulation.step(row)
        holds.append(TASKS[trial.task].evaluate(simulation, trial.target, aim).holds)
    return np.array(holds)


def longest(holds):
    best = run = 0
    for value in holds:
        run = run + 1 if value else 0
        best = max(best, run)
    return best


@pytest.fixture(scope="module")
def sims(trials):
    simulations = {name: Simulation(trial.xml, trial.objects) for name, trial in trials.items()}
    yield simulations
    for simulation in simulations.values():
        simulation.close()


@pytest.mark.parametrize(("gap", "holds"), [(0.149, True), (0.151, False)])
def test_reach_threshold(gap, holds):
    turn = rng("test", "turn").normal(size=3)
    points = np.tile(gap * turn / np.linalg.norm(turn), (21, 1))
    outcome = TASKS["reach"].evaluate(still(points), "target", goal())
    assert outcome.distance == pytest.approx(gap)
    assert outcome.holds is holds


def test_reach_averages_wrist_and_four_fingertips_only():
    points = np.zeros((21, 3))
    # Neither the joints between nor the little finger, which the hand lacks, count.
    points[[1, 2, 3, 5, 6, 7, 9, 10, 11, 13, 14, 15, 17, 18, 19, 20]] = 9.0
    assert TASKS["reach"].evaluate(still(points), "target", goal()).distance == 0
    for index in (0, 4, 8, 12, 16):
        points = np.zeros((21, 3))
        points[index, 1] = 0.5
        outcome = TASKS["reach"].evaluate(still(points), "target", goal())
        assert outcome.distance == pytest.approx(0.1)
    far = goal(keypoints=np.full((21, 3), 1.0))
    assert not TASKS["reach"].evaluate(still(), "target", far).holds


@pytest.mark.parametrize(
    ("gap", "touched", "holds"),
    [
        (0.199, ("target",), True),
        (0.201, ("target",), False),
        (0.05, (), False),
        (0.05, ("other",), False),
    ],
)
def test_grasp_needs_nearness_and_contact_with_the_target(gap, touched, holds):
    points = np.full((21, 3), 5.0)
    points[0] = 0
    scene = still(points, {"target": np.array([0, gap, 0])}, touched)
    outcome = TASKS["grasp"].evaluate(scene, "target", goal())
    assert outcome.distance == pytest.approx(gap)
    assert outcome.holds is holds


@pytest.mark.parametrize(("gap", "holds"), [(0.099, True), (0.101, False)])
def test_place_threshold(gap, holds):
    places = {"target": np.array([1.0, 2.0, 3.0 + gap]), "other": np.zeros(3)}
    aim = goal(object_position=np.array([1.0, 2.0, 3.0]))
    outcome = TASKS["place"].evaluate(still(objects=places), "target", aim)
    assert outcome.distance == pytest.approx(gap)
    assert outcome.holds is holds


def test_thresholds_are_the_papers():
    assert {name: TASKS[name].threshold for name in NAMES} == {
        "reach": 0.15,
        "grasp": 0.20,
        "place": 0.10,
    }
    assert (HELD_STEPS, STEPS) == (10, 60)


@pytest.mark.parametrize("name", NAMES)
def test_a_trial_says_what_it_is(trials, name):
    trial = trials[name]
    assert trial.task == name
    assert trial.expert_actions.shape == (STEPS, N_JOINTS)
    assert trial.expert_actions.dtype == np.float32
    assert trial.start_state.shape == trial.goal_state.shape
    assert trial.start_state.dtype == np.float64
    assert {INSTANCES[item].split for item in trial.instances} == {"suite"}
    entries = [entry["instance"] for entry in trial.recipe["objects"]]
    assert list(trial.instances) == entries
    assert trial.target == trial.objects[0]


def test_trials_have_seeds_of_their_own(trials):
    assert len({trial.seed for trial in trials.values()}) == 3


@pytest.mark.parametrize("name", NAMES)
def test_the_experts_actions_solve_a_trial_in_a_fresh_simulation(trials, sims, name):
    trial = trials[name]
    holds = run_of(sims[name], trial, trial.expert_actions)
    assert longest(holds) >= HELD_STEPS
    assert holds[-HELD_STEPS:].all(), "it ends at the goal"


@pytest.mark.parametrize("name", NAMES)
def test_holding_still_solves_no_trial(trials, sims, name):
    trial, simulation = trials[name], sims[name]
    simulation.set_state(trial.start_state)
    before = simulation.object_position(trial.target)
    rows = np.tile(simulation.joint_targets, (STEPS, 1))
    holds = run_of(simulation, trial, rows)
    assert longest(holds) < HELD_STEPS
    assert np.linalg.norm(simulation.object_position(trial.target) - before) < 0.02
    assert simulation.hand_touches(trial.target) == (name == "place"), "what is held stays held"


@pytest.mark.parametrize("name", NAMES)
def test_trials_start_far_from_the_goal_and_in_view(trials, sims, name):
    trial, simulation = trials[name], sims[name]
    simulation.set_state(trial.goal_state)
    aim = Goal(simulation.keypoints, simulation.object_position(trial.target))
    for state in (trial.goal_state, trial.start_state):
        simulation.set_state(state)
        counts = simulation.segment()
        assert counts["hand"] >= HAND_PIXELS
        if name == "reach":
            assert max(counts[item] for item in trial.objects) >= OBJECT_PIXELS
        else:
            assert counts[trial.target] >= OBJECT_PIXELS
    outcome = TASKS[name].evaluate(simulation, trial.target, aim)
    assert not outcome.holds
    if name == "reach":
        assert outcome.distance >= 0.30
        assert not simulation.hand_touches()
    elif name == "grasp":
        assert 0.21 <= outcome.distance <= 0.35
        assert not simulation.hand_touches()
        assert simulation.joint_positions[7:19].reshape(3, 4)[:, 1:].max() < 1.2, "the hand is open"
    else:
        assert outcome.distance >= LEAST
        assert simulation.hand_touches(trial.target)


def test_drawn_postures_are_reachable_and_vary(sim):
    sim.set_joints(np.concatenate([READY_ARM, OPEN_HAND]))
    stream = rng("test", "posture")
    drawn = np.array([draw_posture(sim, stream) for _ in range(5)])
    assert drawn.shape == (5, 23)
    assert np.ptp(drawn, axis=0)[:7].min() > 0.1
    assert np.array_equal(draw_posture(sim, rng("again")), draw_posture(sim, rng("again")))
    wrists = []
    for row in drawn:
        sim.set_joints(row)
        wrists.append(sim.keypoints[0])
    assert np.ptp(wrists, axis=0).max() > 0.1


def test_a_start_at_its_goal_is_rejected(trials, sims, monkeypatch):
    trial, simulation = trials["reach"], sims["reach"]
    simulation.set_state(trial.start_state)
    posture = simulation.joint_positions
    monkeypatch.setattr(reach, "draw_posture", lambda *_: posture.copy())
    kitchen = Scene(trial.xml, trial.objects, trial.instances, trial.recipe)
    with pytest.raises(Rejected, match="start too near the goal"):
        TASKS["reach"].draw(kitchen, rng("test"), ("reach", "test"))
