"""Features of a frozen encoder, computed once for frames of some episode sets."""

import hashlib
import json
import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from dexbench.utils.errors import UserError
from dexbench.utils.files import atomic_file
from dexbench.utils.progress import track

from .disk import reserved
from .footage import Footage

BATCH = 64
"""Pictures that are encoded at a time."""


def encoder_digest(encoder: nn.Module) -> str:
    """Return the sha256 of an encoder's weights: its ``digest``, if it has one."""
    stated = getattr(encoder, "digest", None)
    if isinstance(stated, str):
        return stated
    digest = hashlib.sha256()
    for name, value in sorted(encoder.state_dict().items()):
        digest.update(name.encode() + value.detach().float().cpu().numpy().tobytes())
    return digest.hexdigest()


def cached_features(
    episodes: Footage,
    encoder: nn.Module,
    encode: Callable[[Tensor], Tensor],
    folder: Path,
    kind: str,
    device: torch.device,
    progress: bool = True,
    index: NDArray[np.int64] | None = None,
) -> NDArray[np.float16]:
    """Return the features of frames, read from ``folder`` or computed and kept there.

    Runs may share the folder, also at the same time.

    Args:
        episodes: The frames.
        encoder: Whose weights the features depend on.
        encode: Maps pictures ``(B, H, W, 3)`` uint8 to features ``(B, ...)``.
        folder: Where they are kept: a file for each data, encoder, kind, and kind of device.
        kind: What else the features depend on: what ``encode`` does with the encoder's tokens.
        device: Where the encoder is.
        progress: Whether to show a progress bar.
        index: Frames ``(N,)`` whose features are wanted; all of them if left out.

    Returns:
        ``(N, ...)`` float16, a read-only memory map.

    Raises:
        UserError: The disk is full, or the file is damaged.
    """
    frames = episodes.frames
    facts = [episodes.digest, frames.shape, encoder_digest(encoder), kind, device.type]
    if index is None:
        index = np.arange(len(frames))
    else:
        facts.append(hashlib.sha256(index.tobytes()).hexdigest())
    name = hashlib.sha256(json.dumps(facts).encode()).hexdigest()[:16]
    path = folder / f"features-{name}.npy"
    if not path.is_file():
        with atomic_file(path) as draft:
            _encode(frames, index, encode, draft, device, progress)
    try:
        features: NDArray[np.float16] = np.load(path, mmap_mode="r", allow_pickle=False)
    except (ValueError, OSError, EOFError) as error:
        raise UserError(f"{path} is damaged ({error}); delete it, it is made again") from error
    return features


def _encode(
    frames: NDArray[np.uint8],
    index: NDArray[np.int64],
    encode: Callable[[Tensor], Tensor],
    path: Path,
    device: torch.device,
    progress: bool,
) -> None:
    """Write the features of frames into a new file."""
    out: np.memmap[Any, np.dtype[np.float16]] | None = None
    for start in track(range(0, len(index), BATCH), "encoding", show=progress):
        images = torch.from_numpy(frames[index[start : start + BATCH]]).to(device)
        with torch.no_grad():
            batch = encode(images).float().cpu().numpy()
        if out is None:
            shape = (len(index), *batch.shape[1:])
            with reserved(path, 2 * math.prod(shape)):
                out = np.lib.format.open_memmap(path, "w+", np.float16, shape)
        out[start : start + len(batch)] = batch
    if out is not None:
        out.flush()
