"""Wrappers for other libraries: what those ask of an environment, and the libraries themselves."""

import gymnasium
import numpy as np
import pytest
from gymnasium.wrappers import RescaleAction

from dexbench.envs.suite import Suite, write_index
from dexbench.envs.wrappers import FrozenTrials, ResizePictures, WorldAdapter
from dexbench.utils.errors import UserError
from dexbench.utils.video import downsample

REACH, GRASP = "dexbench/Reach-v1", "dexbench/Grasp-v1"


@pytest.fixture(scope="module", autouse=True)
def _share_simulations(reused_simulations):
    """Every test here resets the same few scenes."""


def test_a_world_renders_the_picture_and_success_ends_the_episode(suite_folder, trials):
    plain = gymnasium.make(GRASP)
    env = WorldAdapter(gymnasium.make(GRASP, render_mode="rgb_array"))
    options = {"trial": 0, "suite": str(suite_folder)}
    assert env.render() is None
    whole, _ = plain.reset(options=options)
    first = plain.step(trials["grasp"].expert_actions[0])[0]
    obs, _ = env.reset(options=options)
    assert env.observation_space.contains(obs) and "pixels" not in obs
    assert np.array_equal(env.render(), whole["pixels"])
    env.render()[:] = 0
    assert np.array_equal(env.render(), whole["pixels"]), "the caller's to change"
    for step, row in enumerate(trials["grasp"].expert_actions, 1):
        _, reward, terminated, truncated, info = env.step(row)
        if step == 1:
            assert np.array_equal(env.render(), first["pixels"])
        assert terminated is info["success"]
        if terminated:
            break
    assert 10 <= step <= 60 and reward == 1.0 and not (truncated and step < 60)


def test_pictures_are_made_smaller_and_nothing_else(suite_folder):
    plain, env = gymnasium.make(REACH), ResizePictures(gymnasium.make(REACH))
    options = {"trial": 0, "suite": str(suite_folder)}
    whole, small = (e.reset(options=options)[0] for e in (plain, env))
    assert env.observation_space.contains(small)
    for key in whole:
        expected = downsample(whole[key], (56, 98)) if key in ("pixels", "goal") else whole[key]
        assert np.array_equal(small[key], expected), key
    with pytest.raises(ValueError, match="whole multiple of 60x100"):
        ResizePictures(gymnasium.make(REACH), (60, 100))


def test_frozen_trials_follow_one_another():
    env = FrozenTrials(gymnasium.make(REACH, disable_env_checker=True), "mini")
    started = []
    base = env.unwrapped
    base.begin = lambda trial, hide_robot=False: (started.append(trial.hash), ({}, {}))[1]
    suite = Suite.load("mini")
    for seed in (3, None, None, 11, None):
        env.reset(seed=seed)
    assert started == [suite.trial_hash("reach", index) for index in (3, 4, 0, 1, 2)]


def test_frozen_trials_of_another_task_are_refused(suite_folder, tmp_path):
    write_index(tmp_path, {"grasp": []}, {})
    with pytest.raises(UserError, match="has no reach trials"):
        FrozenTrials(gymnasium.make(REACH), tmp_path)
    with pytest.raises(UserError, match="no suite 'v9'"):
        FrozenTrials(gymnasium.make(REACH), "v9")


def test_stable_worldmodel_evaluates_and_collects(suite_folder, tmp_path):
    swm = pytest.importorskip("stable_worldmodel")
    world = swm.World(REACH, num_envs=2, image_shape=(112, 196), pre_wrappers=[WorldAdapter])
    world.set_policy(swm.policy.RandomPolicy(seed=0))
    options = {"trial": 0, "suite": str(suite_folder)}
    assert world.evaluate(episodes=2, options=options)["success_rate"] == 0
    assert world.infos["pixels"].shape == world.infos["goal"].shape == (2, 1, 112, 196, 3)
    world.collect(tmp_path / "set.lance", episodes=2, options=options, progress=False)
    assert list((tmp_path / "set.lance").iterdir())
    world.close()


@pytest.mark.parametrize("name", ["SAC", "TD3", "PPO"])
def test_stable_baselines3_trains(suite_folder, name):
    baselines = pytest.importorskip("stable_baselines3")
    env = ResizePictures(FrozenTrials(gymnasium.make(REACH), suite_folder))
    env = RescaleAction(env, np.float32(-1), np.float32(1))
    few = {"n_steps": 64, "n_epochs": 1} if name == "PPO" else {"learning_starts": 62}
    few |= {} if name == "PPO" else {"buffer_size": 200}
    model = getattr(baselines, name)("MultiInputPolicy", env, **few)
    model.learn(64)
    action, _ = model.predict(env.reset()[0])
    assert env.action_space.contains(action)


def test_stable_baselines3_needs_no_wrapper_for_its_actions(suite_folder):
    baselines = pytest.importorskip("stable_baselines3")
    env = ResizePictures(FrozenTrials(gymnasium.make(REACH), suite_folder))
    model = baselines.TD3("MultiInputPolicy", env, buffer_size=10)
    env.reset()
    for end in (-1, 1):
        env.step(model.policy.unscale_action(np.full(23, end, np.float32)))
