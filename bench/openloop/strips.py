"""Strips of pictures: what the camera saw, and below it what the model predicted (Figure 13).

Where there is a video model, its pictures are below those (Figure 8).

As a picture that people look at, and as a video of all frames.
"""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image, ImageDraw

from dexbench.agents.dexwm.model.decoder import Decoder, pictures
from dexbench.agents.dexwm.model.world_model import DexWMModel
from dexbench.envs.embodiment.robot import CONTROL_HZ
from dexbench.utils.files import atomic_file
from dexbench.utils.video import write_video

from .clips import Clips
from .evaluate import encode, predictions

COLUMNS = 6
"""Pictures of a strip, the first frame among them."""
TILE = (112, 196)
"""Height and width of a picture in px."""
LINE, GAP = 14, 6
"""Height of a caption and of the space below a strip, in px."""


@dataclass(frozen=True)
class Strips:
    """The true and the predicted pictures of N windows of T + 1 frames, in R rows."""

    seconds: list[float]
    """When each frame is."""
    tiles: NDArray[np.uint8]
    """``(N, T + 1, R, 112, 196, 3)``: what the camera saw; what was predicted, of which the first
    is the decoder's view of the true first frame; and the video model's if there is one."""


@torch.no_grad()
def draw_strips(model: DexWMModel, decoder: Decoder, clips: Clips, count: int) -> Strips:
    """Draw the first windows.

    Args:
        model: Predicts.
        decoder: Draws latent states of its encoder.
        clips: All windows.
        count: How many of them.
    """
    part = slice(0, min(count, len(clips.images)))
    true = encode(model, clips.images[part])
    _, predicted = next(predictions(model, clips, part, true))
    states = torch.cat([true[:, :1], predicted], 1)
    drawn = pictures(decoder, states.flatten(0, 1))
    drawn = drawn.reshape(*states.shape[:2], *drawn.shape[1:])
    shown = [clips.images[part], drawn]
    if clips.video is not None:
        shown.append(np.concatenate([clips.images[part, :1], clips.video[part]], 1))
    rows = [
        np.array([[_tile(image) for image in window] for window in windows]) for windows in shown
    ]
    return Strips([0.0, *clips.seconds], np.stack(rows, 2))


def write_picture(path: Path, strips: Strips) -> None:
    """Write some frames of each window side by side, one window below the other, as a PNG."""
    steps = np.linspace(0, len(strips.seconds) - 1, COLUMNS).round().astype(int)
    height, width = TILE
    strip = LINE + strips.tiles.shape[2] * height + GAP
    page = Image.new("RGB", (COLUMNS * width, len(strips.tiles) * strip), "white")
    draw = ImageDraw.Draw(page)
    for clip, tiles in enumerate(strips.tiles):
        for column, step in enumerate(steps):
            left, top = column * width, clip * strip
            draw.text((left + 3, top + 1), f"{strips.seconds[step]:.1f} s", fill="black")
            page.paste(Image.fromarray(np.concatenate(tiles[step])), (left, top + LINE))
    with atomic_file(path) as draft:
        page.save(draft, format="PNG", optimize=True)


def write_film(path: Path, strips: Strips) -> None:
    """Write all frames in real time, the windows side by side, as an mp4."""
    # One of the 10 frames a second that the robot is controlled at, for as long as it stands.
    repeats = round(CONTROL_HZ * strips.seconds[1])
    frames = [
        np.concatenate([np.concatenate(tiles) for tiles in strips.tiles[:, step]], 1)
        for step in range(len(strips.seconds))
    ]
    write_video(path, [frame for frame in frames for _ in range(repeats)], fps=CONTROL_HZ)


def _tile(image: NDArray[np.uint8]) -> NDArray[np.uint8]:
    height, width = TILE
    return np.asarray(Image.fromarray(image).resize((width, height), Image.Resampling.BOX))
