"""What is kept of a trial while it is played."""

from types import SimpleNamespace
from typing import Any

import numpy as np

from dexbench.bench.diagnose.recorder import Recorder


class Agent:
    """Returns the step that it is shown."""

    def reset(self, task: str, seed: int) -> None:
        self.last_plan, self.last_context = "none", seed

    def act(self, obs: Any) -> Any:
        self.last_plan = f"plan {obs['step']}"
        return np.full((20, 23), obs["step"])


class Watches:
    """Stands for the oracle: writes down what it is told."""

    def __init__(self) -> None:
        self.told: list[Any] = []

    def bind(self, env: Any) -> None:
        self.told.append(env)

    def observe(self, obs: Any) -> Any:
        self.told.append(obs["step"])
        return f"moment {obs['step']}"

    def note(self, chunk: Any) -> None:
        self.told.append(("played", int(chunk[0, 0])))


def test_the_oracle_is_shown_each_decision_before_its_chunk_is_played() -> None:
    agent: Any = Agent()
    oracle: Any = Watches()
    env: Any = SimpleNamespace(unwrapped="environment")
    recorder = Recorder(agent, env, oracle)
    for trial in range(2):
        recorder.reset("reach", trial)
        for step in (0, 1):
            assert recorder.act({"step": np.int64(step)})[0, 0] == step
        assert oracle.told == ["environment", 0, ("played", 0), 1, ("played", 1)]
        assert recorder.moments == ["moment 0", "moment 1"]
        assert recorder.plans == [("plan 0", trial), ("plan 1", trial)]
        assert [look["step"] for look in recorder.looks] == [0, 1]
        oracle.told.clear()


def test_without_an_oracle_nothing_is_kept_for_it() -> None:
    agent: Any = Agent()
    recorder = Recorder(agent)
    recorder.reset("reach", 0)
    recorder.act({"step": np.int64(3)})
    assert recorder.moments == [] and recorder.plans == [("plan 3", 0)]
