"""Whether a trial is too easy for a suite: what a few plays of a simple agent solve is left out.

The agents' seeds are none that a run gives them, so that their scores on the suite stay fair
measurements.
"""

from typing import Any

import numpy as np

from dexbench.envs.trial import STEPS, Trial

PLAYS = 4
"""Random plays that must all fail before a trial enters a suite."""
GEOMETRY_PLAYS, MISREAD_PLAYS = 2, 12
"""Plays of `kinematic` that must all fail before a trial enters that asks for foresight: those that
know the goal's hand exactly, and those that misread where it is."""
MISREAD = 0.04
"""Standard deviation in m, along each axis, of how far off a misread hand is."""


def solved_by_chance(trial: Trial, plays: int = PLAYS) -> bool:
    """Return whether the agent ``random`` solves a trial in one of some plays.

    Args:
        trial: What is played.
        plays: How often.
    """
    from dexbench.agents.reference.random import Random

    return _solves(Random(), trial, "chance", plays)


def solved_by_geometry(
    trial: Trial, plays: int = GEOMETRY_PLAYS, misread: int = MISREAD_PLAYS
) -> bool:
    """Return whether the agent ``kinematic`` solves a trial in one of some plays.

    It plans by forward kinematics, with no idea of objects. It is told the goal's true hand. In
    further plays it takes the hand for a few centimetres elsewhere, as an agent does that reads it
    in a picture: an error can lead around an object by luck.

    Args:
        trial: What is played.
        plays: How often with the true hand.
        misread: How often with a misread one.
    """
    from dexbench.agents.reference.kinematic import Kinematic

    from .misreading import Misreading

    return _solves(Kinematic(), trial, "geometry", plays) or _solves(
        Misreading(MISREAD), trial, "misread", misread
    )


def _solves(agent: Any, trial: Trial, stream: str, plays: int) -> bool:
    """Whether an agent that does not look at pictures solves a trial in one of some plays.

    Args:
        agent: A `WaypointAgent`; a privileged one is bound to the playback, which has the goal.
        trial: What is played.
        stream: Names the agent's seeds.
        plays: How often.
    """
    from dexbench.envs.embodiment.robot import HIGHEST, LOWEST
    from dexbench.envs.simulation import Simulation
    from dexbench.envs.tasks import Playback, find_task
    from dexbench.utils.seeding import seed_for

    simulation = Simulation(trial.xml, trial.objects)
    playback = Playback(find_task(trial.task), trial, simulation)
    if getattr(agent, "privileged", False):
        agent.bind(playback)
    for play in range(plays):
        agent.reset(trial.task, seed_for(stream, trial.seed, play))
        playback.restart()
        steps_left = STEPS
        while steps_left:
            target = np.clip(simulation.joint_targets.astype(np.float32), LOWEST, HIGHEST)
            rows = agent.act({"agent_target": target, "steps_left": np.array([steps_left])})[
                :steps_left
            ]
            if playback.solves(rows):
                return True
            steps_left -= len(rows)
    return False
