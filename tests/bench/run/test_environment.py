"""dexbench's environments and the fake one keep what the runner asks for."""

from typing import Any

import gymnasium
import numpy as np
import pytest
from support import fake

from dexbench.bench.run.backend import DEXBENCH, Backend
from dexbench.bench.run.environment import Environment, ResetOptions, StepInfo

OPTIONS: ResetOptions = {"trial": 0, "suite": "v1"}


@pytest.fixture(params=["fake", "dexbench"])
def env(request: Any, reused_simulations: Any) -> Any:
    environment = (fake.BACKEND if request.param == "fake" else DEXBENCH).make_env("reach")
    yield environment
    environment.close()


def check_info(info: dict[str, Any]) -> None:
    for key, kind in StepInfo.__annotations__.items():
        assert type(info[key]) is kind, key


def test_an_environment_is_what_the_runner_asks_for(env: Any) -> None:
    base = env.unwrapped
    obs, info = env.reset(options=dict(OPTIONS))
    assert isinstance(base, Environment)
    check_info(info)
    assert env.observation_space.contains(obs)
    assert isinstance(base.trial.hash, str) and len(base.trial.hash) == 64
    assert isinstance(base.trial.seed, int)
    assert isinstance(base.simulation.gl_renderer, str) and base.simulation.gl_renderer
    still = obs["agent_target"]
    with pytest.raises(ValueError):
        env.step(np.full(23, 99, np.float32))
    base.render_observations = False
    obs, _, terminated, truncated, info = env.step(still)
    check_info(info)
    assert obs["steps_left"] == [59] and not (terminated or truncated)


def test_what_lacks_a_part_is_no_environment() -> None:
    class Blind(gymnasium.Env):
        trial = simulation = None

    assert not isinstance(Blind(), Environment)


def test_a_backend_finds_its_suite_and_makes_its_environments() -> None:
    suite = fake.BACKEND.load_suite("v1")
    assert suite.trials("reach") == fake.TRIALS and suite.hash == fake.FakeSuite.hash
    assert type(fake.BACKEND.make_env("grasp").unwrapped) is fake.FakeEnv
    without_ids = Backend(env_id="nobody/{}-v1")
    assert type(without_ids.make_env("grasp").unwrapped).__name__ == "TaskEnv"
