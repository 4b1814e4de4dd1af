import pytest
from dexbench.bench.suite_build import SuiteBuildConfig, _build_one, build_suite
from dexbench.envs.errors import UserError
from dexbench.envs.suite import SUITES, Suite


def test_a_suite_is_never_built_over_another(tmp_path):
    (tmp_path / "v0").mkdir()
    with pytest.raises(UserError, match="v0 exists; delete it"):
        build_suite(SuiteBuildConfig(name="v0", trials=1, out=tmp_path))
    assert list(tmp_path.iterdir()) == [tmp_path / "v0"]
    assert list((tmp_path / "v0").iterdir()) == []


@pytest.mark.slow
@pytest.mark.skipif(not (SUITES / "v0").is_dir(), reason="suite v0 is not built yet")
@pytest.mark.parametrize("task", ["reach", "grasp", "place"])
def test_a_shipped_trial_is_what_its_name_draws(tmp_path, task):
    """Holds on machines whose arithmetic is that of the one that built the suite."""
    _, _, digest, _ = _build_one(("v0", task, 49, tmp_path))
    assert digest == Suite.load("v0").trial_hash(task, 49)
    made = (tmp_path / task / "049.npz").read_bytes()
    assert made == (SUITES / "v0" / task / "049.npz").read_bytes()


@pytest.mark.slow
def test_a_built_suite_can_be_loaded(tmp_path):
    config = SuiteBuildConfig(name="tiny", trials=1, out=tmp_path, workers=1, tasks=("grasp",))
    report = build_suite(config)
    assert report["grasp"]["accepted"] == 1
    suite = Suite(tmp_path / "tiny")
    assert suite.trials("grasp") == 1
    assert suite.trial("grasp", 0).task == "grasp"
    assert not (tmp_path / "tiny.tmp").exists()
