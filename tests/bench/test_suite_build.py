import numpy as np
import pytest

from dexbench.bench.suite_build import SuiteBuildConfig, _build_one, build_suite
from dexbench.envs.errors import UserError
from dexbench.envs.suite import SUITES, Suite
from dexbench.envs.trial import Trial


def test_a_suite_is_never_built_over_another(tmp_path):
    (tmp_path / "v1").mkdir()
    with pytest.raises(UserError, match="v1 exists; delete it"):
        build_suite(SuiteBuildConfig(name="v1", trials=1, out=tmp_path))
    assert list(tmp_path.iterdir()) == [tmp_path / "v1"]
    assert list((tmp_path / "v1").iterdir()) == []


@pytest.mark.slow
@pytest.mark.skipif(not (SUITES / "v1").is_dir(), reason="suite v1 is not built yet")
@pytest.mark.parametrize("task", ["reach", "grasp", "place"])
def test_a_shipped_trial_is_what_its_name_draws(tmp_path, task):
    _build_one(("v1", task, 49, tmp_path))
    made, shipped = Trial.load(tmp_path / task / "049.npz"), Suite.load("v1").trial(task, 49)
    for name in ("task", "seed", "xml", "objects", "instances", "recipe"):
        assert getattr(made, name) == getattr(shipped, name), name
    # The last bits of NumPy's linear algebra depend on the processor and its number of threads.
    assert np.abs(made.expert_actions - shipped.expert_actions).max() < 1e-3


@pytest.mark.slow
def test_a_built_suite_can_be_loaded(tmp_path):
    config = SuiteBuildConfig(name="tiny", trials=1, out=tmp_path, workers=1, tasks=("grasp",))
    report = build_suite(config)
    assert report["grasp"]["accepted"] == 1
    suite = Suite(tmp_path / "tiny")
    assert suite.trials("grasp") == 1
    assert suite.trial("grasp", 0).task == "grasp"
    assert not (tmp_path / "tiny.tmp").exists()
