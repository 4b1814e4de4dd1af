import io
import sys
from typing import Any

import pytest

from dexbench.utils.progress import EVERY, track


@pytest.fixture
def clock(monkeypatch: Any) -> list[float]:
    """The time that bars see, in s."""
    now = [0.0]
    monkeypatch.setattr("tqdm.std.time", lambda: now[0])
    return now


def work(items: Any, clock: list[float], seconds_each: float) -> list[Any]:
    done = []
    for item in items:
        clock[0] += seconds_each
        done.append(item)
    return done


def test_without_a_terminal_a_line_comes_every_minute(capsys: Any, clock: list[float]) -> None:
    assert work(track(range(8), "sorting", unit="letter"), clock, EVERY / 2) == list(range(8))
    assert capsys.readouterr().err.splitlines() == [
        "sorting: 2 of 8, about 03:00 left",
        "sorting: 4 of 8, about 02:00 left",
        "sorting: 6 of 8, about 01:00 left",
        "sorting: 8 of 8, about 00:00 left",
    ]


def test_short_work_says_nothing_and_a_bar_may_be_moved_by_hand(
    capsys: Any, clock: list[float]
) -> None:
    work(track(range(8), "sorting"), clock, EVERY / 9)
    with track(total=100, label="collecting", unit="episode") as bar:
        clock[0] += EVERY + 1
        bar.update(40)
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith("collecting: 40 of 100, about 01:")


def test_in_a_terminal_there_is_a_bar_and_nothing_where_it_is_not_wanted(
    monkeypatch: Any, clock: list[float]
) -> None:
    class Terminal(io.StringIO):
        def isatty(self) -> bool:
            return True

    terminal = Terminal()
    monkeypatch.setattr(sys, "stderr", terminal)
    work(track(range(8), "hidden", show=False), clock, EVERY)
    assert terminal.getvalue() == ""
    work(track(range(8), "sorting"), clock, EVERY)
    assert "8/8" in terminal.getvalue() and "left" not in terminal.getvalue()
