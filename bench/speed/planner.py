"""``dexbench speed planner``: what a plan costs, against plain computation and the machine.

Ours and plain computation (`workload`) take turns, so that whatever else the machine does slows
both alike. With ``--compile`` the blocks of ours are compiled.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from statistics import median
from typing import TYPE_CHECKING, Literal

from dexbench.bench.scores.summary import text_table
from dexbench.utils.errors import at_least

from .roofline import count_flops, least_bytes, peaks, seconds
from .workload import Workload, configuration, plans, random_model

if TYPE_CHECKING:
    import torch


@dataclass(frozen=True)
class PlannerSpeedConfig:
    """Measures a trial's three plans."""

    size: str = "compact"
    """The model: compact, scaled (XL at a quarter of width, depth and tokens, for a CPU), or the
    paper's S, B, L, XL with DINOv2-L."""
    samples: int = 64
    """Candidates of an iteration; the paper has 512."""
    iterations: int = 3
    """Iterations of a plan; the paper has 10."""
    tile: int = 64
    """Candidates evaluated at a time."""
    repeats: int = 5
    """Turns of each; the medians are printed."""
    plain: bool = True
    """Whether to time plain computation too."""
    compile: bool = False
    """Whether ours, but not plain computation, goes through torch.compile; for a GPU."""
    device: str = "cpu"
    """cpu, cuda, or auto."""
    dtype: Literal["auto", "bfloat16", "float32"] = "auto"
    """bfloat16, float32, or auto: bfloat16 where the hardware multiplies it."""
    threads: int = 2
    """CPU threads."""


@dataclass(frozen=True)
class PlanSpeed:
    """One plan of a trial; seconds are medians over the turns."""

    padded: bool
    """Whether the history fills its eight slots, as in the paper, or holds what was seen alone."""
    frames: int
    """Observed frames of the history."""
    horizon: int
    """Waypoints of the plan."""
    prepare: float
    """Seconds to encode a picture and project the history, once a plan."""
    tile: float
    """Seconds to evaluate one tile."""
    plan: float
    """Seconds of the plan: prepare, and the tiles of all iterations."""
    ratio: float | None
    """Seconds of the plan by plain computation over ``plan``."""
    flops: int
    """Floating-point operations of a tile."""
    moved: int
    """Bytes that a tile moves at least."""
    matmul: float
    """Seconds that its operations take at the rate of a matmul."""
    copy: float
    """Seconds that its bytes take at the rate of a copy."""

    @property
    def floor(self) -> float:
        """Least seconds of a tile."""
        return max(self.matmul, self.copy)


def measure(config: PlannerSpeedConfig) -> tuple[list[PlanSpeed], tuple[float, float]]:
    """Time the plans, and a matmul and a copy in the same run.

    Returns:
        The six plans, and operations and bytes a second of this machine.

    Raises:
        UserError: A number is below 1, or the size is unknown.
    """
    keys = ("samples", "iterations", "tile", "repeats", "threads")
    at_least(1, **{key: getattr(config, key) for key in keys})
    shape = configuration(config.size)
    import torch

    from dexbench.agents.dexwm.model.config import ACTION_DIM
    from dexbench.agents.dexwm.model.world_model import best_dtype
    from dexbench.agents.learning.weights import pick_device

    torch.set_num_threads(config.threads)
    device = pick_device(config.device)
    dtype = best_dtype(device) if config.dtype == "auto" else getattr(torch, config.dtype)
    model = random_model(shape, device, dtype)
    if config.compile:
        model.compile_blocks()
    rate, bandwidth = peaks(device, dtype, config.repeats)
    tile = min(config.tile, config.samples)
    tiles = config.iterations * -(-config.samples // tile)
    speeds = []
    with torch.inference_mode():
        for padded, frames, horizon in plans():
            draw = torch.Generator().manual_seed(frames)
            size = (frames, *shape.image_size, 3)
            pictures = torch.randint(256, size, dtype=torch.uint8, generator=draw)
            actions = 0.02 * torch.randn(tile, horizon, ACTION_DIM, generator=draw)
            work = Workload(model, pictures.to(device), actions.to(device))
            times = list(_turns(work, config, device))
            prepare, ours, plain = (median(column) for column in zip(*times, strict=True))
            flops = count_flops(shape, frames, horizon, tile)
            moved = least_bytes(model, frames, horizon, tile)
            plan = prepare + tiles * ours
            ratio = tiles * plain / plan if config.plain else None
            speeds.append(
                PlanSpeed(
                    padded,
                    frames,
                    horizon,
                    prepare,
                    ours,
                    plan,
                    ratio,
                    flops,
                    moved,
                    flops / rate,
                    moved / bandwidth,
                )
            )
    return speeds, (rate, bandwidth)


def _turns(
    work: Workload, config: PlannerSpeedConfig, device: "torch.device"
) -> Iterator[tuple[float, float, float]]:
    """Yield seconds of preparation, our tile and the plain tile; a first turn warms up."""
    for turn in range(config.repeats + 1):
        prepared = work.prepare()
        times = (
            seconds(work.prepare, device),
            seconds(lambda prepared=prepared: work.evaluate(prepared), device),  # type: ignore[misc]
            _plain_seconds(work, device) if config.plain else 0.0,
        )
        if turn:
            yield times


def _plain_seconds(work: Workload, device: "torch.device") -> float:
    """Return how long plain computation of a tile takes, never compiled."""
    import torch

    with torch.compiler.set_stance("force_eager"):
        return seconds(work.plain, device)


def main(config: PlannerSpeedConfig) -> None:
    """Measure and print."""
    speeds, (rate, bandwidth) = measure(config)
    header = [
        "history",
        "frames",
        "waypoints",
        "prepare ms",
        "tile ms",
        "plan s",
        "plain/ours",
        "TFLOP/tile",
        "matmul ms",
        "GB/tile",
        "copy ms",
        "floor/tile",
    ]
    rows = [
        [
            "padded" if speed.padded else "as seen",
            str(speed.frames),
            str(speed.horizon),
            f"{1e3 * speed.prepare:.1f}",
            f"{1e3 * speed.tile:.1f}",
            f"{speed.plan:.2f}",
            f"{speed.ratio:.1f}" if speed.ratio else "",
            f"{speed.flops / 1e12:.4f}",
            f"{1e3 * speed.matmul:.1f}",
            f"{speed.moved / 1e9:.3f}",
            f"{1e3 * speed.copy:.1f}",
            f"{speed.floor / speed.tile:.0%}",
        ]
        for speed in speeds
    ]
    print(text_table(header, rows))
    for padded in (False, True):
        chosen = [speed for speed in speeds if speed.padded == padded]
        total = sum(speed.plan for speed in chosen)
        print(f"a trial's three plans, {'padded' if padded else 'as seen'}: {total:.1f} s")
        used = sum(speed.flops * (speed.plan - speed.prepare) / speed.tile for speed in chosen)
        print(f"  {used / total / rate:.0%} of the rate of a matmul")
    print(f"a matmul: {rate / 1e12:.3f} TFLOP/s; a copy: {bandwidth / 1e9:.1f} GB/s")
