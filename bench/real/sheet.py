"""A plan as a picture, for whoever has to say whether the robot may move."""

from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw

from dexbench.envs.embodiment.camera import HEIGHT, WIDTH
from dexbench.envs.embodiment.keypoints import WRIST, WRIST_AND_TIPS
from dexbench.envs.embodiment.robot import CONTROL_HZ
from dexbench.envs.real.calibration import Calibration

from .draw import draw_hand, draw_line
from .observation import hand

if TYPE_CHECKING:
    from torch import Tensor

LINE, FONT, MARGIN = 32, 24, 8
"""Height of a line of text and of its letters, and white space around pictures, in px."""
SCALE = 2
"""How much larger than agents' pictures people see them."""
NOW, COMMANDED, PREDICTED = "white", "lime", "orange"
"""Colours of the hand now, where the commanded joints put it, and where the model expects it."""


def plan_sheet(
    calibration: Calibration,
    view: NDArray[np.uint8],
    goal: NDArray[np.uint8],
    joints: NDArray[np.float64],
    chunk: NDArray[np.float32],
    expected: NDArray[np.uint8] | None = None,
    predicted: NDArray[np.float64] | None = None,
) -> Image.Image:
    """Draw a plan.

    Args:
        calibration: Of the camera; it places the hand in the pictures.
        view: What agents see now, (224, 392, 3) uint8.
        goal: Likewise.
        joints: Measured now, (23,) in rad.
        chunk: Joint targets that would be played, (k, 23) in rad.
        expected: What the agent expects to see then, if it can imagine; like the view.
        predicted: Where its model expects the hand after each waypoint, (T, 17, 2) in px of the
            view, if it has one.

    Returns:
        A line of numbers above three or two pictures: the view with the hand's way, the goal, and
        what is expected.
    """
    hands = hand(np.concatenate([joints[None], chunk]))
    ways = SCALE * view_pixels(calibration, hands)
    drawn = _enlarge(view)
    draw = ImageDraw.Draw(drawn)
    for point in WRIST_AND_TIPS:
        draw_line(draw, ways[:, point], COMMANDED)
    for points, colour in ((ways[0], NOW), (ways[-1], COMMANDED)):
        draw_hand(draw, points, colour)
    for points in () if predicted is None else predicted:
        draw_hand(draw, SCALE * points, PREDICTED)
    names = f"now {NOW}, planned {COMMANDED}" + (
        "" if predicted is None else f", model {PREDICTED}"
    )
    panels = [(names, drawn), ("goal", _enlarge(goal))]
    panels += [] if expected is None else [("what the agent expects to see", _enlarge(expected))]
    way = np.linalg.norm(np.diff(hands[:, WRIST], axis=0), axis=-1).sum()
    turn = np.abs(chunk[-1] - joints).max()
    title = (
        f"{len(chunk) / CONTROL_HZ:.1f} s of motion; the wrist goes {100 * way:.0f} cm, "
        f"a joint turns by up to {turn:.2f} rad"
    )
    width, height = drawn.size
    step = width + MARGIN
    page = Image.new("RGB", (len(panels) * step - MARGIN, 2 * LINE + height), "white")
    text = ImageDraw.Draw(page)
    text.text((MARGIN, 2), title, fill="black", font_size=FONT)
    for column, (name, picture) in enumerate(panels):
        text.text((column * step + MARGIN, LINE + 2), name, fill="black", font_size=FONT)
        page.paste(picture, (column * step, 2 * LINE))
    return page


def view_pixels(calibration: Calibration, points: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return where points (..., 3) in the base frame, in m, are in what agents see, (..., 2) px."""
    left, top, right, bottom = calibration.crop
    scale = np.array([WIDTH / (right - left), HEIGHT / (bottom - top)])
    placed: NDArray[np.float64] = (calibration.pixels(points) - (left, top)) * scale
    return placed


def foreseen_hand(agent: Any) -> NDArray[np.float64] | None:
    """Return where an agent's model expects the hand after each waypoint that it will play.

    Returns:
        Keypoints (T, 17, 2) in px of what agents see; None if the agent is no planner of ours, has
        planned nothing, or has no model beside the joints themselves.
    """
    import torch

    from dexbench.agents.planning.waypoint_agent import WaypointAgent

    if not isinstance(agent, WaypointAgent) or agent.last_plan is None:
        return None
    if type(agent).predict is WaypointAgent.predict:
        return None
    with torch.no_grad():
        waypoints: Tensor = agent.chosen(agent.last_plan)[None]
        pixels = agent.predict(waypoints, agent.last_context).pixels
    if pixels is None:
        return None
    played = slice(None) if agent.config.open_loop else slice(0, 1)
    points: NDArray[np.float64] = pixels[0, played].double().numpy()
    return points


def _enlarge(picture: NDArray[np.uint8]) -> Image.Image:
    height, width = picture.shape[:2]
    return Image.fromarray(picture).resize(
        (width * SCALE, height * SCALE), Image.Resampling.BICUBIC
    )
