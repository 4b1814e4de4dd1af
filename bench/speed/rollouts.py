"""``dexbench speed rollouts``: rollouts a second on all cores against one process's.

A rollout is the 60 control steps of v1's place trial 0, whose hand holds the object, with joint
targets near the expert's: what a planner plays that has the simulator for a model. One process
plays them one after the other, and `Rollouts` the same ones on all cores. They take turns, so that
whatever else the machine does slows both alike.
"""

import time
from collections.abc import Callable
from dataclasses import dataclass
from statistics import median
from typing import Any

from dexbench.utils.errors import at_least


@dataclass(frozen=True)
class RolloutsSpeedConfig:
    """Measures rollouts a second on all cores and in one process."""

    repeats: int = 5
    """Turns of each; the medians are printed."""
    rollouts: int = 8
    """Rollouts in a turn."""


@dataclass(frozen=True)
class RolloutsSpeed:
    """One comparison."""

    threads: int
    """How many rollouts run at a time on all cores."""
    parallel: tuple[float, ...]
    """Rollouts a second of each turn on all cores."""
    single: tuple[float, ...]
    """The same in one process, one after the other."""
    same: bool
    """Whether both end in the same states, to the last bit."""

    @property
    def ratio(self) -> float:
        """How many times faster all cores are: ratio of the medians."""
        return median(self.parallel) / median(self.single)

    def text(self) -> str:
        """Return the result in four lines."""
        turns = [fast / slow for fast, slow in zip(self.parallel, self.single, strict=True)]
        return "\n".join(
            [
                f"one process  {median(self.single):8.2f} rollouts/s",
                f"{self.threads:3} threads  {median(self.parallel):8.2f} rollouts/s",
                f"ratio        {self.ratio:8.2f} "
                f"(turns: {min(turns):.2f} to {max(turns):.2f}, {len(turns)} of them)",
                f"end states   {'the same, bit for bit' if self.same else 'DIFFERENT'}",
            ]
        )


def measure(config: RolloutsSpeedConfig) -> RolloutsSpeed:
    """Load the trial and measure.

    Raises:
        UserError: A number in the configuration is below 1.
    """
    at_least(1, repeats=config.repeats, rollouts=config.rollouts)
    import numpy as np

    from dexbench.envs.embodiment.robot import HIGHEST, LOWEST
    from dexbench.envs.rollouts import Rollouts
    from dexbench.envs.simulation import Simulation
    from dexbench.envs.suite import Suite
    from dexbench.utils.seeding import rng

    trial = Suite.load("v1").trial("place", 0)
    simulation, start = Simulation(trial.xml, trial.objects), trial.start_state
    offsets = rng("speed", "rollouts").normal(0, 0.05, (config.rollouts, 1, len(LOWEST)))
    sequences = np.clip(trial.expert_actions + offsets, LOWEST, HIGHEST)
    rollouts = Rollouts(simulation)

    def single() -> list[Any]:
        ends = []
        for targets in sequences:
            simulation.set_state(start)
            for target in targets:
                simulation.step(target)
            ends.append(simulation.get_state())
        return ends

    def parallel() -> list[Any]:
        return rollouts.play(start, sequences, lambda states: [*states][-1].get_state())

    same = np.array_equal(single(), parallel())  # both have warmed up now
    turns = [(_seconds(parallel), _seconds(single)) for _ in range(config.repeats)]
    fast, slow = (tuple(config.rollouts / s for s in column) for column in zip(*turns, strict=True))
    return RolloutsSpeed(rollouts.threads, fast, slow, same)


def _seconds(function: Callable[[], object]) -> float:
    start = time.perf_counter()
    function()
    return time.perf_counter() - start


def main(config: RolloutsSpeedConfig) -> None:
    """Measure and print."""
    print(measure(config).text())
