from typing import Any

import gymnasium
import numpy as np
import pytest
from support import fake

from dexbench.agents.reference.hold import Hold
from dexbench.bench.ledger.outcome import held_distance, outcome
from dexbench.bench.run.trial import Played, play


def play_fake(agent: Any, trial: int = 1, **kwargs: Any) -> Played:
    env = gymnasium.make("fake/Reach-v1")
    return play(env, agent, suite="v1", task="reach", trial=trial, **kwargs)


def test_a_trial_records_what_happened() -> None:
    env = gymnasium.make("fake/Reach-v1")
    agent = fake.Wander()
    row, actions, trace = play(env, agent, suite="v1", task="reach", trial=1)
    goal = env.unwrapped.goal  # type: ignore[attr-defined]
    assert trace is None and actions.shape == (60, 23) and actions.dtype == np.float32
    assert row["distances"][0] == pytest.approx(abs(goal), abs=1e-6)
    assert row["distances"][1:] == pytest.approx(np.abs(actions[:, 0] - goal), abs=1e-6)
    assert row["final_distance"] == row["distances"][-1]
    assert row["min_distance"] == min(row["distances"])
    assert row["seed"] == fake.seed_of("reach", 1) == agent.trial_of_agent
    assert row["trial_hash"] == env.unwrapped.trial.hash  # type: ignore[attr-defined]
    assert row["renderer"] == "fake renderer" and row["error"] is None
    assert row["timing"]["decisions"] == 3


def test_success_is_ten_held_steps_at_any_time() -> None:
    held = [False] * 30 + [True] * 5 + [False] * 25
    row = outcome([1.0] * 61, [True] * 60, held, None)
    assert (row["success"], row["held_at_end"], row["steps_to_success"]) == (True, False, 31)
    row = outcome([1.0] * 61, [True] * 60, held, "RuntimeError: late")
    assert (row["success"], row["held_at_end"], row["steps_to_success"]) == (False, False, None)


def test_held_distance_is_the_smallest_threshold_that_would_have_been_success() -> None:
    distances = [0.5] * 20 + [0.2, 0.1] * 5 + [0.05] * 9 + [0.5] * 21
    assert held_distance(distances, [True] * 60) == 0.1
    assert held_distance(distances, [True] * 33 + [False] + [True] * 26) == 0.2
    assert held_distance(distances, ([True] * 9 + [False]) * 6) is None
    assert held_distance([0.1] * 9, [True] * 9) is None, "a trial of nine steps"


def test_success_is_a_held_distance_below_the_threshold() -> None:
    rows = [play_fake(fake.Wander(), trial)[0] for trial in range(12)]
    assert {row["success"] for row in rows} == {True, False}
    for row in rows:
        assert row["success"] == (row["held_distance"] < 0.2)


def test_a_chunk_that_outlasts_the_trial_is_cut() -> None:
    row, actions, _ = play_fake(Hold(chunk=50))
    assert len(actions) == 60 and len(row["distances"]) == 61
    assert row["timing"]["decisions"] == 2


def test_a_privileged_agent_is_bound_after_the_environment_is_reset() -> None:
    row, _, _ = play_fake(fake.Peeks(), privileged=True)
    assert row["success"] and row["held_at_end"] and row["final_distance"] < 1e-6
    row, _, _ = play_fake(fake.Peeks(), privileged=False)
    assert row["error"].startswith("AttributeError")


@pytest.mark.parametrize(
    ("fault", "steps", "reason"),
    [
        ("raise", 20, "RuntimeError: the agent broke"),
        ("shape", 20, "ValueError: act returned shape (23,), expected (k, 23) with k >= 1; wrap"),
        ("nan", 20, "ValueError: act returned nan for joint 5 in row 3"),
        ("bounds", 25, "ValueError: action out of bounds"),
    ],
)
def test_a_fault_fails_the_trial_with_its_reason(fault: str, steps: int, reason: str) -> None:
    trial = next(t for t in range(12) if fake.seed_of("reach", t) % 3 == 0)
    row, actions, trace = play_fake(fake.Sometimes(fault), trial)
    assert trace is not None and trace.startswith("Traceback")
    assert row["error"].startswith(reason) and "\n" not in row["error"]
    assert not row["success"] and len(actions) == steps and len(row["distances"]) == steps + 1


def test_a_diverged_simulation_fails_the_trial() -> None:
    class Diverged(gymnasium.Wrapper):
        def step(self, action: np.ndarray) -> Any:
            *rest, info = super().step(action)
            return *rest, {**info, "distance": float("nan")}

    env = Diverged(gymnasium.make("fake/Reach-v1"))
    row, _, _ = play(env, Hold(), suite="v1", task="reach", trial=0)
    assert row["error"].startswith("FloatingPointError: the simulation diverged")
    assert np.isfinite(row["distances"]).all()


def test_pictures_are_rendered_only_for_those_who_look() -> None:
    env = gymnasium.make("fake/Reach-v1")
    for frames, looks in [(None, 1 + 3), ([], 1 + 60)]:
        before = env.unwrapped.looks  # type: ignore[attr-defined]
        play(env, Hold(chunk=20), suite="v1", task="reach", trial=0, frames=frames)
        assert env.unwrapped.looks - before == looks  # type: ignore[attr-defined]


class Sees(Hold):
    """Notes the picture and the step of each decision."""

    def reset(self, task: str, seed: int) -> None:
        self.seen: list[tuple[int, int]] = []

    def act(self, obs: dict[str, np.ndarray]) -> np.ndarray:
        self.seen.append((int(obs["pixels"][0, 0, 0]), 60 - int(obs["steps_left"][0])))
        return super().act(obs)


@pytest.mark.parametrize("chunk", [1, 7, 20])
@pytest.mark.parametrize("filmed", [True, False])
def test_agents_decide_on_the_present_picture(chunk: int, filmed: bool) -> None:
    agent = Sees(chunk=chunk)
    play_fake(agent, frames=[] if filmed else None)
    assert agent.seen == [(step, step) for step in range(0, 60, chunk)]


def test_frames_show_every_observation_beside_the_goal() -> None:
    frames: list[np.ndarray] = []
    play_fake(Hold(), frames=frames)
    assert len(frames) == 61 and frames[0].shape == (224, 784, 3)
    assert [frame[0, 0, 0] for frame in frames] == list(range(61))
    assert (frames[5][:, 392:] == 200).all()
