from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image
from support.real_robot import PICTURE, Arm

from dexbench.bench.real import calibrate, look
from dexbench.bench.real.calibrate import RealCalibrateConfig, overlay
from dexbench.bench.real.look import RealLookConfig
from dexbench.bench.real.observation import hand
from dexbench.bench.real.sheet import view_pixels
from dexbench.envs.embodiment.camera import base_to_camera, project
from dexbench.envs.embodiment.robot import INIT_JOINTS
from dexbench.envs.real.calibration import Calibration
from dexbench.utils.errors import UserError

ARM = "support.real_robot:Arm"
LIME = (0, 255, 0)


@pytest.fixture(autouse=True)
def made() -> Iterator[list[Arm]]:
    Arm.made.clear()
    yield Arm.made
    assert all(arm.closes == 1 and not arm.sent for arm in Arm.made)


def centre(page: Image.Image) -> Any:
    """Where the drawn hand is, in px."""
    rows, columns = np.nonzero((np.asarray(page) == LIME).all(-1))
    assert len(rows) > 50
    return np.array([columns.mean(), rows.mean()])


def test_the_hand_is_drawn_where_the_camera_sees_it() -> None:
    nominal = Calibration.nominal()
    black = np.zeros_like(PICTURE)
    drawn = centre(overlay(nominal, black, INIT_JOINTS))
    points = project(base_to_camera(hand(INIT_JOINTS)))[:17]
    low, high = points.min(0), points.max(0)
    assert (low - 5 <= drawn).all() and (drawn <= high + 5).all()
    # A camera 5 cm further right sees the hand further left.
    x, y, z = nominal.position
    moved = replace(nominal, position=(x, y - 0.05, z))
    assert centre(overlay(moved, black, INIT_JOINTS))[0] < drawn[0] - 5


def test_a_larger_picture_shows_agents_the_same() -> None:
    points = hand(INIT_JOINTS)
    wide = Calibration.nominal(1280, 720)
    expected = project(base_to_camera(points))
    assert np.allclose(view_pixels(wide, points), expected, atol=0.01)
    assert not np.allclose(wide.pixels(points), expected, atol=5)


def test_a_calibration_to_begin_with_is_the_benchmarks(tmp_path: Path, capsys: Any) -> None:
    path, out = tmp_path / "camera.json", tmp_path / "sheet.png"
    config = RealCalibrateConfig(ARM, path, out=out)
    calibrate.main(config)
    said = capsys.readouterr().out
    assert "to begin with" in said and "0.0 cm and 0.0 degrees" in said
    assert Calibration.load(path) == Calibration.nominal()
    off = replace(Calibration.nominal(), position=(0.212, 0.03, 1.574))
    off.save(path)
    calibrate.main(config)
    said = capsys.readouterr().out
    assert "to begin with" not in said and "5.0 cm and 0.0 degrees" in said
    assert Calibration.load(path) == off
    with Image.open(out) as page:
        assert page.size == (392, 224)


def test_another_size_than_the_cameras_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "camera.json"
    Calibration.nominal(1280, 720).save(path)
    for run, config in (
        (calibrate.main, RealCalibrateConfig(ARM, path, out=tmp_path / "x.png")),
        (look.main, RealLookConfig(ARM, path, out=tmp_path / "x.png")),
    ):
        with pytest.raises(UserError, match="its calibration says"):
            run(config)
    assert not (tmp_path / "x.png").exists()


def test_a_look_is_what_agents_see(tmp_path: Path, capsys: Any) -> None:
    path, out = tmp_path / "camera.json", tmp_path / "goal.png"
    large, picture = tmp_path / "large.png", np.kron(PICTURE, np.ones((2, 2, 1), np.uint8))
    Image.fromarray(picture).save(large)
    Calibration.nominal(784, 448).save(path)
    look.main(RealLookConfig(ARM, path, (f"picture={large}",), out))
    assert "taken 0.00 s before" in capsys.readouterr().out
    with Image.open(out) as page:
        seen = np.asarray(page)
    assert seen.shape == PICTURE.shape
    assert np.abs(seen[2:].astype(int) - PICTURE[2:]).mean() < 1


def test_a_driver_may_give_a_plain_pair_as_on_the_page(tmp_path: Path, monkeypatch: Any) -> None:
    see = Arm.look
    monkeypatch.setattr(Arm, "look", lambda arm: tuple(see(arm)))
    camera = tmp_path / "camera.json"
    calibrate.main(RealCalibrateConfig(ARM, camera, out=tmp_path / "a.png"))
    look.main(RealLookConfig(ARM, camera, out=tmp_path / "b.png"))
    assert (tmp_path / "a.png").exists() and (tmp_path / "b.png").exists()


def test_a_driver_that_fails_is_named_in_one_line(tmp_path: Path, monkeypatch: Any) -> None:
    def gone(arm: Arm) -> Any:
        raise ConnectionError("no route to the arm")

    monkeypatch.setattr(Arm, "look", gone)
    Calibration.nominal().save(tmp_path / "camera.json")
    for command in (
        lambda: calibrate.main(RealCalibrateConfig(ARM, tmp_path / "camera.json")),
        lambda: look.main(RealLookConfig(ARM, tmp_path / "camera.json")),
    ):
        with pytest.raises(UserError, match="look failed: ConnectionError: no route to the arm"):
            command()
