"""A worker process: one environment, one agent, one trial after another.

One process for each environment, started by ``spawn``: in one process the contexts of several
renderers return each other's pictures.
"""

import importlib
import importlib.metadata
import os
import random
import signal
import sys
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

import gymnasium

from dexbench.agents.base import Agent
from dexbench.agents.registry import AgentSpec, make_agent
from dexbench.bench.ledger.rows import Row, plain, play_name, play_stem
from dexbench.bench.ledger.task_names import resolve
from dexbench.envs.assets.cache import VARIABLE as CACHE
from dexbench.envs.assets.download import VARIABLE as ROBOCASA
from dexbench.utils.errors import UserError, describe
from dexbench.utils.files import chosen_folder, write_atomic
from dexbench.utils.machine_errors import explain
from dexbench.utils.processes import die_with_parent, ignore_requests, lead_group
from dexbench.utils.seeding import seed_for

from .backend import DEXBENCH, Backend


@dataclass(frozen=True)
class Setup:
    """What a worker needs to know before its first trial."""

    agent: str
    task: str
    """As `tasks.resolve` takes it: every worker imports the module of a user's task anew."""
    suite: str
    agent_args: dict[str, Any] = field(default_factory=dict)
    threads: int = 1
    backend: Backend = DEXBENCH
    hide_robot: bool = False


@dataclass(frozen=True)
class Job:
    """A trial to play."""

    task: str
    trial: int
    folder: Path
    """Of the ledger: videos and tracebacks go beside it."""
    video: bool = False
    repeat: int = 0

    def __str__(self) -> str:
        return play_name(self.task, self.trial, self.repeat)


def thread_variables(threads: int) -> dict[str, str]:
    """Environment variables for a worker; libraries read them when they are first imported.

    The number of threads changes the order of sums, so it is fixed whatever the number of
    workers. The hash seed fixes the order of an agent's sets.
    """
    names = ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS", "LP_NUM_THREADS")
    return {**dict.fromkeys(names, str(threads)), "PYTHONHASHSEED": "0"}


def main(connection: Connection, setup: Setup) -> None:
    """Serve `Job`s from ``connection`` until it closes.

    It sends ``("ready", description)`` once; for each trial what `trial.play` notifies and
    ``("finished", (row, actions))``, rows with the description in them; ``("failed", reason)`` or,
    where the user can mend it, ``("refused", reason)`` when it cannot go on through no fault of the
    agent's play.

    Args:
        connection: To the parent.
        setup: Agent, suite and threads.
    """
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # The parent decides what Ctrl-C means.
    lead_group()
    die_with_parent()
    for variable in (CACHE, ROBOCASA):  # Relative ones would change with the current directory.
        if folder := chosen_folder(variable):
            os.environ[variable] = str(folder)
    try:
        _serve(connection, setup)
    except (EOFError, BrokenPipeError, ConnectionResetError):
        pass  # The parent is gone or wants no more.
    except UserError as error:
        connection.send(("refused", str(error)))
    except OSError as error:
        connection.send(("refused", explain(error) or describe(error)))
    except Exception as exception:
        connection.send(("failed", describe(exception)))
    finally:
        ignore_requests()


def _serve(connection: Connection, setup: Setup) -> None:
    from .pictures import write_video
    from .trial import play

    resolve(setup.task)  # Registers a user's task in this process.
    agent, spec = make_agent(setup.agent, **setup.agent_args)
    _fix_torch_threads(setup.threads)
    description = describe_agent(agent, spec)
    connection.send(("ready", description))

    env: gymnasium.Env[Any, Any] | None = None
    env_task = ""
    broken = False

    def notify(event: str, row: Row | None) -> None:
        connection.send((event, row and {**description, **row}))

    while True:
        job: Job = connection.recv()
        if env is None or env_task != job.task:
            if env is not None:
                env.close()
            env = setup.backend.make_env(job.task)
            env_task = job.task
        if broken:  # An agent that raised may be in any state; the next trial must not see it.
            agent, spec = make_agent(setup.agent, **setup.agent_args)
            description = describe_agent(agent, spec)
        frames: list[Any] | None = [] if job.video else None
        seed_global_generators(job.trial, job.repeat)
        stem = play_stem(job.trial, job.repeat)
        played = play(
            env,
            agent,
            suite=setup.suite,
            task=job.task,
            trial=job.trial,
            repeat=job.repeat,
            privileged=spec.privileged,
            hide_robot=setup.hide_robot,
            frames=frames,
            notify=notify,
        )
        broken = played.row["error"] is not None
        if frames:
            with warn_if_unwritten(f"the video of {job}"):
                write_video(job.folder / "videos" / f"trial-{stem}.mp4", frames)
        if played.traceback is not None:
            with warn_if_unwritten(f"the traceback of {job}"):
                write_atomic(job.folder / "errors" / f"trial-{stem}.txt", played.traceback)
        connection.send(("finished", ({**description, **played.row}, played.actions)))


@contextmanager
def warn_if_unwritten(what: str) -> Iterator[None]:
    """Turn an error into a warning where a file beside the ledger is written.

    The trial has been played, and its row counts with or without the file.

    Args:
        what: The file's name, for the warning.
    """
    try:
        yield
    except Exception as error:
        warnings.warn(f"{what} cannot be written ({describe(error)})", stacklevel=3)


def describe_agent(agent: Agent, spec: AgentSpec) -> Row:
    """Return what a row says of the agent: weights_hash, pretraining, privileged, ..., versions.

    Raises:
        UserError: JSON cannot hold what the agent says of itself.
    """
    said = {
        "weights_hash": getattr(agent, "weights_hash", None),
        "pretraining": spec.pretraining,
        "privileged": spec.privileged,
        "entry_point": spec.entry_point,
        "planner": getattr(agent, "planner_name", None),
        "cost": getattr(agent, "cost_name", None),
        "settings_hash": getattr(agent, "settings_hash", None),
        "dtype": getattr(agent, "metadata", {}).get("dtype", "float32"),
        "versions": versions(),
    }
    return plain(said, f"what agent {spec.name!r} says of itself")


def versions() -> dict[str, str]:
    """Return versions of what can change a score; packages that are not installed are left out."""
    installed = {"dexbench": importlib.import_module("dexbench").__version__}
    for package in ("mujoco", "numpy", "torch", "robosuite"):
        try:
            installed[package] = importlib.metadata.version(package)
        except importlib.metadata.PackageNotFoundError:
            continue
    return installed


def seed_global_generators(trial: int, repeat: int = 0) -> None:
    """Seed the generators that a user's agent may draw from; dexbench itself uses none.

    Without it such an agent's trial would depend on the trials that its worker played before.
    """
    import numpy as np

    # numpy takes 32 bits.
    seed = seed_for(trial, "repeat", repeat) % 2**32 if repeat else trial
    random.seed(seed)
    np.random.seed(seed)
    if "torch" in sys.modules:
        sys.modules["torch"].manual_seed(seed)


def _fix_torch_threads(threads: int) -> None:
    """Torch counts the processor's cores itself unless told."""
    if "torch" in sys.modules:
        sys.modules["torch"].set_num_threads(threads)
