"""What training runs share: what they leave on disk, so that they continue, and rates."""

import json
import math
import os
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from torch import Tensor, nn

from dexbench.utils.errors import UserError

from .weights import read_tensors, require_finite, save_tensors


class Rate:
    """How many items were handled, and how fast."""

    def __init__(self) -> None:
        self.count, self.seconds = 0, 0.0

    @contextmanager
    def of(self, count: int) -> Iterator[None]:
        """Time the handling of ``count`` items."""
        began = time.monotonic()
        yield
        self.count += count
        self.seconds += time.monotonic() - began

    @property
    def per_second(self) -> float:
        """Items a second of handling; 0 before the first."""
        return self.count / self.seconds if self.seconds else 0.0


class RunFolder:
    """A run's ``metrics.jsonl`` and ``checkpoint.safetensors``.

    Args:
        path: The folder of both.
        modules: What a checkpoint holds, by name.
        identity: What another run must share to continue this one; any JSON.
        shared: The identity in words, for the message to a run that differs.
    """

    def __init__(
        self, path: Path, modules: Mapping[str, nn.Module], identity: dict[str, Any], shared: str
    ):
        self.metrics, self.checkpoint = path / "metrics.jsonl", path / "checkpoint.safetensors"
        self.modules, self.shared = modules, shared
        self.identity = json.dumps(identity, sort_keys=True)

    def log(self, row: dict[str, Any]) -> None:
        """Append a row to the metrics; a number that is not finite, which JSON has not, as null."""
        with open(self.metrics, "a", encoding="utf-8") as file:
            file.write(json.dumps(_without_nan(row), allow_nan=False) + "\n")

    def check_finite(self, values: Mapping[str, float], when: str, cure: str) -> None:
        """Stop a training that has diverged.

        Args:
            values: Losses or metrics by name.
            when: Of which moment they are.
            cure: What to change.

        Raises:
            UserError: One is not finite.
        """
        for name, value in values.items():
            if not math.isfinite(value):
                kept = f"{self.checkpoint} is as it was last written"
                raise UserError(
                    f"{name} is {value} {when}: the training has diverged, and no weights are "
                    f"written ({kept if self.checkpoint.exists() else 'nor was a checkpoint'}); "
                    f"train again with {cure}, and another --out"
                )

    def save(self, state: dict[str, Any], optimizer: dict[str, Tensor]) -> None:
        """Write the checkpoint, and how long the metrics were at that moment.

        Args:
            state: Where the run stands; any JSON.
            optimizer: The optimiser's tensors, of any shape, by name.

        Raises:
            UserError: A module holds a number that is not finite; an older checkpoint stays.
        """
        tensors = {
            f"{name}/{key}": value
            for name, module in self.modules.items()
            for key, value in module.state_dict().items()
        }
        require_finite(self.checkpoint, tensors)
        self.metrics.touch()  # a run of no steps has logged nothing
        state = {**state, "metrics_bytes": self.metrics.stat().st_size}
        metadata = {"state": json.dumps(state), "identity": self.identity}
        save_tensors(self.checkpoint, tensors | optimizer, metadata)

    def resume(self) -> tuple[dict[str, Any], dict[str, Tensor]] | None:
        """Load the modules from the checkpoint and forget the metrics logged after it.

        Returns:
            The state, and tensors with the optimiser's among them; None without a checkpoint.

        Raises:
            UserError: The checkpoint is damaged, belongs to a run of another identity, or its
                metrics are gone.
        """
        if not self.checkpoint.exists():
            self.metrics.unlink(missing_ok=True)
            return None
        tensors, metadata = read_tensors(self.checkpoint)
        if metadata.get("identity") != self.identity:
            raise UserError(
                f"{self.checkpoint} belongs to a run with other {self.shared}; give another "
                "--out or --work, or delete that folder"
            )
        state = json.loads(metadata["state"])
        length = state.pop("metrics_bytes")
        if not self.metrics.exists() or self.metrics.stat().st_size < length:
            raise UserError(
                f"{self.metrics} lacks what was logged before {self.checkpoint.name}; restore it, "
                f"or delete {self.checkpoint} to begin anew"
            )
        os.truncate(self.metrics, length)
        for name, module in self.modules.items():
            prefix = f"{name}/"
            module.load_state_dict(
                {k.removeprefix(prefix): v for k, v in tensors.items() if k.startswith(prefix)}
            )
        return state, tensors


def _without_nan(value: Any) -> Any:
    """Return any JSON with None in place of numbers that are not finite."""
    if isinstance(value, dict):
        return {key: _without_nan(item) for key, item in value.items()}
    return None if isinstance(value, float) and not math.isfinite(value) else value
