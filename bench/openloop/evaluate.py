"""What a world model predicts of the windows, beside floors and a ceiling through the same layers.

* ``model``: rolled out from the first frame with the actions that were taken.
* ``video model``: the frames that a video model makes of the first one and a text, encoded. It is
  told no actions. The source is left out where there is no video model.
* ``copy``: the first frame again and again.
* ``shuffled``: rolled out with the actions of another clip; with hand maps also its hand.
* ``no action``: rolled out with actions which say that the hand stays where it was at first.
* ``truth``: the true frames' latent states. What it lacks to perfect is the layers' own error.
"""

from collections.abc import Iterator

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from dexbench.agents.dexwm.model.unroll import unroll
from dexbench.agents.dexwm.model.world_model import DexWMModel
from dexbench.agents.dexwm.readout.layers import Readout
from dexbench.agents.learning.hand_way import straight
from dexbench.utils.errors import UserError
from dexbench.utils.progress import track

from .clips import Clips
from .measures import Measured, join, measure, object_skills

BATCH = 8
"""Windows at a time."""


@torch.no_grad()
def evaluate(
    model: DexWMModel, clips: Clips, readout: Readout | None, label: str
) -> dict[str, Measured]:
    """Return every source's measures, by its name.

    Args:
        model: In float32; of a kind of action that the clips tell of.
        clips: The windows, two or more of them.
        readout: Layers of the model's encoder; None measures latents alone.
        label: Of the progress bar.
    """
    parts: dict[str, list[Measured]] = {}
    starts = range(0, len(clips.images), BATCH)
    for start in track(starts, label, unit="batch"):
        part = slice(start, start + BATCH)
        true = encode(model, clips.images[part])
        for name, predicted in predictions(model, clips, part, true):
            found = measure(predicted, true[:, 1:], clips, part, readout)
            parts.setdefault(name, []).append(found)
    measured = {name: join(found) for name, found in parts.items()}
    object_skills(measured)
    return measured


def encode(model: DexWMModel, images: NDArray[np.uint8]) -> Tensor:
    """Return the latent states ``(B, T, P, C)`` of some windows' frames ``(B, T, H, W, 3)``."""
    device = next(model.parameters()).device
    return torch.stack([model.encoder(w) for w in torch.from_numpy(images).to(device)])


def predictions(
    model: DexWMModel, clips: Clips, part: slice, true: Tensor
) -> Iterator[tuple[str, Tensor]]:
    """Yield each source's name and its prediction ``(B, T, P, C)`` of some windows.

    Args:
        model: Predicts.
        clips: All windows: shuffled actions are those of the next window, and the last one's those
            of the first.
        part: Which of them.
        true: Their latent states ``(B, T + 1, P, C)``.
    """
    actions, none = actions_of(model, clips, true.device)
    first = true[:, :1]
    yield "model", unroll(model, first, actions[part])
    if clips.video is not None:
        yield "video model", encode(model, clips.video[part])
    yield "copy", first.expand_as(true[:, 1:])
    yield "shuffled", unroll(model, first, actions.roll(-1, 0)[part])
    yield "no action", unroll(model, first, none[part])
    yield "truth", true[:, 1:]


def actions_of(model: DexWMModel, clips: Clips, device: torch.device) -> tuple[Tensor, Tensor]:
    """Return the windows' actions ``(N, T, D)`` as the predictor takes them.

    Returns:
        Those that were taken, and those of a hand that stays where it was at first.

    Raises:
        UserError: The model's are ``commanded``, and the clips tell of no joint targets.
    """
    taken, before = (
        torch.from_numpy(values).to(device)
        for values in (clips.actions[model.config.action], clips.before)
    )
    first = before[:, :1].expand_as(before)
    none = model.placed(torch.zeros_like(taken), straight(first, first))
    if not model.config.commanded:
        return model.placed(taken, before.unsqueeze(2)), none
    if clips.asked is None:
        raise UserError(
            "this model learned from what joint targets ask for (--model.commanded), and these "
            "clips tell what was reached; leave it out"
        )
    return model.action(torch.from_numpy(clips.asked).to(device)), none
