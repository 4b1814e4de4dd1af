"""The agents that ``dexbench run --agent`` knows by name, imported only when one is made."""

import difflib
import importlib
import itertools
import os
import re
import sys
import traceback
from dataclasses import dataclass, field, replace
from typing import Any

from dexbench.utils.errors import UserError, message

from .base import Agent


@dataclass(frozen=True)
class AgentSpec:
    """How to make an agent, and what the leaderboard says of it."""

    name: str
    """What ``--agent`` and the leaderboard call it."""
    entry_point: str
    """``package.module:Class``."""
    description: str = ""
    """One sentence."""
    privileged: bool = False
    """Whether it is given the simulation. Such an agent is a bound, not a competitor."""
    pretraining: str = "none"
    """The data seen that is not the benchmark's own robot's, such as human video, or ``none``."""
    kwargs: dict[str, Any] = field(default_factory=dict)
    """Arguments of the class."""
    plans: bool = False
    """Whether it plans, so that the leaderboard can name its planner."""


_SPECS = (
    AgentSpec(
        "hold",
        "dexbench.agents.reference.hold:Hold",
        "Repeats the last commanded target: the floor.",
    ),
    AgentSpec(
        "random",
        "dexbench.agents.reference.random:Random",
        "One draw from the planner's initial distribution for each decision.",
    ),
    AgentSpec(
        "prior",
        "dexbench.agents.reference.prior:Prior",
        "Plays the planner's initial mean, the same in all trials of a task.",
    ),
    AgentSpec(
        "keypoint-fk",
        "dexbench.agents.reference.keypoint_fk:KeypointFK",
        "Detects the goal's hand keypoints and plans with forward kinematics, no world model.",
        plans=True,
    ),
    AgentSpec(
        "difference",
        "dexbench.agents.reference.difference:Difference",
        "A script that takes what differs between the two pictures to where it has gone.",
    ),
    AgentSpec(
        "kinematic",
        "dexbench.agents.reference.kinematic:Kinematic",
        "The same planner with perfect hand kinematics and the goal's true keypoints.",
        privileged=True,
        plans=True,
    ),
    AgentSpec(
        "sim-cem",
        "dexbench.agents.reference.sim_cem:SimCEM",
        "The same planner with the simulator for a model, 96 rollouts a decision.",
        privileged=True,
        plans=True,
    ),
    AgentSpec(
        "oracle",
        "dexbench.agents.reference.oracle:Oracle",
        "The same planner with the simulator for a model and the task's true cost; all cores.",
        privileged=True,
        plans=True,
    ),
    AgentSpec(
        "expert",
        "dexbench.agents.reference.expert:Expert",
        "Replays the scripted solution that was recorded when the trial was built.",
        privileged=True,
    ),
    AgentSpec(
        "dexwm",
        "dexbench.agents.dexwm.agent:DexWM",
        "The latent world model, planned by what it predicts, as in the paper.",
        plans=True,
    ),
    AgentSpec(
        "dexwm-scratch",
        "dexbench.agents.dexwm.agent:DexWM",
        "dexwm with weights trained once, from scratch, on 4 h of lift-noise.",
        kwargs={"weights": "scratch"},
        plans=True,
    ),
    AgentSpec(
        "dexwm-warm",
        "dexbench.agents.dexwm.agent:DexWM",
        "dexwm's weights; the plan begins where forward kinematics ends, and counts its hand.",
        kwargs={"planner": "warm"},
        plans=True,
    ),
    AgentSpec(
        "dexwm-paper",
        "dexbench.agents.dexwm.agent:DexWM",
        "dexwm's weights with the paper's whole search, 512 candidates and 10 iterations.",
        kwargs={"planner": "paper"},
        plans=True,
    ),
    AgentSpec(
        "dexwm-32",
        "dexbench.agents.dexwm.agent:DexWM",
        "dexwm with the search of oracle, 32 candidates and 6 iterations, the cheapest played.",
        kwargs={"planner": "cem-32"},
        plans=True,
    ),
    AgentSpec(
        "diffusion-policy",
        "dexbench.agents.diffusion_policy.agent:DiffusionPolicy",
        "Behaviour cloned from exploration such as dexwm learns from, given the goal.",
    ),
    AgentSpec(
        "diffusion-policy-lift",
        "dexbench.agents.diffusion_policy.agent:DiffusionPolicy",
        "diffusion-policy, cloned from the scripted expert's successful lifts instead.",
        kwargs={"weights": "lift"},
    ),
)

AGENTS: dict[str, AgentSpec] = {spec.name: spec for spec in _SPECS}


def find_agent(name: str) -> AgentSpec:
    """Return the registered agent ``name``, or an unprivileged spec for ``package.module:Class``.

    Raises:
        UserError: There is no such agent.
    """
    if name in AGENTS:
        return AGENTS[name]
    if ".py:" in name:
        module = os.path.basename(name).replace(".py:", ":")
        raise UserError(
            f"there is no agent {name!r}; go to the file's folder, and name the module: {module}"
        )
    if re.fullmatch(r"\w+(\.\w+)*:\w+", name):
        return AgentSpec(name, entry_point=name)
    close = difflib.get_close_matches(name, AGENTS, n=1)
    guess = f"did you mean {close[0]!r}? " if close else ""
    raise UserError(
        f"there is no agent {name!r}; {guess}choose one of {', '.join(AGENTS)}, "
        "or name your own as package.module:Class"
    )


FOREIGN = ("<frozen", f"{os.sep}importlib{os.sep}", "site-packages", __file__)
"""What a frame's file has in it where the code is not an agent's author's."""


def _reason(error: Exception) -> str:
    """Return the error and the last line of the author's own code that led to it, if any did."""
    places = [
        f"{frame.filename}:{frame.lineno}"
        for frame in traceback.extract_tb(error.__traceback__)
        if not any(part in frame.filename for part in FOREIGN)
    ]
    place = f" ({places[-1]})" if places else ""
    return f"{type(error).__name__}: {message(error)}{place}"


def make_agent(name: str, **kwargs: Any) -> tuple[Agent, AgentSpec]:
    """Make an agent.

    Args:
        name: A registered name or ``package.module:Class``; a module that is not installed is
            looked for in the current directory.
        **kwargs: Passed to the class, over the spec's own.

    Returns:
        The agent, and its spec with ``privileged`` and ``pretraining`` as the class has them.

    Raises:
        UserError: The agent is unknown, cannot be imported or made, or is not an agent.
    """
    spec = find_agent(name)
    module_name, _, class_name = spec.entry_point.partition(":")
    if os.getcwd() not in sys.path and "" not in sys.path:
        # Last, so that a folder here never hides an installed package.
        sys.path.append(os.getcwd())
    try:
        module = importlib.import_module(module_name)
    except Exception as error:
        where = f"; looked in {os.getcwd()} and installed packages"
        parents = [module_name, *itertools.accumulate(module_name.split("."), "{}.{}".format)]
        absent = isinstance(error, ModuleNotFoundError) and error.name in parents
        raise UserError(
            f"agent {name!r}: cannot import {module_name}: {_reason(error)}{where * absent}"
        ) from error
    if not hasattr(module, class_name):
        raise UserError(f"agent {name!r}: module {module_name} has no class {class_name}")
    try:
        agent = getattr(module, class_name)(**{**spec.kwargs, **kwargs})
    except UserError:
        raise  # it names its own cure
    except Exception as error:
        raise UserError(f"agent {name!r} cannot be made: {_reason(error)}") from error
    spec = replace(spec, privileged=spec.privileged or bool(getattr(agent, "privileged", False)))
    required = ("reset", "act", "bind") if spec.privileged else ("reset", "act")
    missing = [method for method in required if not callable(getattr(agent, method, None))]
    if missing:
        raise UserError(
            f"agent {name!r}: {class_name} has no method {' or '.join(missing)}; "
            "dexbench.agents.base.Agent says what an agent needs"
        )
    metadata = getattr(agent, "metadata", {})
    return agent, replace(spec, pretraining=metadata.get("pretraining", spec.pretraining))
