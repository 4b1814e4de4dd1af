"""This process among those that torchrun started; alone without torchrun."""

import os
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import timedelta
from typing import Any, TypeVar

import torch
import torch.distributed as dist
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn.parallel import DistributedDataParallel

from dexbench.utils.errors import UserError

from .weights import pick_device

PATIENCE = timedelta(hours=2)
"""How long ranks wait for the first, which alone decodes videos, keep features and validates."""
Loss = tuple[Tensor, dict[str, Tensor]]
Batch = TypeVar("Batch", Tensor, NDArray[Any])


class Ranks:
    """What differs between one training process and several.

    Every rank draws the whole batch and computes a part of it; gradients are averaged. So a run of
    so many steps does not depend on how many there are, but for the order of sums.

    Args:
        device: As `pick_device` takes it; of several GPUs each rank has its own.
    """

    def __init__(self, device: str):
        self.rank, self.count = int(os.environ.get("RANK", 0)), int(os.environ.get("WORLD_SIZE", 1))
        self.device = pick_device(device)
        if self.count == 1:
            return
        if self.device.type == "cuda":
            self.device = torch.device("cuda", int(os.environ.get("LOCAL_RANK", 0)))
            torch.cuda.set_device(self.device)
        if not dist.is_initialized():
            backend = "nccl" if self.device.type == "cuda" else "gloo"
            dist.init_process_group(backend, timeout=PATIENCE)

    @property
    def first(self) -> bool:
        """Whether this rank writes, validates and shows progress."""
        return self.rank == 0

    @contextmanager
    def in_turn(self) -> Iterator[None]:
        """Let the first rank go first and all others after it: what it writes, they read."""
        if not self.first:
            self.wait()
        yield
        if self.first:
            self.wait()

    def wait(self) -> None:
        """Return when all ranks have called it."""
        if self.count > 1:
            dist.barrier()

    def agree(self, value: float) -> float:
        """Return the first rank's value, on all: clocks differ, decisions must not."""
        if self.count == 1:
            return value
        shared = torch.tensor([value], dtype=torch.float64, device=self.device)
        dist.broadcast(shared, 0)
        return float(shared)

    def share(self, size: int) -> int:
        """Return how much of a batch each rank has.

        Raises:
            UserError: The ranks cannot share it equally.
        """
        if size % self.count:
            raise UserError(
                f"{self.count} processes cannot share batches of {size} equally; make --images a "
                f"multiple of {self.count} and --clips one of {2 * self.count}"
            )
        return size // self.count

    def part(self, batch: Batch) -> Batch:
        """Return this rank's share of a batch ``(B, ...)``."""
        size = self.share(len(batch))
        return batch[self.rank * size : (self.rank + 1) * size]

    def mean(self, values: dict[str, Tensor]) -> dict[str, Tensor]:
        """Return scalars ``()`` averaged over the ranks, detached."""
        detached = {name: value.detach() for name, value in values.items()}
        if self.count == 1:
            return detached
        stacked = torch.stack([value.float() for value in detached.values()])
        dist.all_reduce(stacked)
        return dict(zip(detached, stacked / self.count, strict=True))

    def together(self, modules: list[nn.Module], loss: Callable[..., Loss]) -> Callable[..., Loss]:
        """``loss``, whose gradients in ``modules`` are averaged over the ranks."""
        if self.count == 1:
            return loss
        with warnings.catch_warnings():
            # Newer PyTorch has another name for it, which older does not know.
            warnings.filterwarnings("ignore", "`broadcast_buffers`", FutureWarning)
            return DistributedDataParallel(_Loss(modules, loss), broadcast_buffers=False)

    def close(self) -> None:
        """Leave the group."""
        if dist.is_initialized():
            dist.destroy_process_group()


class _Loss(nn.Module):
    """A loss as a module, which is what can be distributed."""

    def __init__(self, modules: list[nn.Module], loss: Callable[..., Loss]):
        super().__init__()
        self.modules_ = nn.ModuleList(modules)
        self.loss = loss

    def forward(self, *arguments: Any) -> Loss:
        """Return the loss of the arguments."""
        return self.loss(*arguments)
