"""Environments that share a process, or follow one another in it, leave each other alone."""

import gc
import os
import subprocess
import sys
from pathlib import Path

import gymnasium
import numpy as np
import pytest

from dexbench.envs.embodiment.robot import HIGHEST, LOWEST
from dexbench.utils.errors import UserError

STEPS = 4
FIRST_RUN = """
import sys, numpy as np, gymnasium, dexbench
env = gymnasium.make("dexbench/Grasp-v1")
obs, _ = env.reset(options={"trial": 0, "suite": "v1"})
np.savez(sys.argv[1], gl=env.unwrapped.simulation.gl_renderer, **obs)
env.close()
"""
"""What a process of its own plays."""


NEIGHBOUR = """
import gc, mujoco, numpy as np
from dexbench.envs.rendering import HeadCamera

SCENE = (
    "<mujoco><asset>"
    "<texture name='t' type='2d' builtin='checker' width='64' height='64' rgb1='1 %d 0'/>"
    "<material name='m' texture='t'/></asset><worldbody><light pos='0 0 3'/>"
    "<camera name='robot0_head' pos='0 0 1'/>"
    "<geom type='box' size='.3 .3 .1' material='m' group='1'/></worldbody></mujoco>"
)

def camera(green):
    model = mujoco.MjModel.from_xml_string(SCENE % green)
    data = mujoco.MjData(model)
    mujoco.mj_forward(model, data)
    return HeadCamera(model), data

(mine, state), (other, neighbour) = camera(0), camera(1)
before = mine.render(state)
assert before.std() > 10 and not np.array_equal(before, other.render(neighbour))
mine.render(state)  # so that its context is the current one
del other
gc.collect()
assert np.array_equal(mine.render(state), before)
"""
"""A neighbour that nobody closes is forgotten."""


def target(obs, seed):
    """A joint target [rad] near the present one."""
    move = np.random.default_rng(seed).uniform(-0.05, 0.05, 23)
    return np.clip(obs["agent_target"] + move, LOWEST, HIGHEST).astype(np.float32)


def start(env, trial):
    return env.reset(options={"trial": trial, "suite": "v1"})[0]


def play(name, trial, seed):
    """Pictures ``(STEPS + 1, 224, 392, 3)`` of a trial that has the process to itself."""
    env = gymnasium.make(name)
    obs = start(env, trial)
    seen = [obs["pixels"]]
    for step in range(STEPS):
        obs = env.step(target(obs, seed + step))[0]
        seen.append(obs["pixels"])
    env.close()
    return np.array(seen)


@pytest.mark.parametrize("cycle", ["", "\ncycle = [env]; cycle.append(cycle)"])
def test_an_environment_that_nobody_closed_leaves_in_silence(tmp_path, cycle):
    program = FIRST_RUN.replace("env.close()", "") + cycle
    done = subprocess.run(
        [sys.executable, "-c", program, str(tmp_path / "seen.npz")],
        capture_output=True,
        text=True,
        timeout=300,
    )
    assert done.returncode == 0 and "Exception ignored" not in done.stderr


@pytest.mark.parametrize("backend", ["egl", "osmesa"])
def test_a_forgotten_neighbour_frees_nothing_of_ours(backend):
    done = subprocess.run(
        [sys.executable, "-c", NEIGHBOUR],
        env={**os.environ, "MUJOCO_GL": backend, "PYOPENGL_PLATFORM": backend},
        capture_output=True,
        text=True,
        timeout=300,
    )
    if "has no attribute 'glGetError'" in done.stderr:
        pytest.skip(f"no {backend} here")
    assert done.returncode == 0, done.stderr


@pytest.mark.slow
def test_neighbours_that_come_and_go_change_no_pixel():
    alone = [play("dexbench/Reach-v1", trial, 10 * trial) for trial in range(2)]
    envs = [gymnasium.make("dexbench/Reach-v1") for _ in alone]
    now = [start(env, trial) for trial, env in enumerate(envs)]
    seen = [[obs["pixels"]] for obs in now]
    for step in range(STEPS):
        neighbour = gymnasium.make("dexbench/Grasp-v1")
        start(neighbour, step)
        for trial, env in enumerate(envs):
            now[trial] = env.step(target(now[trial], 10 * trial + step))[0]
            seen[trial].append(now[trial]["pixels"])
        if step % 2:
            neighbour.close()
        del neighbour  # half of them are never closed
        gc.collect()
    for env in envs:
        env.close()
    assert np.array_equal(np.array(seen), np.array(alone))
    assert not np.array_equal(alone[0], alone[1])


def drawn(seed):
    """What one environment shows of the training trial of a seed."""
    env = gymnasium.make("dexbench/Reach-v1")
    obs = env.reset(seed=seed)[0]
    seen = [obs["pixels"]]
    for step in range(STEPS):
        obs = env.step(target(obs, 10 * seed + step))[0]
        seen.append(obs["pixels"])
    env.close()
    return np.array(seen)


@pytest.mark.slow
@pytest.mark.parametrize("mode", ["sync", "async"])
def test_vector_environments_show_what_single_ones_do(mode):
    more = {"context": "spawn"} if mode == "async" else {}
    envs = gymnasium.make_vec(
        "dexbench/Reach-v1", num_envs=2, vectorization_mode=mode, vector_kwargs=more
    )
    envs.reset(seed=[2, 1])  # what came before changes nothing
    obs, info = envs.reset(seed=[1, 2])
    seen = [obs["pixels"].copy()]
    assert len(set(info["trial_hash"])) == 2
    for step in range(STEPS):
        each = [{key: value[i] for key, value in obs.items()} for i in range(2)]
        obs, *_ = envs.step(np.array([target(each[i], 10 * (i + 1) + step) for i in range(2)]))
        seen.append(obs["pixels"].copy())
    envs.close()
    alone = [drawn(seed) for seed in (1, 2)]
    for i in range(2):
        assert np.array_equal(np.array(seen)[:, i], alone[i])
    assert not np.array_equal(*alone)


@pytest.mark.skipif(sys.platform != "linux", reason="elsewhere Python spawns by itself")
@pytest.mark.filterwarnings("ignore")
def test_a_process_forked_from_one_that_renders_is_refused_not_hung():
    env = gymnasium.make("dexbench/Reach-v1")
    start(env, 0)
    envs = gymnasium.make_vec(
        "dexbench/Reach-v1",
        num_envs=1,
        vectorization_mode="async",
        vector_kwargs={"context": "fork"},
    )
    with pytest.raises(UserError, match="forked from one that has rendered.*spawn"):
        envs.reset(options={"trial": 0, "suite": "v1"})
    envs.close()
    env.close()


def first_run(tmp_path, name, **environment):
    """What a process of its own sees at the start of grasp trial 0."""
    path = tmp_path / f"{name}.npz"
    subprocess.run(
        [sys.executable, "-c", FIRST_RUN, str(path)],
        env={**os.environ, **environment},
        check=True,
        capture_output=True,
        timeout=300,
    )
    with np.load(path) as file:
        return dict(file)


@pytest.mark.slow
def test_a_first_run_with_nothing_cached_shows_the_same(tmp_path):
    cold = {
        "DEXBENCH_CACHE": str(tmp_path / "assets"),
        "MESA_SHADER_CACHE_DIR": str(tmp_path / "shaders"),
        "PYTHONPYCACHEPREFIX": str(tmp_path / "bytecode"),
    }
    first, usual = first_run(tmp_path, "cold", **cold), first_run(tmp_path, "warm")
    assert (tmp_path / "assets").is_dir()
    for key in usual:
        assert np.array_equal(first[key], usual[key]), key


@pytest.mark.slow
def test_renderers_draw_the_same_kitchen(tmp_path):
    """EGL and OSMesa, where both are: the same picture but for edges; the row names which."""
    seen = {}
    for backend in ("egl", "osmesa"):
        try:
            seen[backend] = first_run(tmp_path, backend, MUJOCO_GL=backend, PYOPENGL_PLATFORM="")
        except subprocess.CalledProcessError as error:
            if b"dexbench" in error.stderr.splitlines()[-1]:
                raise
    if len(seen) < 2:
        pytest.skip(f"only {sorted(seen)} renders here; `dexbench doctor` says why")
    one, other = seen.values()
    for key in ("pixels", "goal"):
        difference = np.abs(one[key].astype(int) - other[key].astype(int))
        assert difference.mean() < 1 and (difference.max(-1) > 32).mean() < 0.01
    assert np.array_equal(one["agent_pos"], other["agent_pos"])


def resident() -> float:
    """Memory that the process holds, MB."""
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE") / 1e6


@pytest.mark.slow
@pytest.mark.skipif(sys.platform != "linux", reason="/proc tells what a process holds")
def test_200_resets_and_2000_rendered_steps_leak_nothing():
    env = gymnasium.make("dexbench/Reach-v1")

    def cycle(count):
        for index in range(count):
            obs = start(env, index % 4)
            for step in range(10):
                obs = env.step(target(obs, step))[0]
        gc.collect()

    cycle(20)  # libraries fill their caches
    memory, open_files = resident(), len(os.listdir("/proc/self/fd"))
    cycle(200)
    assert len(os.listdir("/proc/self/fd")) <= open_files
    grown = resident() - memory
    print(f"grown by {grown:.1f} MB")
    assert grown < 50
