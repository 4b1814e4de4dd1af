"""Strips of pictures: what the camera saw, and below it what the model predicted (Figure 13)."""

from pathlib import Path

import numpy as np
import torch
from PIL import Image, ImageDraw

from dexbench.agents.dexwm.model.decoder import Decoder, pictures
from dexbench.agents.dexwm.model.world_model import DexWMModel
from dexbench.utils.files import atomic_file

from .clips import Clips
from .evaluate import encode, predictions

COLUMNS = 6
"""Pictures of a strip, the first frame among them."""
TILE = (112, 196)
"""Height and width of a picture in px."""
LINE, GAP = 14, 6
"""Height of a caption and of the space below a strip, in px."""


@torch.no_grad()
def write_strips(path: Path, model: DexWMModel, decoder: Decoder, clips: Clips, count: int) -> None:
    """Draw the first windows as a PNG.

    Args:
        path: The file.
        model: Predicts.
        decoder: Draws latent states of its encoder. The predictions' row begins with the first
            frame's own latent, so that one sees what the decoder makes of a true state.
        clips: All windows.
        count: How many of them.
    """
    part = slice(0, min(count, len(clips.images)))
    true = encode(model, clips, part)
    _, predicted = next(predictions(model, clips, part, true))
    steps = np.linspace(0, len(clips.seconds), COLUMNS).round().astype(int)
    states = torch.cat([true[:, :1], predicted], 1)
    height, width = TILE
    strip = LINE + 2 * height + GAP
    page = Image.new("RGB", (COLUMNS * width, part.stop * strip), "white")
    draw = ImageDraw.Draw(page)
    for clip in range(part.stop):
        drawn = pictures(decoder, states[clip, steps])
        for column, step in enumerate(steps):
            left, top = column * width, clip * strip
            second = 0.0 if step == 0 else clips.seconds[step - 1]
            draw.text((left + 3, top + 1), f"{second:.1f} s", fill="black")
            for row, image in enumerate((clips.images[clip, step], drawn[column])):
                tile = Image.fromarray(image).resize((width, height), Image.Resampling.BOX)
                page.paste(tile, (left, top + LINE + row * height))
    with atomic_file(path) as draft:
        page.save(draft, format="PNG", optimize=True)
