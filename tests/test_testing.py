import itertools
from dataclasses import replace
from types import SimpleNamespace

import gymnasium
import numpy as np
import pytest
from gymnasium.spaces import Box, Dict
from support import faulty

from dexbench import testing
from dexbench.envs import gym_env, spaces, tasks
from dexbench.envs.embodiment.robot import HIGHEST, INIT_JOINTS, LOWEST
from dexbench.envs.gym_env import DexBenchEnv
from dexbench.envs.task_envs import ReachEnv
from dexbench.envs.tasks import Reach, register_task
from dexbench.testing import check_agent, check_task
from dexbench.utils.errors import UserError


@pytest.fixture
def quick(monkeypatch):
    """The shipped environments on a stand-in for the simulation, with tiny pictures."""
    monkeypatch.setattr(spaces, "HEIGHT", faulty.SIZE[0])
    monkeypatch.setattr(spaces, "WIDTH", faulty.SIZE[1])
    suite = SimpleNamespace(trial=lambda task, index: faulty.quick_trial(index))
    monkeypatch.setattr(gym_env, "Suite", SimpleNamespace(load=lambda name: suite))
    monkeypatch.setattr(gym_env, "Simulation", faulty.QuickSimulation)
    monkeypatch.setattr(gym_env, "training_trial", lambda task, seed, *_: faulty.quick_trial(seed))


@pytest.mark.parametrize("name", ["hold", "random", "kinematic"])
def test_reference_agents_pass(reused_simulations, name):
    assert 0 < check_agent(name) < 60


@pytest.mark.slow
@pytest.mark.parametrize("task", ["Reach", "Grasp", "Place"])
def test_shipped_tasks_pass(task):
    check_task(f"dexbench/{task}-v1")


def test_a_sound_agent_passes_by_class_and_by_name(quick):
    assert check_agent(faulty.Sound, trials=2) > 0
    assert check_agent("support.faulty:Sound", chunk=60) > 0


def test_privileged_agents_are_given_the_environment(quick):
    check_agent("kinematic")


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("Missing", "cannot be made .* no class Missing"),
        ("NoReset", "cannot be made .* no method reset"),
        ("MetadataIsText", "cannot be made .*dictionary as metadata"),
        ("MetadataIsNoJson", "cannot go into a ledger"),
        ("PretrainingIsNoText", "has pretraining = 5, expected a string"),
        ("DtypeIsNoText", "has dtype = None, expected a string"),
        ("PlannerNameIsNoText", "planner_name of support.faulty:PlannerNameIsNoText is 5"),
        ("HashIsNoText", "weights_hash of support.faulty:HashIsNoText is 5"),
        ("HashIsEmpty", "weights_hash of support.faulty:HashIsEmpty is ''"),
        ("HashOfAnInstance", "differ in metadata or weights_hash"),
        ("Vector", r"reach trial 1 ended with ValueError: .* shape \(23,\), expected"),
        ("Nothing", r"shape \(0, 23\), expected"),
        ("Text", "dtype <U32, expected float32"),
        ("NotFinite", "nan for joint 4 in row 6"),
        ("OutOfBounds", "joint 0: target .* outside"),
        ("CountsOnTwentySteps", "(?s)IndexError: the plan is used up.*Traceback"),
        ("Writes", r"changed the observation's \['agent_pos'\]; copy it"),
        ("Unseeded", "two new instances .* not the same actions"),
        ("DrawsWhenMade", "two new instances .* not the same actions"),
        ("Shares", "two new instances .* not the same actions"),
        ("Remembers", "otherwise when it has played another trial before"),
        ("KeepsTheFirstGoal", "otherwise when it has played another trial before"),
        ("OnlyInTheFirstProcess", "process of its own.*the camera is taken"),
    ],
)
def test_faulty_agents_are_caught(quick, name, message):
    with pytest.raises(AssertionError, match=message):
        check_agent(f"support.faulty:{name}")


def test_what_workers_cannot_be_given_is_caught(quick):
    with pytest.raises(AssertionError, match="process of its own.*plain arguments"):
        check_agent(faulty.Sound, hook=lambda: 0)

    class Local(faulty.Sound):
        pass

    with pytest.raises(AssertionError, match="cannot be made .*top level of a module"):
        check_agent(Local)
    with pytest.raises(AssertionError, match="is an instance; give its class"):
        check_agent(faulty.Sound())


def test_a_trial_that_is_not_there_is_the_users_error():
    with pytest.raises(UserError, match="has 50 reach trials"):
        check_agent("hold", trials=60)


def step(change):
    """Reach, with what a step returns changed: ``change(env, returned)``."""

    class Changed(ReachEnv):
        def step(self, action):
            returned = list(super().step(action))
            change(self, returned)
            return tuple(returned)

    return Changed


def info(key, value):
    """Reach, with an entry of info changed: ``value(env, info)``."""

    def change(env, returned):
        returned[4][key] = value(env, returned[4])

    return step(change)


def obs(key, value):
    """Reach, with a part of the observation changed: ``value(env, array)``."""

    def change(env, returned):
        returned[0][key] = value(env, returned[0][key])

    return step(change)


def reset(change):
    """Reach, with what happens at a reset changed: ``change(env, seed, obs, info)``."""

    class Changed(ReachEnv):
        def reset(self, *, seed=None, options=None):
            obs, info = super().reset(seed=seed, options=options)
            obs, info = change(self, seed, obs, info) or (obs, info)
            self.last_seed = seed
            return obs, info

    return Changed


def action(answer):
    """Reach, with other answers to actions that the protocol refuses: ``answer(action)``."""

    class Changed(ReachEnv):
        def step(self, action):
            try:
                return super().step(action)
            except ValueError:
                # As if the targets last commanded had been sent.
                if answer(np.asarray(action)):
                    return super().step(targets(self))
                raise

    return Changed


def targets(env):
    """The targets last commanded."""
    return env.simulation.joint_targets.astype(np.float32).clip(LOWEST, HIGHEST)


class Plain(gymnasium.Env):
    pass


class WideActions(ReachEnv):
    def __init__(self, **arguments):
        super().__init__(**arguments)
        self.action_space = Box(-4, 4, (23,), np.float32)


class MoreToSee(ReachEnv):
    def __init__(self, **arguments):
        super().__init__(**arguments)
        more = {"force": Box(-1, 1, (3,), np.float32)}
        self.observation_space = Dict({**self.observation_space.spaces, **more})


class OneTrial(ReachEnv):
    def reset(self, *, seed=None, options=None):
        super().reset(seed=seed, options=options)
        return self.begin(faulty.quick_trial(0))


class StateBeforeRefusal(ReachEnv):
    def step(self, action):
        self.simulation.step((targets(self) + 0.1).clip(LOWEST, HIGHEST))
        return super().step(action)


class OtherError(ReachEnv):
    def step(self, action):
        if np.shape(action) != (23,):
            raise IndexError(23)
        return super().step(action)


class Serial(ReachEnv):
    """Every instance has a number of its own."""

    numbers = itertools.count()

    def __init__(self, **arguments):
        super().__init__(**arguments)
        self.number = next(self.numbers)

    def step(self, action):
        obs, *rest = super().step(action)
        obs["agent_pos"] += np.float32(1e-3 * self.number)
        return obs, *rest


class StillSolves(ReachEnv):
    def begin(self, trial, hide_robot=False):
        started = super().begin(trial, hide_robot)
        self.simulation.set_state(trial.goal_state + 0.02)
        return started


class NotSolved(ReachEnv):
    def begin(self, trial, hide_robot=False):
        trial.expert_actions[:] = trial.start_state[:23].astype(np.float32)
        return super().begin(trial, hide_robot)


def late(env):
    """From step 30 on, so that an episode's beginning is sound."""
    return env.playback.steps >= 30


def perturbed(env, seed, obs, info):
    """Reset leaves a trace of the seed before."""
    if seed == 42 and env.last_seed == 7:
        obs["agent_pos"] = obs["agent_pos"] + np.float32(1e-6)


def stirred(env, seed, obs, info):
    """The trace is in the state only."""
    if seed == 42 and env.last_seed == 7:
        env.simulation.state[30] += 1e-9


KEPT = INIT_JOINTS.astype(np.float32)

FAULTS = {
    "Plain": (Plain, "Plain is no DexBenchEnv"),
    "WideActions": (WideActions, "action_space differs"),
    "MoreToSee": (MoreToSee, "observation_space differs"),
    "ResetReturns": (reset(lambda env, seed, obs, info: (obs, None)), "checker refuses it"),
    "Reward": (step(lambda env, out: out.__setitem__(1, float("inf"))), "checker warns.*inf"),
    "ResetObs": (reset(perturbed), r"reset\(seed=42\) differs in \['agent_pos'\]"),
    "ResetState": (reset(stirred), r"reset\(seed=42\) differs in \['state'\]"),
    "OneTrial": (OneTrial, "seeds 42 and 7 give the same trial"),
    "NaN": (action(lambda a: np.isnan(a).any()), "NaN is accepted"),
    "Infinite": (action(lambda a: np.isinf(a).any()), "infinite target is accepted"),
    "Short": (action(lambda a: a.shape == (22,)), "22 targets is accepted"),
    "Chunk": (action(lambda a: a.ndim == 2), "chunk of targets is accepted"),
    "Above": (
        action(lambda a: a.shape == (23,) and -0.15 < a[3] < 9),
        "above its limit is accepted",
    ),
    "Below": (action(lambda a: a.shape == (23,) and a[3] < -3.1), "below its limit is accepted"),
    "OtherError": (OtherError, "22 targets raises IndexError; raise ValueError"),
    "StateBeforeRefusal": (StateBeforeRefusal, "has changed the state"),
    "Serial": (Serial, "two instances at seed 42 differ in .*after step 1;"),
    "Clockwork": (
        obs("agent_pos", lambda env, a: a + np.float32(1e-4 * env.playback.steps)),
        r"\['agent_pos'\] differ 1 steps after a state was restored",
    ),
    "StillSolves": (StillSolves, "holding still succeeds at seed 0"),
    "NotSolved": (NotSolved, "expert's recorded actions do not succeed"),
    "SuccessAtReset": (
        reset(lambda env, seed, obs, info: (obs, {**info, "success": True})),
        "success before the first step",
    ),
    "Outside": (obs("agent_pos", lambda env, a: a + 9 * late(env)), "outside the observation"),
    "Shared": (
        obs("agent_pos", lambda env, a: KEPT if late(env) else a),
        "share memory with earlier ones",
    ),
    "Goal": (obs("goal", lambda env, a: a + np.uint8(late(env))), "the goal image changes"),
    "StepsLeft": (obs("steps_left", lambda env, a: a + late(env)), "steps_left is"),
    "Ends": (step(lambda env, out: out.__setitem__(2, late(env))), "terminated at step 30"),
    "NeverEnds": (
        step(lambda env, out: out.__setitem__(3, False)),
        "truncated is False at step 60",
    ),
    "Far": (info("distance", lambda env, i: np.inf if late(env) else i["distance"]), "is inf"),
    "Negative": (info("distance", lambda env, i: -i["distance"]), "the distance is -0"),
    "Jumps": (info("distance", lambda env, i: i["distance"] + 0.6 * late(env)), "jumps from"),
    "Threshold": (info("distance", lambda env, i: i["distance"] + 0.1), "the criterion is True"),
    "Gate": (info("gate", lambda env, i: False), "the criterion is True"),
    "RewardOfSuccess": (
        step(lambda env, out: out.__setitem__(1, float(out[4]["success"]))),
        "the reward is 0.0 at step .*, expected 1.0",
    ),
    "Hasty": (
        info("success", lambda env, i: env.playback.held_steps >= 5),
        "success is True .* has held for 5 steps",
    ),
    "Other": (info("is_success", lambda env, i: False), "is_success is False"),
}


def check(name, monkeypatch):
    """Checks a faulty environment, registered for the time of a test."""
    identity = f"faulty/{name}-v0"
    monkeypatch.setitem(
        gymnasium.registry,
        identity,
        gymnasium.envs.registration.EnvSpec(identity, entry_point=FAULTS[name][0]),
    )
    check_task(identity)


@pytest.mark.parametrize("name", FAULTS)
def test_faulty_environments_are_caught(quick, monkeypatch, name):
    with pytest.raises(AssertionError, match=FAULTS[name][1]):
        check(name, monkeypatch)


def test_without_a_fault_the_same_environments_pass(quick, monkeypatch):
    monkeypatch.setitem(FAULTS, "None", (step(lambda env, returned: None), ""))
    check("None", monkeypatch)
    check_task("dexbench/Reach-v1", seeds=1)


class Farthest:
    """Reach's criterion, as long as the hand has not been 10 m from its goal."""

    def __init__(self, task, target, goal):
        self.task, self.target, self.goal, self.farthest = task, target, goal, 0.0

    def evaluate(self, simulation):
        outcome = self.task.evaluate(simulation, self.target, self.goal)
        self.farthest = max(self.farthest, outcome.distance)
        # Continuous, and it depends on all that has been.
        return replace(outcome, distance=outcome.distance + 1e-3 * self.farthest)


class Remembering(Reach):
    """Its criterion remembers, as it may."""

    name = "remembering"

    def begin(self, simulation, target, goal):
        return Farthest(self, target, goal)


class Sharing(Reach):
    """All episodes share one memory."""

    name = "sharing"
    count = 0

    def evaluate(self, simulation, target, goal):
        self.count += 1
        outcome = super().evaluate(simulation, target, goal)
        return replace(outcome, distance=outcome.distance + 1e-9 * self.count)


@pytest.mark.parametrize(
    ("task", "complaint"),
    [(Remembering, None), (Sharing, "step info are not equivalent for the same seed")],
)
def test_a_criterion_may_remember_its_own_episode_only(quick, monkeypatch, task, complaint):
    monkeypatch.setattr(tasks, "TASKS", dict(tasks.TASKS))
    register_task(task())
    monkeypatch.setitem(
        FAULTS, "Memory", (type("Env", (DexBenchEnv,), {"task_name": task.name}), "")
    )
    if complaint is None:
        check("Memory", monkeypatch)
        return
    with pytest.raises(AssertionError, match=complaint):
        check("Memory", monkeypatch)


def test_in_a_shell(quick, capsys):
    testing.main(["agent", "hold"])
    assert "s/decision\nhold: no fault found" in capsys.readouterr().out
    testing.main(["task", "dexbench/Reach-v1"])
    assert capsys.readouterr().out == "dexbench/Reach-v1: no fault found\n"
    with pytest.raises(SystemExit, match="support.faulty:Writes: .*copy it before writing"):
        testing.main(["agent", "support.faulty:Writes"])
    for words in ([], ["agent"], ["robot", "hold"]):
        with pytest.raises(SystemExit, match="usage"):
            testing.main(words)
