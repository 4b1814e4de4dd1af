"""``dexbench speed data``: frames a second that a reader gives, beside those that training takes.

The reader gives windows as pre-training draws them, nine frames within 4 s, at the model's size,
with poses. The trainer takes steps on random pictures: encode, predict every next frame, go back,
step. What it leaves out, the keypoint head and the weights' checks, only makes it quicker. They
take turns, so that whatever else the machine does slows both alike.
"""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from statistics import median
from typing import TYPE_CHECKING, Annotated, Literal

import numpy as np
import tyro

from dexbench.utils.cores import usable_cores
from dexbench.utils.errors import UserError, at_least
from dexbench.utils.seeding import rng

from .roofline import seconds
from .workload import configuration, random_model

if TYPE_CHECKING:
    import torch

SPAN = 4.0
"""Longest time in s from a window's first frame to its last (paper C.1)."""
FRAMES = 9
"""Frames of a window, as in the paper (C.1)."""


@dataclass(frozen=True)
class DataSpeedConfig:
    """Measures how fast clips are read, beside how fast training takes them."""

    data: Annotated[Path, tyro.conf.Positional]
    """Folder of clips in any layout that `dexbench data index` reads, or an index of it."""
    size: str = "compact"
    """The model: compact, scaled, or the paper's S, B, L, XL with DINOv2-L."""
    windows: int = 16
    """Windows of nine frames in a batch."""
    repeats: int = 5
    """Turns of each; the medians are printed."""
    device: str = "cpu"
    """Where the trainer computes: cpu, cuda, or auto."""
    dtype: Literal["auto", "bfloat16", "float32"] = "auto"
    """bfloat16, float32, or auto: bfloat16 where the hardware multiplies it."""
    threads: int = 0
    """CPU threads of the trainer, and of the reader's second turn; 0 means one a core."""


@dataclass(frozen=True)
class DataSpeed:
    """One comparison, in frames a second of each turn."""

    threads: int
    """Threads of the trainer, and of the reader where it is not alone."""
    one: tuple[float, ...]
    """The reader in one thread."""
    many: tuple[float, ...]
    """The reader in all threads."""
    trainer: tuple[float, ...]
    """The trainer."""

    def text(self) -> str:
        """Return the result in four lines."""
        ratios = [read / taken for read, taken in zip(self.many, self.trainer, strict=True)]
        return "\n".join(
            [
                f"reader,   1 thread   {median(self.one):8.0f} frames/s",
                f"reader, {self.threads:3} threads  {median(self.many):8.0f} frames/s",
                f"trainer              {median(self.trainer):8.0f} frames/s",
                f"reader / trainer     {median(ratios):8.2f} "
                f"(turns: {min(ratios):.2f} to {max(ratios):.2f}, {len(ratios)} of them)",
            ]
        )


def measure(config: DataSpeedConfig) -> DataSpeed:
    """Read windows and take steps, by turns.

    Raises:
        UserError: A number is out of range, the size is unknown, or there are no clips of nine
            frames.
    """
    at_least(1, windows=config.windows, repeats=config.repeats)
    at_least(0, threads=config.threads)
    shape = configuration(config.size)
    import torch

    from dexbench.agents.dexwm.model.world_model import best_dtype
    from dexbench.agents.learning.weights import pick_device

    threads = config.threads or usable_cores()
    torch.set_num_threads(threads)
    device = pick_device(config.device)
    dtype = best_dtype(device) if config.dtype == "auto" else getattr(torch, config.dtype)
    read = _reader(config.data, config.windows, shape.image_size)
    step = _trainer(config, device, dtype)
    frames = config.windows * FRAMES
    rates: list[tuple[float, float, float]] = []
    for turn in range(config.repeats + 1):
        one = frames / seconds(partial(read, 2 * turn, 1), device)
        many = frames / seconds(partial(read, 2 * turn + 1, threads), device)
        trainer = frames / seconds(step, device)
        if turn:  # the first warms up
            rates.append((one, many, trainer))
    return DataSpeed(threads, *(tuple(column) for column in zip(*rates, strict=True)))


def _reader(data: Path, count: int, size: tuple[int, int]) -> Callable[[int, int], object]:
    """Return what reads the batch of a number, in some threads; every batch has other windows."""
    from dexbench.data_collection.readers.layouts import open_layout
    from dexbench.data_collection.sets.opened import open_set

    index = open_set(data)
    index.require_clips()
    layout = open_layout(index.root)
    clips = [clip for clip in index.clips if clip.frames >= FRAMES]
    if not clips:
        raise UserError(f"no clip of {data} has the {FRAMES} frames of a window")

    def window(number: int) -> object:
        draw = rng("speed", "data", number)
        facts = clips[draw.integers(len(clips))]
        reach = min(facts.frames, max(round(SPAN * facts.rate), FRAMES))
        first = draw.integers(facts.frames - reach + 1)
        frames = first + np.sort(draw.choice(reach, FRAMES, replace=False))
        return layout.clip(facts.name).sample(frames, size)

    def read(batch: int, threads: int) -> object:
        numbers = range(batch * count, (batch + 1) * count)
        if threads == 1:
            return [window(number) for number in numbers]
        with ThreadPoolExecutor(threads) as pool:
            return list(pool.map(window, numbers))

    return read


def _trainer(
    config: DataSpeedConfig, device: "torch.device", dtype: "torch.dtype"
) -> Callable[[], object]:
    """Return what takes a step of teacher-forced prediction, from pictures."""
    import torch

    from dexbench.agents.dexwm.model.config import ACTION_DIM
    from dexbench.agents.learning.optim import MasterAdamW

    model = random_model(configuration(config.size), device, dtype)
    model.requires_grad_(False)
    model.predictor.requires_grad_(True)
    optimizer = MasterAdamW({"predictor": model.predictor}, rate=1e-4)
    draw = torch.Generator().manual_seed(0)
    size = (config.windows, FRAMES, *model.config.image_size, 3)
    images = torch.randint(256, size, dtype=torch.uint8, generator=draw)
    actions = 0.02 * torch.randn(config.windows, FRAMES - 1, ACTION_DIM, generator=draw)

    def step() -> object:
        with torch.no_grad():
            states = model.encoder(images.to(device).flatten(0, 1)).unflatten(0, images.shape[:2])
        predicted = model.predictor(states[:, :-1], actions.to(device, dtype))
        (predicted - states[:, 1:]).float().square().mean().backward()
        return optimizer.step(1.0)

    return step


def main(config: DataSpeedConfig) -> None:
    """Measure and print."""
    print(measure(config).text())
