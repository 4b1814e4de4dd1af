"""Agents that raise what cannot be written down, or harm what they are given."""

import warnings
from pathlib import Path

import numpy as np
import pytest
from support import fake
from support.runs import run_fake, without_timing

from dexbench.bench.run.pictures import imagined
from dexbench.bench.run.trial import play
from dexbench.bench.run.worker import warn_if_unwritten
from dexbench.utils.errors import describe, full_traceback
from dexbench.utils.video import read_video

UNSPEAKABLE = {
    "raises": "MuteError: its message cannot be made (ValueError)",
    "bytes": "MuteError: its message cannot be made (TypeError)",
    "surrogate": r"RuntimeError: caf\udce9 broke",
}


@pytest.mark.parametrize("fault", UNSPEAKABLE)
def test_an_exception_that_cannot_be_written_down_is_an_error_row(
    tmp_path: Path, fault: str
) -> None:
    options = {"agent_args": (f"fault={fault}",), "trials": 1}
    rows = run_fake(tmp_path, "support.fake:Unspeakable", **options)
    assert rows[0]["error"] == UNSPEAKABLE[fault]
    (trace,) = tmp_path.rglob("errors/trial-000.txt")
    assert trace.read_bytes().decode("utf-8").startswith("Traceback")
    assert run_fake(tmp_path, "support.fake:Unspeakable", **options) == rows


def test_what_cannot_be_formatted_is_described() -> None:
    class BrokenError(Exception):
        @property
        def __notes__(self) -> None:
            raise KeyError("no notes")

    error = BrokenError("why")
    assert "BrokenError: why" in full_traceback(error) and describe(error) == "BrokenError: why"


def test_what_an_agent_says_of_itself_must_be_utf8(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="a row cannot hold --agent-args .*surrogates"):
        run_fake(tmp_path / "out", "support.fake:Says", agent_args=("said='\\udce9'",))


@pytest.mark.parametrize("fault", ["change", "replace", "pop"])
def test_what_is_filmed_is_not_the_agents_to_change(tmp_path: Path, fault: str) -> None:
    films, rows = [], []
    for name in ("none", fault):
        options = {"agent_args": (f"fault={name}",), "trials": 1, "video": True}
        (row,) = run_fake(tmp_path / name, "support.fake:Defaces", **options)
        (video,) = (tmp_path / name).rglob("trial-000.mp4")
        films.append(read_video(video))
        rows.append({**row, "agent_args": {}})
    assert rows[1]["error"] is None
    assert without_timing(rows[:1]) == without_timing(rows[1:])
    assert np.array_equal(*films)


def test_the_goal_is_filmed_as_it_was(monkeypatch: pytest.MonkeyPatch) -> None:
    """An environment may give out the same array again and again."""
    env = fake.FakeEnv("reach")
    goal = np.full((224, 392, 3), 200, np.uint8)
    as_it_is = env._obs
    monkeypatch.setattr(env, "_obs", lambda: {**as_it_is(), "goal": goal})
    frames: list[np.ndarray] = []
    play(env, fake.Defaces("change"), suite="v1", task="reach", trial=0, frames=frames)
    assert len(frames) == 61 and (goal == 77).all()
    assert all((frame[:, 392:] == 200).all() for frame in frames)


def test_what_the_agent_imagined_is_a_copy() -> None:
    class Reuses:
        canvas = np.zeros((224, 392, 3), np.uint8)

        def imagine(self) -> np.ndarray:
            return self.canvas

    picture = imagined(Reuses(), Reuses.canvas)
    assert picture is not None and not np.shares_memory(picture, Reuses.canvas)


def test_a_video_that_cannot_be_written_loses_no_row(tmp_path: Path) -> None:
    folder = tmp_path / "v1/hold/reach"
    folder.mkdir(parents=True)
    (folder / "videos").touch()  # where a folder is to be made
    rows = run_fake(tmp_path, "hold", trials=2, video=True)
    assert [row["error"] for row in rows] == [None, None]


def test_a_traceback_that_cannot_be_written_loses_no_row(tmp_path: Path) -> None:
    folder = tmp_path / "v1/mine/reach"
    folder.mkdir(parents=True)
    (folder / "errors").touch()
    options = {"agent_args": ("fault=surrogate",), "trials": 1, "name": "mine"}
    (row,) = run_fake(tmp_path, "support.fake:Unspeakable", **options)
    assert row["error"]


def test_what_is_not_written_is_named() -> None:
    complaint = pytest.warns(UserWarning, match="the video of reach trial 3 .*OSError: disk full")
    with complaint, warn_if_unwritten("the video of reach trial 3"):
        raise OSError("disk full")
    with warnings.catch_warnings(), warn_if_unwritten("the video"):
        warnings.simplefilter("error")
