"""The CDiT predictor f_theta: history and action to the next latent state (paper 3.2 and A.2).

Tokens of the frame to predict start as the last state. In every block they attend to one another,
then to the clean tokens of the history, and all normalisations are modulated by the action
(AdaLN-zero). Keys and values of the history depend on neither the action to come nor the candidate,
so a planner computes them once and shares them over all its candidates and iterations.
"""

from typing import cast

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint

from .config import ACTION_DIM, ModelConfig
from .layers import MLP, attention, merge_heads, split_heads

KeysValues = list[tuple[Tensor, Tensor]]
"""For each block, keys and values ``(B or 1, heads, frames * P, d)`` of the history."""


def modulate(x: Tensor, shift: Tensor, scale: Tensor) -> Tensor:
    """LayerNorm without affine part, then the conditioned affine map."""
    return torch.addcmul(shift, F.layer_norm(x, x.shape[-1:], eps=1e-6), 1 + scale)


class CDiTBlock(nn.Module):
    """Self-attention in the predicted frame, cross-attention to the history, MLP; AdaLN-zero.

    Args:
        dim: Width.
        heads: Attention heads; must divide ``dim``.
        mlp_ratio: Hidden width of the MLP over ``dim``.
        condition_dim: Width of the condition; ``dim`` if left out.
        conditioned_history: Whether a history frame's normalisation is modulated by the action
            that led to it, in place of an affine map that is the same for all.
    """

    def __init__(
        self,
        dim: int,
        heads: int,
        mlp_ratio: float,
        condition_dim: int | None = None,
        conditioned_history: bool = False,
    ):
        super().__init__()
        condition_dim = condition_dim or dim
        self.heads = heads
        self.qkv = nn.Linear(dim, 3 * dim)
        self.self_out = nn.Linear(dim, dim)
        self.query = nn.Linear(dim, dim)
        self.norm_history = (
            nn.Linear(condition_dim, 2 * dim) if conditioned_history else nn.LayerNorm(dim)
        )
        self.key_value = nn.Linear(dim, 2 * dim)
        self.cross_out = nn.Linear(dim, dim)
        self.mlp = MLP(dim, int(dim * mlp_ratio))
        self.modulation = nn.Linear(condition_dim, 9 * dim)

    def conditioned(self) -> list[nn.Linear]:
        """Return the layers that turn a condition into shifts, scales and gates."""
        history = self.norm_history
        return [self.modulation, *([history] if isinstance(history, nn.Linear) else [])]

    def history(self, tokens: Tensor, condition: Tensor | None = None) -> tuple[Tensor, Tensor]:
        """Return keys and values of history tokens.

        Args:
            tokens: ``(B, F, P, dim)`` or, without a condition, any ``(B, ..., dim)``.
            condition: ``(B or 1, F, condition)`` embedded actions that led to the frames.

        Returns:
            Keys and values ``(B, heads, N, d)`` of all tokens in order.
        """
        if condition is None:
            normed = self.norm_history(tokens)
        else:
            parts = self.norm_history(F.silu(condition)).unsqueeze(2).chunk(2, -1)
            normed = modulate(tokens, *parts)
        key, value = self.key_value(normed.flatten(1, -2)).chunk(2, -1)
        return split_heads(key, self.heads), split_heads(value, self.heads)

    def forward(self, x: Tensor, condition: Tensor, key: Tensor, value: Tensor) -> Tensor:
        """Apply one block to G frames that are predicted side by side.

        Args:
            x: Tokens ``(B, G, P, dim)``; frame g may see all but the last G - 1 - g frames of the
                history (G = 1 sees the whole history; G > 1 is teacher-forced training).
            condition: ``(B, G, condition)`` embedded actions.
            key: ``(B or 1, heads, frames * P, d)``.
            value: ``(B or 1, heads, frames * P, d)``.

        Returns:
            ``(B, G, P, dim)``.
        """
        batch, frames, tokens = x.shape[:3]
        parts = self.modulation(F.silu(condition)).unsqueeze(2).chunk(9, -1)
        own = self.qkv(modulate(x, parts[0], parts[1])).flatten(0, 1)
        query, own_key, own_value = (split_heads(part, self.heads) for part in own.chunk(3, -1))
        mixed = merge_heads(attention(query, own_key, own_value)).unflatten(0, (batch, frames))
        x = torch.addcmul(x, parts[2], self.self_out(mixed))
        query = split_heads(self.query(modulate(x, parts[3], parts[4])), self.heads)
        seen = [key.shape[2] - (frames - 1 - g) * tokens for g in range(frames)]
        crossed = [
            attention(query[:, g], key[:, :, :end], value[:, :, :end]) for g, end in enumerate(seen)
        ]
        # One frame's is not stacked: that would copy it.
        looked = torch.stack(crossed, 1) if frames > 1 else crossed[0].unsqueeze(1)
        x = torch.addcmul(x, parts[5], self.cross_out(merge_heads(looked)))
        return torch.addcmul(x, parts[8], self.mlp(modulate(x, parts[6], parts[7])))


class Predictor(nn.Module):
    """CDiT with absolute output; see the module's docstring.

    ``config.cdit`` names the form. "paper" has the paper's parameter counts: the raw action is the
    condition, the action that led to a history frame modulates that frame, every frame has
    positions of its own, and latents are projected only where their width differs from the
    predictor's. "compact" has an MLP on the action, plain history frames and one grid of positions.

    Raises:
        ValueError: ``config.cdit`` names no form.
    """

    def __init__(self, config: ModelConfig):
        super().__init__()
        if config.cdit not in ("compact", "paper"):
            raise ValueError(f"cdit must be 'compact' or 'paper', got {config.cdit!r}")
        self.config, self.paper = config, config.cdit == "paper"
        self.activation_checkpointing = False
        """Whether the backward pass computes the blocks' activations again."""
        dim, latent_dim, frames = config.predictor_dim, config.latent_dim, config.max_frames
        project = not self.paper or dim != latent_dim
        self.embed = nn.Linear(latent_dim, dim) if project else nn.Identity()
        if self.paper:
            self.position = nn.Parameter(torch.randn(frames, config.tokens, dim) * 0.02)
            self.action: nn.Module = nn.Identity()
        else:
            self.position = nn.Parameter(torch.randn(config.tokens, dim) * 0.02)
            self.slot = nn.Parameter(torch.randn(frames, 1, dim) * 0.02)
            self.action = nn.Sequential(nn.Linear(ACTION_DIM, dim), nn.SiLU(), nn.Linear(dim, dim))
        condition_dim = ACTION_DIM if self.paper else dim
        blocks = [
            CDiTBlock(dim, config.predictor_heads, config.mlp_ratio, condition_dim, self.paper)
            for _ in range(config.predictor_blocks)
        ]
        self.blocks = nn.ModuleList(blocks)
        self.final_modulation = nn.Linear(condition_dim, 2 * dim)
        self.out = nn.Linear(dim, dim if self.paper else latent_dim)
        self.project = nn.Linear(dim, latent_dim) if self.paper and project else nn.Identity()
        # AdaLN-zero: every block starts as the identity, and the output starts at zero.
        last = self.project if isinstance(self.project, nn.Linear) else self.out
        modulations = [layer for block in blocks for layer in block.conditioned()]
        for layer in (*modulations, self.final_modulation, last):
            nn.init.zeros_(layer.weight)
            nn.init.zeros_(layer.bias)

    def _tokens(self, states: Tensor, first_slot: int) -> Tensor:
        """Embed states ``(B, F, P, C)`` of consecutive slots as tokens ``(B, F, P, dim)``."""
        last = first_slot + states.shape[1]
        if last > self.config.max_frames:
            raise ValueError(
                f"the history holds {last} frames, this model was built for at most "
                f"{self.config.max_frames}; drop the oldest frames"
            )
        tokens = self.embed(states)
        if self.paper:
            return tokens + self.position[first_slot:last]
        return tokens + self.position + self.slot[first_slot:last]

    def _condition(self, actions: Tensor, like: Tensor) -> Tensor:
        """Embed actions ``(B, F, 132)`` in the dtype of ``like``."""
        return self.action(actions.to(like.dtype) * self.config.action_scale)

    def encode_history(
        self, states: Tensor, past: KeysValues | None = None, actions: Tensor | None = None
    ) -> KeysValues:
        """Return keys and values of history frames, appended to those of earlier frames.

        Args:
            states: Clean states ``(B or 1, F, P, C)``, oldest first.
            past: What an earlier call returned; its batch may be 1 and is then shared.
            actions: ``(B or 1, F, 132)`` that led to each frame; none (zeros) if left out. Only the
                "paper" form looks at them.

        Returns:
            Keys and values of all frames so far, one pair per block.
        """
        new = self._keys_values(states, 0 if past is None else _frames(past, self.config), actions)
        if past is None:
            return new
        size = len(states)
        return [
            (
                torch.cat([old_key.expand(size, -1, -1, -1), key], 2),
                torch.cat([old_value.expand(size, -1, -1, -1), value], 2),
            )
            for (old_key, old_value), (key, value) in zip(past, new, strict=True)
        ]

    def _keys_values(self, states: Tensor, first: int, actions: Tensor | None) -> KeysValues:
        """Return keys and values of frames whose first slot is ``first``.

        Else as ``encode_history``.
        """
        tokens, condition = self._tokens(states, first), None
        if self.paper:
            if actions is None:
                actions = states.new_zeros(1, states.shape[1], ACTION_DIM)
            condition = self._condition(actions, tokens)
        return [cast(CDiTBlock, block).history(tokens, condition) for block in self.blocks]

    def predict(self, history: KeysValues, last: Tensor, actions: Tensor) -> Tensor:
        """Predict the states that follow.

        Args:
            history: From ``encode_history``; its last G frames are those of ``last``.
            last: The states to start from, ``(B, G, P, C)``.
            actions: ``(B, G, 132)``: hand keypoint differences in metres, camera frame.

        Returns:
            ``(B, G, P, C)``.
        """
        frames = _frames(history, self.config)
        x = self._tokens(last, frames - last.shape[1])
        condition = self._condition(actions, x)
        for block, (key, value) in zip(self.blocks, history, strict=True):
            if self.activation_checkpointing and torch.is_grad_enabled():
                x = checkpoint(
                    block, x, condition, key, value, use_reentrant=False, preserve_rng_state=False
                )
            else:
                x = block(x, condition, key, value)
        shift, scale = self.final_modulation(F.silu(condition)).unsqueeze(2).chunk(2, -1)
        return self.project(self.out(modulate(x, shift, scale)))

    def forward(self, states: Tensor, actions: Tensor) -> Tensor:
        """Teacher-forced prediction of every next state of a clip.

        Args:
            states: ``(B, G, P, C)`` true states s_0 .. s_{G-1}.
            actions: ``(B, G, 132)``, action g leading from s_g to s_{g+1}.

        Returns:
            Predictions of s_1 .. s_G, ``(B, G, P, C)``; prediction g has seen s_0 .. s_g.
        """
        led = torch.cat([torch.zeros_like(actions[:, :1]), actions[:, :-1]], 1)
        return self.predict(self.encode_history(states, actions=led), states, actions)

    def rollout(self, history: KeysValues, last: Tensor, actions: Tensor) -> Tensor:
        """Feed predictions back for as many steps as there are actions (multistep prediction).

        Args:
            history: Of the observed frames, batch B or 1 (then shared by all).
            last: The last observed state, ``(B or 1, P, C)``.
            actions: ``(B, T, 132)``.

        Returns:
            ``(B, T, P, C)``.
        """
        batch, steps = actions.shape[:2]
        state = last.expand(batch, -1, -1).unsqueeze(1)
        predictions = []
        # Gradients need every history as it was.
        grown = None if torch.is_grad_enabled() else GrowingHistory(history, batch, steps - 1)
        for step in range(steps):
            action = actions[:, step : step + 1]
            state = self.predict(history, state, action)
            predictions.append(state)
            if step + 1 == steps:
                break
            if grown is None:
                history = self.encode_history(state, history, action)
            else:
                first = _frames(history, self.config)
                history = grown.append(self._keys_values(state, first, action))
        return torch.cat(predictions, 1)


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


def _frames(history: KeysValues, config: ModelConfig) -> int:
    """Return how many frames a history holds."""
    return history[0][0].shape[2] // config.tokens
