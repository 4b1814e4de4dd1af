import json
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from dexbench.envs.embodiment.camera import HEAD_POS, OPTICAL_IN_BASE, base_to_camera, project
from dexbench.envs.real.calibration import Calibration
from dexbench.utils.errors import UserError
from dexbench.utils.seeding import rng

NOMINAL = Calibration.nominal()
POINTS = np.array([[0.6, -0.2, 0.9], [0.8, 0.1, 1.1], [0.6, -0.4, 0.85]])
"""In front of the camera, in the base frame, in m."""


def test_agents_see_the_benchmarks_camera_as_it_is() -> None:
    picture = rng("test", "picture").integers(0, 256, (224, 392, 3)).astype(np.uint8)
    assert np.array_equal(NOMINAL.view(picture), picture)
    assert np.allclose(NOMINAL.pixels(POINTS), project(base_to_camera(POINTS)))
    assert NOMINAL.displaced == pytest.approx((0, 0), abs=1e-6)
    assert NOMINAL.problem() is None


@pytest.mark.parametrize("size", [(960, 600), (1280, 720), (1920, 1200), (392, 448)])
def test_a_camera_of_another_size_shows_agents_the_same(size: tuple[int, int]) -> None:
    width, height = size
    camera = Calibration.nominal(width, height)
    assert camera.problem() is None
    for point, expected in zip(POINTS, project(base_to_camera(POINTS)), strict=True):
        column, row = camera.pixels(point)
        picture = np.zeros((height, width, 3), np.uint8)
        # A spot that is large enough to be seen when it is scaled down.
        spot = max(2, round(3 * width / 392))
        rows, columns = np.mgrid[:height, :width] + 0.5
        picture[np.maximum(abs(rows - row), abs(columns - column)) < spot] = 255
        seen = camera.view(picture)[..., 0].astype(float)
        assert seen.shape == (224, 392)
        place = [(seen.sum(axis) * (np.arange(n) + 0.5)).sum() / seen.sum()
                 for axis, n in ((0, 392), (1, 224))]  # fmt: skip
        assert np.abs(np.array(place) - expected).max() < 0.5


def test_a_lens_and_a_middle_of_its_own_are_taken_out() -> None:
    wide = replace(Calibration.nominal(1280, 720), fx=300.0, fy=330.0, cx=650.0, cy=340.0)
    assert wide.problem() is None
    left, top, right, bottom = wide.crop
    scale = np.array([392 / (right - left), 224 / (bottom - top)])
    placed = (wide.pixels(POINTS) - (left, top)) * scale
    assert np.allclose(placed, project(base_to_camera(POINTS)))


def test_a_narrow_margin_is_filled_and_a_wide_one_refused(tmp_path: Path) -> None:
    picture = np.full((224, 392, 3), 90, np.uint8)
    off = replace(NOMINAL, cx=204.0)
    assert off.problem() is None and (off.view(picture) == 90).all()
    assert "use a wider lens" in (replace(NOMINAL, cx=220.0).problem() or "")
    assert "use a wider lens" in (replace(NOMINAL, fx=180.0, fy=180.0).problem() or "")


def test_a_displaced_camera_says_how_far() -> None:
    angle = 0.1
    turn = np.array(
        [[np.cos(angle), -np.sin(angle), 0], [np.sin(angle), np.cos(angle), 0], [0, 0, 1]]
    )
    there = replace(
        NOMINAL,
        position=(HEAD_POS[0], HEAD_POS[1] + 0.03, HEAD_POS[2] - 0.04),
        rotation=tuple(map(tuple, turn @ OPTICAL_IN_BASE)),
    )
    assert there.displaced == pytest.approx((0.05, 0.1))
    # Its pixels follow: a camera further left sees everything further right.
    left = replace(NOMINAL, position=(HEAD_POS[0], HEAD_POS[1] + 0.05, HEAD_POS[2]))
    assert (left.pixels(POINTS)[:, 0] > NOMINAL.pixels(POINTS)[:, 0] + 3).all()


def test_what_is_behind_the_camera_is_nowhere() -> None:
    assert np.isnan(NOMINAL.pixels(np.array([-1.0, 0.0, 1.6]))).all()


def test_a_picture_of_another_size_is_refused() -> None:
    for picture in (np.zeros((224, 390, 3), np.uint8), np.zeros((224, 392, 3), np.float32)):
        with pytest.raises(UserError, match="its calibration says uint8"):
            NOMINAL.view(picture)  # type: ignore[arg-type]


def test_a_file_holds_all_and_its_hash_is_of_what_it_says(tmp_path: Path) -> None:
    path = tmp_path / "camera.json"
    camera = replace(Calibration.nominal(960, 600), cx=481.25)
    camera.save(path)
    loaded = Calibration.load(path)
    assert loaded == camera and loaded.hash == camera.hash
    path.write_text(json.dumps(dict(reversed(json.loads(path.read_text()).items()))))
    assert Calibration.load(path).hash == camera.hash
    assert replace(camera, cx=481.26).hash != camera.hash


@pytest.mark.parametrize(
    ("change", "complaint"),
    [
        ({"fx": None}, "it lacks fx"),
        ({"fov": 80}, "it must not have fov"),
        ({"fx": "wide"}, "expected numbers, a position of 3"),
        ({"fx": -100.0}, "must be above 0"),
        ({"cy": float("nan")}, "a number is not finite"),
        ({"width": float("inf")}, "expected numbers"),
        ({"position": [0.2, 0.0]}, "expected a position of 3 numbers"),
        ({"position": 3}, "expected numbers, a position of 3"),
        ({"rotation": [[1, 0, 0], [0, 1, 0]]}, "a rotation of 3 rows of 3"),
        ({"rotation": [[1, 0, 0], [0, 1, 0], [0, 0, -1]]}, "rotation is none: .* determinant -1"),
        ({"rotation": [[2, 0, 0], [0, 1, 0], [0, 0, 1]]}, "rotation is none"),
        ({"fx": 400.0}, r"agents see columns -\d+ to \d+ .* use a wider lens"),
    ],
)
def test_a_file_that_cannot_be_says_what_is_wrong(
    change: dict[str, Any], complaint: str, tmp_path: Path
) -> None:
    path = tmp_path / "camera.json"
    values = {**asdict(NOMINAL), **change}
    path.write_text(json.dumps({key: value for key, value in values.items() if value is not None}))
    with pytest.raises(UserError, match=complaint) as caught:
        Calibration.load(path)
    assert str(path) in str(caught.value)


def test_a_file_that_is_none_is_named(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="no calibration at .*camera.json"):
        Calibration.load(tmp_path / "camera.json")
    for text in ("{", "[1]", "\x00"):
        (tmp_path / "camera.json").write_text(text)
        with pytest.raises(UserError, match="camera.json"):
            Calibration.load(tmp_path / "camera.json")
