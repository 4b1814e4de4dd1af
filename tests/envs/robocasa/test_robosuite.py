import os
import subprocess
import sys

import numpy as np
import pytest

from dexbench.envs.embodiment.robot import INIT_ARM, MUJOCO_JOINTS, OPEN_HAND


@pytest.fixture(scope="module")
def env():
    from dexbench.envs.robocasa.robosuite_patches import quiet

    with quiet():
        import robosuite

        from dexbench.envs.robocasa import robot as register  # noqa: F401

        env = robosuite.make(
            "Lift",
            robots="FrankaTMRAllegro",
            has_renderer=False,
            has_offscreen_renderer=False,
            use_camera_obs=False,
            initialization_noise=None,
        )
    yield env
    env.close()


def joints(env):
    data = env.sim.data._data
    return np.array([data.joint(name).qpos[0] for name in MUJOCO_JOINTS])


def test_robot_starts_in_its_pose_with_its_parts(env):
    env.reset()
    assert np.allclose(joints(env), [*INIT_ARM, *OPEN_HAND], atol=1e-6)
    robot = env.robots[0]
    assert robot.arms == ["right", "left"]
    assert set(robot.part_controllers) == {"right", "left", "base", "right_gripper", "left_gripper"}
    # Two arm poses, two hands of 16 and the base.
    assert env.action_dim == 2 * 6 + 2 * 16 + 3


def test_stock_controllers_hold_the_arm(env):
    env.reset()
    low, high = env.action_spec
    assert np.isfinite([low, high]).all()
    start = env.observation_spec()["robot0_right_eef_pos"].copy()
    for _ in range(10):
        obs, reward, done, _ = env.step(np.zeros(env.action_dim))
    assert all(np.isfinite(value).all() for value in obs.values())
    assert np.isfinite(reward)
    assert not done
    assert np.linalg.norm(obs["robot0_right_eef_pos"] - start) < 0.02, "the arm holds still"


def test_stock_controllers_open_and_close_the_hand(env):
    env.reset()
    bends = {}
    for command in (-1.0, 1.0):
        action = env.robots[0].create_action_vector({"right_gripper": np.full(16, command)})
        for _ in range(25):
            env.step(action)
        # The three flexing joints of index, middle and ring.
        bends[command] = joints(env)[7:19].reshape(3, 4)[:, 1:].sum(axis=1)
    assert bends[-1.0].max() < 0
    assert bends[1.0].min() > 3


def test_arm_follows_a_pose_command(env):
    obs = env.reset()
    start = obs["robot0_right_eef_pos"]
    action = env.robots[0].create_action_vector({"right": np.array([0, 0, 1.0, 0, 0, 0])})
    for _ in range(10):
        obs, *_ = env.step(action)
    moved = obs["robot0_right_eef_pos"] - start
    assert moved[2] > 0.05
    assert np.abs(moved[:2]).max() < 0.5 * moved[2]


def test_every_name_is_registered():
    from robosuite.models.bases import BASE_MAPPING
    from robosuite.models.grippers import GRIPPER_MAPPING
    from robosuite.robots import ROBOT_CLASS_MAPPING

    from dexbench.envs.robocasa import robot as register  # noqa: F401

    assert "FrankaTMRAllegro" in ROBOT_CLASS_MAPPING
    assert {"AllegroRight", "AllegroLeft"} <= set(GRIPPER_MAPPING)
    assert "TMRBase" in BASE_MAPPING


@pytest.mark.parametrize(
    "code",
    [
        "from dexbench.envs.robocasa import robot",
        "from dexbench.envs.robocasa.patches import import_robocasa; import_robocasa()",
        "from dexbench.bench.machine.doctor import DoctorConfig, check_robosuite;"
        "(finding,) = check_robosuite(DoctorConfig()); assert finding.status == 'ok', finding",
    ],
)
def test_the_gpu_that_renders_need_not_be_one_that_computes(code):
    """robosuite asserts that it is, when it is imported."""
    chosen = {"CUDA_VISIBLE_DEVICES": "GPU-8f2e", "MUJOCO_EGL_DEVICE_ID": "1"}
    check = "; import os; assert os.environ['MUJOCO_EGL_DEVICE_ID'] == '1'"
    subprocess.run([sys.executable, "-c", code + check], env=os.environ | chosen, check=True)
