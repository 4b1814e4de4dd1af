"""Videos of trials."""

import warnings
from typing import Any

import numpy as np
from numpy.typing import NDArray

from dexbench.utils.errors import describe
from dexbench.utils.video import write_video

__all__ = ["beside_goal", "imagined", "write_video"]


def beside_goal(
    view: NDArray[np.uint8], goal: NDArray[np.uint8], expected: NDArray[np.uint8] | None = None
) -> NDArray[np.uint8]:
    """Return the view, the goal, and what the agent expects to see after its chunk, side by side.

    Args:
        view: What the camera sees, (224, 392, 3) uint8.
        goal: The goal picture, as the view.
        expected: From the agent's ``imagine``, as the view; left out if None.

    Returns:
        (224, 784 or 1176, 3) uint8, side by side; a copy.
    """
    return np.concatenate([view, goal, *([] if expected is None else [expected])], axis=1)


def imagined(agent: Any, like: NDArray[np.uint8]) -> NDArray[np.uint8] | None:
    """Return what an agent expects to see, uint8 and shaped as ``like``; None if it does not say.

    A video decides no trial, so that a failure here is a warning.
    """
    try:
        imagine = getattr(agent, "imagine", None)
        if imagine is None or (picture := imagine()) is None:
            return None
        picture = np.array(picture)  # the agent may draw its next picture into the same array
        wrong = f"gave {picture.dtype} {picture.shape}, expected uint8 {like.shape}"
        if picture.dtype == np.uint8 and picture.shape == like.shape:
            return picture
    except Exception as error:
        wrong = f"failed: {describe(error)}"
    warnings.warn(f"{type(agent).__name__}.imagine {wrong}; the video lacks it", stacklevel=2)
    return None
