"""How many processor cores this process may use, which can be fewer than the machine has."""

import os
from collections.abc import Iterator
from pathlib import Path

CGROUPS = Path("/sys/fs/cgroup")
"""Where Linux shows its control groups."""
MEMBERSHIP = Path("/proc/self/cgroup")
"""Which groups this process is in."""


def usable_cores() -> int:
    """Return how many cores this process may use, at least 1.

    A process may be pinned to some cores, and a container may be allowed the time of a few.
    """
    cores = pinned_cores()
    quota = cpu_quota()
    return cores if quota is None else max(1, min(cores, int(quota)))


def pinned_cores() -> int:
    """Return how many cores the operating system schedules this process on."""
    try:
        return len(os.sched_getaffinity(0))
    except (AttributeError, OSError):  # macOS has no such call.
        return os.cpu_count() or 1


def cpu_quota() -> float | None:
    """Return cores' worth of time that the control groups allow, None if they do not limit it."""
    limits = (limit for folder in _groups() if (limit := _limit(folder)) is not None)
    return min(limits, default=None)


def _groups() -> Iterator[Path]:
    """Yield the folders of this process's control groups and of all groups that they are in.

    A container often sees its own group as the root, whatever path `MEMBERSHIP` says.
    """
    try:
        lines = MEMBERSHIP.read_text(encoding="utf-8").splitlines()
    except (OSError, ValueError):
        lines = []
    roots = [CGROUPS, CGROUPS / "cpu", CGROUPS / "cpu,cpuacct"]
    for line in lines:
        _, controllers, group = line.split(":", 2)
        if controllers and "cpu" not in controllers.split(","):
            continue
        for root in roots:
            folder = root / group.strip("/")
            while folder != root and folder.is_relative_to(root):
                yield folder
                folder = folder.parent
    yield from roots


def _limit(folder: Path) -> float | None:
    """Return a group's limit in cores, by version 2 or 1 of control groups; None if it has none."""
    try:
        if (folder / "cpu.max").exists():
            quota, period = (folder / "cpu.max").read_text(encoding="utf-8").split()
        else:
            quota = (folder / "cpu.cfs_quota_us").read_text(encoding="utf-8")
            period = (folder / "cpu.cfs_period_us").read_text(encoding="utf-8")
        return int(quota) / int(period) if int(quota) > 0 else None
    except (OSError, ValueError, ZeroDivisionError):
        return None  # "max", or no such file.
