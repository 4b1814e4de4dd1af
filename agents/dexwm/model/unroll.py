"""Open-loop prediction over any number of steps: the history slides.

A roll-out of the planner ends before its history is longer than those that the model was trained
on. Here the oldest frames are dropped. Every frame has a slot in the history, so that those that
stay are encoded anew as they move up.
"""

import torch
from torch import Tensor

from .world_model import DexWMModel


def unroll(
    model: DexWMModel, states: Tensor, actions: Tensor, taken: Tensor | None = None
) -> Tensor:
    """Feed predictions back for as many steps as there are actions.

    As long as nothing is dropped, it predicts what ``DexWMModel.rollout`` does.

    Args:
        model: Its ``history`` says how many frames it may look back at.
        states: The observed states ``(B, F, P, C)``, oldest first.
        actions: ``(B, T, 132)``.
        taken: ``(B, F, 132)`` that led to each observed frame; none (zeros) if left out. Only the
            "paper" form looks at them.

    Returns:
        ``(B, T, P, C)``.
    """
    if taken is None:
        taken = actions.new_zeros(len(actions), states.shape[1], actions.shape[-1])
    predictions = []
    for step in range(actions.shape[1]):
        states, taken = states[:, -model.history :], taken[:, -model.history :]
        # In training no action leads to the first frame of a window.
        led = torch.cat([torch.zeros_like(taken[:, :1]), taken[:, 1:]], 1)
        action = actions[:, step : step + 1]
        if step > 0 and model.config.commanded:
            action = model.begun(states[:, -1:], action)
        past = model.predictor.encode_history(states, actions=led)
        state = model.predictor.predict(past, states[:, -1:], action)
        predictions.append(state)
        states, taken = torch.cat([states, state], 1), torch.cat([taken, action], 1)
    return torch.cat(predictions, 1)
