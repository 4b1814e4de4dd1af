"""Rollouts of many sequences of joint targets from one state, on all cores.

Each rollout is made of `Simulation.step`, the environment's own, in MuJoCo data of its own. So it
is exact to the last bit, whatever the number of threads. Threads suffice, because MuJoCo releases
Python's lock while it computes.
"""

import copy
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from queue import SimpleQueue
from typing import Any, TypeVar

import mujoco
import numpy as np
from numpy.typing import NDArray

from dexbench.utils.cores import usable_cores

from .simulation import Simulation

Result = TypeVar("Result")


class Rollouts:
    """Copies of a simulation that play what might be, while it stays as it is.

    Args:
        simulation: The scene. Its model is shared and never changed.
        threads: How many rollouts run at a time; as many as there are usable cores if left out.
            Results do not depend on it.
    """

    def __init__(self, simulation: Simulation, threads: int | None = None):
        self.threads = threads or usable_cores()
        self._copies: SimpleQueue[Simulation] = SimpleQueue()
        for _ in range(self.threads):
            rehearsal = copy.copy(simulation)
            rehearsal.data = mujoco.MjData(simulation.model)
            self._copies.put(rehearsal)

    def play(
        self,
        state: NDArray[np.float64],
        sequences: Iterable[NDArray[Any]],
        judge: Callable[[Iterator[Simulation]], Result],
    ) -> list[Result | None]:
        """Roll sequences out and judge each of them.

        Args:
            state: Where all of them begin, as `Simulation.get_state` gives it.
            sequences: Joint targets ``(n, 23)`` in rad, one row a control step of 0.1 s.
            judge: Is given the simulation once after each control step of a rollout, always the
                same object, and returns what becomes of the rollout. It is called from several
                threads. Where it stops early, the rest is not simulated.

        Returns:
            What ``judge`` returned, in the order of the sequences; None where the simulation
            diverged.
        """

        def roll_out(targets: NDArray[Any]) -> Result | None:
            simulation = self._copies.get()
            try:
                return judge(_states(simulation, state, targets))
            except FloatingPointError:
                return None
            finally:
                self._copies.put(simulation)

        with ThreadPoolExecutor(self.threads) as pool:
            return list(pool.map(roll_out, sequences))


def _states(
    simulation: Simulation, state: NDArray[np.float64], targets: NDArray[Any]
) -> Iterator[Simulation]:
    """Yield the simulation after each control step.

    Raises:
        FloatingPointError: The simulation diverged.
    """
    simulation.set_state(state)
    for target in targets:
        simulation.step(target)
        yield simulation
