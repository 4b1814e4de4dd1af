"""Sets are the same wherever their scenes are recorded."""

import sys
import threading
import time

import pytest

from dexbench.data_collection.record import collect
from dexbench.data_collection.record.config import CollectConfig
from dexbench.utils.errors import UserError


def test_without_ray_the_extra_is_named(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "ray", None)
    with pytest.raises(UserError, match=r"pip install 'dexbench\[ray\]'"):
        collect.main(CollectConfig(tmp_path / "set", episodes=1, executor="ray"))


def test_what_a_cluster_cannot_do_is_refused(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(UserError, match="--executor ray only"):
        collect.main(CollectConfig(tmp_path / "set", episodes=1, ray_address="auto"))
    relative = tmp_path.relative_to(tmp_path) / "set"
    with pytest.raises(UserError, match="must be absolute"):
        collect.main(CollectConfig(relative, episodes=1, executor="ray"))
    assert not list(tmp_path.iterdir())


@pytest.mark.slow
def test_a_machine_that_is_lost_in_mid_run_changes_no_byte(tmp_path):
    pytest.importorskip("ray")
    from ray.cluster_utils import Cluster

    settings = {"strategy": "programmatic", "episodes": 16, "workers": 2}
    local, far = tmp_path / "local", tmp_path / "ray"
    collect.main(CollectConfig(local, **settings))
    machine = {"num_cpus": 1, "object_store_memory": 10**8, "include_dashboard": False}
    cluster = Cluster(initialize_head=True, head_node_args=machine)
    removed = []

    def remove_a_machine():
        while not removed:
            if (far / "episodes").exists() and list((far / "episodes").glob("*.h5")):
                cluster.remove_node(second, allow_graceful=False)
                removed.append(len(list((far / "episodes").glob("*.h5"))))
            time.sleep(0.05)

    try:
        second = cluster.add_node(num_cpus=1, object_store_memory=10**8)
        threading.Thread(target=remove_a_machine, daemon=True).start()
        where = {"executor": "ray", "ray_address": cluster.address}
        collect.main(CollectConfig(far, **settings, **where))
    finally:
        cluster.shutdown()
    assert removed and removed[0] < 16, "it was to be lost in mid-run"
    files = {p.relative_to(local): p.read_bytes() for p in local.rglob("*") if p.is_file()}
    assert len(files) > 32
    assert files == {p.relative_to(far): p.read_bytes() for p in far.rglob("*") if p.is_file()}
