"""Keys and values of observed and predicted frames, to which the predictor attends."""

from torch import Tensor

from .config import ModelConfig

KeysValues = list[tuple[Tensor, Tensor]]
"""For each block, keys and values ``(B or 1, heads, frames * P, d)`` of the history."""


def frames_in(history: KeysValues, config: ModelConfig) -> int:
    """Return how many frames a history holds."""
    return history[0][0].shape[2] // config.tokens


class GrowingHistory:
    """Keys and values with room for frames to come: what is there is copied once, not every step.

    Args:
        history: Keys and values so far, of a batch of 1 or ``batch``.
        batch: Candidates, whose frames to come differ.
        frames: How many frames will be appended.
    """

    def __init__(self, history: KeysValues, batch: int, frames: int):
        self._history, self._batch, self._to_come = history, batch, frames
        self._length = history[0][0].shape[2]
        self._room: list[tuple[Tensor, Tensor]] = []

    def append(self, new: KeysValues) -> KeysValues:
        """Append the keys and values of a frame; return all so far, which are views."""
        tokens = new[0][0].shape[2]
        if not self._room:
            more = self._to_come * tokens
            for key, value in self._history:
                self._room.append((self._widened(key, more), self._widened(value, more)))
        begin, self._length = self._length, self._length + tokens
        for room, parts in zip(self._room, new, strict=True):
            for place, part in zip(room, parts, strict=True):
                place[:, :, begin : self._length] = part
        return [(k[:, :, : self._length], v[:, :, : self._length]) for k, v in self._room]

    def _widened(self, part: Tensor, more: int) -> Tensor:
        _, heads, length, dim = part.shape
        room = part.new_empty(self._batch, heads, length + more, dim)
        room[:, :, :length] = part
        return room
