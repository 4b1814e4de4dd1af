"""The CDiT predictor f_theta: history and action to the next latent state (paper 3.2 and A.2).

Tokens of the frame to predict start as the last state. In every block they attend to one another,
then to the clean tokens of the history, and all normalisations are modulated by the action
(AdaLN-zero). Keys and values of the history depend on neither the action to come nor the candidate,
so a planner computes them once and shares them over all its candidates and iterations.
"""

from collections.abc import Callable
from typing import cast

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint

from dexbench.agents.learning.hand_way import straight

from .cdit_block import CDiTBlock, modulate
from .config import ModelConfig
from .hand_maps import HandMaps
from .history import GrowingHistory, KeysValues, frames_in
from .object_step import ObjectStep

RIGHT = slice(63, 126)
"""The right hand's numbers in an action."""


class Predictor(nn.Module):
    """CDiT; see the module's docstring. Its output is the next state, or what is added to the last.

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
            first = nn.Linear(config.action_dim, dim)
            self.action = nn.Sequential(first, nn.SiLU(), nn.Linear(dim, dim))
        condition_dim = config.action_dim if self.paper else dim
        blocks = [
            CDiTBlock(dim, config.predictor_heads, config.mlp_ratio, condition_dim, self.paper)
            for _ in range(config.predictor_blocks)
        ]
        self.blocks = nn.ModuleList(blocks)
        self.final_modulation = nn.Linear(condition_dim, 2 * dim)
        self.out = nn.Linear(dim, dim if self.paper else latent_dim)
        self.maps = HandMaps(config.grid, dim) if config.hand_maps else None
        self.step = ObjectStep(config) if config.object_map else None
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
                f"{self.config.max_frames}; drop the oldest frames, as `unroll` does"
            )
        tokens: Tensor = self.embed(states[..., : self.config.latent_dim])
        if self.paper:
            return tokens + self.position[first_slot:last]
        return tokens + self.position + self.slot[first_slot:last]

    def _condition(self, actions: Tensor, like: Tensor) -> Tensor:
        """Embed actions ``(B, F, D)``, of 132 numbers or as ``DexWMModel.placed`` returns them."""
        moves = actions[..., : self.config.action_dim].to(like.dtype)
        condition: Tensor = self.action(moves * self.config.action_scale)
        return condition

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
        new = self._keys_values(
            states, 0 if past is None else frames_in(past, self.config), actions
        )
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
                actions = states.new_zeros(1, states.shape[1], self.config.action_dim)
            condition = self._condition(actions, tokens)
        return [cast(CDiTBlock, block).history(tokens, condition) for block in self.blocks]

    def predict(self, history: KeysValues, last: Tensor, actions: Tensor) -> Tensor:
        """Predict the states that follow.

        Args:
            history: From ``encode_history``; its last G frames are those of ``last``.
            last: The states to start from, ``(B, G, P, C)``.
            actions: ``(B, G, 132)``: hand keypoint differences in metres, camera frame; with
                ``hand_maps`` ``(B, G, 195)`` or, commanded, ``(B, G, 573)``; see
                ``DexWMModel.placed``.

        Returns:
            ``(B, G, P, C)``.
        """
        frames = frames_in(history, self.config)
        x = self._tokens(last, frames - last.shape[1])
        condition = self._condition(actions, x)
        if self.maps is not None:
            way, motion = self._way(actions)
            x = x + self.maps(way[:, :, 0], motion)
        for block, (key, value) in zip(self.blocks, history, strict=True):
            if self.activation_checkpointing and torch.is_grad_enabled():
                x = checkpoint(
                    block, x, condition, key, value, use_reentrant=False, preserve_rng_state=False
                )
            else:
                x = block(x, condition, key, value)
        shift, scale = self.final_modulation(F.silu(condition)).unsqueeze(2).chunk(2, -1)
        predicted: Tensor = self.project(self.out(modulate(x, shift, scale)))
        latent, cells = last.tensor_split([self.config.latent_dim], -1)
        if self.config.residual:
            predicted = latent + predicted
        if self.step is None:
            return predicted
        moved = self.step(cells.flatten(0, 1), way.flatten(0, 1)).unflatten(0, cells.shape[:2])
        return torch.cat([predicted, moved.to(predicted.dtype)], -1)

    def _way(self, actions: Tensor) -> tuple[Tensor, Tensor]:
        """Return the right hand's way ``(B, G, MOMENTS, 21, 3)`` and motion ``(B, G, 21, 3)``."""
        motion = actions[..., RIGHT].unflatten(-1, (-1, 3))
        told = actions[..., self.config.action_dim :].unflatten(-1, (-1, *motion.shape[-2:]))
        if self.config.commanded:
            return told, motion
        before = told.squeeze(-3)
        return straight(before, before + motion), motion

    def forward(self, states: Tensor, actions: Tensor) -> Tensor:
        """Teacher-forced prediction of every next state of a clip.

        Args:
            states: ``(B, G, P, C)`` true states s_0 .. s_{G-1}.
            actions: ``(B, G, 132)``, action g leading from s_g to s_{g+1}.

        Returns:
            Predictions of s_1 .. s_G, ``(B, G, P, C)``; prediction g has seen s_0 .. s_g.
        """
        before = torch.cat([torch.zeros_like(actions[:, :1]), actions[:, :-1]], 1)
        return self.predict(self.encode_history(states, actions=before), states, actions)

    def rollout(
        self,
        history: KeysValues,
        last: Tensor,
        actions: Tensor,
        begun: Callable[[Tensor, Tensor], Tensor] | None = None,
    ) -> Tensor:
        """Feed predictions back for as many steps as there are actions (multistep prediction).

        Args:
            history: Of the observed frames, batch B or 1 (then shared by all).
            last: The last observed state, ``(B or 1, P, C)``.
            actions: ``(B, T, 132)``, or as ``DexWMModel.placed`` returns them.
            begun: Makes of the state before ``(B, 1, P, C)`` and an action ``(B, 1, D)`` the one
                that begins there; for all but the first. They stay as they are if left out.

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
            if begun is not None and step > 0:
                action = begun(state, action)
            state = self.predict(history, state, action)
            predictions.append(state)
            if step + 1 == steps:
                break
            if grown is None:
                history = self.encode_history(state, history, action)
            else:
                first = frames_in(history, self.config)
                history = grown.append(self._keys_values(state, first, action))
        return torch.cat(predictions, 1)
