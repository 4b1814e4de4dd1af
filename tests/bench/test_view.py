from pathlib import Path
from types import SimpleNamespace
from typing import Any

import imageio.v3 as imageio
import numpy as np
import pytest

from dexbench.bench import view
from dexbench.bench.ledger import Ledger
from dexbench.bench.view import LINE, MARGIN, Row, ViewConfig, actions_of, sheet
from dexbench.envs.errors import UserError

TRIAL: Any = SimpleNamespace(hash="abc", expert_actions=np.ones((60, 23), np.float32))


def write_actions(folder: Path, trial_hash: str = "abc") -> np.ndarray:
    actions = np.full((40, 23), 0.5, np.float32)
    with Ledger(folder / "v1" / "my.Agent" / "reach") as ledger:
        ledger.append({"trial": 3, "trial_hash": trial_hash}, actions)
    return actions


def colour(value: int) -> np.ndarray:
    return np.full((20, 30, 3), value, np.uint8)


def test_every_picture_is_where_its_title_says() -> None:
    rows = [Row("one", (colour(10), colour(20), colour(30))), Row("two", (colour(40),) * 3)]
    page = sheet(rows)
    assert page.shape == (LINE + 2 * (LINE + 20 + 2 * MARGIN), 3 * (30 + 2 * MARGIN), 3)
    top = 2 * LINE + MARGIN
    for column, value in enumerate((10, 20, 30)):
        left = column * (30 + 2 * MARGIN) + MARGIN
        assert (page[top : top + 20, left : left + 30] == value).all()
    assert (page[top + 20 + 2 * MARGIN + LINE, MARGIN] == 40).all()
    assert page[:LINE].min() < 60 and page[0, 0, 0] == 255  # black text on white


def test_actions_come_from_the_suite_or_the_ledger(tmp_path: Path) -> None:
    actions = write_actions(tmp_path)
    expert = actions_of(ViewConfig(ledgers=tmp_path), "reach", TRIAL, 3)
    assert expert is TRIAL.expert_actions
    config = ViewConfig(agent="my:Agent", ledgers=tmp_path)
    assert np.array_equal(actions_of(config, "reach", TRIAL, 3), actions)
    with pytest.raises(UserError, match="holds no trial 4 of my:Agent.* --task reach --suite v1"):
        actions_of(config, "reach", TRIAL, 4)


def test_actions_of_another_trial_are_refused(tmp_path: Path) -> None:
    write_actions(tmp_path, trial_hash="def")
    with pytest.raises(UserError, match="another build of suite v1"):
        actions_of(ViewConfig(agent="my:Agent", ledgers=tmp_path), "reach", TRIAL, 3)


def test_the_command_writes_a_png(tmp_path: Path, monkeypatch: Any, capsys: Any) -> None:
    suite = SimpleNamespace(trial=lambda task, index: TRIAL)
    monkeypatch.setattr(view, "Suite", SimpleNamespace(load=lambda name: suite))
    monkeypatch.setattr(
        view, "replay", lambda task, trial, actions: Row("success", (colour(7),) * 3)
    )
    out = tmp_path / "docs" / "tasks.png"
    view.main(ViewConfig(trials=(0, 4), out=out))
    assert imageio.imread(out).shape == (LINE + 6 * (LINE + 20 + 2 * MARGIN), 114, 3)
    lines = capsys.readouterr().out.splitlines()
    assert lines[0] == "reach, trial 0, expert: success" and lines[-1] == f"wrote {out}"
    with pytest.raises(UserError, match="cannot write"):
        view.main(ViewConfig(task="reach", out=out / "below.png"))
