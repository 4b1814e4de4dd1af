"""The tasks of suite v2: what counts as success, which starts are fair, how trials are drawn."""

from functools import cache
from types import SimpleNamespace

import numpy as np
import pytest

from dexbench.bench.suites.chance import solved_by_geometry
from dexbench.envs.embodiment.robot import OPEN_HAND, READY_ARM
from dexbench.envs.motion.expert import ScriptedExpert
from dexbench.envs.robocasa.build import build_scene
from dexbench.envs.robocasa.recipe import NoRoom
from dexbench.envs.scenes.recipe import draw_recipe
from dexbench.envs.simulation import Simulation
from dexbench.envs.task_names import SUITE_TASKS
from dexbench.envs.tasks import TASKS, Goal, Outcome, Playback, Rejected, avoid, push
from dexbench.envs.tasks.base import settle
from dexbench.envs.trial import STEPS
from dexbench.utils.seeding import rng

NAMES = SUITE_TASKS["v2"]
GOAL = Goal(np.zeros((21, 3)), np.zeros(3))


def seen(target=(0.0, 0.0, 0.0), touched=False, hand=0.0, other=(1.0, 1.0, 1.0)):
    """What a criterion sees: the object, whether it is touched, how far the hand is, another."""
    places = {"target": np.array(target), "other": np.array(other)}
    return SimpleNamespace(
        objects=("target", "other"),
        object_position=lambda name: places[name],
        hand_touches=lambda name=None: touched,
        keypoints=np.tile([hand, 0.0, 0.0], (21, 1)),
    )


@pytest.mark.parametrize(
    ("task", "position", "touched", "distance", "holds"),
    [
        ("push", (0.03, 0.039, 0.5), False, 0.0492, True),  # its height does not count
        ("push", (0.03, 0.041, 0.0), False, 0.0508, False),
        ("pick", (0.0, 0.0, 0.069), True, 0.069, True),
        ("pick", (0.0, 0.0, 0.071), True, 0.071, False),
        ("pick", (0.0, 0.0, 0.0), False, 0.0, False),
        ("carry", (0.03, 0.0, 0.039), True, 0.0492, True),  # letting go is not asked
        ("carry", (0.03, 0.0, 0.041), False, 0.0508, False),
    ],
)
def test_where_the_object_must_be(task, position, touched, distance, holds):
    outcome = TASKS[task].evaluate(seen(position, touched), "target", GOAL)
    assert outcome.distance == pytest.approx(distance, abs=1e-4)
    assert outcome.holds is holds
    assert outcome.gate is (touched if task == "pick" else True)


@pytest.mark.parametrize(("hand", "holds"), [(0.099, True), (0.101, False)])
def test_avoid_asks_for_the_hand(hand, holds):
    criterion = TASKS["avoid"].begin(seen(hand=0.4), "target", GOAL)
    assert not criterion.evaluate(seen(hand=0.4)).holds
    outcome = criterion.evaluate(seen(hand=hand))
    assert (outcome.holds, outcome.gate) == (holds, True)
    assert outcome.distance == pytest.approx(hand)


@pytest.mark.parametrize("moved", ["target", "other"])
def test_avoid_never_forgives_an_object_that_moved(moved):
    places = {"target": np.zeros(3), "other": np.ones(3)}
    criterion = TASKS["avoid"].begin(seen(**places), "target", GOAL)
    for far, fine in ((0.029, True), (0.031, False), (0.0, False)):
        outcome = criterion.evaluate(seen(**places | {moved: places[moved] + [0, far, 0]}))
        assert (outcome.holds, outcome.gate) == (fine, fine)
        assert outcome.distance == 0.0, "the distance is the hand's alone"
    assert criterion.farthest == pytest.approx(0.031)
    again = TASKS["avoid"].begin(seen(**places), "target", GOAL)
    assert again.evaluate(seen(**places)).holds, "another episode begins anew"


@pytest.mark.parametrize(
    ("task", "distance", "touched", "wrist", "reason"),
    [
        ("push", 0.119, False, 0.3, "too near the goal or too far"),
        ("push", 0.121, False, 0.3, None),
        ("push", 0.249, False, 0.3, None),
        ("push", 0.251, False, 0.3, "too near the goal or too far"),
        ("push", 0.2, True, 0.3, "touches an object"),
        ("pick", 0.119, False, 0.3, "too near the goal"),
        ("pick", 0.121, False, 0.3, None),
        ("pick", 0.2, True, 0.3, "touches an object"),
        ("pick", 0.2, False, 0.2, "too near the object or too far"),
        ("pick", 0.2, False, 0.36, "too near the object or too far"),
        ("carry", 0.249, True, 0.1, "too near the goal"),
        ("carry", 0.251, True, 0.1, None),
        ("carry", 0.3, False, 0.1, "not in the hand"),
        ("avoid", 0.199, False, 0.3, "too near the goal"),
        ("avoid", 0.201, False, 0.3, None),
        ("avoid", 0.3, True, 0.3, "touches an object"),
    ],
)
def test_starts_that_break_a_tasks_premise_are_rejected(task, distance, touched, wrist, reason):
    start, outcome = seen(touched=touched, hand=wrist), Outcome(False, distance)
    if reason is None:
        TASKS[task].check_start(outcome, start, "target")
        return
    with pytest.raises(Rejected, match=reason):
        TASKS[task].check_start(outcome, start, "target")


@pytest.fixture
def ready(sim):
    """The scene with the arm above the counter and the objects at rest."""
    sim.set_joints(np.concatenate([READY_ARM, OPEN_HAND]))
    settle(sim)
    return sim


def test_a_goal_has_the_robot_where_it_began_and_the_object_where_it_went(ready):
    target, start = ready.objects[0], ready.get_state()
    joints, away = ready.joint_positions, ready.object_position(target) + [0, 0.1, 0]
    ready.place_object(target, away, 0.0)
    ScriptedExpert(ready).move(READY_ARM + 0.2, OPEN_HAND)
    place = ready.object_position(target)
    ready.set_state(TASKS["push"].goal_state(ready, start))
    assert np.abs(ready.joint_positions - joints).max() < 2e-3
    assert np.linalg.norm(ready.object_position(target) - place) < 1e-3
    ready.set_state(TASKS["carry"].goal_state(ready, start))
    assert np.abs(ready.joint_positions[7:] - OPEN_HAND).max() < 2e-3
    ready.place_object(target, place + [0, 0, 0.02], 0.0)
    with pytest.raises(Rejected, match="leaned on the hand"):
        TASKS["push"].goal_state(ready, start)
    ready.place_object(target, ready.keypoints[9], 0.0)
    with pytest.raises(Rejected, match="lies where the robot began"):
        TASKS["push"].goal_state(ready, start)


def places_of(simulation):
    return np.array([simulation.object_position(name) for name in simulation.objects])


def test_a_push_that_topples_or_rolls_or_sweeps_is_no_push(ready):
    target, other = ready.objects[:2]
    places = places_of(ready)
    state = ready.get_state()

    def went_well(name, move, speed=0.0):
        ready.set_state(state)
        ready.place_object(target, places[0] + [0, 0.15, 0], 0.0)
        ready.place_object(name, ready.object_position(name) + move, 0.0)
        joint = ready.model.body(name).dofadr[0]
        ready.data.qvel[joint + 1] = speed
        return push._went_well(ready, places)

    assert went_well(target, [0, 0, 0])
    assert not went_well(target, [0, -0.05, 0]), "too near"
    assert not went_well(target, [0, 0.11, 0]), "too far"
    assert not went_well(target, [0, 0, 0.03]), "up"
    assert not went_well(target, [0, 0, 0], speed=0.5), "still moving"
    assert not went_well(other, [0, 0.02, 0]), "another has moved"


def test_a_push_moves_the_object_alone(ready):
    target, places = ready.objects[0], places_of(ready)
    solve = TASKS["push"].stage(ready, target, rng("test", "push", 0))
    assert not ready.robot_touches()
    assert np.abs(places_of(ready) - places).max() < 0.01, "it starts where it stood"
    expert = ScriptedExpert(ready)
    solve(expert)
    moved = np.linalg.norm((places_of(ready) - places)[:, :2], axis=1)
    assert push.LEAST < moved[0] < push.MOST
    assert moved[1:].max() < 0.01
    assert len(expert.targets) <= 50


def test_the_straight_way_knocks_and_the_experts_does_not(ready):
    places = places_of(ready)
    solve = TASKS["avoid"].stage(ready, ready.objects[0], rng("test", "avoid", 0))
    start, begin = ready.get_state(), ready.joint_targets
    expert = ScriptedExpert(ready)
    solve(expert)
    assert np.linalg.norm(places_of(ready) - places, axis=1).max() < 0.01
    goal = ready.joint_targets
    ready.set_state(start)
    for share in np.linspace(0, 1, 20):
        ready.step(begin + share * (goal - begin))
    assert np.linalg.norm(places_of(ready) - places, axis=1).max() > avoid.SPOILT


@cache
def drawn(name):
    """The first accepted trial of a task, as a suite draws it, and what it was drawn in."""
    for candidate in range(30):
        stream = rng("test", "foresight", name, candidate)
        try:
            scene = build_scene(draw_recipe(stream, "suite"))
            return TASKS[name].draw(scene, stream, ("test", name))
        except (NoRoom, Rejected):
            continue
    raise AssertionError(f"no {name} trial in 30 candidates")


@pytest.mark.slow
@pytest.mark.parametrize("name", NAMES)
def test_a_drawn_trial_is_solved_by_its_replay_alone(name):
    trial = drawn(name)
    game = Playback(TASKS[name], trial, Simulation(trial.xml, trial.objects))
    assert trial.expert_actions.shape == (STEPS, 23)
    assert game.solves(trial.expert_actions)
    assert game.held, "it ends at the goal"
    game.restart()
    assert not game.solves(np.tile(game.simulation.joint_targets, (STEPS, 1)))
    assert not solved_by_geometry(trial, plays=1, misread=1)


@pytest.mark.slow
def test_what_the_goals_of_drawn_trials_are():
    for name in NAMES:
        trial = drawn(name)
        simulation = Simulation(trial.xml, trial.objects)
        simulation.set_state(trial.start_state)
        before = Goal.seen(simulation, trial.target)
        arm = simulation.joint_positions[:7]
        simulation.set_state(trial.goal_state)
        after = Goal.seen(simulation, trial.target)
        move = after.object_position - before.object_position
        if name == "push":
            assert 0.12 <= np.linalg.norm(move[:2]) <= 0.25
            assert np.allclose(after.keypoints, before.keypoints, atol=1e-9)
        elif name == "pick":
            assert move[2] >= 0.12 and simulation.hand_touches(trial.target)
        elif name == "carry":
            assert not simulation.robot_touches()
            assert np.allclose(simulation.joint_positions[:7], arm, atol=1e-9)
            assert np.linalg.norm(move) >= 0.25 and move[2] < -0.03
        else:
            assert np.linalg.norm(move) < 0.01
        simulation.close()


def test_which_tasks_ask_for_foresight_and_which_goals_show_the_robot():
    assert [name for name, rules in TASKS.items() if rules.needs_foresight] == list(NAMES)
    assert [name for name, rules in TASKS.items() if not rules.goal_shows_robot] == ["carry"]
