"""Connecting to a Ray cluster, for all that ``--executor ray`` spreads over machines."""

import os
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from importlib import import_module
from types import ModuleType

from .errors import UserError


def import_ray() -> ModuleType:
    """Return the module ``ray``.

    Raises:
        UserError: It is not installed.
    """
    try:
        return import_module("ray")
    except ImportError as error:
        raise UserError(
            "--executor ray needs Ray, which is not installed: pip install 'dexbench[ray]'"
        ) from error


@contextmanager
def connected(address: str | None, cpus: int) -> Iterator[ModuleType]:
    """Connect to a cluster, and disconnect at the end.

    Args:
        address: Of the cluster; by default that in ``RAY_ADDRESS``, or a new one that is this
            machine alone.
        cpus: Processors of a new one.

    Yields:
        The module ``ray``.

    Raises:
        UserError: Ray is not installed, or there is no such cluster.
    """
    ray = import_ray()
    address = address or os.environ.get("RAY_ADDRESS") or "local"
    local = {}
    if address == "local":
        os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
        # As many workers as without Ray, and little memory: results are a few kilobytes.
        local = {"num_cpus": cpus, "object_store_memory": 10**8, "include_dashboard": False}
    host, colon, port = address.removeprefix("ray://").rpartition(":")
    try:
        if colon:  # Ray itself tries for many minutes to reach a wrong address.
            socket.create_connection((host, int(port)), timeout=30).close()
        ray.init(address, logging_level="ERROR", **local)
    except Exception as error:  # Ray raises many kinds, the plain one among them.
        raise UserError(
            f"no Ray cluster at {address!r} ({error}); start one with `ray start --head` "
            "or leave out --ray-address"
        ) from error
    try:
        yield ray
    finally:
        ray.shutdown()
