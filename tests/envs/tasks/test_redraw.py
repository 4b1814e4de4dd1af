"""What a redrawn trial shares with the one it was drawn from, and what differs."""

import re
import xml.etree.ElementTree as ET

import numpy as np
import pytest

from dexbench.envs.embodiment.robot import HIGHEST, LOWEST
from dexbench.envs.scenes.look import redraw_look
from dexbench.envs.simulation import WRIST_BODY, Simulation
from dexbench.envs.suite import Suite
from dexbench.envs.task_names import suite_of
from dexbench.envs.tasks import TASKS, Playback, Rejected
from dexbench.envs.tasks.redraw import NEAR, SHIFT, move_clutter, move_start, redraw
from dexbench.envs.tasks.sweep import Sweep
from dexbench.utils.seeding import rng


@pytest.fixture(scope="module")
def trials():
    """The last frozen trial of each task of both suites, by name."""
    return {name: Suite.load(suite_of(name)).trial(name, 49) for name in TASKS}


@pytest.fixture(scope="module")
def sims(trials):
    simulations = {name: Simulation(trial.xml, trial.objects) for name, trial in trials.items()}
    yield simulations
    for simulation in simulations.values():
        simulation.close()


@pytest.fixture(scope="module")
def redrawn(trials):
    """Each task's trial, redrawn twice."""
    return {
        name: [redraw(trial, TASKS[name], ("test", number)) for number in range(2)]
        for name, trial in trials.items()
    }


def poses(simulation, state):
    """Pose (7,) of each object, world frame, and joints (23,) in a state."""
    simulation.set_state(state)
    model, data = simulation.model, simulation.data
    first = {name: model.jnt_qposadr[model.body(name).jntadr[0]] for name in simulation.objects}
    return {
        name: data.qpos[address : address + 7].copy() for name, address in first.items()
    }, simulation.joint_positions


@pytest.mark.parametrize("name", TASKS)
def test_a_redrawn_trial_is_a_function_of_trial_and_key(trials, redrawn, name):
    first, second = redrawn[name]
    again = redraw(trials[name], TASKS[name], ("test", 0))
    assert again.hash == first.hash
    assert first.seed == again.seed != second.seed != trials[name].seed
    assert first.xml != second.xml != trials[name].xml
    assert not np.array_equal(first.start_state, second.start_state)


@pytest.mark.parametrize("name", TASKS)
def test_the_start_may_be_anothers(trials, sims, redrawn, name):
    other = redrawn[name][0]
    trial = redraw(trials[name], TASKS[name], ("test", 7), ("test", 0))
    assert np.array_equal(trial.expert_actions, other.expert_actions)
    addresses = 1 + sims[name].qpos_addresses
    assert np.array_equal(trial.start_state[addresses], other.start_state[addresses])
    assert trial.xml != other.xml and trial.seed != other.seed
    clutter = redraw(trials[name], TASKS[name], ("test", 7)).start_state
    assert not np.array_equal(trial.start_state, clutter), "that has a start of its own"


@pytest.mark.parametrize("name", TASKS)
def test_the_expert_solves_what_is_redrawn_and_moves_none_of_the_clutter(trials, redrawn, name):
    for trial in redrawn[name]:
        simulation = Simulation(trial.xml, trial.objects)
        before, _ = poses(simulation, trial.start_state)
        assert Playback(TASKS[name], trial, simulation).solves(trial.expert_actions)
        after, _ = poses(simulation, simulation.get_state())
        old, _ = poses(simulation, trials[name].start_state)
        moved = [o for o in trial.objects[1:] if not np.array_equal(old[o], before[o])]
        for other in moved:
            assert np.linalg.norm(after[other][:3] - before[other][:3]) < 0.005


@pytest.mark.parametrize("name", TASKS)
def test_start_and_goal_stay_what_the_task_is_about(trials, sims, redrawn, name):
    old, simulation = trials[name], sims[name]
    goal, posture = poses(simulation, old.goal_state)
    _, start = poses(simulation, old.start_state)
    for trial in redrawn[name]:
        new_goal, new_posture = poses(simulation, trial.goal_state)
        assert np.array_equal(posture, new_posture)
        assert np.array_equal(goal[trial.target], new_goal[trial.target])
        _, new_start = poses(simulation, trial.start_state)
        assert 0.01 < np.abs(new_start - start).max() <= SHIFT + 1e-9
        assert (trial.expert_actions >= LOWEST).all() and (trial.expert_actions <= HIGHEST).all()
        assert trial.expert_actions.dtype == np.float32
        assert np.array_equal(trial.expert_actions[5:], old.expert_actions[5:])
        playback = Playback(TASKS[name], trial, simulation)
        TASKS[name].check_start(playback.outcome, simulation, trial.target)


def test_what_the_hand_holds_goes_along(trials, sims, redrawn):
    simulation = sims["place"]

    def in_the_hand(trial):
        simulation.set_state(trial.start_state)
        wrist = simulation.data.body(WRIST_BODY)
        held = simulation.data.body(trial.target)
        turn = wrist.xmat.reshape(3, 3)
        return turn.T @ (held.xpos - wrist.xpos), turn.T @ held.xmat.reshape(3, 3)

    place, turn = in_the_hand(trials["place"])
    for trial in redrawn["place"]:
        new_place, new_turn = in_the_hand(trial)
        assert np.allclose(new_place, place, atol=1e-6)
        assert np.allclose(new_turn, turn, atol=1e-6)
        assert simulation.hand_touches(trial.target)
        simulation.set_state(trial.start_state)
        fingers = simulation.joint_positions[7:]
        simulation.set_state(trials["place"].start_state)
        assert np.array_equal(fingers, simulation.joint_positions[7:])


@pytest.mark.parametrize("name", TASKS)
def test_nothing_that_hangs_on_the_processor_enters_a_state(trials, sims, redrawn, name):
    """Velocities and the solver's warm start stay; poses of objects are rounded."""
    model = sims[name].model
    warm, controls = 1 + model.nq + model.nv, 1 + model.nq + 2 * model.nv
    for old, trial in zip((trials[name],) * 2, redrawn[name], strict=True):
        for before, after in (
            (old.start_state, trial.start_state),
            (old.goal_state, trial.goal_state),
        ):
            changed = np.flatnonzero(before != after)
            poses = changed[(changed > 0) & (changed <= model.nq)] - 1
            rest = np.setdiff1d(changed, poses + 1)
            assert set(rest) <= set(range(controls, controls + model.nu)), (warm, rest)
            objects = np.setdiff1d(poses, sims[name].qpos_addresses)
            values = after[objects + 1]
            assert np.array_equal(values, np.round(values, 9))


def test_a_start_that_breaks_the_premise_is_not_taken(trials, sims, monkeypatch):
    task = TASKS["reach"]

    def refuse(*_):
        raise Rejected("never")

    monkeypatch.setattr(type(task), "check_start", refuse)
    same = move_start(sims["reach"], trials["reach"], task, rng("test", "start"))
    assert same.hash == trials["reach"].hash


def test_a_start_that_touches_something_else_is_not_taken(trials, sims, monkeypatch):
    from dexbench.envs.tasks import redraw as module

    touched = iter([set(), {3}, {3}, set()])
    monkeypatch.setattr(module, "_touched", lambda _: next(touched))
    moved = move_start(sims["reach"], trials["reach"], TASKS["reach"], rng("test", "start"))
    assert list(touched) == [], "the third start was taken"
    assert moved.hash != trials["reach"].hash


def test_only_objects_out_of_the_way_are_moved_and_stay_out_of_it():
    counts = {"moved": 0, "kept": 0}
    for name in TASKS:
        trial = Suite.load(suite_of(name)).trial(name, 1)
        simulation = Simulation(trial.xml, trial.objects)
        sweep = Sweep(simulation, trial)
        old, _ = poses(simulation, trial.start_state)
        spots = {o: simulation.object_position(o)[:2] for o in trial.objects}
        moved = move_clutter(simulation, trial, rng("test", "clutter", name))
        new, posture = poses(simulation, moved.start_state)
        assert np.array_equal(posture, poses(simulation, trial.start_state)[1])
        simulation.set_state(moved.start_state)
        for other in trial.objects:
            if np.array_equal(old[other], new[other]):
                counts["kept"] += 1
                continue
            counts["moved"] += 1
            assert other != trial.target
            assert sweep.distance(spots[other]) > NEAR
            assert sweep.distance(simulation.object_position(other)[:2]) > NEAR
            assert abs(new[other][2] - old[other][2]) < 0.001, "it stands on the counter"
            goal, _ = poses(simulation, moved.goal_state)
            assert np.allclose(goal[other], new[other], atol=0.005)
    assert counts["moved"] > 1 and counts["kept"] > len(TASKS)


def test_the_sweep_covers_hand_and_target_wherever_the_expert_takes_them(trials, sims):
    trial, simulation = trials["place"], sims["place"]
    sweep = Sweep(simulation, trial)
    simulation.set_state(trial.start_state)
    for row in trial.expert_actions:
        simulation.step(row)
        assert sweep.distance(simulation.object_position(trial.target)[:2]) == 0
        for point in simulation.keypoints:
            assert sweep.distance(point[:2]) < 0.02
    assert sweep.distance(np.array([0.9, 1.5])) > 0.5


def test_another_look_is_no_other_physics_and_the_robot_keeps_its_own(trials, sims):
    model = sims["grasp"].model
    xml = redraw_look(trials["grasp"].xml, rng("test", "look"))
    other = Simulation(xml, trials["grasp"].objects).model
    for field in ("body_mass", "geom_size", "geom_friction", "geom_contype", "qpos0", "jnt_range"):
        assert np.array_equal(getattr(model, field), getattr(other, field))
    names = [model.mat(i).name for i in range(model.nmat)]
    robot = np.array([re.match("robot0_|gripper0_|mobilebase0_", name) for name in names], bool)
    same = (model.mat_rgba == other.mat_rgba).all(axis=1)
    assert robot.sum() > 10 and same[robot].all()
    assert not same[~robot].any()
    assert (model.mat_texid == other.mat_texid).all()
    assert not np.array_equal(model.light_dir, other.light_dir)
    assert not np.array_equal(model.vis.headlight.ambient, other.vis.headlight.ambient)


def test_materials_of_one_texture_keep_looking_alike(trials):
    root = ET.fromstring(redraw_look(trials["reach"].xml, rng("test", "alike")))
    files = {texture.get("name"): texture.get("file") for texture in root.iter("texture")}
    tints = {}
    for material in root.iter("material"):
        if files.get(material.get("texture")) and material.get("name") != "look_basin":
            tints.setdefault(files[material.get("texture")], set()).add(material.get("rgba"))
    assert len(tints) > 5 and all(len(each) == 1 for each in tints.values())
