import importlib
import re
import shlex
import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import gymnasium
import numpy as np
import pytest
import tyro

from dexbench.bench.suite_build import SuiteBuildConfig, build_suite
from dexbench.envs import tasks
from dexbench.envs.errors import UserError
from dexbench.envs.suite import Suite
from dexbench.envs.tasks import TASKS, Goal, Outcome, Rejected, find_task, register_task
from dexbench.testing import check_task

DOCS = Path(__file__).parents[2] / "docs"


def blocks(page: str, language: str) -> list[str]:
    """A page's blocks in a language."""
    return re.findall(rf"```{language}\n(.*?)```", (DOCS / page).read_text(), re.DOTALL)


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: Any) -> Any:
    """The current folder, with the page's task in it, which is unknown again afterwards."""
    source = blocks("your_own_task.md", "python")[0]
    assert len(source.splitlines()) <= 60
    (tmp_path / "my_task.py").write_text(source)
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setattr(tasks, "TASKS", dict(TASKS))
    yield tmp_path
    sys.modules.pop("my_task", None)
    gymnasium.registry.pop("mine/Lift-v1", None)


def build_words() -> list[str]:
    (command,) = [text for text in blocks("your_own_task.md", "sh") if "suite build" in text]
    return shlex.split(command)[3:]


def test_the_pages_criterion(folder: Path) -> None:
    lift = find_task("my_task:lift")
    assert find_task("lift") is lift
    places = {"cup": np.zeros(3)}
    scene: Any = SimpleNamespace(
        object_position=lambda name: places[name], hand_touches=lambda name=None: scene.touched
    )
    goal = Goal(np.zeros((21, 3)), np.array([0.0, 0.0, 0.13]))
    for height, touched, holds in (
        (0.0, True, False), (0.109, True, False), (0.111, True, True), (0.3, True, True),
        (0.111, False, False),
    ):  # fmt: skip
        scene.touched = touched
        places["cup"] = np.array([0.5, 0.1, height])
        outcome = lift.evaluate(scene, "cup", goal)
        assert outcome.holds is holds
        assert outcome.distance == pytest.approx(max(0.13 - height, 0))
        assert outcome.gate is touched
    scene.touched = False
    lift.check_start(Outcome(False, 0.121), scene, "cup")
    with pytest.raises(Rejected):
        lift.check_start(Outcome(False, 0.119), scene, "cup")
    scene.touched = True
    with pytest.raises(Rejected):
        lift.check_start(Outcome(False, 0.121), scene, "cup")


def test_gymnasium_imports_the_task_with_its_environment(folder: Path) -> None:
    env: Any = gymnasium.make("my_task:mine/Lift-v1").unwrapped
    assert env.task is find_task("lift")
    assert env.task_name == "lift"


def test_the_pages_build_command_parses(folder: Path) -> None:
    config = tyro.cli(SuiteBuildConfig, args=build_words())
    assert find_task(config.tasks[0]).name == "lift"
    assert str(config.out / config.name) == "suites/lift-v0"


def test_unknown_tasks_are_the_users_error(folder: Path) -> None:
    with pytest.raises(UserError, match="no task 'lift'; choose one of reach, grasp, place, or"):
        find_task("lift")
    with pytest.raises(UserError, match="cannot import 'no_such_module'"):
        find_task("no_such_module:lift")
    with pytest.raises(UserError, match="no task 'lft'; choose one of reach, grasp, place, lift"):
        find_task("my_task:lft")
    with pytest.raises(UserError, match="no task 'lft'"):
        build_suite(SuiteBuildConfig(name="x", out=folder, tasks=("my_task:lft",)))
    assert not list(folder.glob("x*")), "nothing is left behind"


def test_a_tasks_name_is_its_own(folder: Path) -> None:
    find_task("my_task:lift")
    lift = type(find_task("lift"))
    again = lift()
    register_task(again)
    assert find_task("lift") is again, "a notebook may define it again"
    for name, message in (("grasp", "is a task 'grasp' already"), ("Lift up", "lower case")):
        other = lift()
        other.name = name
        with pytest.raises(ValueError, match=message):
            register_task(other)
    assert find_task("grasp") is TASKS["grasp"]


@pytest.mark.slow
def test_the_page_as_written(folder: Path, monkeypatch: Any, capsys: Any) -> None:
    """Builds the suite in workers of its own, plays it, and checks the task."""
    words = build_words()
    words[words.index("--trials") + 1] = "1"
    report = build_suite(tyro.cli(SuiteBuildConfig, args=words))
    assert report["lift"]["accepted"] == 1
    suite = Suite.load("suites/lift-v0")
    assert suite.tasks == ("lift",)
    assert suite.trial("lift", 0).task == "lift"
    play = blocks("your_own_task.md", "python")[1]
    assert "range(5)" in play
    exec(play.replace("range(5)", "range(1)"), {})
    printed = capsys.readouterr().out
    assert re.search(r"hold .*'successes': 0", printed)
    assert re.search(r"expert .*'successes': 1", printed)
    (command,) = [text for text in blocks("your_own_task.md", "sh") if "dexbench.testing" in text]
    check_task(shlex.split(command)[-1])


def test_the_hands_tables_agree() -> None:
    (source,) = blocks("your_own_hand.md", "python")
    exec(source, {})


@pytest.mark.parametrize("scale", [1.01, 0.99])
def test_the_hands_page_finds_a_wrong_length(monkeypatch: Any, scale: float) -> None:
    kinematics = importlib.import_module("dexbench.envs.embodiment.kinematics")
    made = kinematics.HandKinematics

    def wrong(**arguments: Any) -> Any:
        table = made(**arguments)
        table._pos = table._pos * scale
        return table

    monkeypatch.setattr(kinematics, "HandKinematics", wrong)
    (source,) = blocks("your_own_hand.md", "python")
    with pytest.raises(AssertionError, match="index"):
        exec(source, {})
