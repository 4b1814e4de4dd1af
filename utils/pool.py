"""A map over processes of this machine, in order."""

from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from multiprocessing import get_context
from typing import TypeVar

from .errors import UserError
from .processes import die_with_parent

Job = TypeVar("Job")
Result = TypeVar("Result")


def map_in_processes(
    work: Callable[[Job], Result], jobs: Sequence[Job], workers: int, doing: str, chunk: int = 1
) -> Iterator[Result]:
    """Yield the result of each job, in the order of the jobs.

    Args:
        work: Does a job; it can be pickled. Its exceptions are raised here.
        jobs: What to do.
        workers: Processes. With 1 it is done in this one.
        doing: What a process does, for the error: "read DIR".
        chunk: Jobs that are handed to a process at a time.

    Raises:
        UserError: A process was killed.
    """
    if workers == 1 or len(jobs) < 2:
        yield from map(work, jobs)
        return
    # Spawned, as OpenGL contexts do not survive a fork.
    with ProcessPoolExecutor(workers, get_context("spawn"), die_with_parent) as pool:
        try:
            yield from pool.map(work, jobs, chunksize=chunk)
        except BrokenProcessPool as error:
            raise UserError(
                f"a process that {doing} was killed, perhaps for want of memory; use fewer cores "
                "(--workers, where the command has it, or taskset)"
            ) from error
        finally:
            pool.shutdown(cancel_futures=True)
