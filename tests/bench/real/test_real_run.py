"""The road of a real robot's trial, on a robot whose clock stands between its steps."""

import io
import json
import os
import signal
import threading
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from support.real_robot import PICTURE, Arm, Nods
from support.signals import at_a_terminal  # noqa: F401 - a fixture

from dexbench.bench.ledger.actions import read_actions
from dexbench.bench.ledger.rows import Row
from dexbench.bench.real import run as real_run
from dexbench.bench.real.person import Person, at_terminal
from dexbench.bench.real.run import RealRunConfig, check, main, run
from dexbench.bench.real.session import UNJUDGED
from dexbench.bench.real.trial import REFUSED
from dexbench.bench.scores.statistics import wilson
from dexbench.envs.embodiment.camera import base_to_camera
from dexbench.envs.embodiment.kinematics import HandKinematics
from dexbench.envs.embodiment.robot import INIT_JOINTS
from dexbench.envs.real import robot as drivers
from dexbench.envs.real.calibration import Calibration
from dexbench.envs.real.limits import Limits
from dexbench.envs.real.playback import INTERRUPTED
from dexbench.envs.spaces import observation_space
from dexbench.utils.errors import UserError
from dexbench.utils.video import read_video

pytestmark = pytest.mark.usefixtures("at_a_terminal")
ARM, JUDGING = "support.real_robot:Arm", "support.real_robot:JudgingArm"


class Scripted:
    """Answers questions from a list, and keeps them."""

    def __init__(self, *answers: str) -> None:
        self.answers, self.asked = list(answers), []

    def __call__(self, question: str) -> str:
        self.asked.append(question)
        answer = self.answers.pop(0)
        if answer == "^C":
            raise KeyboardInterrupt
        if answer == "^D":
            raise EOFError
        return answer


@pytest.fixture(autouse=True)
def made() -> Iterator[list[Arm]]:
    Arm.made.clear()
    yield Arm.made
    for arm in Arm.made:
        arm.freed.set()
    assert all(arm.closes == 1 for arm in Arm.made), "a driver was not closed"


@pytest.fixture
def shipped(monkeypatch: Any) -> str:
    """A driver that may move without being asked."""
    monkeypatch.setitem(drivers.DRIVERS, "tabletop", JUDGING)
    return "tabletop"


def config(folder: Path, **changes: Any) -> RealRunConfig:
    calibration, goal = folder / "camera.json", folder / "goal.png"
    if not goal.exists():
        Calibration.nominal().save(calibration)
        Image.fromarray(255 - PICTURE).save(goal)
    settings = {
        "driver": ARM,
        "calibration": calibration,
        "agent": "support.real_robot:Nods",
        "goal": (goal,),
        "trials": 2,
        "waypoints": 1,
        "limits": Limits(answer=60.0),
        "out": folder / "out",
        **changes,
    }
    return RealRunConfig(**settings)


def folder_of(config: RealRunConfig) -> Path:
    return check(config).folder


def played(config: RealRunConfig, *answers: str) -> tuple[list[Row], list[str]]:
    script = Scripted(*answers)
    rows = run(config, Person(script))
    assert not script.answers, "not all was asked"
    return rows, script.asked


def test_a_person_sets_up_allows_judges_and_notes(tmp_path: Path, made: list[Arm]) -> None:
    settings = config(tmp_path, waypoints=2)
    answers = ("", "y", "yes", "y", " held well ", "", "y", "y", "n", "")
    rows, asked = played(settings, *answers)
    assert [(row["success"], row["judge"], row["note"]) for row in rows] == [
        (True, "person", "held well"),
        (False, "person", ""),
    ]
    assert "Trial 0 (of 0 to 1)" in asked[0] and "goal.png" in asked[0]
    folder = folder_of(settings)
    assert str(folder / "plans" / "trial-000-0.png") in asked[1]
    assert all(row["error"] is None and row["kind"] == "real" for row in rows)
    (arm,) = made
    assert arm.at[6] == pytest.approx(INIT_JOINTS[6] + 4 * 0.1, abs=0.02)
    first = rows[0]
    assert first["calibration"] == Calibration.nominal().hash
    assert first["driver"] == ARM and first["goal"]["file"] == "goal.png"
    assert 0 < first["largest_lag"] < 0.05
    assert first["timing"]["decisions"] == 2
    actions = read_actions(folder / "actions" / "000.npz")
    assert actions.shape == (40, 23)
    assert actions[-1, 6] == pytest.approx(INIT_JOINTS[6] + 0.2, abs=1e-5)


def test_what_is_beside_the_ledger(tmp_path: Path) -> None:
    settings = config(tmp_path, trials=1)
    (row,), _ = played(settings, "", "y", "y", "")
    folder = folder_of(settings)
    assert folder == tmp_path / "out/real/support.real_robot.Arm/support.real_robot.Nods/grasp"
    film = read_video(folder / row["video"])
    # Four seconds of motion at 10 Hz: view, goal and what the agent imagines.
    assert film.shape[1:] == (224, 3 * 392, 3) and 39 <= len(film) <= 42
    assert np.abs(film[5, :, :392].astype(int) - PICTURE).mean() < 6
    assert np.abs(film[5, :, 392:784].astype(int) - (255 - PICTURE)).mean() < 6
    assert np.abs(film[5, :, 784:].astype(int) - 77).mean() < 3
    with Image.open(folder / "plans" / "trial-000-0.png") as sheet:
        width, height = sheet.size
        pixels = np.asarray(sheet.convert("RGB")).reshape(-1, 3)
    assert width > 3 * 2 * 392 and height > 2 * 224
    assert (pixels == (0, 255, 0)).all(-1).sum() > 100, "the planned hand is not drawn"


def test_agents_see_what_environments_show_them(tmp_path: Path, monkeypatch: Any) -> None:
    agent = Nods()
    make = real_run.make_agent

    def keep(*args: Any, **kwargs: Any) -> Any:
        return agent, make(*args, **kwargs)[1]

    monkeypatch.setattr(real_run, "make_agent", keep)
    played(config(tmp_path, trials=1, waypoints=2), "", "y", "y", "y", "")
    first, second = agent.seen
    assert observation_space().contains(first)
    assert np.array_equal(first["pixels"][1:], PICTURE[1:])
    assert np.array_equal(first["goal"], 255 - PICTURE)
    points = HandKinematics().keypoints(torch.tensor(INIT_JOINTS, dtype=torch.float32))
    assert np.allclose(first["keypoints"], base_to_camera(points.numpy()), atol=1e-5)
    assert [int(obs["steps_left"][0]) for obs in agent.seen] == [40, 20]
    assert second["agent_target"][6] == pytest.approx(INIT_JOINTS[6] + 0.1, abs=1e-5)
    assert second["agent_pos"][6] > first["agent_pos"][6] + 0.08


def test_a_refused_plan_moves_nothing_and_is_a_row(tmp_path: Path, made: list[Arm]) -> None:
    rows, _ = played(config(tmp_path, trials=1), "", "maybe", "n", "too low")
    assert [(row["success"], row["error"], row["note"]) for row in rows] == [
        (False, REFUSED, "too low")
    ]
    assert not made[0].sent and not made[0].stops


@pytest.mark.parametrize(
    "fault", ["raise", "nan", "nan at once", "frozen", "deaf", "interrupt", "blind"]
)
def test_what_goes_wrong_stops_the_robot_and_is_a_row(
    tmp_path: Path, made: list[Arm], fault: str
) -> None:
    settings = config(tmp_path, trials=1, driver_args=(f"fault={fault}",), agent_args=("turn=0.9",))
    answers = ("", f"it was {fault}") if fault == "blind" else ("", "y", f"it was {fault}")
    (row,), _ = played(settings, *answers)
    (arm,) = made
    assert arm.stops >= 1, "the robot was not stopped"
    assert not row["success"] and row["error"] and row["judge"] is None
    assert row["note"] == f"it was {fault}"
    if fault == "raise":
        assert "the controller is gone" in row["error"]
    if fault == "interrupt":
        assert row["error"] == INTERRUPTED


def test_after_a_stop_the_driver_is_made_anew(tmp_path: Path, made: list[Arm]) -> None:
    settings = config(tmp_path, driver_args=("fault=raise",))
    rows, asked = played(settings, "", "y", "", "", "y", "")
    assert len(made) == 2 and all(row["error"] for row in rows)
    assert "free the robot" not in asked[0] and "free the robot" in asked[3]


def test_a_driver_that_hangs_is_closed_and_made_anew(tmp_path: Path, made: list[Arm]) -> None:
    settings = config(tmp_path, driver_args=("fault=hang",), limits=Limits(answer=2.0))
    rows, _ = played(settings, "", "y", "", "", "y", "")
    assert [row["error"] for row in rows] == ["the driver's command has not returned for 2 s"] * 2
    assert len(made) == 2 and all(arm.stops for arm in made)


def test_no_driver_is_made_beside_one_that_does_not_close(
    tmp_path: Path, made: list[Arm], monkeypatch: Any
) -> None:
    monkeypatch.setattr("dexbench.envs.real.watched.CLOSE", 1.0)
    changes = {"driver_args": ("fault=hang for good",), "limits": Limits(answer=2.0)}
    script = Scripted("", "y", "it hangs")
    with pytest.raises(UserError, match=r"close has not returned for 1 s, and it may still hold"):
        run(config(tmp_path, **changes), Person(script))
    settings = config(tmp_path, trials=1, **changes)
    (row,), _ = played(settings)  # It was written before.
    assert row["note"] == "it hangs" and len(made) == 1
    with pytest.warns(UserWarning, match="may still hold the robot"):
        played(config(tmp_path, trials=1, name="last", **changes), "", "y", "")


def test_an_agent_that_fails_is_made_anew(tmp_path: Path, made: list[Arm]) -> None:
    settings = config(tmp_path, agent_args=("fault=raise",), waypoints=2)
    rows, _ = played(settings, "", "y", "", "", "y", "")
    assert [row["error"] for row in rows] == ["RuntimeError: no idea"] * 2
    assert "no idea" in (folder_of(settings) / "errors" / "trial-000.txt").read_text()
    assert all(arm.stops for arm in made)


def test_the_command_goes_on_where_it_was_left(tmp_path: Path) -> None:
    settings = config(tmp_path, trials=3)
    script = Scripted("", "y", "y", "", "^C")
    with pytest.raises(KeyboardInterrupt):
        run(settings, Person(script))
    rows, asked = played(settings, "", "y", "n", "", "", "y", "y", "")
    assert [row["success"] for row in rows] == [True, False, True]
    assert "Trial 1 (of 0 to 2)" in asked[0]
    assert played(settings)[0] == rows  # Nothing is missing, so nothing is asked.


@pytest.mark.parametrize("key", ["^C", "^D"])
def test_a_trial_that_moved_counts_even_if_nobody_judges(tmp_path: Path, key: str) -> None:
    settings = config(tmp_path, trials=3)
    with pytest.raises(KeyboardInterrupt):
        run(settings, Person(Scripted("", "y", key, key)))
    lines = (folder_of(settings) / "real.jsonl").read_text().splitlines()
    assert [json.loads(line)["error"] for line in lines] == [UNJUDGED]


def test_a_plan_is_not_played_from_another_pose(tmp_path: Path, made: list[Arm]) -> None:
    def leans(question: str) -> str:
        if "Move?" in question:
            made[-1].at[1] += 0.1
        return "y"

    settings = config(tmp_path, trials=1)
    (row,) = run(settings, Person(leans))
    assert row["error"] == "a joint has moved by 0.10 rad since the plan was made"
    assert not made[0].sent and made[0].stops == 1


def test_a_closed_terminal_stops_the_robot_and_the_trial_counts(
    tmp_path: Path, made: list[Arm]
) -> None:
    settings = config(tmp_path, driver_args=("fault=end",))
    with pytest.raises(KeyboardInterrupt):
        run(settings, Person(Scripted("", "y")))  # Nothing more is asked.
    (line,) = (folder_of(settings) / "real.jsonl").read_text().splitlines()
    assert json.loads(line)["error"] == "the program was told to end (SIGHUP)"
    assert json.loads(line)["largest_lag"] > 0 and made[0].stops >= 1


def test_the_reason_stays_where_the_terminal_is_gone(tmp_path: Path, monkeypatch: Any) -> None:
    def gone(*args: Any, **kwargs: Any) -> None:
        raise OSError(5, "Input/output error")

    monkeypatch.setattr("builtins.print", gone)
    (row,), _ = played(
        config(tmp_path, trials=1, driver_args=("fault=deaf",), agent_args=("turn=0.9",)),
        "",
        "y",
        "",
    )
    assert "from its target" in row["error"]


def test_requests_to_end_that_come_together_cost_no_row(tmp_path: Path, made: list[Arm]) -> None:
    def ask(question: str) -> str:
        if question.startswith("Success"):
            for number in (signal.SIGHUP, signal.SIGTERM, signal.SIGINT):
                os.kill(os.getpid(), number)
        return "y"

    settings = config(tmp_path)
    with pytest.raises(KeyboardInterrupt):
        run(settings, Person(ask))
    (line,) = (folder_of(settings) / "real.jsonl").read_text().splitlines()
    assert json.loads(line)["error"] == UNJUDGED and made[0].sent


def test_nothing_gets_between_a_trial_and_its_row(tmp_path: Path, monkeypatch: Any) -> None:
    def impatient(*args: Any) -> list[Any]:
        signal.raise_signal(signal.SIGINT)
        return []

    monkeypatch.setattr("dexbench.bench.real.session.film", impatient)
    settings = config(tmp_path)
    with pytest.raises(KeyboardInterrupt):
        run(settings, Person(Scripted("", "y", "n", "missed")))
    (line,) = (folder_of(settings) / "real.jsonl").read_text().splitlines()
    assert json.loads(line)["note"] == "missed" and json.loads(line)["judge"] == "person"


def test_an_agent_that_cannot_be_made_again_costs_no_row(tmp_path: Path, monkeypatch: Any) -> None:
    settings = config(tmp_path, agent_args=("fault=raise",), waypoints=2)
    makes = [real_run.make_agent]

    def once(*args: Any, **kwargs: Any) -> Any:
        if not makes:
            raise UserError("the weights are gone")
        return makes.pop()(*args, **kwargs)

    monkeypatch.setattr(real_run, "make_agent", once)
    with pytest.raises(UserError, match="the weights are gone"):
        run(settings, Person(Scripted("", "y", "")))
    assert (folder_of(settings) / "real.jsonl").read_text().count("no idea") == 1


def test_a_camera_that_was_frozen_through_a_whole_trial_is_found(
    tmp_path: Path, made: list[Arm]
) -> None:
    rows, _ = played(config(tmp_path, driver_args=("fault=still",)), "", "y", "y", "", "", "")
    assert rows[0]["error"] is None
    assert "last one of the trial before, to the last bit" in rows[1]["error"]


def test_the_question_is_the_tasks(tmp_path: Path) -> None:
    for task, asked in (("grasp", "held securely"), ("place", "out of the hand")):
        _, questions = played(config(tmp_path, task=task, trials=1), "", "y", "y", "")
        assert asked in questions[2]


def test_a_verdict_stands_without_its_note(tmp_path: Path) -> None:
    def ask(question: str) -> str:
        if question.startswith("Note"):
            raise UnicodeDecodeError("utf-8", b"\xff", 0, 1, "no text")
        return "y"

    with pytest.warns(UserWarning, match="the note is lost"):
        (row,) = run(config(tmp_path, trials=1), Person(ask))
    assert row["success"] and row["error"] is None and row["note"] == ""


def test_pictures_of_another_size_than_calibrated_cost_no_trial(tmp_path: Path) -> None:
    Image.fromarray(PICTURE[:200]).save(tmp_path / "seen.png")
    settings = config(tmp_path, driver_args=(f"picture={tmp_path / 'seen.png'}",))
    with pytest.raises(UserError, match=r"calibrate at the size"):
        run(settings, Person(Scripted("")))
    assert not (folder_of(settings) / "real.jsonl").read_text()


def test_what_was_sent_and_measured_is_kept_with_the_calibration(tmp_path: Path) -> None:
    settings = config(tmp_path, trials=1)
    (row,), _ = played(settings, "", "y", "y", "")
    folder = folder_of(settings)
    with np.load(folder / "motions" / "trial-000.npz", allow_pickle=False) as motion:
        apart = np.abs(motion["commanded"] - motion["measured"]).max()
        assert apart == pytest.approx(row["largest_lag"], abs=1e-4)
        assert (np.diff(motion["times"]) > 0).all() and len(motion["times"]) == 40
    (path,) = (folder / "calibrations").iterdir()
    assert Calibration.load(path).hash == row["calibration"]


def test_a_camera_elsewhere_than_the_benchmarks_is_said(tmp_path: Path) -> None:
    settings = config(tmp_path, trials=1)
    x, y, z = Calibration.nominal().position
    replace(Calibration.nominal(), position=(x, y, z + 0.05)).save(settings.calibration)
    with pytest.warns(UserWarning, match=r"5\.0 cm and 0\.0 degrees from the benchmark's"):
        played(settings, "", "y", "y", "")


def test_one_ctrl_c_at_the_verdict_is_no_verdict(tmp_path: Path, capsys: Any) -> None:
    rows, _ = played(config(tmp_path, trials=1), "", "y", "^C", "y", "")
    assert rows[0]["success"] and rows[0]["error"] is None
    assert "Ctrl-C again leaves the trial without a verdict" in capsys.readouterr().err


def test_a_terminal_that_closes_between_two_motions_costs_no_row(
    tmp_path: Path, made: list[Arm]
) -> None:
    moves = []

    def ask(question: str) -> str:
        if "Move?" in question:
            moves.append(question)
            if len(moves) == 2:
                os.kill(os.getpid(), signal.SIGHUP)
                raise EOFError
        return "y"

    settings = config(tmp_path, trials=2, waypoints=2)
    with pytest.raises(KeyboardInterrupt):
        run(settings, Person(ask))
    (line,) = (folder_of(settings) / "real.jsonl").read_text().splitlines()
    assert json.loads(line)["error"] and json.loads(line)["largest_lag"] > 0
    assert made[0].sent and made[0].stops >= 1


def test_a_second_ctrl_c_while_the_first_stops_the_robot_costs_no_row(
    tmp_path: Path, monkeypatch: Any
) -> None:
    def impatient(arm: Arm) -> None:
        arm.stops += 1
        for _ in range(3):
            os.kill(os.getpid(), signal.SIGINT)

    monkeypatch.setattr(Arm, "stop", impatient)
    settings = config(
        tmp_path, trials=1, driver_args=("fault=interrupt",), agent_args=("turn=0.9",)
    )
    (row,), _ = played(settings, "", "y", "twice")
    assert row["error"] == INTERRUPTED and row["largest_lag"] > 0 and row["note"] == "twice"


def test_a_person_who_leans_on_the_arm_later_is_noticed_too(
    tmp_path: Path, made: list[Arm]
) -> None:
    moves = []

    def leans(question: str) -> str:
        if "Move?" in question:
            moves.append(question)
            made[-1].at[1] += 0.15 * (len(moves) == 2)
        return "y"

    (row,) = run(config(tmp_path, trials=1, waypoints=2), Person(leans))
    assert row["error"] == "a joint has moved by 0.15 rad since the plan was made"


def test_what_was_typed_before_a_question_is_no_answer(monkeypatch: Any) -> None:
    ours, theirs = os.openpty()
    with os.fdopen(theirs, "r") as terminal:
        monkeypatch.setattr("sys.stdin", terminal)
        os.write(ours, b"y\n")
        late = threading.Timer(0.5, os.write, (ours, b"n\n"))
        late.start()
        assert at_terminal("Move? ") == "n"
        late.join()
    os.close(ours)


def test_goals_come_in_turn(tmp_path: Path) -> None:
    settings = config(tmp_path)
    other = tmp_path / "other.png"
    Image.fromarray(PICTURE).save(other)
    settings = config(tmp_path, goal=(*settings.goal, other), trials=3)
    rows, _ = played(settings, *["", "y", "y", ""] * 3)
    assert [row["goal"]["file"] for row in rows] == ["goal.png", "other.png", "goal.png"]
    assert len({row["goal"]["sha256"] for row in rows}) == 2


def test_a_driver_that_judges_needs_no_person(
    tmp_path: Path, shipped: str, made: list[Arm]
) -> None:
    settings = config(tmp_path, driver=shipped, goal=(), trials=3, yes=True)
    rows = run(settings)
    assert [row["success"] for row in rows] == [True, False, True]
    assert [(row["judge"], row["distance"]) for row in rows] == [
        ("driver", 0.05),
        ("driver", 1.05),
        ("driver", 2.05),
    ]
    assert len({row["goal"]["sha256"] for row in rows}) == 3 and len(made) == 1


def test_what_nobody_watched_is_played_again_after_ctrl_c(tmp_path: Path, shipped: str) -> None:
    settings = config(tmp_path, driver=shipped, goal=(), yes=True, driver_args=("fault=end",))
    with pytest.raises(KeyboardInterrupt):
        run(settings)
    assert not (folder_of(settings) / "real.jsonl").read_text()


def test_fresh_begins_anew(tmp_path: Path, shipped: str) -> None:
    settings = config(tmp_path, driver=shipped, goal=(), yes=True)
    folder = folder_of(settings)
    run(settings)
    (row,) = run(replace(settings, trials=1, fresh=True))
    assert (folder / "real.jsonl").read_text().count("\n") == 1 and row["trial"] == 0
    for beside in ("actions", "plans", "videos"):
        assert len(list((folder / beside).iterdir())) == 1


@pytest.mark.parametrize("fault", ["nan", "nan at once", "no verdict", "no distance"])
def test_a_trial_that_failed_is_none_that_a_judge_calls_solved(
    tmp_path: Path, shipped: str, fault: str
) -> None:
    (row,) = run(
        config(tmp_path, driver=shipped, driver_args=(f"fault={fault}",), yes=True, trials=1)
    )
    assert row["error"] and not row["success"]


def test_the_table_has_an_interval(tmp_path: Path, shipped: str, capsys: Any) -> None:
    main(config(tmp_path, driver=shipped, goal=(), yes=True))
    out = capsys.readouterr().out
    low, high = (round(end, 4) for end in wilson(1, 2))
    assert f"1/2  50.0%  {low:.1%} to {high:.1%}" in out and "real.jsonl" in out


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"agent": "oracle"}, "is given the simulator's state"),
        ({"agent": "support.real_robot:Blind"}, "is given the simulator's state"),
        ({"agent": "hodl"}, "did you mean 'hold'?"),
        ({"yes": True}, "--yes is for the drivers that ship"),
        ({"fresh": True}, "--fresh is for the drivers that ship"),
        ({"driver": "support.real_robot:Nothing"}, "has no class Nothing"),
        ({"goal": ()}, "give goal pictures by --goal"),
        ({"goal": (Path("nowhere.png"),)}, "there is no goal picture nowhere.png"),
        ({"calibration": Path("nowhere.json")}, "no calibration at nowhere.json"),
        ({"task": "all"}, "--task is all, expected one task"),
        ({"task": "juggle"}, "juggle"),
        ({"trials": 0}, "--trials is 0, expected at least 1"),
        ({"waypoints": 0}, "--waypoints is 0, expected at least 1"),
        ({"driver_args": ("fault",)}, "--driver-args has 'fault', expected KEY=VALUE"),
        ({"name": "a/b"}, "--name is 'a/b'"),
        ({"limits": Limits(arm_speed=float("nan"))}, "arm_speed is nan, expected a number above 0"),
        ({"limits": Limits(arm_error=float("inf"))}, "arm_error is inf, expected a number"),
        ({"limits": Limits(box_low=(0, 0, 2))}, "box_low 2 is not below box_high 1.45 in z"),
    ],
)
def test_bad_input_moves_and_writes_nothing(
    tmp_path: Path, made: list[Arm], changes: dict[str, Any], said: str
) -> None:
    with pytest.raises(UserError, match=said.replace("?", r"\?")):
        run(config(tmp_path, **changes), Person(Scripted()))
    assert not any(arm.sent for arm in made)
    assert not (tmp_path / "out").exists()


def test_goal_pictures_of_other_sizes_are_refused(tmp_path: Path) -> None:
    settings = config(tmp_path)
    path = settings.goal[0]
    Image.fromarray(PICTURE[:100]).save(path)
    with pytest.raises(UserError, match="has 392x100 px, expected 392x224"):
        check(settings)
    path.write_text("no picture")
    with pytest.raises(UserError, match="is no picture"):
        check(settings)


def test_without_a_terminal_nobody_is_asked(tmp_path: Path, monkeypatch: Any) -> None:
    monkeypatch.setattr("sys.stdin", io.StringIO("y\n"))
    with pytest.raises(UserError, match="there is nobody to ask"):
        run(config(tmp_path))


@pytest.mark.parametrize(
    ("changes", "arguments"),
    [
        ({"agent": "dexwm"}, {"planner": "paper-real"}),
        ({"agent": "dexwm", "planner": "cem"}, {"planner": "cem"}),
        ({"agent": "dexwm", "agent_args": ("planner=mppi",)}, {"planner": "mppi"}),
        ({"agent": "dexwm-warm"}, {}),
        ({"agent": "dexwm", "receding": True}, {"planner": "paper-real", "open_loop": False}),
        ({"agent": "hold"}, {}),
        ({"agent": "diffusion-policy", "receding": True}, {}),
    ],
)
def test_agents_that_plan_have_the_papers_planner(
    tmp_path: Path, changes: dict[str, Any], arguments: dict[str, Any]
) -> None:
    assert check(config(tmp_path, **changes)).agent_args == arguments


def test_other_limits_or_drivers_are_another_ledger(tmp_path: Path) -> None:
    settings = config(tmp_path, trials=1)
    played(settings, "", "y", "y", "")
    for changes in ({"driver_args": ("fault=late",)}, {"waypoints": 2}):
        with pytest.raises(UserError, match="holds rows with"):
            run(config(tmp_path, **changes), Person(Scripted()))
