"""``dexbench real calibrate``: shows whether a camera's calibration fits."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw

from dexbench.bench.run.arguments import keyword_arguments
from dexbench.envs.real.calibration import Calibration
from dexbench.envs.real.watched import asked
from dexbench.utils.files import atomic_file

from .draw import draw_hand, draw_line
from .observation import hand

ARM, HAND, CROP = "yellow", "lime", "red"
"""Colours of the arm's links, the hand's keypoints, and what agents see."""


@dataclass(frozen=True)
class RealCalibrateConfig:
    """Draws the robot's known links and keypoints over a picture of it, to see whether they fit.

    The calibration is JSON: width and height of the pictures, fx, fy, cx and cy in px, position of
    the camera in the robot's base in m, and rotation, whose columns are the camera's axes there
    (right, down, into the picture). If there is no such file, the benchmark's own camera is
    written there, to begin with.
    """

    driver: str
    """What drives the robot: simulated, stepped, or your own as package.module:Class. It is asked
    for its joints and a picture, and moves nothing."""
    calibration: Path
    """The camera's calibration."""
    driver_args: tuple[str, ...] = ()
    """Arguments of the driver's class as KEY=VALUE."""
    out: Path = Path("calibration.png")
    """The picture; it is replaced."""


def main(config: RealCalibrateConfig) -> None:
    """Write the picture, and say how far the camera is from the benchmark's.

    Raises:
        UserError: The calibration is damaged or of another size than the driver's pictures, or the
            driver cannot be made or does not answer.
    """
    arguments = keyword_arguments(config.driver_args, "--driver-args")
    known = Calibration.load(config.calibration) if config.calibration.exists() else None
    with asked(config.driver, arguments) as robot:
        picture, joints = robot.look().picture, robot.joints()
    calibration = known or Calibration.nominal(picture.shape[1], picture.shape[0])
    calibration.view(picture)  # Refuses a picture of another size.
    if known is None:
        calibration.save(config.calibration)
        print(f"wrote {config.calibration}: the benchmark's camera, to begin with")
    page = overlay(calibration, picture, joints)
    with atomic_file(config.out) as draft:
        page.save(draft, format="PNG")
    away, turned = calibration.displaced
    print(
        f"wrote {config.out}: the arm is {ARM}, the hand {HAND}, what agents see {CROP}\n"
        f"The camera is {100 * away:.1f} cm and {np.degrees(turned):.1f} degrees from the "
        "benchmark's, which agents take it for."
    )


def overlay(
    calibration: Calibration, picture: NDArray[np.uint8], joints: NDArray[np.float64]
) -> Image.Image:
    """Draw the robot's links and keypoints where the calibration puts them.

    Args:
        calibration: Of the camera.
        picture: What it sees, (height, width, 3) uint8 RGB.
        joints: Measured at the same time, (23,) in rad.
    """
    import torch

    from dexbench.envs.embodiment.kinematics import HandKinematics

    page = Image.fromarray(picture)
    draw = ImageDraw.Draw(page)
    arm, _ = HandKinematics(dtype=torch.float64).bones(torch.from_numpy(joints))
    for bone in calibration.pixels(arm.numpy()):
        draw_line(draw, bone, ARM)
    points = calibration.pixels(hand(joints))
    draw_hand(draw, points, HAND)
    for x, y in points[np.isfinite(points).all(-1)]:
        draw.ellipse((x - 3, y - 3, x + 3, y + 3), outline=HAND)
    draw.rectangle(calibration.crop, outline=CROP)
    return page
