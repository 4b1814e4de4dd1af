"""The check of an agent: `dexbench.testing.check_agent`."""

import json
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from typing import Any

import gymnasium
from numpy.typing import NDArray

from dexbench.agents.registry import make_agent
from dexbench.bench.run.trial import Played, play
from dexbench.bench.run.worker import seed_global_generators
from dexbench.envs.task_check import differences, require
from dexbench.envs.task_names import env_id, suite_of
from dexbench.utils.errors import message


def check_agent(agent: str | type, task: str = "reach", trials: int = 1, **arguments: Any) -> float:
    """Play an agent as `dexbench run` does, and check that its scores can be trusted.

    It plays ``trials + 1`` trials from the last to the first, and a second instance from the first
    to the last: every trial's actions must be the same, whatever was played before. It must
    return what the protocol asks for, leave observations as they are, and be makeable in a
    process of its own.

    Args:
        agent: Its class, a registered name, or ``package.module:Class``.
        task: One of dexbench's, such as ``"reach"``.
        trials: How many trials to play besides one that comes between.
        **arguments: Passed to the class, as ``--agent-args`` are.

    Returns:
        Seconds per decision.

    Raises:
        AssertionError: What is wrong, and how to mend it.
        UserError: There is no such trial.
    """
    require(
        isinstance(agent, str | type),
        f"{agent!r} is an instance; give its class or module:Class, to make several of",
    )
    name = f"{agent.__module__}:{agent.__qualname__}" if isinstance(agent, type) else agent
    first, privileged = _make(name, arguments)
    second, _ = _make(name, arguments)
    _check_description(name, first, second)
    env = gymnasium.make(env_id(task))

    def played(instance: Any, trial: int) -> Played:
        return _play(env, _Watched(instance), task, trial, privileged)

    try:
        # Backwards first, so that a trial that is not there is found at once.
        backward = {trial: played(first, trial) for trial in reversed(range(trials + 1))}
        forward = {trial: played(second, trial) for trial in range(trials + 1)}
        for trial in forward:
            if forward[trial].actions.tobytes() == backward[trial].actions.tobytes():
                continue
            alone = [played(_make(name, arguments)[0], trial).actions.tobytes() for _ in range(2)]
            require(
                alone[0] == alone[1],
                f"two new instances of {name} play {task} trial {trial} with the same seed but "
                "not the same actions; draw all randomness from reset's seed, and nothing from "
                "the clock, in __init__, or from what instances share",
            )
            raise AssertionError(
                f"{name} plays {task} trial {trial} otherwise when it has played another trial "
                "before; reset must forget everything of the last trial"
            )
    finally:
        env.close()
    _check_spawn(name, arguments)
    clocks = [play.row["timing"] for play in (*forward.values(), *backward.values())]
    seconds: float = sum(c["decision_s"] for c in clocks)
    decisions: int = sum(c["decisions"] for c in clocks)
    return seconds / decisions


class _Watched:
    """An agent whose handling of observations is watched."""

    def __init__(self, agent: Any):
        self._agent = agent
        self.reset = agent.reset
        self.bind = getattr(agent, "bind", None)

    def act(self, obs: dict[str, NDArray[Any]]) -> Any:
        """Return what the agent answers.

        Raises:
            AssertionError: It wrote into the observation.
        """
        kept = {key: value.copy() for key, value in obs.items()}
        chunk = self._agent.act(obs)
        if changed := differences(kept, obs):
            raise AssertionError(f"act changed the observation's {changed}; copy it before writing")
        return chunk


def _play(
    env: gymnasium.Env[Any, Any], agent: _Watched, task: str, trial: int, privileged: bool
) -> Played:
    """Play a trial of the task's suite to its end, as a worker does."""
    seed_global_generators(trial)
    played = play(env, agent, suite=suite_of(task), task=task, trial=trial, privileged=privileged)
    error = played.row["error"]
    require(error is None, f"{task} trial {trial} ended with {error}\n{played.traceback}")
    return played


def _make(name: str, arguments: dict[str, Any]) -> tuple[Any, bool]:
    """Return the agent, and whether it is privileged."""
    try:
        agent, spec = make_agent(name, **arguments)
    except Exception as error:
        raise AssertionError(
            f"{name} cannot be made ({message(error)}); it must be a class at the top level of a "
            "module, with reset, act and, if it has any, a dictionary as metadata"
        ) from error
    return agent, spec.privileged


def _construct(name: str, arguments: dict[str, Any]) -> None:
    """Make the agent, in another process."""
    _make(name, arguments)


def _check_spawn(name: str, arguments: dict[str, Any]) -> None:
    with ProcessPoolExecutor(1, mp_context=get_context("spawn")) as pool:
        try:
            pool.submit(_construct, name, arguments).result()
        except Exception as error:
            raise AssertionError(
                f"{name} cannot be made in a process of its own, as `dexbench run` does "
                f"({type(error).__name__}: {message(error)}); pass plain arguments, put the class "
                "into a module that can be imported, and use no state of the process that starts it"
            ) from error


def _check_description(name: str, first: Any, second: Any) -> None:
    """Check what the ledger records of an agent: well formed, the same for all instances."""
    metadata, weights = getattr(first, "metadata", {}), getattr(first, "weights_hash", None)
    try:
        json.dumps(metadata, allow_nan=False, ensure_ascii=False).encode()
    except (TypeError, ValueError) as error:
        raise AssertionError(
            f"the metadata of {name} cannot go into a ledger ({error}); use strings and numbers"
        ) from error
    for key in ("pretraining", "dtype"):
        require(
            isinstance(metadata.get(key, ""), str),
            f"the metadata of {name} has {key} = {metadata.get(key)!r}, expected a string",
        )
    for key in ("planner_name", "cost_name"):
        said = getattr(first, key, None)
        require(
            said is None or isinstance(said, str),
            f"{key} of {name} is {said!r}, expected a string or None",
        )
    require(
        weights is None or (isinstance(weights, str) and weights),
        f"weights_hash of {name} is {weights!r}; expected the weights' sha256 as a string",
    )
    require(
        (metadata, weights)
        == (getattr(second, "metadata", {}), getattr(second, "weights_hash", None)),
        f"two instances of {name} differ in metadata or weights_hash; ledgers do not mix those",
    )
