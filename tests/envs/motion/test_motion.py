import os
import subprocess
import sys
from itertools import islice

import numpy as np
import pytest
import torch

from dexbench.envs.embodiment.kinematics import HandKinematics
from dexbench.envs.embodiment.robot import (
    HIGHEST,
    LOWER,
    LOWEST,
    OPEN_HAND,
    PALM_POS,
    READY_ARM,
    UPPER,
)
from dexbench.envs.motion import expert as expert_module
from dexbench.envs.motion.expert import (
    ARM_STEP,
    HAND_STEP,
    LIFT,
    LIFTED,
    ScriptedExpert,
    find_grasp,
)
from dexbench.envs.motion.grasp import (
    _PALM_TURN,
    HALF_HAND,
    SIDE_REACH,
    WIDEST,
    grasps,
    object_pieces,
    object_points,
    palm_turn,
    wrist_pose,
)
from dexbench.envs.motion.hand import pads, posture, straddle
from dexbench.envs.motion.ik import ArmIK
from dexbench.envs.robocasa.build import build_scene
from dexbench.envs.scenes.recipe import draw_recipe
from dexbench.envs.simulation import Simulation
from dexbench.utils.seeding import rng

READY = np.concatenate([READY_ARM, OPEN_HAND])


def wrist_of(arm):
    """Wrist position and rotation by the batched kinematics."""
    joints = torch.tensor(np.concatenate([arm, OPEN_HAND]))
    pos, turn = HandKinematics(dtype=torch.float64).wrist(joints)
    return pos.numpy(), turn.numpy()


def angle(a, b):
    """Angle in rad between two rotations."""
    return np.arccos(np.clip((np.trace(a.T @ b) - 1) / 2, -1, 1))


@pytest.fixture
def ready(sim):
    """The scene with the arm above the counter and the objects at rest."""
    sim.set_joints(READY)
    ScriptedExpert(sim).hold(10)
    return sim


def test_ik_reaches_poses_within_its_tolerances(ready):
    ik = ArmIK(ready)
    before = ready.get_state()
    found = 0
    for offset in rng("test", "ik").uniform(-0.35, 0.35, (20, 7)):
        pos, turn = wrist_of(np.clip(READY_ARM + offset, LOWER[:7] + 0.1, UPPER[:7] - 0.1))
        arm = ik.solve(pos, turn, READY_ARM)
        if arm is None:
            continue
        found += 1
        assert ((arm > LOWER[:7]) & (arm < UPPER[:7])).all()
        reached, turned = wrist_of(arm)
        assert np.linalg.norm(reached - pos) < 2.1e-3
        assert angle(turned, turn) < 0.021
    assert found >= 18
    assert np.array_equal(ready.get_state(), before), "planning leaves the simulation alone"


def test_solutions_do_not_depend_on_the_number_of_threads():
    script = (
        "import hashlib, numpy as np\n"
        "from dexbench.envs.motion.hand import straddle\n"
        "from dexbench.envs.motion.linear import solve\n"
        "from dexbench.utils.seeding import rng\n"
        "m = rng('test').normal(size=(6, 7))\n"
        "x = solve(m @ m.T + 1e-4 * np.eye(6), rng('v').normal(size=6))\n"
        "x = np.concatenate([x, straddle(-0.04, 0.02, 0.1, 0.02)])\n"
        "print(hashlib.sha256(x.tobytes()).hexdigest())"
    )
    found = {
        subprocess.run(
            [sys.executable, "-c", script],
            capture_output=True,
            text=True,
            check=True,
            env={**os.environ, "OPENBLAS_NUM_THREADS": threads},
            timeout=300,
        ).stdout
        for threads in ("1", "2")
    }
    assert len(found) == 1


def test_ik_refuses_what_the_arm_cannot_reach(ready):
    ik = ArmIK(ready)
    pos, turn = wrist_of(READY_ARM)
    assert ik.solve(pos + [1.5, 0, 0], turn, READY_ARM) is None
    path = pos + np.linspace(0, 1, 5)[:, None] * [0, 0, 0.1]
    rows = ik.line(path, turn, READY_ARM)
    assert rows.shape == (5, 7)
    assert np.abs(np.diff(rows, axis=0)).max() < 0.5
    assert ik.line(pos + np.linspace(0, 1.5, 5)[:, None] * [1, 0, 0], turn, READY_ARM) is None
    assert ik.line(path, turn, READY_ARM, jump=1e-3) is None, "neighbours are too far apart"


def test_hand_postures_put_the_pads_where_asked():
    for key in range(5):
        wanted = np.clip(
            np.tile([0, 0.8, 0.5, 0.4], 4) + rng("test", "hand", key).normal(0, 0.1, 16),
            LOWER[7:] + 0.05,
            UPPER[7:] - 0.05,
        )
        found = posture(pads(wanted), start=wanted + 0.1)
        assert np.linalg.norm(pads(found) - pads(wanted), axis=1).max() < 3e-3
        assert ((found >= LOWER[7:]) & (found <= UPPER[7:])).all()


def test_straddling_puts_fingers_above_and_thumb_below_an_object():
    low, high, clearance = -0.04, 0.02, 0.02
    points = pads(straddle(low, high, depth=0.1, clearance=clearance))
    assert points[:3, 2].min() > high
    assert points[3, 2] < low
    closed = pads(straddle(low, high, depth=0.1, clearance=-0.01))
    assert closed[:3, 2].max() < points[:3, 2].min()
    assert closed[3, 2] > points[3, 2]


def test_palm_and_wrist_poses():
    turn = palm_turn(np.pi / 2, 0.0)
    assert np.allclose(turn @ turn.T, np.eye(3), atol=1e-12)
    assert np.linalg.det(turn) == pytest.approx(1)
    assert np.allclose(turn[:, 0], [0, 0, -1], atol=1e-12), "the palm faces down"
    assert np.allclose(turn[:, 2], [0, 1, 0], atol=1e-12), "the fingers point to yaw"
    dipped = palm_turn(0.0, np.radians(30))
    assert dipped[2, 2] == pytest.approx(-0.5), "and dip by pitch"
    pos, wrist_turn = wrist_pose(np.array([0.6, 0.0, 1.0]), turn)
    assert np.linalg.norm(pos - [0.6, 0.0, 1.0]) == pytest.approx(0.1), "10 cm from palm to wrist"
    assert pos[1] < 0
    assert np.linalg.det(wrist_turn) == pytest.approx(1)


def test_object_points_span_the_object(ready):
    name = ready.objects[0]
    points = object_points(ready, name)
    center = ready.object_position(name)
    assert (points.min(axis=0) < center).all()
    assert (points.max(axis=0) > center).all()
    assert points[:, 2].min() == pytest.approx(0.82, abs=3e-3), "it stands on the counter"
    assert np.ptp(points, axis=0).max() < 0.25


def test_grasps_come_from_above_and_end_at_the_object(ready):
    name = ready.objects[0]
    plans = list(islice(grasps(ready, name, rng("test", "grasps"), sides=("top",)), 3))
    assert len(plans) == 3
    center = ready.object_position(name)
    for plan in plans:
        assert np.array_equal(plan.standoff, plan.approach[0])
        reached, turned = wrist_of(plan.approach[-1])
        assert np.linalg.norm(reached - plan.wrist) < 2.1e-3
        assert angle(turned, plan.turn) < 0.021
        assert plan.wrist[2] > center[2]
        assert np.linalg.norm(plan.wrist - center) < 0.2
        above = wrist_of(plan.standoff)[0]
        assert above[2] > plan.wrist[2] + 0.03
        for hand in (plan.open_hand, plan.closed_hand):
            assert ((hand >= LOWER[7:]) & (hand <= UPPER[7:])).all()
    again = next(grasps(ready, name, rng("test", "grasps"), sides=("top",)))
    assert np.array_equal(again.approach, plans[0].approach)


def test_the_expert_lifts_carries_and_holds_an_object(ready):
    name = ready.objects[0]
    plan = next(grasps(ready, name, rng("test", "lift"), sides=("top",)))
    before = ready.object_position(name)
    expert = ScriptedExpert(ready)
    expert.grasp(plan)
    assert ready.hand_touches(name)
    assert expert.carry(plan.wrist + [0, 0, 0.15], plan)
    lifted = ready.object_position(name)
    assert lifted[2] - before[2] > 0.12
    assert expert.carry(ready.keypoints[0] + [0.0, 0.1, 0.0], plan)
    moved = ready.object_position(name)
    assert moved[1] - lifted[1] > 0.07
    expert.hold(20)
    assert ready.hand_touches(name)
    assert np.linalg.norm(ready.object_position(name) - moved) < 0.03
    rows = np.array(expert.targets)
    assert rows.dtype == np.float32
    assert ((rows >= LOWEST) & (rows <= HIGHEST)).all()
    steps = np.abs(np.diff(rows, axis=0))
    assert steps[:, :7].max() < ARM_STEP + 1e-5
    assert steps[:, 7:].max() < HAND_STEP + 1e-5


def test_the_expert_reports_every_step_and_refuses_the_impossible(ready):
    plan = next(grasps(ready, ready.objects[0], rng("test", "lift")))
    times = []
    expert = ScriptedExpert(ready, lambda: times.append(ready.data.time))
    start = ready.data.time
    expert.move(plan.standoff, plan.open_hand, least=3)
    assert len(times) == len(expert.targets) >= 3
    assert np.allclose(np.diff([start, *times]), 0.1)
    assert np.allclose(expert.targets[-1], [*plan.standoff, *plan.open_hand], atol=1e-6)
    assert not expert.carry(ready.keypoints[0] + [2.0, 0, 0], plan)
    assert len(times) == len(expert.targets)


def test_side_grasps_put_the_palm_on_edge_beside_a_tall_object(ready):
    name = ready.objects[0]
    points = object_points(ready, name)
    for plan in islice(grasps(ready, name, rng("test", "side"), sides=("side",)), 3):
        palm = plan.turn @ _PALM_TURN
        assert abs(palm[2, 0]) < 0.5, "the palm faces the object across the counter"
        assert abs(palm[2, 1]) > 0.8, "the fingers lie above one another"
        toward = points.mean(axis=0) - plan.wrist
        assert toward @ palm[:, 0] > 0.03, "the object is before the palm"
        assert points[:, 2].min() + 0.05 < plan.wrist[2] < points[:, 2].max()
    rolled = palm_turn(0.3, 0.2, 0.7)
    assert np.allclose(rolled.T @ rolled, np.eye(3), atol=1e-12)
    assert np.allclose(rolled[:, 2], palm_turn(0.3, 0.2)[:, 2]), "a roll leaves the fingers"


def test_low_objects_are_grasped_from_above_only(ready, monkeypatch):
    low = object_points(ready, ready.objects[0])
    low[:, 2] = np.minimum(low[:, 2], low[:, 2].min() + 0.10)
    monkeypatch.setattr("dexbench.envs.motion.grasp.object_pieces", lambda *_: [low])
    assert not list(grasps(ready, ready.objects[0], rng("low"), sides=("side",)))


def test_a_tall_object_is_grasped_from_above_and_from_the_side(ready):
    found = set()
    for key in range(12):
        plan = next(grasps(ready, ready.objects[0], rng("both", key)))
        found.add(bool(abs((plan.turn @ _PALM_TURN)[2, 0]) < 0.5))
    assert found == {True, False}


@pytest.mark.parametrize("instance", [0, 3, 4])  # of middle, largest and smallest size
def test_what_is_too_wide_above_is_grasped_from_the_side_only(instance):
    recipe = draw_recipe(rng("test", "vase"), "train", "flower_vase")
    recipe["objects"][0]["instance"] = f"flower_vase_{instance}"
    scene = build_scene(recipe)
    sim = Simulation(scene.xml, scene.objects)
    sim.set_joints(READY)
    ScriptedExpert(sim).hold(10)
    name = scene.objects[0]
    vase, flowers = object_pieces(sim, name)
    table = vase[:, 2].min()
    assert np.ptp(flowers[:, :2], axis=0).min() > WIDEST > np.ptp(vase[:, :2], axis=0).max()
    assert flowers[:, 2].min() > table + SIDE_REACH
    assert not list(grasps(sim, name, rng("top"), sides=("top",)))
    for plan in islice(grasps(sim, name, rng("side")), 5):
        palm = plan.turn @ _PALM_TURN
        assert abs(palm[2, 0]) < 0.5, "the palm faces it across the counter"
        middle = plan.wrist + plan.turn @ PALM_POS
        assert middle[2] + HALF_HAND * abs(palm[2, 1]) < flowers[:, 2].min() + 1e-9
    plan = find_grasp(sim, name, rng("side"))
    assert plan is not None
    expert = ScriptedExpert(sim)
    expert.grasp(plan)
    assert expert.carry(plan.wrist + [0, 0, LIFT], plan)
    assert object_points(sim, name)[:, 2].min() - table > 0.04
    assert sim.hand_touches(name)


def test_grasps_too_far_from_the_wrist_are_not_tried(ready):
    name = ready.objects[0]
    place = ready.object_position(name)
    plan = find_grasp(ready, name, rng("test", "near"), farthest=0.15)
    assert plan is not None
    assert np.linalg.norm(plan.wrist - place) < 0.15
    assert find_grasp(ready, name, rng("test", "near"), farthest=0.05) is None


def test_a_found_grasp_was_tried_and_lifts_the_object(ready, monkeypatch):
    name = ready.objects[0]
    before = ready.get_state()
    plan = find_grasp(ready, name, rng("test", "find"))
    assert plan is not None
    assert np.array_equal(ready.get_state(), before), "trying leaves no trace"
    height = ready.object_position(name)[2]
    expert = ScriptedExpert(ready)
    expert.grasp(plan)
    assert expert.carry(plan.wrist + [0, 0, 0.08], plan)
    assert ready.object_position(name)[2] - height > LIFTED
    ready.set_state(before)
    monkeypatch.setattr(expert_module, "LIFTED", 0.5)
    assert find_grasp(ready, name, rng("test", "find")) is None, "no grasp lifts it so far"
    assert np.array_equal(ready.get_state(), before)
