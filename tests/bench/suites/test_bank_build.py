"""The bank is built scene by scene, and goes on where it was stopped."""

from types import SimpleNamespace

import pytest

from dexbench.bench.suites import bank as build
from dexbench.bench.suites.bank import SceneJob, SceneTrials, build_bank, build_trials
from dexbench.bench.suites.build import SuiteBuildConfig, main
from dexbench.envs.scenes.scene import Scene
from dexbench.envs.suite import Suite
from dexbench.envs.task_names import TASKS
from dexbench.envs.tasks import Playback, Rejected, find_task
from dexbench.envs.tasks.bank import Bank
from dexbench.utils.errors import UserError


@pytest.fixture(autouse=True)
def _in_this_process(monkeypatch):
    def run_all(jobs, build, workers, unit):
        assert unit == "scene"
        for job in reversed(jobs):
            yield build(job)

    monkeypatch.setattr(build, "run_all", run_all)


@pytest.fixture
def done():
    """The jobs that were done."""
    return []


@pytest.fixture
def build_some(done):
    """Reach has a trial in every scene, place in every third."""

    def build(job):
        done.append((job.number, job.tasks))
        bank = Bank(job.root)
        bank.scene_path(job.number).parent.mkdir(parents=True, exist_ok=True)
        bank.scene_path(job.number).touch()
        built = SceneTrials(job.number, {}, {})
        for task in job.tasks:
            if task == "reach" or job.number % 3 == 1:
                built.hashes[task] = f"{task} {job.number}"
            else:
                built.rejected[task] = "no free place"
        return built

    return build


def test_every_task_gets_its_trials_from_the_first_scenes_that_have_them(
    tmp_path, build_some, done
):
    report = build_bank(tmp_path, ("reach", "place"), 4, 2, build_some)
    assert report == {"reach": {"accepted": 4}, "place": {"accepted": 4, "no free place": 7}}
    bank = Bank(tmp_path)
    assert bank.numbers("reach") == [0, 1, 2, 3]
    assert bank.numbers("place") == [1, 4, 7, 10]
    assert sorted(done)[:4] == [(number, ("reach", "place")) for number in range(4)]
    assert all(tasks == ("place",) for number, tasks in done if number > 3)
    scenes = {path.name for path in (tmp_path / "scenes").iterdir()}
    assert scenes == {f"{number:03d}.json.gz" for number in (0, 1, 2, 3, 4, 7, 10)}


@pytest.mark.parametrize("after", [1, 3, 6])
def test_a_build_that_was_stopped_goes_on_and_ends_as_if_it_had_not_been(
    tmp_path, build_some, done, after
):
    build_bank(tmp_path / "whole", ("reach", "place"), 4, 2, build_some)
    done.clear()

    def interrupted(job):
        if len(done) == after:
            raise KeyboardInterrupt
        return build_some(job)

    with pytest.raises(KeyboardInterrupt):
        build_bank(tmp_path / "cut", ("reach", "place"), 4, 2, interrupted)
    build_bank(tmp_path / "cut", ("reach", "place"), 4, 2, build_some)
    assert len(done) == len(set(done)), "nothing is done twice"
    files = [(tmp_path / name / "bank.json").read_bytes() for name in ("whole", "cut")]
    assert files[0] == files[1]


def test_a_task_is_added_to_a_bank_and_the_others_stay(tmp_path, build_some, done):
    build_bank(tmp_path, ("reach",), 3, 1, build_some)
    done.clear()
    report = build_bank(tmp_path, ("place",), 1, 1, build_some)
    assert report == {"place": {"accepted": 1, "no free place": 1}}
    assert done == [(0, ("place",)), (1, ("place",))]
    assert Bank(tmp_path).numbers("reach") == [0, 1, 2]
    done.clear()
    build_bank(tmp_path, ("reach", "place"), 1, 1, build_some)
    assert done == [], "what is there is not built again"


def test_a_task_that_finds_no_trials_is_given_up(tmp_path):
    def build(job):
        return SceneTrials(job.number, {}, dict.fromkeys(job.tasks, "no luck"))

    with pytest.raises(UserError, match="only 0 of 20 scenes have a trial of grasp; make its"):
        build_bank(tmp_path, ("grasp",), 2, 1, build)
    assert len(Bank(tmp_path).rejected["grasp"]) == 20


@pytest.mark.parametrize("option", ["trials", "workers"])
def test_nothing_is_built_of_no_trials_or_by_nobody(tmp_path, option):
    with pytest.raises(UserError, match=f"--{option} is 0, expected at least 1"):
        build_bank(tmp_path, ("reach",), **{"trials": 1, "workers": 1, option: 0})
    assert not list(tmp_path.iterdir())


@pytest.fixture
def drawing(monkeypatch):
    """Scenes are the suite's, and what a task draws in them is told."""
    trials = [Suite.load("v1").trial("reach", index) for index in range(2)]
    outcomes = []

    def draw(scene, *_):
        outcome = outcomes.pop(0)
        if isinstance(outcome, Exception):
            raise outcome
        return outcome

    def scene(_):
        first = trials[0]
        return Scene(first.xml, first.objects, first.instances, first.recipe)

    monkeypatch.setattr(build, "build_scene", scene)
    monkeypatch.setattr(build, "find_task", lambda name: SimpleNamespace(name=name, draw=draw))
    monkeypatch.setattr(build, "check_redrawn", lambda *_: None)
    return SimpleNamespace(trials=trials, outcomes=outcomes)


def test_a_scene_that_a_task_refuses_twice_has_no_trial_of_it(tmp_path, drawing):
    drawing.outcomes += [Rejected("first"), drawing.trials[0], Rejected("first"), Rejected("last")]
    built = build_trials(SceneJob(tmp_path, 5, ("reach", "grasp")))
    assert built == (5, {"reach": drawing.trials[0].hash}, {"grasp": "last"})
    bank = Bank(tmp_path)
    bank.hashes = {"reach": {5: drawing.trials[0].hash}}
    assert bank.trial("reach", 5).hash == drawing.trials[0].hash
    assert not bank.trial_path("grasp", 5).exists()


def test_a_scene_that_is_there_is_not_built_again(tmp_path, drawing, monkeypatch):
    drawing.outcomes += drawing.trials
    build_trials(SceneJob(tmp_path, 5, ("reach",)))
    monkeypatch.setattr(build, "build_scene", lambda _: pytest.fail("built again"))
    build_trials(SceneJob(tmp_path, 5, ("grasp",)))


def test_a_trial_whose_expert_fails_from_another_start_does_not_enter(monkeypatch):
    trial = Suite.load("v1").trial("reach", 0)
    build.check_redrawn(trial, find_task("reach"))
    verdicts = iter([True, False])
    monkeypatch.setattr(Playback, "solves", lambda *_: next(verdicts))
    with pytest.raises(Rejected, match="the expert fails from another start"):
        build.check_redrawn(trial, find_task("reach"))


def test_the_command_builds_the_bank_beside_the_suites(tmp_path, monkeypatch, capsys):
    asked = []
    monkeypatch.setattr(
        build, "build_bank", lambda *given: (asked.append(given), {"reach": {"accepted": 80}})[1]
    )
    main(SuiteBuildConfig(split="train", out=tmp_path, tasks=("reach",)))
    assert asked == [(tmp_path / "train", ("reach",), 80, 2)]
    assert capsys.readouterr().out == "reach: 80 accepted\n"
    with pytest.raises(UserError, match="generated kitchens only"):
        main(SuiteBuildConfig(split="train", out=tmp_path, kitchen="robocasa"))


def test_the_command_goes_on_with_the_tasks_that_the_bank_has(tmp_path, monkeypatch):
    asked = []
    monkeypatch.setattr(build, "build_bank", lambda root, tasks, *_: asked.append(tasks) or {})
    config = SuiteBuildConfig(split="train", out=tmp_path)
    main(config)
    bank = Bank(tmp_path / "train")
    bank.hashes = {"carry": {4: "hash"}, "avoid": {}, "mine": {}, "grasp": {4: "hash"}}
    bank.save_index()
    main(config)
    assert asked == [TASKS, ("grasp", "carry", "avoid")]


@pytest.mark.slow
def test_a_scene_and_its_trials_are_functions_of_its_number(tmp_path):
    first, again = (
        build_trials(SceneJob(tmp_path / name, 2, ("grasp",))) for name in ("first", "again")
    )
    assert first == again
    for path in (tmp_path / "first").rglob("*.*"):
        other = tmp_path / "again" / path.relative_to(tmp_path / "first")
        assert path.read_bytes() == other.read_bytes()
