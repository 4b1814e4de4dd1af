"""A small environment with dexbench's interface, and agents that misbehave, for the runner's tests.

Spawned workers import this module: pytest puts its folder on sys.path and spawn hands that on.
"""

import atexit
import ctypes
import hashlib
import os
import random
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import gymnasium
import numpy as np
from gymnasium import spaces

from dexbench.bench.run.backend import Backend
from dexbench.utils.seeding import rng, seed_for

BACKEND = Backend(module="support.fake", env_id="fake/{}-v1", suite="support.fake:FakeSuite")
TRIALS = 12


def seed_of(task: str, trial: int) -> int:
    return seed_for("fake", task, trial)


class FakeSuite:
    hash = "0123456789abcdef"
    name = "v1"
    tasks = ("reach", "grasp", "place")

    def __init__(self, count: int = TRIALS) -> None:
        self.count = count

    @classmethod
    def load(cls, name: str) -> "FakeSuite":
        return cls(0) if name == "empty" else cls()

    def trials(self, task: str) -> int:
        return self.count


class FakeEnv(gymnasium.Env):
    """The distance is that of joint 0's target to a goal that depends on the trial."""

    action_space = spaces.Box(-2.0, 2.0, (23,), np.float32)
    observation_space = spaces.Dict(
        {
            "pixels": spaces.Box(0, 255, (224, 392, 3), np.uint8),
            "goal": spaces.Box(0, 255, (224, 392, 3), np.uint8),
            "agent_pos": spaces.Box(-4, 4, (23,), np.float32),
            "agent_target": spaces.Box(-4, 4, (23,), np.float32),
            "keypoints": spaces.Box(-9, 9, (21, 3), np.float32),
            "steps_left": spaces.Box(0, 60, (1,), np.int64),
        }
    )

    def __init__(self, task: str) -> None:
        self.task = task
        self.simulation = SimpleNamespace(gl_renderer="fake renderer")
        self.trial: Any = None
        self.render_observations = True
        self.looks = 0
        self.before_step: Callable[[], None] = lambda: None

    def reset(self, *, seed: int | None = None, options: dict[str, Any] | None = None) -> Any:
        super().reset(seed=seed)
        trial, suite = (options or {})["trial"], (options or {}).get("suite", "v1")
        if "/" in suite and not Path(suite, "suite.json").is_file():
            raise FileNotFoundError(f"there is no suite {suite}")
        key = f"{self.task} {trial}"
        digest = hashlib.sha256(key.encode()).hexdigest()
        self.trial = SimpleNamespace(hash=digest, seed=seed_of(self.task, trial))
        self.goal = float(rng("fake", self.task, trial).uniform(-1, 1))
        self.target = np.zeros(23, np.float32)
        self.steps, self.run = 0, 0
        return self._obs(), self._info()

    def step(self, action: np.ndarray) -> Any:
        if not self.action_space.contains(action):
            raise ValueError("action out of bounds")
        self.before_step()
        self.target = action
        self.steps += 1
        self.run = self.run + 1 if self._distance() < 0.2 else 0
        return self._obs(), 0.0, False, self.steps == 60, self._info()

    def _distance(self) -> float:
        return abs(float(self.target[0]) - self.goal)

    def _info(self) -> dict[str, Any]:
        return {
            "distance": self._distance(),
            "success": self.run >= 10,
            "criterion": self.run > 0,
            "gate": True,
        }

    def _obs(self) -> dict[str, np.ndarray]:
        if self.render_observations:  # otherwise the last picture stays, as in the real one
            self.looks += 1
            self.picture = np.full((224, 392, 3), self.steps, np.uint8)
        picture = self.picture.copy()
        return {
            "pixels": picture,
            "goal": np.full_like(picture, 200),
            "agent_pos": self.target.copy(),
            "agent_target": self.target.copy(),
            "keypoints": np.zeros((21, 3), np.float32),
            "steps_left": np.array([60 - self.steps], np.int64),
        }


for task in ("reach", "grasp", "place"):
    gymnasium.register(f"fake/{task.capitalize()}-v1", entry_point=FakeEnv, kwargs={"task": task})


class Wander:
    """Succeeds on some trials; draws from every generator that an agent may draw from."""

    weights_hash = "w1"
    metadata = {"pretraining": "wandering", "dtype": "float16"}

    def __init__(self, pause: float = 0.0) -> None:
        self.pause = pause
        self.calls = 0

    def reset(self, task: str, seed: int) -> None:
        self.rng = np.random.default_rng(seed)
        self.trial_of_agent = seed

    def act(self, obs: dict[str, np.ndarray]) -> np.ndarray:
        time.sleep(self.pause)
        noise = self.rng.uniform(-1, 1) + 0.1 * random.random() + 0.1 * np.random.rand()
        chunk = np.zeros((20, 23), np.float32)
        chunk[:, 0] = np.clip(noise, -1, 1)
        return chunk


class OtherWeights(Wander):
    weights_hash = "w2"


class Sometimes(Wander):
    """Does ``fault`` in a third of the trials, and breaks its own state before it."""

    def __init__(self, fault: str) -> None:
        super().__init__()
        self.fault = fault
        self.offset = 0.0

    def act(self, obs: dict[str, np.ndarray]) -> np.ndarray:
        chunk = super().act(obs) + np.float32(self.offset)
        if self.trial_of_agent % 3 == 0 and obs["steps_left"][0] == 40:
            if self.fault == "raise":
                self.offset = 0.5
                raise RuntimeError("the agent broke\nat some place")
            if self.fault == "hang":
                time.sleep(1000)
            if self.fault == "crash":
                ctypes.string_at(0)
            if self.fault == "shape":
                return chunk[0]
            if self.fault == "nan":
                chunk[3, 5] = np.nan
            if self.fault == "bounds":
                chunk[5, 1] = 3.0
        return chunk


class FirstFails(Wander):
    """Raises in trial 0."""

    def reset(self, task: str, seed: int) -> None:
        super().reset(task, seed)
        if seed == seed_of(task, 0):
            raise RuntimeError("not today")


class Mendable(Sometimes):
    """Raises as `Sometimes` does until the file ``flag`` is there."""

    def __init__(self, flag: str) -> None:
        super().__init__("none" if Path(flag).exists() else "raise")


class Unmakeable:
    def __init__(self) -> None:
        raise FileNotFoundError("weights.safetensors is missing")


class OtherDtype(Wander):
    """Computes in float16 in the first process that makes it, in float32 in the next."""

    def __init__(self, folder: str) -> None:
        super().__init__()
        flag = Path(folder) / "made"
        if flag.exists():
            self.metadata = {**self.metadata, "dtype": "float32"}
        flag.touch()

    def act(self, obs: dict[str, np.ndarray]) -> np.ndarray:
        time.sleep(0.3)  # So that both workers play.
        return super().act(obs)


class Says(Wander):
    """Has the weights' hash that it is told."""

    def __init__(self, said: Any) -> None:
        super().__init__()
        self.weights_hash = said


class Retrained(Sometimes):
    """Its weights' hash tells how often it has been made, and it raises as `Sometimes`."""

    def __init__(self, folder: str) -> None:
        super().__init__("raise")
        made = len(list(Path(folder).glob("made-*"))) + 1
        (Path(folder) / f"made-{made}").touch()
        self.weights_hash = made


class Unsayable(Wander):
    """Says of itself what JSON cannot hold."""

    metadata = {"dtype": np.dtype("float32")}


class Peeks:
    """Privileged: steers straight to the goal that it reads from the environment."""

    privileged = True

    def bind(self, env: FakeEnv) -> None:
        self.goal = env.goal

    def reset(self, task: str, seed: int) -> None:
        pass

    def act(self, obs: dict[str, np.ndarray]) -> np.ndarray:
        chunk = np.zeros((7, 23), np.float32)
        chunk[:, 0] = self.goal
        return chunk


class Threads:
    """Reports the thread settings of its process as joint targets."""

    def reset(self, task: str, seed: int) -> None:
        pass

    def act(self, obs: dict[str, np.ndarray]) -> np.ndarray:
        names = ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "LP_NUM_THREADS")
        chunk = np.zeros((60, 23), np.float32)
        chunk[:, :3] = [float(os.environ[name]) for name in names]
        return chunk


class Unlucky(Wander):
    """Loses its process in the first step of trial 1 twice, and of trial 2 always."""

    privileged = True
    losses = {1: 2, 2: 1000}

    def __init__(self, fault: str, folder: str) -> None:
        super().__init__()
        self.fault, self.folder = fault, Path(folder)

    def bind(self, env: FakeEnv) -> None:
        trial = next(t for t in range(TRIALS) if seed_of(env.task, t) == env.trial.seed)
        env.before_step = lambda: self.harm(trial)

    def harm(self, trial: int) -> None:
        lost = len(list(self.folder.glob(f"lost-{trial}-*")))
        if lost < self.losses.get(trial, 0):
            (self.folder / f"lost-{trial}-{lost}").touch()
            if self.fault == "crash":
                ctypes.string_at(0)
            ctypes.PyDLL(None).sleep(1000)  # Native code that keeps the interpreter's lock.


class SlowSuccess:
    """Solves every second trial, and takes its time over these only; notes what it begins."""

    privileged = True

    def __init__(self, pause: float, folder: str | None = None) -> None:
        self.pause = pause
        self.folder = folder

    def bind(self, env: FakeEnv) -> None:
        self.goal = env.goal
        self.succeeds = any(env.trial.seed == seed_of(env.task, t) for t in range(0, TRIALS, 2))

    def reset(self, task: str, seed: int) -> None:
        if self.folder is not None:
            Path(self.folder, f"{time.monotonic_ns()}-{os.getpid()}").touch()

    def act(self, obs: dict[str, np.ndarray]) -> np.ndarray:
        time.sleep(self.pause * self.succeeds)
        chunk = np.zeros((20, 23), np.float32)
        chunk[:, 0] = self.goal if self.succeeds else self.goal - np.sign(self.goal)
        return chunk


class BeginsWithAnother(SlowSuccess):
    """Begins its trial when a second one has begun too."""

    def reset(self, task: str, seed: int) -> None:
        super().reset(task, seed)
        deadline = time.monotonic() + 100
        while len(list(Path(self.folder).iterdir())) < 2:
            if time.monotonic() > deadline:
                raise TimeoutError("no second trial began within 100 s")
            time.sleep(0.01)


class LeavesPid(Wander):
    """Writes its process id where the test finds it, and hangs in its first decision."""

    def __init__(self, folder: str) -> None:
        super().__init__()
        self.folder = folder

    def act(self, obs: dict[str, np.ndarray]) -> np.ndarray:
        Path(self.folder, str(os.getpid())).touch()
        ctypes.PyDLL(None).sleep(1000)  # Native code that keeps the interpreter's lock.
        raise AssertionError


class Moves(Wander):
    """Works in a folder of its own, as some training code does, and needs the cache."""

    def __init__(self, folder: str) -> None:
        super().__init__()
        os.chdir(folder)

    def act(self, obs: dict[str, np.ndarray]) -> np.ndarray:
        os.chdir("/")
        assert os.path.isabs(os.environ["DEXBENCH_CACHE"])
        return super().act(obs)


class HasAServer(Wander):
    """Has a process of its own, as one that serves a model, and clears up when it ends.

    Args:
        folder: Gets a file ``server-<process>``, ``deciding`` and at the end ``cleared``.
        fault: Of its decisions: ``sleep`` in Python, ``hang`` in native code, or ``crash``.
    """

    def __init__(self, folder: str, fault: str = "none") -> None:
        super().__init__()
        self.folder, self.fault = Path(folder), fault
        server = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(1000)"])
        (self.folder / f"server-{server.pid}").touch()
        atexit.register((self.folder / "cleared").touch)

    def act(self, obs: dict[str, np.ndarray]) -> np.ndarray:
        (self.folder / "deciding").touch()
        if self.fault == "sleep":
            time.sleep(1000)
        if self.fault == "hang":  # As native code that never returns, which no signal wakes.
            signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGTERM})
            ctypes.PyDLL(None).sleep(1000)
        if self.fault == "crash":
            ctypes.string_at(0)
        return super().act(obs)


class Unspeakable(Wander):
    """Raises what is hard to write down."""

    def __init__(self, fault: str) -> None:
        super().__init__()
        self.fault = fault

    def act(self, obs: dict[str, np.ndarray]) -> np.ndarray:
        class MuteError(RuntimeError):
            def __str__(self) -> Any:
                if self.args[0] == "bytes":
                    return b"no text"
                raise ValueError("no text")

        if self.fault == "surrogate":
            raise RuntimeError("caf\udce9 broke")
        raise MuteError(self.fault)


class Defaces(Wander):
    """Harms its observation once it has decided, as ``fault`` says."""

    def __init__(self, fault: str = "none") -> None:
        super().__init__()
        self.fault = fault

    def act(self, obs: dict[str, np.ndarray]) -> np.ndarray:
        chunk = super().act(obs)
        for key in ("pixels", "goal"):
            if self.fault == "change":
                obs[key][:] = 77
            elif self.fault == "replace":
                obs[key] = obs[key][::2, ::2].astype(np.float32)
            elif self.fault == "pop":
                obs.pop(key)
        return chunk
