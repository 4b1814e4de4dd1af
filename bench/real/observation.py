"""What an agent gets to see of a real robot: the same keys as of the benchmark's environments."""

from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image, UnidentifiedImageError

from dexbench.envs.embodiment.camera import HEIGHT, WIDTH, base_to_camera
from dexbench.envs.embodiment.robot import HIGHEST, LOWEST
from dexbench.envs.real.calibration import Calibration
from dexbench.utils.errors import UserError, describe


def observe(
    view: NDArray[np.uint8],
    joints: NDArray[np.float64],
    target: NDArray[np.floating[Any]],
    goal: NDArray[np.uint8],
    steps_left: int,
) -> dict[str, NDArray[Any]]:
    """Return an observation as `dexbench.agents.base.Agent.act` is given it.

    Its keypoints come from the joints by forward kinematics. They are in the frame of the
    benchmark's camera, because agents put their own candidates there; `Calibration.displaced` says
    how far the robot's camera is from it.

    Args:
        view: What the camera sees now, as agents see it, (224, 392, 3) uint8.
        joints: Measured now, (23,) in rad.
        target: Commanded last, (23,) in rad.
        goal: Like the view.
        steps_left: Control steps to the end of the trial.
    """
    return {
        "pixels": view.copy(),
        "goal": goal.copy(),
        "agent_pos": joints.astype(np.float32),
        "agent_target": np.clip(target.astype(np.float32), LOWEST, HIGHEST),
        "keypoints": base_to_camera(hand(joints)).astype(np.float32),
        "steps_left": np.array([steps_left], np.int64),
    }


def hand(joints: NDArray[np.floating[Any]]) -> NDArray[np.float64]:
    """Return the hand's keypoints (..., 21, 3) in the base frame, in m, of joints (..., 23)."""
    import torch

    from dexbench.envs.embodiment.kinematics import HandKinematics

    exact = HandKinematics(dtype=torch.float64)
    points: NDArray[np.float64] = exact.keypoints(
        torch.from_numpy(joints.astype(np.float64))
    ).numpy()
    return points


def read_goal(path: Path, calibration: Calibration) -> NDArray[np.uint8]:
    """Read a goal picture.

    Args:
        path: A picture of 224x392 px, as `dexbench real look` takes it, or one of the camera's
            size, which is cropped and scaled like what the robot sees.
        calibration: Of the camera.

    Returns:
        What agents see, (224, 392, 3) uint8 RGB.

    Raises:
        UserError: It is missing, no picture, or of another size.
    """
    try:
        with Image.open(path) as file:
            picture = np.asarray(file.convert("RGB"))
    except FileNotFoundError:
        raise UserError(
            f"there is no goal picture {path}; `dexbench real look` takes one"
        ) from None
    except UnidentifiedImageError:
        raise UserError(f"--goal {path} is no picture; expected a PNG or JPEG") from None
    except (SyntaxError, ValueError, EOFError, Image.DecompressionBombError) as error:
        raise UserError(
            f"--goal {path} cannot be read ({describe(error)}); take another picture"
        ) from error
    if picture.shape == (HEIGHT, WIDTH, 3):
        return picture
    if picture.shape == (calibration.height, calibration.width, 3):
        return calibration.view(picture)
    height, width = picture.shape[:2]
    raise UserError(
        f"--goal {path} has {width}x{height} px, expected {WIDTH}x{HEIGHT}, or the camera's "
        f"{calibration.width}x{calibration.height}"
    )
