import xml.etree.ElementTree as ET

import mujoco
import numpy as np
import pytest

from dexbench.envs.assets import asset_root
from dexbench.envs.embodiment.arms_mjcf import ARM_TORQUE
from dexbench.envs.embodiment.robot import INIT_LEFT_ARM, LOWER, MUJOCO_JOINTS, OPEN_HAND, UPPER
from dexbench.envs.freeze import ASSETS, _compiled, freeze, load
from dexbench.envs.robocasa.build import build_scene


@pytest.fixture(scope="module")
def built(scene):
    """What robosuite made of the scene's recipe, before freezing."""
    from dexbench.envs.robocasa.kitchen import kitchen_xml

    return kitchen_xml(scene.recipe)


@pytest.fixture(scope="module")
def model(scene):
    return load(scene.xml, asset_root())


def test_freezing_is_a_function_of_the_recipe(scene):
    again = build_scene(scene.recipe)
    assert again == scene


def test_only_the_right_arm_the_hand_and_the_objects_move(model, scene):
    hinges = [model.joint(i).name for i in range(model.njnt) if model.jnt_type[i] != 0]
    assert tuple(hinges) == MUJOCO_JOINTS
    free = [
        model.body(model.jnt_bodyid[i]).name for i in range(model.njnt) if not model.jnt_type[i]
    ]
    assert tuple(free) == scene.objects
    assert model.nv == 23 + 6 * len(scene.objects)


def test_actuators_are_joint_servos_in_action_order(model):
    assert model.nu == 23
    driven = [model.joint(model.actuator(i).trnid[0]).name for i in range(23)]
    assert tuple(driven) == MUJOCO_JOINTS
    assert np.abs(model.actuator_ctrlrange - np.stack([LOWER, UPPER], axis=1)).max() < 1e-6
    # A position servo pushes with gain * (target - angle).
    assert np.allclose(model.actuator_gainprm[:, 0], -model.actuator_biasprm[:, 1])
    assert (model.actuator_gainprm[:, 0] > 0).all()
    assert np.allclose(model.actuator_forcerange[:7, 1], ARM_TORQUE)
    assert model.actuator_forcelimited.all()


def test_bodies_stand_where_robosuite_had_them(model, built):
    before = mujoco.MjModel.from_xml_string(built)
    old, new = mujoco.MjData(before), mujoco.MjData(model)
    for i, angle in enumerate(INIT_LEFT_ARM, start=1):
        old.joint(f"robot0_left_fr3_joint{i}").qpos = angle
    for data in (old, new):
        for i, name in enumerate(MUJOCO_JOINTS):
            data.joint(name).qpos = LOWER[i] + 0.3 * (UPPER[i] - LOWER[i])
    old.joint("gripper0_left_joint_12.0").qpos = OPEN_HAND[12]
    mujoco.mj_kinematics(before, old)
    mujoco.mj_kinematics(model, new)
    assert model.nbody == before.nbody
    for i in range(before.nbody):
        name = before.body(i).name
        assert np.abs(old.xpos[i] - new.body(name).xpos).max() < 1e-6, name
        assert np.abs(old.xmat[i] - new.body(name).xmat).max() < 1e-6, name


def test_the_arm_carries_its_own_weight(scene):
    model = load(scene.xml, asset_root())
    model.opt.disableflags |= mujoco.mjtDisableBit.mjDSBL_CONTACT
    data = mujoco.MjData(model)
    addresses = [model.joint(name).qposadr[0] for name in MUJOCO_JOINTS]
    start = LOWER + 0.5 * (UPPER - LOWER)
    data.qpos[addresses] = data.ctrl[:] = start
    mujoco.mj_step(model, data, 500)
    assert np.abs(data.qpos[addresses] - start).max() < 1e-3


def test_physics_options_are_the_protocols(model):
    assert model.opt.timestep == 0.002
    assert model.opt.enableflags & mujoco.mjtEnableBit.mjENBL_MULTICCD
    assert model.opt.cone == mujoco.mjtCone.mjCONE_ELLIPTIC
    assert model.opt.integrator == mujoco.mjtIntegrator.mjINT_IMPLICITFAST
    names = {model.camera(i).name for i in range(model.ncam)}
    assert "robot0_head" in names
    assert len(names) <= 2


def test_text_is_the_same_on_every_machine(scene, built):
    assert str(asset_root()) not in scene.xml
    files = [item.get("file") for item in ET.fromstring(scene.xml).iter() if item.get("file")]
    assert len(files) > 20
    assert all(name.startswith(f"{ASSETS}/") for name in files)
    assert all((asset_root() / name.removeprefix(f"{ASSETS}/")).exists() for name in files)
    with pytest.raises(ValueError, match="outside the asset cache"):
        freeze(built, {}, asset_root() / "robots")


def test_a_scene_is_compiled_once_and_what_a_caller_changes_is_the_callers(scene):
    first = load(scene.xml, asset_root())
    kept = first.mat_rgba.copy()
    first.mat_rgba[:] = 0.5
    first.light_diffuse[:] = 0
    misses = _compiled.cache_info().misses
    second = load(scene.xml, asset_root())
    assert _compiled.cache_info().misses == misses
    assert np.array_equal(second.mat_rgba, kept)
    assert second.light_diffuse.any()
