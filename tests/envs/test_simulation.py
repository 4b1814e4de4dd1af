from concurrent.futures import ThreadPoolExecutor

import mujoco
import numpy as np
import pytest
import torch

from dexbench.envs.embodiment.camera import base_to_camera
from dexbench.envs.embodiment.kinematics import HandKinematics
from dexbench.envs.embodiment.robot import HIGHEST, LOWEST, OPEN_HAND, READY_ARM
from dexbench.envs.rendering import HeadCamera
from dexbench.envs.simulation import Simulation
from dexbench.utils.seeding import rng

READY = np.concatenate([READY_ARM, OPEN_HAND])


def wandering(steps, *key):
    """Joint targets (steps, 23) that move and bump into things."""
    walk = rng("test", "walk", *key).normal(0, 0.06, (steps, 23)).cumsum(axis=0)
    return np.clip(READY + walk, LOWEST, HIGHEST).astype(np.float32)


def play(simulation, rows):
    states = []
    for row in rows:
        simulation.step(row)
        states.append(simulation.get_state())
    return np.array(states)


def test_a_state_and_targets_determine_the_future_bit_for_bit(scene, sim):
    sim.set_joints(READY)
    play(sim, wandering(8, "before"))
    middle = sim.get_state()
    rows = wandering(12, "after")
    first = play(sim, rows)
    moving = 1 + sim.model.nq + sim.model.nv
    assert np.ptp(first[:, 1:moving], axis=0).max() > 0.1, "something moves"
    sim.set_state(middle)
    assert np.array_equal(sim.get_state(), middle)
    assert np.array_equal(play(sim, rows), first)
    fresh = Simulation(scene.xml, scene.objects)
    play(fresh, wandering(3, "elsewhere"))
    fresh.set_state(middle)
    assert np.array_equal(play(fresh, rows), first)


def test_two_simulations_do_not_spoil_each_others_pictures(sim, trials):
    sim.set_joints(READY)
    trial = trials["grasp"]
    alone = sim.render()
    other = Simulation(trial.xml, trial.objects)
    other.set_state(trial.start_state)
    seen = other.render()
    assert not np.array_equal(alone, seen)
    for _ in range(2):
        assert np.array_equal(sim.render(), alone)
        assert np.array_equal(other.render(), seen)
    counts = other.segment()
    assert np.array_equal(sim.render(), alone)
    other.close()
    assert np.array_equal(sim.render(), alone)
    # A closed simulation opens a new renderer when it is asked again.
    assert np.array_equal(other.render(), seen)
    assert other.segment() == counts
    other.close()


def test_pictures_are_upright_and_show_the_hand(sim):
    sim.set_joints(READY)
    image = sim.render()
    assert image.shape == (224, 392, 3)
    assert image.dtype == np.uint8
    counts = sim.segment()
    assert counts["hand"] > 200
    assert set(counts) == {"hand", *sim.objects}
    # The hand is drawn where its keypoints are projected, the counter below the wall units.
    from dexbench.envs.embodiment.camera import project

    columns, rows = project(sim.keypoints_camera).T
    camera = HeadCamera(sim.model)
    seen = np.isin(camera.segment(sim.data), np.flatnonzero(sim.hand_geoms))
    camera.close()
    found = np.argwhere(seen).mean(axis=0)
    assert np.abs(found - [rows[1:].mean(), columns[1:].mean()]).max() < 25


def test_taking_a_picture_changes_nothing(sim):
    rows = wandering(5, "looking")
    before = sim.get_state()
    sim.set_state(before)
    plain = play(sim, rows)
    sim.set_state(before)
    for row, state in zip(rows, plain, strict=True):
        sim.render()
        sim.segment()
        sim.step(row)
        assert np.array_equal(sim.get_state(), state)


def test_keypoints_are_those_of_the_batched_kinematics(sim):
    kinematics = HandKinematics(dtype=torch.float64)
    for row in rng("test", "fk").uniform(LOWEST, HIGHEST, (20, 23)):
        sim.set_joints(row)
        assert np.array_equal(sim.joint_positions, row)
        assert np.array_equal(sim.joint_targets, row)
        expected = kinematics.keypoints(torch.tensor(row)).numpy()
        assert np.linalg.norm(sim.keypoints - expected, axis=1).max() < 1e-6
        assert np.allclose(sim.keypoints_camera, base_to_camera(sim.keypoints))


def test_targets_are_followed_and_limited(sim):
    sim.set_joints(READY)
    goal = READY.copy()
    goal[:7] += 0.1
    for _ in range(15):
        sim.step(goal)
    assert np.abs(sim.joint_positions - goal)[:7].max() < 0.02
    assert sim.data.time == pytest.approx(1.5)
    assert np.array_equal(sim.joint_targets, goal)
    sim.step(np.full(23, 9.0))
    assert np.abs(sim.joint_targets - HIGHEST).max() < 1e-6


def test_base_frame(sim):
    points = rng("test", "points").normal(size=(5, 3))
    assert np.allclose(sim.to_base(sim.to_world(points)), points, atol=1e-12)
    assert np.allclose(sim.to_world(points) - sim.to_world(np.zeros(3)), points @ sim.base_turn().T)
    # Objects stand on the counter, 0.82 m above the base frame, where the recipe draws them.
    for name in sim.objects:
        x, y, z = sim.object_position(name)
        assert 0.5 < x < 0.9
        assert -0.6 < y < 0.3
        assert 0.83 < z < 0.95


def speed(sim, name):
    """Of an object's centre, in m/s."""
    return np.linalg.norm(sim.data.cvel[sim.model.body(name).id, 3:])


def test_objects_are_put_where_asked(sim):
    sim.set_joints(READY)
    target, *others = sim.objects
    still = [sim.object_position(name) for name in others]
    before = sim.data.body(target).xmat.reshape(3, 3).copy()
    sim.data.joint(sim.model.body(target).jntadr[0]).qvel[:] = 1
    sim.place_object(target, np.array([0.7, -0.1, 1.0]), yaw=0.5)
    assert np.allclose(sim.object_position(target), [0.7, -0.1, 1.0], atol=1e-9)
    assert speed(sim, target) == 0
    turn = sim.data.body(target).xmat.reshape(3, 3) @ before.T
    cos, sin = np.cos(0.5), np.sin(0.5)
    assert np.allclose(turn, [[cos, -sin, 0], [sin, cos, 0], [0, 0, 1]], atol=1e-9)
    for name, place in zip(others, still, strict=True):
        assert np.array_equal(sim.object_position(name), place)
    sim.step(READY)
    assert sim.object_position(target)[2] < 0.97, "it falls"
    assert speed(sim, target) > 0.5


def test_a_diverged_simulation_says_so_until_a_state_is_set(sim, tmp_path, monkeypatch):
    """MuJoCo itself puts the scene back to its file's state, and goes on as if nothing were."""
    monkeypatch.chdir(tmp_path)  # where MuJoCo leaves its log
    sim.set_joints(READY)
    state = sim.get_state()
    sim.data.qvel[0] = 1e12
    for _ in range(2):
        with pytest.raises(FloatingPointError, match="diverged"):
            sim.step(READY)
    sim.set_state(state)
    sim.step(READY)


def test_touch_needs_the_right_hand_and_that_object(sim):
    sim.set_joints(READY)
    target, other, *_ = sim.objects
    assert not sim.hand_touches()
    palm = sim.keypoints[[5, 9, 13]].mean(axis=0)
    sim.place_object(target, palm, yaw=0.0)
    assert sim.hand_touches(target)
    assert sim.hand_touches()
    assert not sim.hand_touches(other)
    # Two objects in each other, away from the hand.
    sim.place_object(target, sim.object_position(other), yaw=0.0)
    assert sim.data.ncon > 0
    assert not sim.hand_touches()
    # The forearm is not the hand.
    elbow = sim.to_base(sim.data.body("robot0_right_fr3_link5").xpos)
    sim.place_object(target, elbow, yaw=0.0)
    touched = {sim.model.geom_bodyid[g] for g in sim.data.contact.geom.ravel()}
    assert sim.model.body(target).id in touched
    assert not sim.hand_touches()


def test_closing_keeps_the_physics(scene):
    simulation = Simulation(scene.xml, scene.objects)
    simulation.close()
    assert simulation.gl_renderer
    simulation.close()
    simulation.close()
    before = simulation.data.time
    simulation.step(READY)
    assert simulation.data.time == pytest.approx(before + 0.1)


def test_the_next_renderer_takes_over_the_context_and_nothing_in_it(sim, scene, trials):
    sim.set_joints(READY)
    trial = trials["place"]
    first = Simulation(trial.xml, trial.objects)
    first.render()
    context = first._camera._renderer._gl_context
    first.close()
    second = Simulation(scene.xml, scene.objects)
    second.set_state(sim.get_state())
    assert np.array_equal(second.render(), sim.render())
    assert second._camera._renderer._gl_context is context
    second.close()


def test_a_context_that_its_owner_destroyed_is_not_made_current_again(scene):
    """What another renderer leaves behind in a thread does not stop ours."""
    egl = pytest.importorskip("mujoco.egl")
    if mujoco.gl_context.GLContext is not egl.GLContext:
        pytest.skip("rendered by another backend")
    simulation = Simulation(scene.xml, scene.objects)
    foreign = egl.GLContext(8, 8)
    try:
        first = simulation.render()
        foreign.make_current()
        # While it is current it lives on, until another takes its place.
        egl.EGL.eglDestroyContext(egl.EGL_DISPLAY, foreign._context)
        foreign._context = None
        np.testing.assert_array_equal(simulation.render(), first)
    finally:
        simulation.close()


def test_a_picture_without_the_robot_is_the_picture_behind_it(sim):
    sim.set_joints(READY)
    shown, hidden = sim.render(), sim.render(robot=False)
    camera = HeadCamera(sim.model)
    geoms = camera.segment(sim.data)
    robot = np.isin(geoms, np.flatnonzero(sim.robot_geoms))
    behind = camera.segment(sim.data, sim.robot_geoms)
    camera.close()
    assert robot.sum() > 2000, "the robot is in view"
    assert np.array_equal(hidden[~robot], shown[~robot]), "no shadow or reflection of it is left"
    assert (hidden[robot] != shown[robot]).any(axis=1).mean() > 0.9
    assert not np.isin(behind, np.flatnonzero(sim.robot_geoms)).any()
    assert np.array_equal(sim.render(), shown), "it is drawn again"
    assert sim.segment(robot=False)["hand"] == 0 < sim.segment()["hand"]


def test_what_the_robot_touches(sim):
    sim.set_joints(READY)
    assert not sim.robot_touches()
    target = sim.objects[0]
    sim.place_object(target, sim.keypoints[9], 0.0)
    assert sim.robot_touches() and not sim.robot_touches(objects=False)
    low = READY.copy()
    low[3] -= 1.2  # the elbow stretches, and the hand is in the counter
    sim.set_joints(low)
    assert sim.robot_touches(objects=False)


def test_another_thread_can_draw_whatever_was_left_current(scene):
    egl = pytest.importorskip("mujoco.egl")
    if mujoco.gl_context.GLContext is not egl.GLContext:
        pytest.skip("rendered by another backend")
    simulation = Simulation(scene.xml, scene.objects)
    try:
        first = simulation.render()
        simulation._camera._renderer._gl_context.make_current()
        simulation.render()
        with ThreadPoolExecutor(1) as pool:
            np.testing.assert_array_equal(pool.submit(simulation.render).result(), first)
    finally:
        simulation.close()
