"""A criterion that remembers the episode is judged alike by environment, playback and verify."""

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from dexbench.bench.ledger.ledger import Ledger, read_rows
from dexbench.bench.run.trial import play
from dexbench.bench.show.film import Play, shoot
from dexbench.bench.verify.resimulation import Finding, Job, check
from dexbench.envs import tasks
from dexbench.envs.simulation import Simulation
from dexbench.envs.suite import Suite, write_index
from dexbench.envs.task_envs import make_env
from dexbench.envs.tasks import Goal, Outcome, Playback, Reach, register_task
from dexbench.envs.trial import STEPS, Trial

FAR = 0.10
"""How far the hand may ever be from its start [m]."""


class Leash:
    """The distance is that to the start; once the hand has been too far, it fails for good."""

    def __init__(self, simulation: Simulation) -> None:
        self.start = simulation.keypoints
        self.farthest = 0.0

    def evaluate(self, simulation: Simulation) -> Outcome:
        distance = float(np.linalg.norm(simulation.keypoints - self.start, axis=1).mean())
        self.farthest = max(self.farthest, distance)
        gate = self.farthest < FAR
        return Outcome(gate and distance < Leashed.threshold, distance, gate)


class Leashed(Reach):
    """Its criterion knows the start, and what has been."""

    name = "leashed"
    threshold = 0.05

    def begin(self, simulation: Simulation, target: str, goal: Goal) -> Leash:
        return Leash(simulation)


@pytest.fixture
def trial(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Trial]:
    """Trial 0 of the suite in ``tmp_path / "suite"``."""
    monkeypatch.setattr(tasks, "TASKS", dict(tasks.TASKS))
    register_task(Leashed())
    trial = replace(Suite.load("v1").trial("reach", 0), task="leashed")
    trial.save(tmp_path / "suite/leashed/000.npz")
    write_index(tmp_path / "suite", {"leashed": [trial.hash]}, {})
    yield trial


@pytest.fixture
def there_and_back(trial: Trial) -> np.ndarray:
    """Targets (60, 23) [rad]: to where the expert goes, and back to the start."""
    start, goal = trial.expert_actions[0], trial.expert_actions[-1]
    share = np.r_[np.linspace(0, 1, 20), np.linspace(1, 0, 20), np.zeros(STEPS - 40)][:, None]
    return ((1 - share) * start + share * goal).astype(np.float32)


class Plays:
    """Plays given actions."""

    def __init__(self, actions: np.ndarray) -> None:
        self.actions = actions

    def reset(self, task: str, seed: int) -> None:
        pass

    def act(self, obs: dict[str, np.ndarray]) -> np.ndarray:
        return self.actions


def test_memory_is_judged_alike_everywhere(
    trial: Trial, there_and_back: np.ndarray, tmp_path: Path
) -> None:
    simulation = Simulation(trial.xml, trial.objects)
    playback = Playback(Leashed(), trial, simulation)
    judged = [playback.outcome, *map(playback.step, there_and_back)]
    assert judged[0] == Outcome(True, 0.0)
    assert judged[-1].distance < Leashed.threshold and not judged[-1].holds, "memory decides"
    assert [outcome.gate for outcome in judged] == sorted((o.gate for o in judged), reverse=True)

    env: Any = make_env("leashed")
    env.render_observations = False
    for _ in range(2):  # The second episode begins anew.
        _, info = env.reset(options={"trial": 0, "suite": str(tmp_path / "suite")})
        infos = [info, *(env.step(action)[4] for action in there_and_back)]
        seen = [Outcome(info["criterion"], info["distance"], info["gate"]) for info in infos]
        assert seen == judged
        playback.restart()
        assert [playback.outcome, *map(playback.step, there_and_back)] == judged

    options: dict[str, Any] = {"suite": str(tmp_path / "suite"), "task": "leashed", "trial": 0}
    played = play(env, Plays(there_and_back), **options)
    env.close()
    assert not played.row["held_at_end"] and played.row["final_distance"] < Leashed.threshold
    with Ledger(tmp_path / "runs") as ledger:
        ledger.append(played.row, played.actions)
    path = tmp_path / "runs/trials.jsonl"
    (row,) = read_rows(path)
    assert check(Job(path, row, "leashed", str(tmp_path / "suite"))) == Finding("exact")

    film = shoot(Play("leashed", "there and back", trial, there_and_back), every_step=True)
    assert list(film.holds) == [outcome.holds for outcome in judged]
