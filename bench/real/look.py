"""``dexbench real look``: takes a picture as agents see it, such as a goal."""

from dataclasses import dataclass
from pathlib import Path

from PIL import Image

from dexbench.bench.run.arguments import keyword_arguments
from dexbench.envs.real.calibration import Calibration
from dexbench.envs.real.watched import asked
from dexbench.utils.files import atomic_file


@dataclass(frozen=True)
class RealLookConfig:
    """Takes a picture with the robot's camera, cropped and scaled to what agents see: a goal."""

    driver: str
    """What drives the robot: simulated, stepped, or your own as package.module:Class. It is asked
    for a picture, and moves nothing."""
    calibration: Path
    """The camera's calibration."""
    driver_args: tuple[str, ...] = ()
    """Arguments of the driver's class as KEY=VALUE."""
    out: Path = Path("goal.png")
    """The picture, of 392x224 px; it is replaced."""


def main(config: RealLookConfig) -> None:
    """Write the picture, and say how old it is: a camera may be frozen.

    Raises:
        UserError: The calibration is missing, damaged or of another size than the driver's
            pictures, or the driver cannot be made or does not answer.
    """
    arguments = keyword_arguments(config.driver_args, "--driver-args")
    calibration = Calibration.load(config.calibration)
    with asked(config.driver, arguments) as robot:
        look = robot.look()
        view, age = calibration.view(look.picture), robot.time() - look.time
    with atomic_file(config.out) as draft:
        Image.fromarray(view).save(draft, format="PNG")
    print(f"wrote {config.out}: taken {age:.2f} s before it was asked for")
