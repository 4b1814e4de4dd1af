"""A frozen trial: everything one scored episode is made of, in one file without pickle.

A trial is data, not code: compiled scene, start state, goal state, the expert's solution. Running
it needs MuJoCo and the asset cache, neither robosuite nor RoboCasa.
"""

import gzip
import hashlib
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from dexbench.utils.errors import UserError
from dexbench.utils.machine_errors import naming

STEPS = 60
"""Control steps of an episode: 6 s at 10 Hz, three waypoints of 20 steps."""
HELD_STEPS = 10
"""Consecutive control steps (1 s) a criterion must hold for success (paper App. C.4)."""


@dataclass(frozen=True)
class Trial:
    """One start and goal in one scene."""

    task: str
    """The task's name, such as `reach`."""
    seed: int
    """Seed that agents get for this trial; the same for every agent."""
    xml: str
    """Frozen MJCF of the scene."""
    objects: tuple[str, ...]
    """Body names of the movable objects; the first is the target."""
    instances: tuple[str, ...]
    """Which instance each object is."""
    recipe: dict[str, Any]
    """What the scene was built from."""
    start_state: NDArray[np.float64]
    """Full integration state (n,) float64 at the first step."""
    goal_state: NDArray[np.float64]
    """Full integration state (n,) float64 that the goal image shows."""
    expert_actions: NDArray[np.float32]
    """Joint targets (60, 23) float32 in rad that solve the trial."""

    @property
    def target(self) -> str:
        """Body name of the object the task is about."""
        return self.objects[0]

    @property
    def hash(self) -> str:
        """sha256 (hex) of the whole content."""
        digest = hashlib.sha256(json.dumps(self._meta(), sort_keys=True).encode())
        for part in (
            self.xml.encode(),
            self.start_state.tobytes(),
            self.goal_state.tobytes(),
            self.expert_actions.tobytes(),
        ):
            digest.update(hashlib.sha256(part).digest())
        return digest.hexdigest()

    def _meta(self) -> dict[str, Any]:
        return {
            "task": self.task,
            "seed": self.seed,
            "objects": list(self.objects),
            "instances": list(self.instances),
            "recipe": self.recipe,
        }

    def save(self, path: Path) -> None:
        """Write the trial; the same trial gives the same bytes."""
        arrays: dict[str, NDArray[Any]] = {
            "meta": np.frombuffer(json.dumps(self._meta(), sort_keys=True).encode(), np.uint8),
            "xml": np.frombuffer(gzip.compress(self.xml.encode(), mtime=0), np.uint8),
            "start_state": self.start_state,
            "goal_state": self.goal_state,
            "expert_actions": self.expert_actions,
        }
        path.parent.mkdir(parents=True, exist_ok=True)
        with naming(path), path.open("wb") as file:
            np.savez_compressed(file, **arrays)

    @staticmethod
    def load(path: Path) -> "Trial":
        """Read a trial.

        Raises:
            UserError: The file is missing or damaged.
        """
        try:
            with np.load(path, allow_pickle=False) as file:
                meta = json.loads(file["meta"].tobytes())
                return Trial(
                    task=meta["task"],
                    seed=meta["seed"],
                    xml=gzip.decompress(file["xml"].tobytes()).decode(),
                    objects=tuple(meta["objects"]),
                    instances=tuple(meta["instances"]),
                    recipe=meta["recipe"],
                    start_state=file["start_state"],
                    goal_state=file["goal_state"],
                    expert_actions=file["expert_actions"],
                )
        except FileNotFoundError:
            raise UserError(
                f"no trial at {path}; reinstall dexbench or rebuild the suite"
            ) from None
        except Exception as error:
            raise UserError(
                f"trial {path} is damaged ({error}); reinstall dexbench or rebuild the suite"
            ) from error
