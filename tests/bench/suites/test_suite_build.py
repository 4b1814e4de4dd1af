import os
import subprocess
import sys
import time
from types import SimpleNamespace

import pytest
from support.robocasa_tree import synthesise

from dexbench.bench.suites import build as building
from dexbench.bench.suites.build import (
    Built,
    Job,
    SuiteBuildConfig,
    build_suite,
    build_trial,
)
from dexbench.envs.assets.download import VARIABLE
from dexbench.envs.robocasa.recipe import IDS, NoRoom
from dexbench.envs.suite import Suite
from dexbench.envs.tasks import Rejected
from dexbench.envs.trial import Trial
from dexbench.utils.errors import UserError


@pytest.fixture
def download(tmp_path_factory, monkeypatch):
    """RoboCasa's own assets, as far as they are synthesised."""
    from dexbench.envs.robocasa import kitchen  # noqa: F401 - before the assets are there

    monkeypatch.setenv(VARIABLE, str(synthesise(tmp_path_factory.mktemp("download").resolve())))
    for split, number in (("train", 11), ("suite", 1)):
        monkeypatch.setitem(IDS, split, range(number, number + 1))


def test_a_suite_is_never_built_over_another(tmp_path):
    (tmp_path / "v1").mkdir()
    with pytest.raises(UserError, match="v1 exists; delete it"):
        build_suite(SuiteBuildConfig(name="v1", trials=1, out=tmp_path))
    assert list(tmp_path.iterdir()) == [tmp_path / "v1"]
    assert list((tmp_path / "v1").iterdir()) == []


@pytest.mark.parametrize("option", ["trials", "workers"])
def test_nothing_is_built_of_no_trials_or_by_nobody(tmp_path, option):
    with pytest.raises(UserError, match=f"--{option} is 0, expected at least 1"):
        build_suite(SuiteBuildConfig(name="new", out=tmp_path, **{option: 0}))
    assert not list(tmp_path.iterdir())


class Dies:
    """A job that ends the process which receives it."""

    def __reduce__(self):
        return os._exit, (1,)


def test_a_build_whose_process_dies_says_so_and_leaves_nothing(tmp_path):
    with pytest.raises(UserError, match="a process that built trials died.*fewer --workers"):
        build_suite(SuiteBuildConfig(name="new", trials=2, out=tmp_path, workers=1), Dies())
    assert not list(tmp_path.iterdir())


def test_a_suite_that_cannot_be_written_is_told(tmp_path):
    (tmp_path / "file").touch()
    config = SuiteBuildConfig(name="new", trials=1, out=tmp_path / "file", tasks=("reach",))
    with pytest.raises(UserError, match="cannot write .*choose another --out"):
        build_suite(config)


class Breaks:
    """A job that fails at once for trial 0, and takes long for others."""

    def __call__(self, job):
        if job.number == 0:
            raise PermissionError("set DEXBENCH_CACHE to a folder that can be written")
        time.sleep(100)


def test_a_build_that_fails_says_why_and_ends_what_it_began(tmp_path):
    begun = time.monotonic()
    with pytest.raises(PermissionError, match="set DEXBENCH_CACHE"):
        build_suite(SuiteBuildConfig(name="new", trials=3, out=tmp_path, workers=2), Breaks())
    assert time.monotonic() - begun < 90 and not list(tmp_path.iterdir())


def test_what_chance_solves_does_not_enter(tmp_path, monkeypatch):
    from dexbench.bench.suites import chance
    from dexbench.envs import tasks
    from dexbench.envs.robocasa import build as scene

    trials = [Suite.load("v1").trial("reach", index) for index in range(3)]
    verdicts, drawn = iter([True, Rejected("no luck"), False]), iter(trials)

    def solved(trial):
        verdict = next(verdicts)
        if isinstance(verdict, Rejected):
            raise verdict
        return verdict

    rules = SimpleNamespace(name="reach", needs_foresight=False, draw=lambda *_: next(drawn))
    monkeypatch.setattr(chance, "solved_by_chance", solved)
    monkeypatch.setattr(tasks, "find_task", lambda _: rules)
    monkeypatch.setattr(scene, "build_scene", lambda _: None)
    built = build_trial(Job("new", "reach", 4, tmp_path))
    assert built == ("reach", 4, trials[2].hash, {"chance solves it": 1, "no luck": 1})
    assert Trial.load(tmp_path / "reach/004.npz").hash == trials[2].hash


def test_what_geometry_solves_does_not_enter_where_foresight_is_asked(tmp_path, monkeypatch):
    from dexbench.bench.suites import chance
    from dexbench.envs import tasks
    from dexbench.envs.robocasa import build as scene

    trials = [Suite.load("v1").trial("reach", index) for index in range(2)]
    monkeypatch.setattr(chance, "solved_by_chance", lambda _: False)
    monkeypatch.setattr(chance, "solved_by_geometry", lambda trial: trial is trials[0])
    monkeypatch.setattr(scene, "build_scene", lambda _: None)
    for asked, accepted in ((True, 1), (False, 0)):
        drawn = iter(trials)
        rules = SimpleNamespace(
            name="reach", needs_foresight=asked, draw=lambda *_, drawn=drawn: next(drawn)
        )
        monkeypatch.setattr(tasks, "find_task", lambda _, rules=rules: rules)
        built = build_trial(Job("new", "reach", 4, tmp_path))
        assert built.hash == trials[accepted].hash
        assert built.rejected == ({"geometry of the hand solves it": 1} if asked else {})


@pytest.mark.parametrize(
    ("name", "asked", "built"),
    [
        ("v2", (), ("push", "pick", "carry", "avoid")),
        ("fresh", (), ("reach", "grasp", "place")),
        ("fresh", ("avoid",), ("avoid",)),
    ],
)
def test_a_suites_name_says_which_tasks_it_has(tmp_path, monkeypatch, name, asked, built):
    def build_all(config, folder, build):
        yield from (build(Job(name, task, 0, folder)) for task in config.tasks)

    monkeypatch.setattr(building, "_build_all", build_all)
    config = SuiteBuildConfig(name=name, trials=1, out=tmp_path, tasks=asked)
    build_suite(config, lambda job: Built(job.task, 0, "hash", {}))
    assert set(Suite(tmp_path / name).tasks) == set(built)


def test_a_suite_of_robocasas_kitchens(download, tmp_path, monkeypatch):
    from dexbench.bench.suites import chance
    from dexbench.envs import tasks
    from dexbench.envs.robocasa import build

    drawn = []
    real, full = build.build_scene, iter([NoRoom("no counter is long enough")])

    def build_scene(recipe):
        for reason in full:
            raise reason
        return real(recipe)

    def draw(scene, *_):
        drawn.append(scene)
        return Suite.load("v1").trial("reach", 0)

    monkeypatch.setattr(build, "build_scene", build_scene)
    rules = SimpleNamespace(name="reach", needs_foresight=False, draw=draw)
    monkeypatch.setattr(tasks, "find_task", lambda _: rules)
    monkeypatch.setattr(chance, "solved_by_chance", lambda _: False)
    built = build_trial(Job("new", "reach", 0, tmp_path, "robocasa"))
    assert built.rejected == {"no counter is long enough": 1}
    (scene,) = drawn
    assert scene.recipe["assets"] == "robocasa" and scene.recipe["split"] == "suite"


def test_a_suite_of_robocasas_kitchens_wants_its_assets(tmp_path, monkeypatch):
    monkeypatch.setenv(VARIABLE, str(tmp_path))
    with pytest.raises(UserError, match="assets are incomplete: .*download_kitchen_assets"):
        build_suite(SuiteBuildConfig(name="new", out=tmp_path, kitchen="robocasa"))
    assert not list(tmp_path.iterdir())


def test_drafts_of_other_suites_are_left_alone(tmp_path):
    other = tmp_path / ".fresh.77.tmp"
    other.mkdir()
    (other / "suite.json").write_text("another build's")
    with pytest.raises(UserError, match="died"):
        build_suite(SuiteBuildConfig(name="fresh.1", trials=1, out=tmp_path, workers=1), Dies())
    assert list(tmp_path.iterdir()) == [other]
    assert (other / "suite.json").read_text() == "another build's"


@pytest.mark.slow
@pytest.mark.parametrize("task", ["reach", "grasp", "place", "push", "avoid"])
def test_a_trial_is_a_pure_function_of_suite_task_and_number(tmp_path, task):
    build_trial(Job("again", task, 1, tmp_path / "here"))
    other = "from dexbench.bench.suites.build import Job, build_trial; from pathlib import Path; "
    other += f"build_trial(Job('again', {task!r}, 0, Path('there'))); "  # built before it
    other += f"build_trial(Job('again', {task!r}, 1, Path('there')))"
    subprocess.run([sys.executable, "-c", other], cwd=tmp_path, check=True, timeout=300)
    here, there = (Trial.load(tmp_path / name / task / "001.npz") for name in ("here", "there"))
    assert here.hash == there.hash
    zero = Trial.load(tmp_path / "there" / task / "000.npz")
    assert zero.recipe != here.recipe


@pytest.mark.slow
def test_a_built_suite_can_be_loaded(tmp_path):
    config = SuiteBuildConfig(name="tiny", trials=1, out=tmp_path, workers=1, tasks=("grasp",))
    report = build_suite(config)
    assert report["grasp"]["accepted"] == 1
    suite = Suite(tmp_path / "tiny")
    assert suite.trials("grasp") == 1
    assert suite.trial("grasp", 0).task == "grasp"
    assert list(tmp_path.iterdir()) == [tmp_path / "tiny"]
