import sys
import threading
import time
from pathlib import Path
from typing import Any

import pytest
from support import fake
from support.runs import run_fake, without_timing

from dexbench.bench.ledger.ledger import read_rows
from dexbench.bench.run.runner import RunConfig, check
from dexbench.utils.errors import UserError


def test_without_ray_the_extra_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "ray", None)
    with pytest.raises(UserError, match=r"pip install 'dexbench\[ray\]'"):
        run_fake(tmp_path / "out", executor="ray")
    assert not list(tmp_path.iterdir())


def test_an_address_without_ray_is_refused() -> None:
    with pytest.raises(UserError, match="--executor ray only"):
        check(RunConfig("hold", "reach", ray_address="auto"), fake.BACKEND)


@pytest.mark.slow
def test_a_machine_that_is_lost_in_mid_run_changes_no_row(tmp_path: Path) -> None:
    pytest.importorskip("ray")
    from ray.cluster_utils import Cluster

    options: dict[str, Any] = {"trials": 12, "agent_args": ("pause=0.5",)}
    local = run_fake(tmp_path / "local", "support.fake:SlowSuccess", workers=2, **options)
    machine = {"num_cpus": 1, "object_store_memory": 10**8, "include_dashboard": False}
    cluster = Cluster(initialize_head=True, head_node_args=machine)
    path = tmp_path / "ray/v1/support.fake.SlowSuccess/reach/trials.jsonl"
    removed: list[int] = []

    def remove_a_machine() -> None:
        while not removed:
            if len(read_rows(path)) >= 2:
                cluster.remove_node(second, allow_graceful=False)
                removed.append(len(read_rows(path)))
            time.sleep(0.05)

    try:
        second = cluster.add_node(num_cpus=1, object_store_memory=10**8)
        threading.Thread(target=remove_a_machine, daemon=True).start()
        where = {"executor": "ray", "ray_address": cluster.address}
        rows = run_fake(tmp_path / "ray", "support.fake:SlowSuccess", workers=2, **where, **options)
    finally:
        cluster.shutdown()
    assert removed and removed[0] < 12, "it was to be lost in mid-run"
    assert without_timing(rows) == without_timing(local)
    assert len(read_rows(path)) == 12


@pytest.mark.slow
def test_ray_on_this_machine_alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("ray")
    monkeypatch.delenv("RAY_ADDRESS", raising=False)
    faults = {"agent_args": ("fault=raise",), "trials": 3}
    rows = run_fake(tmp_path / "ray", "support.fake:Sometimes", executor="ray", **faults)
    assert without_timing(rows) == without_timing(
        run_fake(tmp_path / "local", "support.fake:Sometimes", **faults)
    )
    assert rows[0]["error"] == "RuntimeError: the agent broke"
    with pytest.raises(
        UserError, match="^agent 'support.fake:Unmakeable' cannot be made: .*is missing$"
    ):
        run_fake(tmp_path / "none", "support.fake:Unmakeable", executor="ray")
    with pytest.raises(UserError, match="no Ray cluster at '127.0.0.1:1'"):
        run_fake(tmp_path / "none", executor="ray", ray_address="127.0.0.1:1")
    assert not (tmp_path / "none").exists()
