"""Transformer parts shared by the encoder, the keypoint head and the predictor."""

import torch
import torch.nn.functional as F
from torch import Tensor, nn


def attention(query: Tensor, key: Tensor, value: Tensor) -> Tensor:
    """Softmax attention over the second-last axis.

    Args:
        query: ``(B, heads, Q, d)``.
        key: ``(B or 1, heads, K, d)``; a batch of 1 is shared by all queries.
        value: As ``key``.

    Returns:
        ``(B, heads, Q, d)``.
    """
    batch, _, length, _ = query.shape
    if len(key) == 1 and batch > 1:
        # All queries that share their keys make one long sequence: nothing is copied.
        shared = query.transpose(0, 1).flatten(1, 2).unsqueeze(0)
        mixed = attention(shared, key, value)
        split: Tensor = mixed.squeeze(0).unflatten(1, (batch, length))
        return split.transpose(0, 1)
    # On CPUs two matmuls are quicker than fused attention: several times for the backward pass, and
    # up to twice for bfloat16 without AMX.
    on_cpu = query.device.type == "cpu"  # asked first: a compiler cannot follow the next question
    plain = on_cpu and query.dtype == torch.bfloat16 and not torch.cpu._is_amx_tile_supported()
    if on_cpu and (plain or torch.is_grad_enabled()):
        logits: Tensor = (query * query.shape[-1] ** -0.5) @ key.transpose(-1, -2)
        return logits.softmax(-1) @ value
    return F.scaled_dot_product_attention(query, key, value)


def split_heads(x: Tensor, heads: int) -> Tensor:
    """``(..., N, D)`` to ``(..., heads, N, D / heads)``."""
    split: Tensor = x.unflatten(-1, (heads, -1))
    return split.transpose(-2, -3)


def merge_heads(x: Tensor) -> Tensor:
    """``(..., heads, N, d)`` to ``(..., N, heads * d)``."""
    return x.transpose(-2, -3).flatten(-2)


class MLP(nn.Sequential):
    """Linear, GELU, linear."""

    def __init__(self, dim: int, hidden: int):
        super().__init__(nn.Linear(dim, hidden), nn.GELU(), nn.Linear(hidden, dim))


class Block(nn.Module):
    """A pre-norm transformer block: self-attention, then an MLP.

    Args:
        dim: Width.
        heads: Attention heads; must divide ``dim``.
        mlp_ratio: Hidden width of the MLP over ``dim``.
    """

    def __init__(self, dim: int, heads: int = 2, mlp_ratio: float = 2.0):
        super().__init__()
        self.heads = heads
        self.norm1 = nn.LayerNorm(dim)
        self.qkv = nn.Linear(dim, 3 * dim)
        self.out = nn.Linear(dim, dim)
        self.norm2 = nn.LayerNorm(dim)
        self.mlp = MLP(dim, int(dim * mlp_ratio))

    def forward(self, x: Tensor) -> Tensor:
        """Map tokens ``(B, N, dim)`` to tokens of the same shape."""
        query, key, value = (
            split_heads(part, self.heads) for part in self.qkv(self.norm1(x)).chunk(3, -1)
        )
        x = x + self.out(merge_heads(attention(query, key, value)))
        out: Tensor = x + self.mlp(self.norm2(x))
        return out
