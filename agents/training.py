"""What a training run leaves on disk, so that the same command continues it."""

import dataclasses
import json
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from torch import Tensor, nn

from ..envs.errors import UserError
from .tensors import read_tensors, save_tensors


def identity(config: Any, free: Collection[str], **digests: str) -> str:
    """What two runs must share for one to continue the other, as text.

    Args:
        config: The settings, a dataclass.
        free: Those that may change, as budgets may be raised.
        digests: Hashes of what the run learns from.
    """
    settings = dataclasses.asdict(config)
    kept = {key: value for key, value in settings.items() if key not in free}
    return json.dumps(kept | digests, sort_keys=True)


@dataclass(frozen=True)
class RunFolder:
    """The folder with a run's ``metrics.jsonl`` and ``checkpoint.safetensors``."""

    path: Path
    identity: str
    """See ``identity``."""
    shared: str
    """What the identity is of, in words."""

    @property
    def metrics(self) -> Path:
        """The file of all logged rows."""
        return self.path / "metrics.jsonl"

    @property
    def checkpoint(self) -> Path:
        """The file that a run is continued from."""
        return self.path / "checkpoint.safetensors"

    def log(self, row: dict[str, Any]) -> None:
        """Appends a row to the metrics."""
        with open(self.metrics, "a") as file:
            file.write(json.dumps(row) + "\n")

    def save(
        self,
        state: dict[str, Any],
        modules: Mapping[str, nn.Module],
        tensors: Mapping[str, Tensor],
    ) -> None:
        """Writes the checkpoint, and how long the metrics were at that moment.

        Args:
            state: Where the run stands; any JSON.
            modules: What is trained, by name.
            tensors: What else it takes to go on: the optimiser's.
        """
        weights = {
            f"{name}/{key}": value
            for name, module in modules.items()
            for key, value in module.state_dict().items()
        }
        state = {**state, "metrics_bytes": self.metrics.stat().st_size}
        metadata = {"state": json.dumps(state), "identity": self.identity}
        save_tensors(self.checkpoint, weights | dict(tensors), metadata)

    def resume(
        self, modules: Mapping[str, nn.Module]
    ) -> tuple[dict[str, Any], dict[str, Tensor]] | None:
        """Loads the checkpoint, if there is one, and cuts off the metrics logged after it.

        Args:
            modules: As given to ``save``; they are loaded.

        Returns:
            The state, and all tensors; None without a checkpoint.

        Raises:
            UserError: It belongs to a run of another identity.
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
        state: dict[str, Any] = json.loads(metadata["state"])
        with open(self.metrics, "r+") as file:
            file.truncate(state.pop("metrics_bytes"))
        for name, module in modules.items():
            prefix = name + "/"
            module.load_state_dict(
                {k.removeprefix(prefix): v for k, v in tensors.items() if k.startswith(prefix)}
            )
        return state, tensors
