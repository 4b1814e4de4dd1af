"""The protocol that every agent follows, and the check of what it returns."""

from typing import Any, Protocol, runtime_checkable

import numpy as np
from numpy.typing import NDArray

from dexbench.envs.embodiment.robot import N_JOINTS
from dexbench.envs.spaces import clip_rounding


@runtime_checkable
class Agent(Protocol):
    """What the runner asks of an agent; any class with these two methods is one.

    A class may also define:

    * ``weights_hash`` (str): sha256 of the weights it plays with; the ledger records it and
      refuses to mix rows of different weights.
    * ``metadata`` (dict): ``pretraining`` (str) and ``dtype`` (str), recorded with every trial.
    * ``planner_name`` and ``cost_name`` (str or None): what the leaderboard calls its planner and
      its cost.
    * ``imagine()``: the picture (224, 392, 3) uint8 that it expects when the chunk it chose last
      is used up, or None; ``dexbench run --video`` shows it, unless the first of a trial is
      None. It must change nothing.
    * ``privileged`` (bool): it needs the simulation; see `PrivilegedAgent`.
    """

    def reset(self, task: str, seed: int) -> None:
        """Prepare for one trial.

        Args:
            task: One of dexbench's, such as ``"reach"``, or of the user as ``"module:name"``.
            seed: A function of suite, task and trial, the same for all agents. It must be the
                only source of randomness, so that a trial never depends on those before it.
        """

    def act(self, obs: dict[str, NDArray[Any]]) -> NDArray[np.float32]:
        """Choose the next joint targets.

        Args:
            obs: The environment's observation: ``pixels`` and ``goal`` (224, 392, 3) uint8,
                ``agent_pos`` and ``agent_target`` (23,) float32 [rad], ``keypoints`` (21, 3)
                float32 [m, camera frame], ``steps_left`` (1,) int64.

        Returns:
            (k, 23) float32 absolute joint targets [rad] for the next k >= 1 control steps of
            0.1 s; the agent is asked again when they are used up.
        """


@runtime_checkable
class PrivilegedAgent(Agent, Protocol):
    """An agent that is given the environment itself, and with it the simulator's state."""

    def bind(self, env: Any) -> None:
        """Take the unwrapped environment; called after its reset and before the agent's."""


def check_chunk(chunk: Any) -> NDArray[np.float32]:
    """Validate what `Agent.act` returned.

    Args:
        chunk: What the agent returned.

    Returns:
        (k, 23) float32 joint targets [rad]; those within 1e-6 rad beyond a joint limit are at it.

    Raises:
        ValueError: The chunk is not a finite (k, 23) array of numbers with k >= 1. (Targets further
            beyond a limit are refused by the environment.)
    """
    try:
        array = np.asarray(chunk)
    except ValueError as error:
        parts = f"a {type(chunk).__name__} whose parts have different shapes"
        raise ValueError(f"act returned {parts}, expected one array (k, {N_JOINTS})") from error
    if array.ndim != 2 or array.shape[0] < 1 or array.shape[1] != N_JOINTS:
        hint = "; wrap a single target as target[None]" if array.shape == (N_JOINTS,) else ""
        raise ValueError(
            f"act returned shape {array.shape}, expected (k, {N_JOINTS}) with k >= 1{hint}"
        )
    if array.dtype.kind not in "fiu":
        raise ValueError(f"act returned dtype {array.dtype}, expected float32 joint targets [rad]")
    if not np.isfinite(array).all():
        row, joint = np.argwhere(~np.isfinite(array))[0]
        raise ValueError(f"act returned {array[row, joint]} for joint {joint} in row {row}")
    return clip_rounding(array.astype(np.float32))
