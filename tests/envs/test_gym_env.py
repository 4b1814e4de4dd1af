import copy
import dataclasses
import pickle
import re
import warnings
from concurrent.futures import ThreadPoolExecutor

import gymnasium
import numpy as np
import pytest
from gymnasium import spaces
from gymnasium.utils.env_checker import check_env, data_equivalence
from gymnasium.wrappers import RescaleAction

from dexbench.envs import gym_env, task_envs
from dexbench.envs.embodiment.robot import HIGHEST, LOWEST
from dexbench.envs.scenes.recipe import draw_recipe
from dexbench.envs.scenes.scene import Scene
from dexbench.envs.simulation import Simulation
from dexbench.envs.suite import Suite
from dexbench.envs.task_names import TASKS, env_id, suite_of
from dexbench.envs.tasks import Outcome, draw
from dexbench.envs.tasks.bank import Bank
from dexbench.envs.trial import STEPS
from dexbench.utils.errors import UserError

IDS = {
    "reach": "dexbench/Reach-v1",
    "grasp": "dexbench/Grasp-v1",
    "place": "dexbench/Place-v1",
}


@pytest.fixture(scope="module", autouse=True)
def _share_simulations(reused_simulations):
    """Every test here resets the same few scenes."""


@pytest.fixture(scope="module")
def environments(reused_simulations):
    environments = {task: gymnasium.make(name).unwrapped for task, name in IDS.items()}
    yield environments
    for env in environments.values():
        env.close()


@pytest.fixture
def env(environments, suite_folder):
    """Grasp, at the start of the tiny suite's trial."""
    env = environments["grasp"]
    env.reset(options={"trial": 0, "suite": str(suite_folder)})
    env.render_observations = False
    yield env
    env.render_observations = True


def start(env, suite_folder, **more):
    return env.reset(options={"trial": 0, "suite": str(suite_folder)}, **more)


@pytest.mark.parametrize("task", IDS)
def test_ids_have_the_protocols_spaces(environments, task):
    env = environments[task]
    assert env.task_name == task
    assert isinstance(env.action_space, spaces.Box)
    assert env.action_space.shape == (23,)
    assert env.action_space.dtype == np.float32
    assert np.array_equal(env.action_space.low, LOWEST)
    assert np.array_equal(env.action_space.high, HIGHEST)
    shapes = {key: (box.shape, box.dtype) for key, box in env.observation_space.spaces.items()}
    assert shapes == {
        "pixels": ((224, 392, 3), np.uint8),
        "goal": ((224, 392, 3), np.uint8),
        "agent_pos": ((23,), np.float32),
        "agent_target": ((23,), np.float32),
        "keypoints": ((21, 3), np.float32),
        "steps_left": ((1,), np.int64),
    }
    assert env.metadata["render_fps"] == 10
    # The docstring is the task's data sheet.
    for heading in ("## Reward", "## Starting state", "## Version history"):
        assert heading in type(env).__doc__


@pytest.mark.parametrize("task", IDS)
def test_reset_loads_a_trial_of_a_suite(environments, suite_folder, trials, task):
    env = environments[task]
    obs, info = start(env, suite_folder)
    assert env.observation_space.contains(obs)
    assert info["trial_hash"] == trials[task].hash == env.trial.hash
    assert (info["success"], info["is_success"], info["criterion"]) == (False, False, False)
    assert info["distance"] > 0.1
    assert obs["steps_left"] == [60]
    simulation = env.simulation
    assert np.array_equal(obs["pixels"], simulation.render())
    assert np.array_equal(obs["agent_pos"], simulation.joint_positions.astype(np.float32))
    assert np.array_equal(obs["keypoints"], simulation.keypoints_camera.astype(np.float32))
    assert np.allclose(obs["agent_target"], simulation.joint_targets, atol=1e-6)
    state = simulation.get_state()
    simulation.set_state(trials[task].goal_state)
    assert np.array_equal(obs["goal"], simulation.render())
    assert not np.array_equal(obs["goal"], obs["pixels"])
    assert np.array_equal(env.goal.keypoints, simulation.keypoints)
    simulation.set_state(state)


@pytest.mark.parametrize(
    ("action", "message"),
    [
        (np.zeros(22, np.float32), "shape (23,)"),
        (np.zeros((1, 23), np.float32), "shape (23,)"),
        (np.float32(0), "shape (23,)"),
        (np.full(23, np.nan, np.float32), "joint 0 is not"),
        (np.where(np.arange(23) == 4, np.inf, LOWEST), "joint 4 is not"),
        (np.where(np.arange(23) == 5, 9.0, HIGHEST), "joint 5: target 9.000000 rad is outside"),
        (np.where(np.arange(23) == 3, LOWEST - 1e-3, LOWEST), "joint 3: target"),
        (np.where(np.arange(23) == 3, LOWEST - 2e-6, LOWEST), "joint 3: target"),
    ],
)
def test_bad_actions_are_refused_and_change_nothing(env, action, message):
    before = env.simulation.get_state()
    with pytest.raises(ValueError, match=re.escape(message)):
        env.step(action)
    assert np.array_equal(env.simulation.get_state(), before)
    obs, *_ = env.step(env.simulation.joint_targets.astype(np.float32).clip(LOWEST, HIGHEST))
    assert obs["steps_left"] == [59], "a refused action is not a step"


def test_bounds_themselves_and_other_float_types_are_accepted(env):
    for action in (LOWEST, HIGHEST.astype(np.float64), LOWEST.tolist()):
        obs, *_ = env.step(action)
        assert np.array_equal(obs["agent_target"], np.asarray(action, np.float32))


def test_the_ends_of_a_float32_map_from_minus_1_to_1_are_the_bounds(environments, suite_folder):
    rescaled = RescaleAction(environments["grasp"], np.float32(-1), np.float32(1))
    for end, bound in ((-1, LOWEST), (1, HIGHEST)):
        start(rescaled, suite_folder)
        action = np.full(23, end, np.float32)
        sent = rescaled.action(action)
        assert ((sent < LOWEST) | (sent > HIGHEST)).any(), "else this shows nothing"
        obs, *_ = rescaled.step(action)
        assert environments["grasp"].action_space.contains(obs["agent_target"])
        assert np.allclose(obs["agent_target"], bound, rtol=0, atol=1e-6)


def test_an_episode_has_60_steps_and_the_expert_succeeds(env, trials):
    rows = trials["grasp"].expert_actions
    held = 0
    for i, row in enumerate(rows, start=1):
        env.render_observations = i % 20 == 0
        obs, reward, terminated, truncated, info = env.step(row)
        assert env.observation_space.contains(obs)
        assert obs["steps_left"] == [60 - i]
        assert np.array_equal(obs["agent_target"], row)
        assert reward == float(info["criterion"])
        assert isinstance(reward, float)
        assert terminated is False
        assert truncated is (i == 60)
        assert np.isfinite(info["distance"])
        held = held + 1 if info["criterion"] else 0
        assert info["success"] is info["is_success"] is (held >= 10)
        assert "trial_hash" not in info
    assert info["success"]
    assert env.step(rows[-1])[3] is True, "going on stays truncated"
    assert env.step(rows[-1])[0]["steps_left"] == [0]


def test_success_is_ten_steps_in_a_row_up_to_now(env, suite_folder, monkeypatch):
    pattern = "1" * 9 + "0" + "1" * 12 + "0" + "1" * 3
    script = iter(["0", *pattern])  # the first is for reset
    monkeypatch.setattr(
        type(env.task), "evaluate", lambda *_: Outcome(holds=next(script) == "1", distance=0.3)
    )
    start(env, suite_folder)
    hold = env.trial.expert_actions[0]
    seen = ""
    for bit in pattern:
        _, reward, _, _, info = env.step(hold)
        assert reward == float(bit)
        seen += str(int(info["success"]))
    assert seen == "0" * 19 + "1" * 3 + "0" * 4
    script = iter("0" + "1" * 9)
    start(env, suite_folder)
    assert not any(env.step(hold)[4]["success"] for _ in range(9)), "a reset begins anew"


def test_unrendered_steps_repeat_the_picture_and_change_nothing_else(env, suite_folder, trials):
    rows = trials["grasp"].expert_actions[:3]
    first, _ = start(env, suite_folder)
    plain = [env.step(row)[0] for row in rows]
    assert all(np.array_equal(obs["pixels"], first["pixels"]) for obs in plain)
    env.render_observations = True
    start(env, suite_folder)
    seen = [env.step(row)[0] for row in rows]
    assert not np.array_equal(seen[2]["pixels"], first["pixels"])
    for a, b in zip(plain, seen, strict=True):
        assert all(np.array_equal(a[key], b[key]) for key in a if key != "pixels")


def test_observations_belong_to_the_caller(env, suite_folder):
    obs, _ = start(env, suite_folder)
    kept = {key: value.copy() for key, value in obs.items()}
    action = obs["agent_target"]
    for value in obs.values():
        value[...] = 0
    after, *_ = env.step(np.clip(kept["agent_target"], LOWEST, HIGHEST))
    assert np.array_equal(after["goal"], kept["goal"])
    assert np.array_equal(after["pixels"], kept["pixels"])
    assert not action.any()
    assert np.array_equal(after["agent_target"], kept["agent_target"])


def test_render_shows_the_observation(suite_folder):
    with pytest.raises(ValueError, match="render_mode"):
        task_envs.GraspEnv(render_mode="human")
    env = task_envs.GraspEnv(render_mode="rgb_array")
    with pytest.raises(gymnasium.error.ResetNeeded, match="reset"):
        env.render()
    with pytest.raises(gymnasium.error.ResetNeeded, match="reset"):
        env.step(LOWEST)
    obs, _ = start(env, suite_folder)
    assert np.array_equal(env.render(), obs["pixels"])
    env.close()
    env.close()


def test_without_a_render_mode_nothing_is_rendered(env):
    assert env.render() is None


@pytest.mark.parametrize("again", [copy.deepcopy, lambda env: pickle.loads(pickle.dumps(env))])
def test_a_copy_continues_bit_for_bit_and_alone(suite_folder, trials, again, monkeypatch):
    monkeypatch.setattr(gym_env, "Simulation", Simulation)
    rows = trials["grasp"].expert_actions
    env = gymnasium.make(IDS["grasp"])
    start(env, suite_folder)
    env.unwrapped.render_observations = False
    for row in rows[:40]:
        env.step(row)
    env.unwrapped.render_observations = True
    other = again(env)
    assert other.unwrapped.simulation.data is not env.unwrapped.simulation.data
    assert other.unwrapped.simulation.hand_touches() is env.unwrapped.simulation.hand_touches()
    kept = env.unwrapped.simulation.get_state()
    theirs = [other.step(row) for row in rows[40:43]]
    assert np.array_equal(env.unwrapped.simulation.get_state(), kept), "the copy moves alone"
    mine = [env.step(row) for row in rows[40:43]]
    assert data_equivalence(mine, theirs, exact=True)
    state = env.unwrapped.simulation.get_state()
    assert np.array_equal(other.unwrapped.simulation.get_state(), state)
    _, _, _, truncated, info = [other.step(row) for row in rows[43:]][-1]
    assert truncated and info["success"]
    env.close()
    other.close()


def test_environments_of_other_tasks_are_copied_too(suite_folder):
    env = task_envs.make_env("reach")
    start(env, suite_folder)
    other = pickle.loads(pickle.dumps(env))
    assert other.task_name == "reach" and other.trial.hash == env.trial.hash
    env.close()


def test_any_thread_may_step_reset_and_close(suite_folder, trials, monkeypatch):
    monkeypatch.setattr(gym_env, "Simulation", Simulation)  # a renderer of its own at each reset
    rows = trials["grasp"].expert_actions
    env = task_envs.GraspEnv()
    alone, _ = start(env, suite_folder)
    here = env.step(rows[0])[0]
    with ThreadPoolExecutor(1) as pool, ThreadPoolExecutor(1) as another:
        first, _ = pool.submit(start, env, suite_folder).result(60)
        there = another.submit(env.step, rows[0]).result(60)[0]
        assert data_equivalence(first, alone, exact=True)
        assert data_equivalence(there, here, exact=True)
        onward = env.step(rows[1])[0]
        assert env.observation_space.contains(onward)
        another.submit(env.close).result(60)


def test_the_specification_says_how_long_an_episode_is():
    for name in IDS.values():
        assert gymnasium.spec(name).max_episode_steps == STEPS == 60


def test_bad_resets_are_refused(env, suite_folder):
    with pytest.raises(ValueError, match=r"unknown reset options \['tral'\]"):
        env.reset(options={"tral": 0})
    with pytest.raises(ValueError, match="'fresh' draws a training trial"):
        env.reset(options={"trial": 0, "fresh": True})
    with pytest.raises(ValueError, match="'suite' needs 'trial'"):
        env.reset(options={"suite": "v1"})
    with pytest.raises(UserError, match="no suite 'v9'"):
        env.reset(options={"trial": 0, "suite": "v9"})
    for index in (-1, 1):
        with pytest.raises(UserError, match=f"asked for {index}"):
            env.reset(options={"trial": index, "suite": str(suite_folder)})


@pytest.fixture(scope="module")
def little_bank(tmp_path_factory):
    """A bank of two trials of each task, of the shipped suites' kitchens, in place of the real."""
    bank = Bank(tmp_path_factory.mktemp("bank"))
    for number, task in enumerate(task for task in TASKS for _ in range(2)):
        trial = Suite.load(suite_of(task)).trial(task, 30 + number)
        scene = Scene(trial.xml, trial.objects, trial.instances, trial.recipe)
        bank.save_scene(number, scene)
        bank.save_trial(number, trial)
        bank.hashes.setdefault(task, {})[number] = trial.hash
    bank.save_index()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Bank, "packaged", staticmethod(lambda: bank))
        yield bank


def test_a_training_seed_gives_the_same_trial_whatever_came_before(
    environments, suite_folder, little_bank
):
    env = environments["grasp"]
    first, info = env.reset(seed=42)
    mine = env.trial
    assert mine.recipe["redrawn"] == ["train", 42]
    others = [env.reset(seed=seed)[1]["trial_hash"] for seed in range(3)]
    start(env, suite_folder)
    env.step(env.trial.expert_actions[0])
    again, repeated = env.reset(seed=42)
    assert repeated == info
    assert len({info["trial_hash"], *others}) == 4
    assert data_equivalence(first, again, exact=True)
    fresh = task_envs.GraspEnv()
    assert data_equivalence(fresh.reset(seed=42)[0], first, exact=True)
    fresh.close()
    env.render_observations = False
    last = [env.step(row)[4] for row in mine.expert_actions][-1]
    env.render_observations = True
    assert last["success"]


def test_vector_environments_draw_from_the_bank_too(environments, little_bank):
    envs = gymnasium.make_vec(IDS["reach"], num_envs=2, vectorization_mode="sync")
    envs.reset(seed=[6, 5])
    obs, info = envs.reset(seed=[5, 6])
    env = environments["reach"]
    for number, seed in enumerate((5, 6)):
        alone, told = env.reset(seed=seed)
        assert info["trial_hash"][number] == told["trial_hash"]
        for key, value in alone.items():
            assert np.array_equal(obs[key][number], value), key
    assert info["trial_hash"][0] != info["trial_hash"][1]
    envs.close()


def test_a_kitchen_is_drawn_afresh_where_it_is_asked_for(environments, trials, monkeypatch):
    drawn = []

    def draw_trial(task, key, split, kitchen):
        drawn.append((task.name, key, split, kitchen))
        return trials["place"]

    monkeypatch.setattr(draw, "draw_trial", draw_trial)
    env = environments["place"]
    env.reset(seed=5, options={"fresh": True})
    assert drawn == [("place", ("train", 5), "train", draw_recipe)]
    assert env.trial is trials["place"]
    own = task_envs.PlaceEnv(kitchen=draw.KITCHENS["robocasa"])
    own.reset(seed=6)
    assert drawn[1:] == [("place", ("train", 6), "train", draw.KITCHENS["robocasa"])]
    own.close()


def check(env):
    """Runs Gymnasium's checker; its only advice may be to normalise actions."""
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        check_env(env)
    texts = {str(item.message) for item in caught if "WARN" in str(item.message)}
    assert len(texts) == 1, texts
    assert "symmetric and normalized space" in texts.pop()


@pytest.mark.parametrize("task", TASKS)
def test_gymnasiums_checker_only_advises_to_normalise(little_bank, task):
    env = gymnasium.make(env_id(task)).unwrapped
    check(env)
    env.close()


@pytest.mark.slow
@pytest.mark.parametrize("task", IDS)
def test_a_fresh_kitchen_is_a_function_of_the_seed(environments, task):
    env = environments[task]
    hashes = []
    for seed in (42, 7, 42):
        hashes.append(env.reset(seed=seed, options={"fresh": True})[1]["trial_hash"])
    assert hashes[0] == hashes[2] != hashes[1]
    assert env.trial.recipe["split"] == "train"
    # Bit for bit: the expert passes through the very state that the goal shows.
    env.render_observations = False
    moving = 1 + env.simulation.model.nq + env.simulation.model.nv
    states = []
    for row in env.trial.expert_actions:
        last = env.step(row)[4]
        states.append(env.simulation.get_state()[:moving])
    env.render_observations = True
    assert any(np.array_equal(state, env.trial.goal_state[:moving]) for state in states)
    assert last["success"]


def test_a_goal_is_drawn_without_the_robot_where_the_task_or_the_caller_says(
    environments, suite_folder, trials
):
    env, trial = environments["place"], trials["place"]
    shown = start(env, suite_folder)[0]["goal"]
    options = {"trial": 0, "suite": str(suite_folder), "hide_robot": True}
    obs, info = env.reset(options=options)
    env.simulation.set_state(trial.goal_state)
    assert np.array_equal(obs["goal"], env.simulation.render(robot=False))
    assert not np.array_equal(obs["goal"], shown)
    assert info["trial_hash"] == trial.hash, "it is the same trial"
    assert np.array_equal(start(env, suite_folder)[0]["goal"], shown), "for one episode"
    carry = gymnasium.make("dexbench/Carry-v1").unwrapped
    begun = carry.begin(dataclasses.replace(trial, task="carry"))[0]
    assert np.array_equal(begun["goal"], obs["goal"])
    assert np.array_equal(begun["pixels"], obs["pixels"]), "the robot itself is seen"


def test_a_training_trials_goal_is_drawn_without_the_robot_too(environments, little_bank):
    env = environments["place"]
    shown, info = env.reset(seed=3)
    hidden, same = env.reset(seed=3, options={"hide_robot": True})
    assert same == info, "it is the same trial"
    env.simulation.set_state(env.trial.goal_state)
    assert np.array_equal(hidden["goal"], env.simulation.render(robot=False))
    assert np.array_equal(shown["goal"], env.simulation.render())
    assert np.array_equal(hidden["pixels"], shown["pixels"])


def test_a_trial_is_of_the_tasks_own_suite_by_default(monkeypatch):
    asked = []

    def load(name):
        asked.append(name)
        raise UserError("none")

    monkeypatch.setattr(gym_env.Suite, "load", load)
    for name in ("Reach", "Push"):
        with pytest.raises(UserError):
            gymnasium.make(f"dexbench/{name}-v1").unwrapped.reset(options={"trial": 0})
    assert asked == ["v1", "v2"]
