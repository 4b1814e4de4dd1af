"""RoboCasa's own tasks with dexbench's robot and RoboCasa's stock controllers."""

import numpy as np
import pytest

from dexbench.envs.scenes.recipe import BASE_HEIGHT, COUNTER_FRONT
from dexbench.utils.errors import UserError
from dexbench.utils.seeding import rng

OPTIONS = {
    "robots": "FrankaTMRAllegro",
    "has_offscreen_renderer": False,
    "use_camera_obs": False,
    "seed": 0,
}


def make(name, **options):
    import robosuite

    from dexbench.envs.robocasa.robosuite_patches import quiet
    from dexbench.envs.robocasa.tasks import generated_kitchen

    with quiet():
        return robosuite.make(name, **OPTIONS | (options or generated_kitchen("straight")))


@pytest.fixture(scope="module", params=["OpenCabinet", "PickPlaceCounterToCabinet"])
def env(request):
    env = make(request.param)
    yield env
    env.close()


def test_ten_random_steps_after_each_of_two_resets(env):
    stream = rng("test", "robocasa task")
    names = []
    for _ in range(2):
        env.reset()
        names.append(sorted(env.fixtures))
        low, high = env.action_spec
        # Two arms by pose, two hands of 16 joints, the base.
        assert low.shape == (2 * 6 + 2 * 16 + 3,)
        base = env.sim.data._data.body("mobilebase0_base").xpos
        # The counter's front is at y = -0.65; RoboCasa moves the robot by up to 5 cm at random.
        assert base[1] == pytest.approx(-0.65 - COUNTER_FRONT, abs=0.06)
        assert base[2] == pytest.approx(BASE_HEIGHT, abs=1e-3)
        assert not env._check_success()
        for _ in range(10):
            obs, reward, _, _ = env.step(stream.uniform(low, high))
            assert all(np.isfinite(value).all() for value in obs.values())
            assert np.isfinite(reward)
    assert names[0] == names[1], "RoboCasa would rename the fixtures at each reset"


def test_the_cabinet_opens_and_the_object_lies_on_the_counter(env):
    env.reset()
    if hasattr(env, "fxtr"):
        assert not env._check_success()
        env.fxtr.open_door(env)
        assert env._check_success()
    else:
        joints = env.cab.get_joint_state(env, env.cab.door_joint_names)
        assert all(value > 0.9 for value in joints.values()), "the task opens the door"
        height = env.sim.data._data.body("obj_main").xpos[2]
        assert 0.9 < height < 1.1


def test_robocasas_own_layouts_need_its_assets():
    from dexbench.envs.assets import asset_root
    from dexbench.envs.robocasa.patches import import_robocasa

    if import_robocasa().models.assets_root != str(asset_root()):
        pytest.skip("RoboCasa's assets are here")
    env = make("OpenCabinet", layout_ids=1, style_ids=1, renderer="mujoco")
    with pytest.raises(UserError, match="download_kitchen_assets --type fixtures_lw`"):
        env.reset()
    env.close()


def test_an_unknown_generated_kitchen_is_refused():
    from dexbench.envs.robocasa.tasks import generated_kitchen

    with pytest.raises(UserError, match="no layout 'castle'; choose one of straight"):
        generated_kitchen("castle")
