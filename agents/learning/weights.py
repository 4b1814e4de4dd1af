"""Tensors and weights on disk: safetensors with notes in the header. Never pickle."""

import dataclasses
import json
from collections.abc import Callable, Collection
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar, Self, TypeVar

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor, nn

from dexbench.utils.errors import UserError
from dexbench.utils.files import atomic_file, file_sha256

Model = TypeVar("Model", bound=nn.Module)


def pick_device(name: str) -> torch.device:
    """Return the device that a setting names; ``auto`` is a GPU if there is one.

    Raises:
        UserError: PyTorch knows no such device, or finds none here.
    """
    if name == "auto":
        name = "cuda" if torch.cuda.is_available() else "cpu"
    try:
        device = torch.device(name)
    except RuntimeError as error:
        raise UserError(f"there is no device {name!r}; choose cpu, cuda or auto") from error
    if device.type == "cuda" and not torch.cuda.is_available():
        raise UserError(f"device is {name!r}, but PyTorch finds no GPU; choose cpu or auto")
    return device


@dataclass(frozen=True)
class WeightsConfig:
    """Base of a model's sizes, which travel with its weights as JSON."""

    kind: ClassVar[str]
    """What messages call the model."""

    def to_json(self) -> str:
        """Return the configuration as one line of JSON with sorted keys."""
        return json.dumps(dataclasses.asdict(self), sort_keys=True)

    @classmethod
    def from_json(cls, text: str) -> Self:
        """Read ``to_json``'s text.

        Raises:
            ValueError: The text is no JSON object, or holds an unknown field.
            TypeError: A field of several values has one.
        """
        values = json.loads(text)
        if not isinstance(values, dict):
            raise ValueError(f"a {cls.kind} configuration must be a JSON object, got {text[:80]!r}")
        fields = {field.name: field for field in dataclasses.fields(cls)}
        if unknown := sorted(set(values) - set(fields)):
            raise ValueError(f"unknown {cls.kind} settings {unknown}; known: {sorted(fields)}")
        for name in values:
            if isinstance(fields[name].default, tuple):  # JSON knows lists alone
                values[name] = tuple(values[name])
        return cls(**values)


def save_tensors(path: str | Path, tensors: dict[str, Tensor], metadata: dict[str, str]) -> None:
    """Write a safetensors file so that a crash leaves the old file or the new one."""
    # One header entry: safetensors writes several in random order, and equal weights must give
    # equal files.
    header = {"dexbench": json.dumps(metadata, sort_keys=True)}
    contiguous = {k: v.detach().cpu().contiguous() for k, v in tensors.items()}
    with atomic_file(Path(path)) as draft:
        draft.touch()
        mode = draft.stat().st_mode
        save_file(contiguous, draft, header)
        draft.chmod(mode)  # safetensors makes files that only their owner may read


def read_tensors(path: str | Path) -> tuple[dict[str, Tensor], dict[str, str]]:
    """Read a safetensors file.

    Raises:
        UserError: The file is missing or damaged.
    """
    path = Path(path)
    if not path.is_file():
        raise UserError(f"no weights at {path}; `dexbench train` makes them")
    try:
        with safe_open(path, "pt") as file:
            tensors = {k: file.get_tensor(k) for k in file.keys()}  # noqa: SIM118
            return tensors, json.loads((file.metadata() or {}).get("dexbench", "{}"))
    except (SafetensorError, OSError, ValueError) as error:
        raise UserError(
            f"{path} is damaged or no safetensors file ({error}); fetch or train it again"
        ) from error


def require_finite(path: str | Path, tensors: dict[str, Tensor]) -> None:
    """Refuse to write tensors that no training can go on from.

    Args:
        path: Where they were to go, for the message.
        tensors: Of any shape, by name.

    Raises:
        UserError: One holds a number that is not finite.
    """
    if bad := [key for key, value in tensors.items() if not value.isfinite().all()]:
        raise UserError(
            f"{path} is not written: {bad[:3]} hold numbers that are not finite, so the training "
            "has diverged; train again with a lower learning rate and another --out"
        )


def save_weights(
    path: str | Path,
    model: nn.Module,
    metadata: dict[str, str],
    notes: dict[str, Any],
    exact: Collection[str] = (),
) -> str:
    """Write a model's weights as float16; return the file's sha256.

    Args:
        path: Where to.
        model: What to write.
        metadata: Its format and configurations.
        notes: How the weights came about (data, seed, times); any JSON, and paths, of which the
            last part is kept.
        exact: Tensors that keep their own precision.

    Raises:
        UserError: As ``require_finite``: no file is written that could not be loaded.
    """
    tensors = {
        key: value if key in exact else value.to(torch.float16)
        for key, value in model.state_dict().items()
    }
    require_finite(path, tensors)
    # Of a path the name says what data it was; where it lay is nobody's business.
    text = json.dumps(notes, sort_keys=True, default=lambda path: Path(path).name)
    save_tensors(path, tensors, {**metadata, "notes": text})
    return file_sha256(path)


def load_weights(
    path: str | Path, build: Callable[[dict[str, str]], Model], form: str, expected: str
) -> tuple[Model, str]:
    """Load a model, frozen and in float32 on the CPU, and the file's sha256.

    Args:
        path: A file of ``save_weights``.
        build: Makes the model, whatever its weights, from the metadata.
        form: The metadata's ``format`` that ``build`` understands.
        expected: What is said of it where a file has another, and how to mend that.

    Raises:
        UserError: The file is missing, damaged, of another format, or lacks or misfits a tensor.
    """
    tensors, metadata = read_tensors(path)
    if metadata.get("format") != form:
        raise UserError(f"{path} holds format {metadata.get('format')!r}, {expected}")
    try:
        model = build(metadata)
        model.load_state_dict({key: value.float() for key, value in tensors.items()})
    except UserError as error:
        raise UserError(f"{path}: {error}") from error
    except (KeyError, ValueError, RuntimeError, TypeError) as error:
        raise UserError(f"{path} does not fit its own configuration: {error}") from error
    if bad := [key for key, value in tensors.items() if not value.isfinite().all()]:
        raise UserError(f"{path} holds numbers that are not finite in {bad[:3]}; train it again")
    return model.eval().requires_grad_(False), file_sha256(path)
