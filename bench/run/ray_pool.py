"""``--executor ray``: the workers of `pool.Pool` on the machines of a Ray cluster.

An actor holds a pool of one worker, so that time limits, lost workers and rows are as on one
machine. What is lost with an actor or its machine is played again in another. Only the driver
writes ledgers; a video or traceback is in the run's folder on the machine that made it.
"""

import os
import sys
from collections import Counter, deque
from collections.abc import Iterable, Iterator
from contextlib import suppress
from math import ceil
from types import TracebackType
from typing import Any, Self

from dexbench.bench.ledger.rows import Row
from dexbench.utils.errors import UserError
from dexbench.utils.ray_cluster import connected, import_ray

from .pool import ATTEMPTS, LOADING_TIMEOUT, Pool, Result
from .worker import Job, Setup


class Player:
    """What runs in an actor."""

    def __init__(self, setup: Setup, decision_timeout: float, path: list[str]) -> None:
        """Start nothing yet.

        Args:
            setup: As `Pool`'s.
            decision_timeout: As `Pool`'s.
            path: Where else to look for modules, such as the user's agent; workers inherit it.
        """
        sys.path += [folder for folder in path if folder not in sys.path]
        self._pool = Pool(setup, 1, decision_timeout)

    def describe_agent(self) -> Row:
        """As `Pool.describe_agent`."""
        return self._pool.describe_agent()

    def play(self, job: Job) -> Result:
        """Return a trial's part of the row and its actions."""
        (result,) = self._pool.play([job])
        return result


class RayPool:
    """Does what `Pool` does; use it in a ``with`` statement, which connects and disconnects."""

    def __init__(
        self, setup: Setup, workers: int, decision_timeout: float, address: str | None = None
    ) -> None:
        """Connect to nothing yet.

        Args:
            setup: Handed to every worker.
            workers: Number of actors at most. Each takes as many of the cluster's processors as
                it has threads, and an even share of its GPUs.
            decision_timeout: Longest time for one call of the agent [s].
            address: Of the cluster; by default that in ``RAY_ADDRESS``, or a new one that is this
                machine alone.

        Raises:
            UserError: Ray is not installed.
        """
        self._ray = import_ray()
        self._setup = setup
        self._limit = workers
        self._timeout = decision_timeout
        self._address = address
        self._actors: list[Any] = []

    def describe_agent(self) -> Row:
        """As `Pool.describe_agent`, by the first actor."""
        ray = self._ray
        try:
            answer = self._spawn().describe_agent.remote()
            description: Row = self._get(answer, timeout=LOADING_TIMEOUT)
            return description
        except ray.exceptions.GetTimeoutError as error:
            raise UserError(
                f"the Ray cluster had no room for a worker of {self._setup.threads} processors "
                f"within {LOADING_TIMEOUT:g} s; add a machine, or choose fewer --threads"
            ) from error
        except ray.exceptions.RayActorError as error:
            raise UserError(f"agent {self._setup.agent!r} cannot be made: {error}") from error

    def play(self, jobs: Iterable[Job]) -> Iterator[Result]:
        """As `Pool.play`.

        Raises:
            UserError: The environment cannot be made or reset, or a trial lost `ATTEMPTS` actors.
        """
        ray = self._ray
        queue = deque(jobs)
        lost: Counter[Job] = Counter()
        playing: dict[Any, tuple[Any, Job]] = {}
        while queue or playing:
            busy = {id(actor) for actor, _ in playing.values()}
            idle = [actor for actor in self._actors if id(actor) not in busy]
            while queue and (idle or len(self._actors) < self._limit):
                actor = idle.pop() if idle else self._spawn()
                job = queue.popleft()
                playing[actor.play.remote(job)] = actor, job
            for actor in idle:  # Makes room for one that may still wait to be started.
                self._end(actor)
            (reference,), _ = ray.wait(list(playing))
            actor, job = playing.pop(reference)
            try:
                result = self._get(reference)
            except ray.exceptions.RayActorError as error:
                self._end(actor)
                lost[job] += 1
                if lost[job] == ATTEMPTS:
                    raise UserError(f"{job} cannot be played: lost {ATTEMPTS} actors") from error
                queue.appendleft(job)
            else:
                yield result

    def _spawn(self) -> Any:
        gpus = self._ray.cluster_resources().get("GPU", 0)
        actor = (
            self._ray.remote(Player)
            .options(
                num_cpus=self._setup.threads,
                num_gpus=1 / ceil(self._limit / gpus) if gpus else 0,
                scheduling_strategy="SPREAD",
            )
            .remote(self._setup, self._timeout, [os.path.abspath(p) for p in ("", *sys.path)])
        )
        self._actors.append(actor)
        return actor

    def _end(self, actor: Any) -> None:
        """Kill an actor; Linux then kills its worker."""
        self._actors.remove(actor)
        with suppress(Exception):  # It may be gone with its machine.
            self._ray.kill(actor)

    def _get(self, reference: Any, timeout: float | None = None) -> Any:
        """Return what an actor returned; its `UserError` is raised here without Ray's traceback."""
        try:
            return self._ray.get(reference, timeout=timeout)
        except self._ray.exceptions.RayTaskError as error:
            if isinstance(error.cause, UserError):
                raise UserError(str(error.cause)) from error
            raise

    def __enter__(self) -> Self:
        self._cluster = connected(self._address, self._limit * self._setup.threads)
        self._cluster.__enter__()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        for actor in list(self._actors):
            self._end(actor)
        self._cluster.__exit__(kind, error, traceback)
