import os
from pathlib import Path
from typing import Any

import pytest

from dexbench.utils import cores
from dexbench.utils.cores import cpu_quota, usable_cores


@pytest.fixture(autouse=True)
def groups(tmp_path: Path, monkeypatch: Any) -> Path:
    """An empty tree of control groups, on a machine of 64 cores."""
    monkeypatch.setattr(cores, "CGROUPS", tmp_path / "cgroup")
    monkeypatch.setattr(cores, "MEMBERSHIP", tmp_path / "membership")
    monkeypatch.setattr(os, "cpu_count", lambda: 64)
    monkeypatch.setattr(os, "sched_getaffinity", lambda pid: set(range(64)), raising=False)
    return tmp_path


def write(path: Path, text: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)


def test_a_pinned_process_uses_its_cores_only(monkeypatch: Any) -> None:
    assert usable_cores() == 64 and cpu_quota() is None
    monkeypatch.setattr(os, "sched_getaffinity", lambda pid: {3, 7, 8}, raising=False)
    assert usable_cores() == 3
    monkeypatch.delattr(os, "sched_getaffinity")
    assert usable_cores() == 64
    monkeypatch.setattr(os, "cpu_count", lambda: None)
    assert usable_cores() == 1


@pytest.mark.parametrize(
    ("membership", "files", "quota"),
    [
        ("0::/\n", {"cpu.max": "250000 100000\n"}, 2.5),
        ("0::/\n", {"cpu.max": "max 100000\n"}, None),
        # The group that limits is the one above.
        ("0::/a/b\n", {"a/cpu.max": "300000 100000", "a/b/cpu.max": "max 100000"}, 3),
        ("0::/a/b\n", {"a/cpu.max": "300000 100000", "a/b/cpu.max": "150000 100000"}, 1.5),
        # Version 1, as seen from the machine and from inside a container.
        (
            "5:memory:/job\n4:cpu,cpuacct:/job\n",
            {
                "cpu,cpuacct/job/cpu.cfs_quota_us": "400000\n",
                "cpu,cpuacct/job/cpu.cfs_period_us": "100000\n",
            },
            4,
        ),
        (
            "4:cpu,cpuacct:/docker/0123\n",
            {"cpu/cpu.cfs_quota_us": "50000\n", "cpu/cpu.cfs_period_us": "100000\n"},
            0.5,
        ),
        (
            "4:cpu:/\n",
            {"cpu/cpu.cfs_quota_us": "-1\n", "cpu/cpu.cfs_period_us": "100000\n"},
            None,
        ),
        ("4:memory:/job\n", {"job/cpu.max": "100000 100000"}, None),
        ("0::/\n", {"cpu.max": "nonsense"}, None),
    ],
)
def test_a_quota_of_control_groups_is_read(
    groups: Path, membership: str, files: dict[str, str], quota: float | None
) -> None:
    write(groups / "membership", membership)
    for name, text in files.items():
        write(groups / "cgroup" / name, text)
    assert cpu_quota() == quota
    assert usable_cores() == (64 if quota is None else max(1, int(quota)))


def test_whoever_makes_as_many_as_there_are_cores_counts_usable_ones() -> None:
    package = Path(cores.__file__).parents[1]
    files = [
        path
        for name in ("agents", "bench", "data_collection", "envs", "utils")
        for path in (package / name).rglob("*.py")
    ]
    counting = {str(path.relative_to(package)) for path in files if "cpu_count" in path.read_text()}
    assert counting == {"utils/cores.py", "bench/machine/doctor.py"}  # The doctor tells both.
