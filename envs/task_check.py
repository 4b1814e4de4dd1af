"""The check of a task's environment: `dexbench.testing.check_task`."""

import warnings
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from dexbench.envs.embodiment.robot import N_JOINTS
from dexbench.utils.seeding import rng

from .trial import HELD_STEPS, STEPS

if TYPE_CHECKING:
    from .gym_env import DexBenchEnv

FASTEST = 0.5
"""Farthest that a criterion's distance may move in one control step, in m: 5 m/s."""
WALK = 50
"""Control steps of the random walk that two instances are compared on."""


def check_task(env_id: str, seeds: int = 2) -> None:
    """Check that a task's environment keeps the protocol, so that its scores can be trusted.

    It needs a minute or two: it draws some twenty trials.

    Args:
        env_id: Gymnasium's, such as ``"dexbench/Grasp-v1"``; ``module:id`` imports the module
            that registers it first.
        seeds: On how many training seeds holding still must fail.

    Raises:
        AssertionError: What is wrong, and how to mend it.
    """
    import gymnasium

    # Gymnasium's checker is called below, on the environment itself.
    try:
        env: Any = gymnasium.make(env_id, disable_env_checker=True).unwrapped
    except (gymnasium.error.Error, ImportError) as error:
        raise AssertionError(
            f"it cannot be made ({error}); give an id that is registered, such as "
            "dexbench/Grasp-v1, or MODULE:ID with the module that registers it"
        ) from error
    twin: Any = gymnasium.make(env_id, disable_env_checker=True).unwrapped
    try:
        _check_form(env)
        for seed in range(seeds):
            require(
                not _episode(env, seed, _hold),
                f"holding still succeeds at seed {seed}; Task.check_start must reject such starts",
            )
        require(
            _episode(env, 0, lambda env: env.trial.expert_actions),
            "the expert's recorded actions do not succeed at seed 0: either the recording or the "
            "criterion depends on more than the episode's states",
        )
        _episode(env, 0, lambda env: _walk(env, STEPS))
        _check_resets(env)
        _check_refusals(env)
        _check_twins(env, twin)
        _check_restart(env)
    finally:
        env.close()
        twin.close()


def require(holds: object, message: str) -> None:
    """Assert in a way that ``python -O`` keeps."""
    if not holds:
        raise AssertionError(message)


def differences(first: dict[str, Any], second: dict[str, Any]) -> list[str]:
    """Return keys whose values are not the same to the bit."""
    keys = first.keys() | second.keys()
    missing = {key for key in keys if key not in first or key not in second}
    return sorted(
        missing | {key for key in keys - missing if not np.array_equal(first[key], second[key])}
    )


def _step(env: "DexBenchEnv", action: NDArray[np.float32]) -> dict[str, Any]:
    """Return all that a step returns, flat."""
    obs, reward, terminated, truncated, info = env.step(action)
    return {**obs, **info, "reward": reward, "terminated": terminated, "truncated": truncated}


def _hold(env: "DexBenchEnv", steps: int = STEPS) -> NDArray[np.float32]:
    """Return the robot's present targets, (steps, 23) float32 in rad."""
    space: Any = env.action_space
    targets = np.asarray(env.simulation.joint_targets, np.float32)  # type: ignore[union-attr]
    return np.tile(targets.clip(space.low, space.high), (steps, 1))


def _walk(env: "DexBenchEnv", steps: int) -> NDArray[np.float32]:
    """Return a random walk of targets from the present ones, (steps, 23) float32 in rad."""
    space: Any = env.action_space
    drift = rng("testing", "walk").normal(0, 0.03, (steps, N_JOINTS)).cumsum(axis=0)
    return (_hold(env, steps) + drift.astype(np.float32)).clip(space.low, space.high)


def _check_form(env: Any) -> None:
    """Check the class, the spaces, and what Gymnasium asks of an environment."""
    from gymnasium.utils.env_checker import check_env

    from .gym_env import DexBenchEnv
    from .spaces import action_space, observation_space

    require(
        isinstance(env, DexBenchEnv),
        f"{type(env).__name__} is no DexBenchEnv; derive it from dexbench.envs.DexBenchEnv",
    )
    require(
        env.action_space == action_space(),
        "action_space differs from dexbench.envs.spaces.action_space(), which every agent expects",
    )
    require(
        env.observation_space == observation_space(),
        "observation_space differs from dexbench.envs.spaces.observation_space(), which every "
        "agent expects",
    )
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        try:
            check_env(env)
        except Exception as error:
            raise AssertionError(f"Gymnasium's checker refuses it: {error}") from error
    texts = {str(warning.message) for warning in caught}
    # Joint targets in rad are the protocol's; Gymnasium would have actions between -1 and 1.
    advice = {text for text in texts if "WARN" in text and "symmetric and normalized" not in text}
    require(not advice, f"Gymnasium's checker warns: {' '.join(sorted(advice))}")


def _check_resets(env: Any) -> None:
    """Check that a seed starts the same trial whatever came before; end at seed 42."""
    starts = []
    for seed in (42, 7, 42):
        obs, info = env.reset(seed=seed)
        state = env.simulation.get_state()
        starts.append({**{key: value.copy() for key, value in obs.items()}, **info, "state": state})
    differ = differences(starts[0], starts[2])
    require(
        not differ,
        f"reset(seed=42) differs in {differ} after reset(seed=7); reset must set everything anew, "
        "and draw from the seed only",
    )
    require(
        starts[0]["trial_hash"] != starts[1]["trial_hash"],
        "seeds 42 and 7 give the same trial; draw it from the stream that draw() is given",
    )


def _check_refusals(env: Any) -> None:
    """Bad actions raise ValueError and change nothing."""
    still = _hold(env, 1)[0]
    joint = np.arange(len(still)) == 3
    bad = {
        "NaN": np.where(joint, np.nan, still),
        "an infinite target": np.where(joint, np.inf, still),
        "22 targets": still[:-1],
        "a chunk of targets": still[None],
        "a target above its limit": np.where(joint, env.action_space.high + 0.1, still),
        "a target below its limit": np.where(joint, env.action_space.low - 0.1, still),
    }
    before = env.simulation.get_state()
    for name, action in bad.items():
        try:
            env.step(action)
        except ValueError:
            pass
        except Exception as error:
            raise AssertionError(
                f"an action with {name} raises {type(error).__name__}; raise ValueError"
            ) from error
        else:
            raise AssertionError(f"an action with {name} is accepted; raise ValueError")
        require(
            np.array_equal(before, env.simulation.get_state()),
            f"an action with {name} is refused but has changed the state; check it first",
        )


def _check_twins(env: Any, twin: Any) -> None:
    """Two instances give the same episode; ``env`` stands at the start of seed 42."""
    twin.reset(seed=42)
    for number, action in enumerate(_walk(env, WALK), start=1):
        differ = differences(_step(env, action), _step(twin, action))
        require(
            not differ,
            f"two instances at seed 42 differ in {differ} after step {number}; keep nothing in "
            "the task, class or module, and use no generator but the seeded one",
        )


def _check_restart(env: Any) -> None:
    """From the same state come the same observations; ``env`` is in mid-episode."""
    from .tasks import Task

    # These count control steps, which are no part of the simulation's state.
    episode = {"steps_left", "success", "is_success", "truncated"}
    if type(env.task).begin is not Task.begin:  # The criterion may remember the steps before.
        episode |= {"criterion", "distance", "gate", "reward"}
    state = env.simulation.get_state()
    actions = _walk(env, 5)
    futures = []
    for _ in range(2):
        env.simulation.set_state(state)
        futures.append([_step(env, action) for action in actions])
    for number, (once, again) in enumerate(zip(*futures, strict=True), start=1):
        differ = [key for key in differences(once, again) if key not in episode]
        require(
            not differ,
            f"{differ} differ {number} steps after a state was restored; Task.evaluate and the "
            "observation must depend on the simulation's state alone (a criterion that remembers "
            "the episode is returned by Task.begin)",
        )


def _episode(env: Any, seed: int, choose: Callable[[Any], NDArray[np.float32]]) -> bool:
    """Play an episode, check every step of it, and say whether it succeeded.

    Args:
        env: The environment.
        seed: Of the trial.
        choose: Gives the episode's actions (60, 23) when the trial has been reset.
    """
    obs, info = env.reset(seed=seed)
    require(not info["success"], f"success before the first step at seed {seed}")
    seen, goal = [obs], obs["goal"].copy()
    distance, run, succeeded = info["distance"], 0, False
    for step, action in enumerate(choose(env), start=1):
        obs, reward, terminated, truncated, info = env.step(action)
        at = f"at step {step} of seed {seed}"
        outside = [key for key, box in env.observation_space.items() if not box.contains(obs[key])]
        require(not outside, f"{outside} outside the observation space {at}")
        shared = [key for key in obs for old in seen if np.may_share_memory(obs[key], old[key])]
        require(
            not shared, f"{sorted(set(shared))} {at} share memory with earlier ones; return copies"
        )
        seen.append(obs)
        require(np.array_equal(obs["goal"], goal), f"the goal image changes {at}")
        require(obs["steps_left"][0] == STEPS - step, f"steps_left is {obs['steps_left']} {at}")
        require(terminated is False, f"terminated {at}; success never ends an episode")
        require(truncated is (step == STEPS), f"truncated is {truncated} {at}; 60 steps each")
        before, distance = distance, info["distance"]
        require(
            np.isfinite(distance) and distance >= 0,
            f"the distance is {distance} {at}; give metres to the criterion, also where it is far",
        )
        require(
            abs(distance - before) <= FASTEST,
            f"the distance jumps from {before:.3f} to {distance:.3f} m {at}; it must be continuous "
            "(what is yes or no belongs into Outcome.gate)",
        )
        holds = info["gate"] and distance < env.task.threshold
        require(
            info["criterion"] == holds,
            f"the criterion is {info['criterion']} {at}, but the distance is {distance:.3f} m, the "
            f"threshold {env.task.threshold} m and the gate {info['gate']}",
        )
        require(reward == float(holds), f"the reward is {reward} {at}, expected {float(holds)}")
        run = run + 1 if holds else 0
        succeeded |= run >= HELD_STEPS
        for key in ("success", "is_success"):
            require(
                bool(info[key]) == (run >= HELD_STEPS),
                f"{key} is {info[key]} {at}, when the criterion has held for {run} steps; "
                f"it is to hold for {HELD_STEPS} up to now",
            )
    return succeeded
