"""One block of the CDiT predictor (paper A.2)."""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from .layers import MLP, attention, merge_heads, split_heads


def modulate(x: Tensor, shift: Tensor, scale: Tensor) -> Tensor:
    """Normalise tokens ``(B, F, P, dim)`` without affine part, then apply the conditioned one.

    Args:
        x: The tokens.
        shift: ``(B or 1, F, 1, dim)``.
        scale: As ``shift``; 0 leaves the tokens as they are.
    """
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
        ends = [key.shape[2] - (frames - 1 - g) * tokens for g in range(frames)]
        crossed = [
            attention(query[:, g], key[:, :, :end], value[:, :, :end]) for g, end in enumerate(ends)
        ]
        # One frame's is not stacked: that would copy it.
        attended = torch.stack(crossed, 1) if frames > 1 else crossed[0].unsqueeze(1)
        x = torch.addcmul(x, parts[5], self.cross_out(merge_heads(attended)))
        return torch.addcmul(x, parts[8], self.mlp(modulate(x, parts[6], parts[7])))
