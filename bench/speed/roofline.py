"""The least time that a tile of candidates can take: its operations and bytes, and the machine's.

A tile takes at least as long as its operations at the rate of a large matmul, and as its bytes at
the rate of a copy.
"""

import dataclasses
import time
from collections.abc import Callable
from typing import TYPE_CHECKING

from .workload import Workload

if TYPE_CHECKING:
    import torch

    from dexbench.agents.dexwm.model.config import ModelConfig
    from dexbench.agents.dexwm.model.world_model import DexWMModel


def count_flops(config: "ModelConfig", frames: int, horizon: int, count: int) -> int:
    """Floating-point operations of a tile: matrix products, attention among them."""
    import torch
    from torch.nn.attention import SDPBackend, sdpa_kernel
    from torch.utils.flop_counter import FlopCounterMode

    from dexbench.agents.dexwm.model.config import ACTION_DIM
    from dexbench.agents.dexwm.model.world_model import DexWMModel

    # On the meta device shapes are followed and nothing is computed. The encoder has no part.
    with torch.device("meta"), torch.no_grad():
        model = DexWMModel(dataclasses.replace(config, encoder="compact"))
        seen = torch.empty(1, frames, config.tokens, config.latent_dim)
        history = model.predictor.encode_history(seen)
        work = Workload(model, seen, torch.empty(count, horizon, ACTION_DIM))
        with FlopCounterMode(display=False) as counter, sdpa_kernel(SDPBackend.MATH):
            work.evaluate((history, seen[:, -1]))
    return int(counter.get_total_flops())


def least_bytes(model: "DexWMModel", frames: int, horizon: int, count: int) -> int:
    """Return the bytes that a tile moves at least: weights, shared history, states in and out."""
    config = model.config
    weights = sum(p.numel() for m in (model.predictor, model.head) for p in m.parameters())
    dim, blocks = config.predictor_dim, config.predictor_blocks
    history = 2 * blocks * frames * config.tokens * dim
    # A predicted frame's keys and values are written once and read at each later step.
    own = 2 * blocks * config.tokens * dim * sum(1 + horizon - t for t in range(1, horizon))
    states = 2 * horizon * config.tokens * config.latent_dim
    numbers = horizon * (weights + history) + count * (own + states)
    return numbers * next(model.predictor.parameters()).element_size()


def seconds(function: Callable[[], object], device: "torch.device") -> float:
    """Return how long one call takes, on the device too."""
    import torch

    start = time.perf_counter()
    function()
    if device.type == "cuda":
        torch.cuda.synchronize(device)
    return time.perf_counter() - start


def peaks(device: "torch.device", dtype: "torch.dtype", repeats: int) -> tuple[float, float]:
    """Return operations a second of a large matmul, and bytes a second of a copy.

    The best of some.
    """
    import torch

    side = 8192 if device.type == "cuda" else 2048
    draw = torch.Generator(device).manual_seed(0)
    matrix = torch.randn(side, side, device=device, dtype=dtype, generator=draw)
    # Each is twice the CPU's last-level cache or more, so a copy goes through memory.
    block = torch.ones(2**28, device=device, dtype=torch.uint8)
    other = torch.empty_like(block)
    matmul = min(seconds(lambda: matrix @ matrix, device) for _ in range(repeats + 2))
    copy = min(seconds(lambda: other.copy_(block), device) for _ in range(repeats + 2))
    return 2 * side**3 / matmul, 2 * len(block) / copy
