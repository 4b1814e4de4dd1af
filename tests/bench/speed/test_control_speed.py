import time
from types import SimpleNamespace
from typing import Any

import pytest

from dexbench.bench.speed import control as speed
from dexbench.bench.speed.control import Speed, SpeedConfig, measure, rate
from dexbench.envs import task_envs
from dexbench.envs.tasks.bank import Bank
from dexbench.utils.errors import UserError


def test_rate_counts_calls_a_second(monkeypatch: Any) -> None:
    clock = [0.0]
    calls = []

    def call(index: int) -> None:
        calls.append(index)
        clock[0] += 0.25

    monkeypatch.setattr(time, "perf_counter", lambda: clock[0])
    assert rate(call, 8) == 4.0
    assert calls == list(range(8))


def test_the_ratio_is_of_medians() -> None:
    result = Speed(
        {"reach": (0.3, 0.2, 0.9), "push": (0.5, 0.5, 0.6)},
        (90.0, 100.0, 20.0),
        (20.0, 30.0, 10.0),
        (50.0,) * 3,
        (30.0, 28.0, 32.0),
        (6.0, 5.0, 4.0),
        (62.5,) * 3,
        "llvmpipe",
    )
    assert result.ratio == 4.5
    assert result.recorded_ratio == 6.0
    lines = result.text().splitlines()
    assert lines[0].split(maxsplit=3)[:3] == ["reset", "of", "reach"]
    assert "0.300 s, median of 3 (0.200 to 0.900)" in lines[0]
    assert "of push" in lines[1] and "0.500 s, median of 3 (0.500 to 0.600)" in lines[1]
    assert "90.0 control steps/s" in lines[2] and "20.0 control steps/s" in lines[3]
    assert "4.50 (turns: 2.00 to 4.50, 3 of them)" in lines[5]
    assert "30.0 frames/s" in lines[6] and "5.0 frames/s" in lines[7]
    assert "6.00 (turns: 5.00 to 8.00, 3 of them)" in lines[8]
    assert "16.0 ms" in lines[9] and "llvmpipe" in lines[9]


def test_the_first_reset_is_not_counted(monkeypatch: Any) -> None:
    clock, seeds = [0.0], []

    def reset(seed: int) -> None:
        seeds.append(seed)
        clock[0] += 5.0 if seed == 0 else 0.25

    env = SimpleNamespace(reset=reset, close=lambda: seeds.append("closed"))
    monkeypatch.setattr(time, "perf_counter", lambda: clock[0])
    monkeypatch.setattr(task_envs, "make_env", {"carry": env}.__getitem__)
    assert speed.time_resets("carry", 2) == (0.25, 0.25)
    assert seeds == [0, 1, 2, "closed"]


def test_every_task_of_the_bank_is_reset(monkeypatch: Any) -> None:
    bank = SimpleNamespace(numbers={"reach": [1], "push": [], "avoid": [3]}.get)
    monkeypatch.setattr(Bank, "packaged", lambda: bank)
    assert speed.banked_tasks() == ["reach", "avoid"]


def test_numbers_below_one_are_refused_before_anything_is_built(monkeypatch: Any) -> None:
    monkeypatch.setattr(speed, "stock_environment", lambda recipe: pytest.fail("built a scene"))
    with pytest.raises(UserError, match="--repeats is 0, expected at least 1"):
        measure(SpeedConfig(repeats=0))


@pytest.mark.slow
def test_the_simulation_is_faster_than_robosuite_on_the_same_scene() -> None:
    result = measure(SpeedConfig(resets=1, repeats=2, steps=5, frames=1))
    assert result.ratio > 1
    assert len(result.ours) == len(result.robosuite) == len(result.pictures) == 2
    assert result.recorded_ratio > 1
    assert max(result.recorded) < max(result.ours), "a picture takes time"
    # robosuite does the physics and more.
    assert max(result.physics) > max(result.robosuite)
