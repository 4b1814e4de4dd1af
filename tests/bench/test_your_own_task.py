import json
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
from support import fake

from dexbench import envs
from dexbench.bench import cli
from dexbench.bench.ledger.ledger import read_rows
from dexbench.bench.ledger.rows import Row
from dexbench.bench.run.runner import RunConfig, run
from dexbench.bench.suites.build import SuiteBuildConfig, build_suite
from dexbench.bench.verify.verify import VerifyConfig, plan
from dexbench.envs import HandKinematics, tasks
from dexbench.envs.suite import Suite
from dexbench.envs.task_envs import make_env
from dexbench.envs.tasks import TASKS, Goal, Outcome, Rejected, Task, find_task, register_task
from dexbench.testing import check_task
from dexbench.utils.errors import UserError

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


def commands(part: str) -> list[str]:
    """The page's blocks of commands that have a part."""
    return [text for text in blocks("your_own_task.md", "sh") if part in text]


def run_fake(task: str, out: Path) -> list[Row]:
    return run(RunConfig("support.fake:Wander", task, trials=2, workers=2, out=out), fake.BACKEND)


def test_the_pages_criterion(folder: Path) -> None:
    lift = find_task("my_task:lift")
    assert find_task("lift") is lift
    places = {"cup": np.zeros(3)}
    scene: Any = SimpleNamespace(
        object_position=lambda name: places[name], hand_touches=lambda name=None: scene.touched
    )
    goal = Goal(np.zeros((21, 3)), np.array([0.0, 0.0, 0.13]))
    for height, touched, holds in (
        (0.0, True, False),
        (0.109, True, False),
        (0.111, True, True),
        (0.3, True, True),
        (0.111, False, False),
    ):
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


def test_the_pages_criterion_with_memory(folder: Path) -> None:
    with open("my_task.py", "a") as file:
        file.write(blocks("your_own_task.md", "python")[1])
    task = find_task("my_task:careful_lift")
    places = {"cup": np.array([0.0, 0.0, 0.12]), "bowl": np.zeros(3), "milk": np.ones(3)}
    scene: Any = SimpleNamespace(
        objects=tuple(places),
        object_position=lambda name: places[name],
        hand_touches=lambda name=None: True,
    )
    goal = Goal(np.zeros((21, 3)), np.array([0.0, 0.0, 0.13]))
    judge = task.begin(scene, "cup", goal)
    assert judge.evaluate(scene) == Outcome(True, pytest.approx(0.01))
    places["cup"] = np.array([0.5, 0.0, 0.12])  # The target itself may move.
    places["bowl"] = np.array([0.029, 0.0, 0.0])
    assert judge.evaluate(scene).holds
    places["milk"] = np.array([1.0, 1.0, 1.031])
    other = task.begin(scene, "cup", goal)
    assert judge.evaluate(scene) == Outcome(False, pytest.approx(0.01), False)
    places["milk"] = np.ones(3)
    assert not judge.evaluate(scene).holds, "it has moved, though it is back"
    places["milk"] = np.array([1.0, 1.0, 1.031])
    assert other.evaluate(scene).holds, "an episode that begins later has seen nothing"


def test_gymnasium_imports_the_task_with_its_environment(folder: Path) -> None:
    env: Any = gymnasium.make("my_task:mine/Lift-v1").unwrapped
    assert env.task is find_task("lift")
    assert env.task_name == "lift"


def test_the_pages_build_command_parses(folder: Path) -> None:
    (command,) = commands("suite build")
    config = tyro.cli(SuiteBuildConfig, args=shlex.split(command)[3:])
    assert find_task(config.tasks[0]).name == "lift"
    assert str(config.out / config.name) == "suites/lift-v0"


def test_a_task_without_an_id_gets_an_environment(folder: Path) -> None:
    lift = find_task("my_task:lift")
    env = make_env("lift")
    assert env.task is lift and env.task_name == "lift"
    with pytest.raises(UserError, match="no task 'lft'"):
        make_env("lft")


def test_workers_import_the_users_module(folder: Path) -> None:
    with open("my_task.py", "a") as file:  # A worker that has not imported it has no such id.
        fake_env = "'fake/Lift-v1', entry_point='support.fake:FakeEnv', kwargs={'task': 'lift'}"
        file.write(f"gymnasium.register({fake_env})\n")
    try:
        rows = run_fake("my_task:lift", folder / "runs")
    finally:
        gymnasium.registry.pop("fake/Lift-v1", None)
    assert [(row["task"], row["trial"]) for row in rows] == [("lift", 0), ("lift", 1)]
    assert read_rows(folder / "runs/v1/support.fake.Wander/lift/trials.jsonl")
    rows = run_fake("all", folder / "runs")
    assert {row["task"] for row in rows} == {"reach", "grasp", "place"}


def test_no_module_is_imported_because_data_name_it(folder: Path) -> None:
    (folder / "evil.py").write_text("raise SystemExit('imported')")
    path = folder / "runs/trials.jsonl"
    path.parent.mkdir()
    row = dict.fromkeys(("success", "held_at_end", "steps_to_success", "final_distance"), 0)
    row |= {"min_distance": 0, "actions_hash": "", "error": None, "distances": [0.0]}
    path.write_text(json.dumps({**row, "trial": 0, "task": "evil:lift", "suite": "evil:v0"}))
    with pytest.raises(UserError, match="evil:lift, none of dexbench's tasks"):
        plan(VerifyConfig(folder / "runs"))


def test_unknown_tasks_are_the_users_error(folder: Path) -> None:
    with pytest.raises(UserError, match="no task 'lift'; choose one of reach, .*, avoid, or"):
        find_task("lift")
    with pytest.raises(UserError, match="cannot import 'no_such_module'"):
        find_task("no_such_module:lift")
    with pytest.raises(UserError, match="no task 'lft'; choose one of reach, .*, avoid, lift"):
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
    for own in ("Grasp", "Lift"):  # whatever the class is called
        with pytest.raises(ValueError, match="is a task 'grasp' already"):
            register_task(type(own, (tasks.Grasp,), {"threshold": 0.5})())
    assert find_task("grasp") is TASKS["grasp"]
    for own in ("evaluate", "begin"):
        register_task(type("Judged", (Lawless,), {own: lambda *_: None})())
        del tasks.TASKS["lawless"]
    with pytest.raises(ValueError, match="'lawless' has no criterion: define evaluate, or begin"):
        register_task(Lawless())


class Lawless(Task):
    name = "lawless"

    def stage(self, simulation: Any, target: str, rng: Any) -> Any:
        raise Rejected("never drawn")

    def check_start(self, outcome: Outcome, simulation: Any, target: str) -> None:
        raise Rejected("never drawn")


@pytest.mark.slow
def test_the_page_as_written(folder: Path, capsys: Any) -> None:
    """Builds the suite, plays, draws and verifies it, and checks the task."""
    (build,), (plays,) = commands("suite build"), commands("dexbench run")
    words = [shlex.split(line)[1:] for line in (build, *plays.splitlines())]
    words[0][words[0].index("--trials") + 1] = "1"
    printed = []
    for line in words:
        cli.main(line)
        printed.append(capsys.readouterr().out)
    names = [line[0] for line in words]
    assert names == ["suite", "run", "view", "leaderboard", "report", "verify"]
    built, ran, seen, scored, _, verified = printed
    assert "1 accepted" in built
    suite = Suite.load("suites/lift-v0")
    assert suite.tasks == ("lift",) and suite.trial("lift", 0).task == "lift"
    for table in (ran, scored):
        assert re.search(r"^expert +lift +1/1 ", table, re.MULTILINE)
    assert (folder / "runs/lift-v0/expert/lift/trials.jsonl").exists()
    assert seen.startswith("lift, trial 0, expert: success, ")
    assert (folder / "lift.png").exists()
    assert "--task MODULE:lift --trials 1" in (folder / "lift.html").read_text()
    assert re.search(r"lift +1 +1 +0 +0 ", verified), "exact"
    with pytest.raises(SystemExit):
        cli.main(["verify", "runs"])
    assert "none of dexbench's tasks" in capsys.readouterr().err
    (command,) = commands("dexbench.testing")
    check_task(shlex.split(command)[-1])


def test_the_hands_tables_agree() -> None:
    (source,) = blocks("your_own_hand.md", "python")
    exec(source, {})


@pytest.mark.parametrize("scale", [1.01, 0.99])
def test_the_hands_page_finds_a_wrong_length(monkeypatch: Any, scale: float) -> None:
    class Wrong(HandKinematics):
        def keypoints(self, q: Any) -> Any:
            return scale * super().keypoints(q)

    monkeypatch.setattr(envs, "HandKinematics", Wrong)
    (source,) = blocks("your_own_hand.md", "python")
    with pytest.raises(AssertionError, match="index"):
        exec(source, {})
