"""The parent's side of the workers: it hands out trials and outlives workers that do not answer.

A decision that takes too long is the agent's failure and ends its trial. A worker that dies, or
hangs elsewhere, may be the machine's (a driver, memory): its trial is played again in a new worker.
"""

import multiprocessing
import signal
import sys
import time
from collections import Counter, deque
from collections.abc import Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from multiprocessing.connection import Connection, wait
from types import TracebackType
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray
from tqdm import tqdm

from dexbench.bench.ledger.actions import actions_hash
from dexbench.bench.ledger.outcome import outcome
from dexbench.bench.ledger.rows import Row
from dexbench.envs.embodiment.robot import N_JOINTS
from dexbench.utils.errors import UserError
from dexbench.utils.processes import end_groups, kill_group
from dexbench.utils.variables import variables

from .trial import Clock
from .worker import Job, Setup, main, thread_variables

Result = tuple[Row, NDArray[np.float32]]

LOADING_TIMEOUT = 600.0
"""Longest time to load weights or a scene [s]; a slow disk takes a while, more is a hang."""
SIMULATING_TIMEOUT = 120.0
"""Longest time for a control step with its picture, or to write a video [s]; more is a hang."""
ATTEMPTS = 3
"""A trial that has lost so many workers is not played again."""

# What a worker does after it has sent a message.
PHASES = {
    "ready": "loading",
    "started": "simulating",
    "deciding": "deciding",
    "decided": "simulating",
    "stepped": "simulating",
}


@dataclass
class _Worker:
    """A worker process, what it does and since when [s, monotonic]."""

    process: Any
    connection: Connection
    job: Job | None = None
    phase: str = "loading"
    since: float = field(default_factory=time.monotonic)
    began: float = 0.0
    """When it was given its trial [s, monotonic]."""

    def enter(self, phase: str) -> None:
        """Note what the worker does from now on."""
        self.phase = phase
        self.since = time.monotonic()

    def give(self, job: Job) -> None:
        """Hand it a trial."""
        self.job = job
        self.began = time.monotonic()
        self.enter("loading")
        # A worker that died while idle shows itself at the next receive.
        with suppress(OSError):
            self.connection.send(job)


class Pool:
    """Worker processes for one agent; use it in a ``with`` statement, which ends them."""

    def __init__(self, setup: Setup, workers: int, decision_timeout: float) -> None:
        """Start nothing yet.

        Args:
            setup: Handed to every worker.
            workers: Number of processes at most.
            decision_timeout: Longest time for one call of the agent [s].
        """
        self._setup = setup
        self._limit = workers
        self._timeout = decision_timeout
        self._context = multiprocessing.get_context("spawn")
        self._workers: list[_Worker] = []
        self._queue: deque[Job] = deque()
        self._lost: Counter[Job] = Counter()
        # Rows of trials that have begun, had they ended at their start.
        self._started: dict[Job, Row] = {}

    def describe_agent(self) -> Row:
        """Start the first worker.

        Returns:
            What every worker adds to its rows: weights_hash, pretraining, privileged, entry_point,
            dtype, versions.

        Raises:
            UserError: The agent cannot be made.
        """
        worker = self._spawn()
        message: tuple[str, Any] = ("failed", f"no answer within {LOADING_TIMEOUT:g} s")
        if worker.connection.poll(LOADING_TIMEOUT):
            message = _receive(worker)
        kind, content = message
        if kind == "refused":
            raise UserError(content)
        if kind != "ready":
            raise UserError(f"agent {self._setup.agent!r} cannot be made: {content}")
        worker.enter("idle")
        description: Row = content
        return description

    def play(self, jobs: Iterable[Job]) -> Iterator[Result]:
        """Play trials on all workers.

        Args:
            jobs: The trials, handed out in this order.

        Yields:
            Each trial's part of the row and its actions, in the order in which they finish.

        Raises:
            UserError: The environment cannot be made or reset.
        """
        self._queue.extend(jobs)
        while self._queue or any(worker.job for worker in self._workers):
            while self._queue and (worker := self._vacant()) is not None:
                worker.give(self._queue.popleft())
            yield from self._wait()

    def _vacant(self) -> _Worker | None:
        """Return an idle worker, a new one while there may be more, or none."""
        idle = next((worker for worker in self._workers if worker.job is None), None)
        return self._spawn() if idle is None and len(self._workers) < self._limit else idle

    def _spawn(self) -> _Worker:
        ours, theirs = self._context.Pipe()
        process = self._context.Process(target=main, args=(theirs, self._setup))
        with variables(thread_variables(self._setup.threads)):
            process.start()
        theirs.close()
        worker = _Worker(process, ours)
        self._workers.append(worker)
        return worker

    def _wait(self) -> Iterator[Result]:
        """Wait for news or a deadline, and yield the trials that ended."""
        busy = [worker for worker in self._workers if worker.job]
        deadline = min(worker.since + self._allowed(worker) for worker in busy)
        ready = wait([worker.connection for worker in busy], max(0, deadline - time.monotonic()))
        # Taken now: writing down a result may take long, and is not the other workers' time.
        now = time.monotonic()
        for worker in busy:
            allowed = self._allowed(worker)
            if worker.connection in ready:
                result = self._handle(worker, *_receive(worker))
            elif now - worker.since <= allowed:
                continue
            elif worker.phase == "deciding":
                self._end(worker)
                result = self._failed(worker, f"decision timeout: over {allowed:g} s")
            else:
                result = self._lose(worker, f"worker hung {worker.phase}: over {allowed:g} s")
            if result is not None:
                yield result

    def _allowed(self, worker: _Worker) -> float:
        """Longest time for what the worker does [s]."""
        limits = {"deciding": self._timeout, "simulating": SIMULATING_TIMEOUT}
        return limits.get(worker.phase, LOADING_TIMEOUT)

    def _handle(self, worker: _Worker, kind: str, content: Any) -> Result | None:
        """Take one message; the result if it ends the trial."""
        assert worker.job is not None
        if kind == "died":
            return self._lose(worker, f"worker died ({content}) while {worker.phase}")
        if kind in ("failed", "refused"):
            raise UserError(f"{worker.job} cannot be played: {content}")
        if kind == "finished":
            worker.job = None
            worker.enter("idle")
            result: Result = content
            return result
        if kind == "started":
            self._started[worker.job] = content
        worker.enter(PHASES[kind])
        return None

    def _end(self, worker: _Worker) -> None:
        self._workers.remove(worker)
        _end_all([worker])

    def _lose(self, worker: _Worker, reason: str) -> Result | None:
        """End a worker whose trial is played again, or has failed if that was done before."""
        self._end(worker)
        job = worker.job
        assert job is not None
        self._lost[job] += 1
        if self._lost[job] < ATTEMPTS:
            tqdm.write(f"{job}: {reason}; it is played again", file=sys.stderr)
            self._queue.appendleft(job)
            return None
        reason = f"lost {ATTEMPTS} workers: {reason}"
        if job not in self._started:
            raise UserError(f"{job} cannot be started: {reason}")
        return self._failed(worker, reason)

    def _failed(self, worker: _Worker, reason: str) -> Result:
        """Return the row of a trial that cost its worker, and no actions."""
        assert worker.job is not None
        started = self._started[worker.job]
        actions = np.zeros((0, N_JOINTS), np.float32)
        timing = {**Clock().record(), "wall_s": round(time.monotonic() - worker.began, 4)}
        row = {**started, **outcome(started["distances"], [], [], reason)}
        return {**row, "actions_hash": actions_hash(actions), "timing": timing}, actions

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        _end_all(self._workers)
        self._workers.clear()


def _end_all(workers: list[_Worker]) -> None:
    """End workers with all that their agents have started, and wait until they are gone."""
    try:
        end_groups([worker.process for worker in workers])
    finally:
        for worker in workers:
            worker.connection.close()


def _receive(worker: _Worker) -> tuple[str, Any]:
    """Return the next message, or ``("died", reason)``."""
    try:
        message: tuple[str, Any] = worker.connection.recv()
        return message
    except (EOFError, OSError):
        worker.process.join(5)
        kill_group(worker.process)
        code = worker.process.exitcode
        name = signal.Signals(-code).name if code is not None and code < 0 else f"exit code {code}"
        return "died", name
