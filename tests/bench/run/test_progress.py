import io
import re
import sys
from pathlib import Path
from typing import Any

import pytest
from support.run_fake import COMMANDS

from dexbench.bench import cli
from dexbench.bench.run.progress import Progress

SOLVED, LOST = {"success": True}, {"success": False}


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def play(rows: list[Any], before: list[Any], seconds_each: float) -> None:
    """Count trials that take so long each."""
    now = [0.0]
    with Progress("hold reach", len(rows), before, clock=lambda: now[0]) as progress:
        for row in rows:
            now[0] += seconds_each
            progress.update(row)


def test_without_a_terminal_a_line_comes_every_ten_trials(capsys: Any) -> None:
    play([SOLVED, LOST] * 15, [SOLVED, SOLVED, LOST], 2.0)
    assert capsys.readouterr().err.splitlines() == [
        "13 of 33 trials, 7 solved, about 40 s left",
        "23 of 33 trials, 12 solved, about 20 s left",
    ]


def test_slow_trials_have_a_line_each_minute(capsys: Any) -> None:
    play([SOLVED, LOST, LOST, LOST], [], 31.0)
    assert capsys.readouterr().err == "2 of 4 trials, 1 solved, about 1 min left\n"


def test_in_a_terminal_there_is_a_bar_alone(monkeypatch: Any) -> None:
    terminal = Terminal()
    monkeypatch.setattr(sys, "stderr", terminal)
    play([SOLVED] * 30, [], 9.0)
    assert "30/30" in terminal.getvalue() and "left" not in terminal.getvalue()
    assert "30 solved" in terminal.getvalue()


@pytest.mark.parametrize("task", ["reach", "all"])
def test_a_run_ends_with_where_its_files_are(
    task: str, capsys: Any, tmp_path: Path, monkeypatch: Any
) -> None:
    monkeypatch.chdir(tmp_path)
    words = ["run", "--agent", "support.fake:Wander", "--task", task, "--trials", "1", "--video"]
    cli.main(words, COMMANDS)
    (said,) = capsys.readouterr().err.splitlines()
    named = re.fullmatch("rows: (.*); actions: (.*); videos: (.*)", said)
    assert named is not None
    rows, actions, videos = (Path(path.replace("TASK", "reach")) for path in named.groups())
    assert rows.is_file() and list(actions.glob("*.npz")) and list(videos.glob("*.mp4"))
    assert ("TASK" in said) == (task == "all")
    cli.main([word for word in words if word != "--video"], COMMANDS)
    again, whereabouts = capsys.readouterr().err.splitlines()
    played = 3 if task == "all" else 1
    assert again.startswith(f"{played} of {played} plays are recorded") and "--fresh" in again
    assert "videos" not in whereabouts


@pytest.mark.parametrize(("trials", "code"), [("1", 1), ("2", None)])
def test_a_run_of_nothing_but_errors_fails(
    trials: str, code: int | None, capsys: Any, tmp_path: Path, monkeypatch: Any
) -> None:
    monkeypatch.chdir(tmp_path)
    words = ["run", "--agent", "support.fake:FirstFails", "--task", "reach", "--trials", trials]
    ended = None
    try:
        cli.main(words, COMMANDS)
    except SystemExit as stop:
        ended = stop.code
    assert ended == code
    assert "reach trial 0 failed: RuntimeError" in capsys.readouterr().err
