"""The parent's side of the workers: it hands out trials and survives agents that do not answer."""

import multiprocessing
import os
import signal
import time
from collections import deque
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from multiprocessing.connection import Connection, wait
from types import TracebackType
from typing import Any, Self

import numpy as np

from ..envs.embodiment.robot import N_JOINTS
from ..envs.errors import UserError
from .ledger import Row, actions_hash
from .trial import Clock, outcome
from .worker import Job, Setup, main, thread_variables

Result = tuple[Row, np.ndarray]

# Loading weights or a scene takes a while on a slow disk; more than this is a hang.
LOADING_TIMEOUT = 600.0


@dataclass
class _Worker:
    """A worker process, what it does and since when [s, monotonic]."""

    process: Any
    connection: Connection
    job: Job | None = None
    phase: str = "loading"
    since: float = field(default_factory=time.monotonic)
    began: float = 0.0
    """When the trial in play started [s, monotonic]."""
    started: Row | None = None
    """The row of the trial in play, had it ended at its start."""

    def enter(self, phase: str) -> None:
        """Notes what the worker does from now on."""
        self.phase = phase
        self.since = time.monotonic()

    def start(self, row: Row) -> None:
        """Notes the trial that the worker has begun."""
        self.started = row
        self.began = time.monotonic()

    def kill(self) -> None:
        """Ends the worker at once, and waits until it is gone."""
        self.process.kill()
        self.process.join()
        self.connection.close()


class Pool:
    """Worker processes for one agent; use it in a ``with`` statement, which ends them."""

    def __init__(self, setup: Setup, workers: int, decision_timeout: float) -> None:
        """Starts nothing yet.

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
        self._retried: set[Job] = set()

    def describe_agent(self) -> Row:
        """Starts the first worker.

        Returns:
            The agent's part of every row: weights_hash, pretraining, privileged, dtype, versions.

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
        return content

    def play(self, jobs: Iterable[Job]) -> Iterator[Result]:
        """Plays trials on all workers.

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
                worker.job = self._queue.popleft()
                # A worker that died while idle shows itself at the next receive.
                with suppress(OSError):
                    worker.connection.send(worker.job)
                if worker.phase == "idle":
                    worker.enter("simulating")
            yield from self._wait()

    def _vacant(self) -> _Worker | None:
        """An idle worker, a new one while there may be more, or none."""
        idle = next((worker for worker in self._workers if worker.job is None), None)
        return self._spawn() if idle is None and len(self._workers) < self._limit else idle

    def _spawn(self) -> _Worker:
        ours, theirs = self._context.Pipe()
        process = self._context.Process(target=main, args=(theirs, self._setup))
        with _environment(thread_variables(self._setup.threads)):
            process.start()
        theirs.close()
        worker = _Worker(process, ours)
        self._workers.append(worker)
        return worker

    def _wait(self) -> Iterator[Result]:
        """Waits for news or a deadline, and yields the trials that ended."""
        busy = [worker for worker in self._workers if worker.job]
        deadline = min(worker.since + self._allowed(worker) for worker in busy)
        ready = wait([worker.connection for worker in busy], max(0, deadline - time.monotonic()))
        for worker in busy:
            if worker.connection in ready:
                result = self._handle(worker, *_receive(worker))
            elif time.monotonic() - worker.since > self._allowed(worker):
                kind = "decision timeout" if worker.phase == "deciding" else f"{worker.phase} hangs"
                result = self._bury(worker, f"{kind}: over {self._allowed(worker):g} s")
            else:
                continue
            if result is not None:
                yield result

    def _allowed(self, worker: _Worker) -> float:
        return self._timeout if worker.phase == "deciding" else LOADING_TIMEOUT

    def _handle(self, worker: _Worker, kind: str, content: Any) -> Result | None:
        """Takes one message; the result if it ends the trial."""
        assert worker.job is not None
        if kind == "died":
            return self._bury(worker, f"worker died ({content}) while {worker.phase}")
        if kind in ("failed", "refused"):
            raise UserError(
                f"{worker.job.task} trial {worker.job.trial} cannot be played: {content}"
            )
        if kind == "finished":
            worker.job = worker.started = None
            worker.enter("idle")
            return content
        if kind == "started":
            worker.start(content)
        worker.enter("deciding" if kind == "deciding" else "simulating")
        return None

    def _bury(self, worker: _Worker, reason: str) -> Result | None:
        """Ends a worker: its trial has failed, or goes back to the queue if it had not begun."""
        self._workers.remove(worker)
        worker.kill()
        job, started = worker.job, worker.started
        assert job is not None
        if started is None:
            if job in self._retried:
                raise UserError(f"{job.task} trial {job.trial} cannot be started: {reason}")
            self._retried.add(job)
            self._queue.appendleft(job)
            return None
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
        for worker in self._workers:
            worker.kill()
        self._workers.clear()


def _receive(worker: _Worker) -> tuple[str, Any]:
    """The next message, or ``("died", reason)``."""
    try:
        return worker.connection.recv()
    except (EOFError, OSError):
        worker.process.join(5)
        code = worker.process.exitcode
        name = signal.Signals(-code).name if code is not None and code < 0 else f"exit code {code}"
        return "died", name


@contextmanager
def _environment(variables: dict[str, str]) -> Iterator[None]:
    """Environment variables for the processes that are started inside the ``with``."""
    before = {name: os.environ.get(name) for name in variables}
    os.environ.update(variables)
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                del os.environ[name]
            else:
                os.environ[name] = value
