import io
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image
from support.real_robot import Arm

from dexbench.bench.ledger.real import read_real
from dexbench.bench.real import tolerance
from dexbench.bench.real.tolerance import ToleranceConfig, draw
from dexbench.envs.real import robot as drivers
from dexbench.utils.errors import UserError

LINE = {"rate": 0.5, "ci_low": 0.3, "ci_high": 0.7}


@pytest.fixture
def config(tmp_path: Path, monkeypatch: Any) -> ToleranceConfig:
    monkeypatch.setitem(drivers.DRIVERS, "tabletop", "support.real_robot:JudgingArm")
    return ToleranceConfig(
        "support.real_robot:Nods",
        latency=(0.0, 0.2),
        camera_shift=(0.04, 0.0),
        trials=2,
        driver="tabletop",
        out=tmp_path,
    )


def test_each_flaw_is_played_and_none_of_them_twice(config: ToleranceConfig, capsys: Any) -> None:
    Arm.made.clear()
    tolerance.main(config)
    out = capsys.readouterr().out
    for name in ("no-flaw", "latency-0.2", "camera_shift-0.04"):
        assert f"Nods-{name} " in out
    assert out.count("1/2  50.0%") == 3
    assert [(arm.latency, arm.camera_shift) for arm in Arm.made] == [(0, 0), (0.2, 0), (0, 0.04)]
    with Image.open(config.out / "tolerance.png") as picture:
        assert picture.size[0] > 1.5 * picture.size[1]
    tolerance.main(config)
    assert capsys.readouterr().out == out and len(Arm.made) == 3


def test_it_may_be_played_in_parts_and_rows_keep_the_flaws(config: ToleranceConfig) -> None:
    Arm.made.clear()
    tolerance.main(replace(config, latency=(0.2,), trials=1))
    tolerance.main(replace(config, camera_shift=(0.0,), trials=1))
    tolerance.main(config)
    # What was played is not played again, be it a value or a trial of it.
    assert [(arm.latency, arm.camera_shift) for arm in Arm.made] == [
        *((0.2, 0), (0, 0), (0, 0.04), (0, 0), (0.2, 0), (0, 0.04))
    ]
    entries = read_real([config.out])
    assert {
        entry.agent.rpartition("Nods-")[2]: entry.rows[0]["driver_args"] for entry in entries
    } == {
        "no-flaw": {},
        "latency-0.2": {"latency": 0.2},
        "camera_shift-0.04": {"camera_shift": 0.04},
    }
    for entry in entries:
        assert [row["trial"] for row in entry.rows] == [0, 1]
        assert all(row["driver_args"] == entry.rows[0]["driver_args"] for row in entry.rows)
        assert all(row["limits"]["answer"] == 60 for row in entry.rows)


def test_a_variant_of_an_agent_has_rows_of_its_own(config: ToleranceConfig, capsys: Any) -> None:
    tolerance.main(replace(config, agent_args=("turn=0.05",), name="slow"))
    assert "slow-latency-0.2 " in capsys.readouterr().out
    assert {entry.rows[0]["agent_args"]["turn"] for entry in read_real([config.out])} == {0.05}
    tolerance.main(config)
    with pytest.raises(UserError, match="agent_args"):
        tolerance.main(replace(config, agent_args=("turn=0.05",)))


def test_the_picture_shows_the_rates() -> None:
    def ink(rate: float) -> Any:
        png = draw({"latency": [(0.0, LINE), (0.1, LINE | {"rate": rate, "ci_low": 0.3})]})
        with Image.open(io.BytesIO(png)) as picture:
            return np.asarray(picture.convert("L"))

    assert (ink(0.5) == ink(0.5)).all() and (ink(0.5) != ink(0.7)).any()


def test_bad_values_are_named(config: ToleranceConfig) -> None:
    for changes, said in (
        ({"latency": ()}, "--latency is empty"),
        ({"camera_shift": (0.1, -0.1)}, "--camera-shift is -0.1"),
    ):
        with pytest.raises(UserError, match=said):
            tolerance.main(replace(config, **changes))
    assert not list(config.out.iterdir())
