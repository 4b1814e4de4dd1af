"""``dexbench collect --executor ray``: scenes recorded on the machines of a Ray cluster."""

from collections.abc import Callable
from concurrent.futures import Future
from typing import Any

from dexbench.utils.ray_cluster import connected

THREADS = {"OMP_NUM_THREADS": "1", "LP_NUM_THREADS": "1", "MKL_NUM_THREADS": "1"}
"""One thread a worker: rendering and arithmetic must not fight for cores."""


class RayExecutor:
    """Does what `ProcessPoolExecutor` does for `collect`, over a cluster.

    A scene whose machine is lost is recorded again on another: it is the same scene.

    Args:
        workers: Processors of a new cluster that is this machine alone.
        address: As `dexbench.utils.ray_cluster.connected`'s.

    Raises:
        UserError: Ray is not installed, or there is no such cluster.
    """

    def __init__(self, workers: int, address: str | None = None):
        self._cluster = connected(address, workers)
        self._ray = self._cluster.__enter__()
        self._begun: list[Any] = []

    def submit(self, function: Callable[..., Any], *arguments: Any) -> "Future[Any]":
        """Call the function on a processor of the cluster."""
        options = {"num_cpus": 1, "max_retries": 3, "runtime_env": {"env_vars": THREADS}}
        reference = self._ray.remote(function).options(**options).remote(*arguments)
        self._begun.append(reference)
        future: Future[Any] = reference.future()
        return future

    def shutdown(self, cancel_futures: bool = True) -> None:
        """Stop what is still running, and disconnect."""
        for reference in self._begun:
            self._ray.cancel(reference, force=True)
        self._cluster.__exit__(None, None, None)
