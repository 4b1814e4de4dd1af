"""Does jobs in processes of their own, and ends them when something goes wrong."""

from collections.abc import Callable, Generator, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from concurrent.futures.process import BrokenProcessPool
from multiprocessing import active_children, get_context
from typing import TypeVar

from dexbench.utils.errors import UserError
from dexbench.utils.progress import track

Work = TypeVar("Work")
Result = TypeVar("Result")


def run_all(
    jobs: Sequence[Work], build: Callable[[Work], Result], workers: int, unit: str = "trial"
) -> Generator[Result, None, None]:
    """Do jobs in processes of their own; yield each result as it is there.

    Args:
        jobs: What to do.
        build: Does one; called in another process.
        workers: Processes.
        unit: What the progress bar calls a job.

    Raises:
        UserError: A process died.
    """
    # One process renders one scene at a time; spawn keeps OpenGL contexts apart.
    others = active_children()
    pool = ProcessPoolExecutor(workers, get_context("spawn"), _one_thread)
    try:
        results = as_completed([pool.submit(build, job) for job in jobs])
        for result in track(results, "building", len(jobs), unit=unit):
            yield result.result()
    except BrokenProcessPool as error:
        raise UserError(
            "a process that built trials died, as for want of memory; give fewer --workers"
        ) from error
    finally:
        for child in active_children():  # after an error, trials begun are not wanted
            if child not in others:
                child.terminate()
        pool.shutdown(cancel_futures=True)


def _one_thread() -> None:
    """Begin a worker: the threads of several would mostly wait for one another."""
    import torch

    torch.set_num_threads(1)
