"""Whether chance solves a trial: suites leave out what a few random plays solve."""

import numpy as np

from dexbench.envs.trial import STEPS, Trial

PLAYS = 4
"""Random plays that must all fail before a trial enters a suite."""


def solved_by_chance(trial: Trial, plays: int = PLAYS) -> bool:
    """Return whether the agent ``random`` solves a trial in one of some plays.

    Its seeds are none that a run gives it, so that its score on the suite stays a fair measurement.

    Args:
        trial: What is played.
        plays: How often.
    """
    from dexbench.agents.reference.random import Random
    from dexbench.envs.embodiment.robot import HIGHEST, LOWEST
    from dexbench.envs.simulation import Simulation
    from dexbench.envs.tasks import Playback, find_task
    from dexbench.utils.seeding import seed_for

    simulation = Simulation(trial.xml, trial.objects)
    playback = Playback(find_task(trial.task), trial, simulation)
    agent = Random()
    for play in range(plays):
        agent.reset(trial.task, seed_for("chance", trial.seed, play))
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
