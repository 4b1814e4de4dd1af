"""A camera's calibration: what it sees as what agents see, and where it sees the robot.

One JSON file holds it. Agents know one camera only, the benchmark's
(:mod:`dexbench.envs.embodiment.camera`): where a lab's camera stands elsewhere, its pictures show
the robot elsewhere than agents expect it, and no crop mends that. `Calibration.displaced` says how
far off it is.
"""

import hashlib
import json
from dataclasses import asdict, dataclass, fields
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from dexbench.envs.embodiment.camera import FOCAL, HEAD_POS, HEIGHT, OPTICAL_IN_BASE, WIDTH
from dexbench.utils.errors import UserError, describe
from dexbench.utils.files import write_atomic

OVERHANG = 0.05
"""Share of what agents see that the camera may miss at an edge, where its last pixels are repeated.
A principal point 2% off the middle costs as much; more would hide what agents look for."""


@dataclass(frozen=True)
class Calibration:
    """A pinhole camera without distortion, and where it stands."""

    width: int
    """Columns of its pictures in px."""
    height: int
    """Rows in px."""
    fx: float
    """Focal length along the columns in px."""
    fy: float
    """Focal length along the rows in px."""
    cx: float
    """Column of the principal point in px, from the left edge of the picture."""
    cy: float
    """Row of the principal point in px, from the upper edge."""
    position: tuple[float, ...]
    """Where the camera is in the robot's base frame (x forward, y left, z up), in m."""
    rotation: tuple[tuple[float, ...], ...]
    """Rotation (3, 3) from the camera's optical frame (x right, y down, z into the picture) to the
    base frame: its columns are those axes."""

    @staticmethod
    def nominal(width: int = WIDTH, height: int = HEIGHT) -> "Calibration":
        """Return the benchmark's camera, with pictures of width and height in px.

        Agents see as much of a picture as has the shape of theirs, by default all.
        """
        focal = float(FOCAL) * min(width / WIDTH, height / HEIGHT)
        turn = tuple(tuple(map(float, row)) for row in OPTICAL_IN_BASE)
        return Calibration(width, height, focal, focal, width / 2, height / 2, HEAD_POS, turn)

    @staticmethod
    def load(path: Path) -> "Calibration":
        """Read a calibration.

        Raises:
            UserError: The file is missing or damaged, or what it says can be no camera's.
        """
        try:
            values = json.loads(path.read_text(encoding="utf-8"))
        except FileNotFoundError:
            raise UserError(
                f"no calibration at {path}; `dexbench real calibrate --help` says what it holds"
            ) from None
        except ValueError as error:
            raise UserError(f"calibration {path} is no JSON: {describe(error)}") from None
        names = {field.name for field in fields(Calibration)}
        given = set(values) if isinstance(values, dict) else set()
        if given != names:
            differing = "; ".join(
                f"{what} {', '.join(sorted(some))}"
                for what, some in (("it lacks", names - given), ("it must not have", given - names))
                if some
            )
            raise UserError(f"calibration {path}: {differing}")
        try:
            camera = Calibration(
                width=int(values["width"]),
                height=int(values["height"]),
                fx=float(values["fx"]),
                fy=float(values["fy"]),
                cx=float(values["cx"]),
                cy=float(values["cy"]),
                position=tuple(map(float, values["position"])),
                rotation=tuple(tuple(map(float, row)) for row in values["rotation"]),
            )
        except (TypeError, ValueError, OverflowError) as error:
            raise UserError(
                f"calibration {path}: {describe(error)}; expected numbers, a position of 3 and a "
                "rotation of 3 rows of 3"
            ) from None
        if (problem := camera.problem()) is not None:
            raise UserError(f"calibration {path}: {problem}")
        return camera

    def save(self, path: Path) -> None:
        """Write the calibration, whole or not at all."""
        write_atomic(path, json.dumps(asdict(self), indent=1) + "\n")

    @property
    def hash(self) -> str:
        """sha256 (hex) of what it says, however the file is laid out."""
        return hashlib.sha256(json.dumps(asdict(self), sort_keys=True).encode()).hexdigest()

    def problem(self) -> str | None:
        """Return what cannot be so of a camera, and what was expected; None if all can."""
        if len(self.position) != 3 or [len(row) for row in self.rotation] != [3, 3, 3]:
            return "expected a position of 3 numbers and a rotation of 3 rows of 3"
        turn = np.array(self.rotation)
        lens = (self.fx, self.fy, self.cx, self.cy)
        if not np.isfinite([*turn.ravel(), *self.position, *lens]).all():
            return "a number is not finite"
        if min(self.width, self.height, self.fx, self.fy) <= 0:
            return "width, height, fx and fy must be above 0"
        error = np.abs(turn @ turn.T - np.eye(3)).max()
        if error > 1e-3 or np.linalg.det(turn) < 0:
            return (
                f"rotation is none: orthogonal to {error:.2g}, its determinant "
                f"{np.linalg.det(turn):.2g}; expected orthogonal to 0.001, and 1"
            )
        left, top, right, bottom = self.crop
        missing = max(-left, right - self.width) / (right - left)
        missing = max(missing, max(-top, bottom - self.height) / (bottom - top))
        if missing > OVERHANG:
            return (
                f"agents see columns {left:.0f} to {right:.0f} and rows {top:.0f} to {bottom:.0f} "
                f"of its pictures, which have {self.width} columns and {self.height} rows; use a "
                "wider lens (agents see 107 by 75 degrees)"
            )
        return None

    @property
    def crop(self) -> tuple[float, float, float, float]:
        """What agents see of its pictures: left, top, right and bottom in px.

        Scaled to 392x224 it has the focal length and the middle of the benchmark's camera.
        """
        across, down = WIDTH / 2 * self.fx / FOCAL, HEIGHT / 2 * self.fy / FOCAL
        return self.cx - across, self.cy - down, self.cx + across, self.cy + down

    @cached_property
    def displaced(self) -> tuple[float, float]:
        """How far it is from the benchmark's camera: in m, and in rad of rotation."""
        away = float(np.linalg.norm(np.subtract(self.position, HEAD_POS)))
        between = np.array(self.rotation).T @ OPTICAL_IN_BASE
        return away, float(np.arccos(np.clip((np.trace(between) - 1) / 2, -1, 1)))

    def view(self, picture: NDArray[np.uint8]) -> NDArray[np.uint8]:
        """Return what agents see of a picture, (224, 392, 3) uint8 RGB.

        Args:
            picture: Of the camera, (height, width, 3) uint8 RGB.

        Raises:
            UserError: It is no picture of the calibration's size.
        """
        expected = (self.height, self.width, 3)
        if picture.shape != expected or picture.dtype != np.uint8:
            raise UserError(
                f"the camera gave {picture.dtype} {picture.shape}, its calibration says uint8 "
                f"{expected}; calibrate at the size that the driver gives"
            )
        left, top, right, bottom = self.crop
        pad = int(np.ceil(max(0, -left, -top, right - self.width, bottom - self.height)))
        whole = np.pad(picture, ((pad, pad), (pad, pad), (0, 0)), mode="edge") if pad else picture
        box = (left + pad, top + pad, right + pad, bottom + pad)
        resized = Image.fromarray(whole).resize((WIDTH, HEIGHT), Image.Resampling.BILINEAR, box)
        return np.asarray(resized)

    def pixels(self, points: NDArray[Any]) -> NDArray[np.float64]:
        """Map points (..., 3) in the base frame, in m, to column and row (..., 2) of its pictures.

        A point behind the camera is nowhere: NaN.
        """
        seen = (np.asarray(points, np.float64) - np.array(self.position)) @ np.array(self.rotation)
        depth = np.where(seen[..., 2:] > 0, seen[..., 2:], np.nan)
        placed: NDArray[np.float64] = seen[..., :2] / depth * (self.fx, self.fy)
        return placed + (self.cx, self.cy)
