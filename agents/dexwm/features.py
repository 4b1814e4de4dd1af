"""Features of a frozen encoder, computed once for all frames of some episode sets."""

import hashlib
import json
import os
from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn
from tqdm import tqdm

from .data import Episodes
from .pretrained import PretrainedEncoder

BATCH = 64
"""Pictures that are encoded at a time."""


def encoder_digest(encoder: nn.Module) -> str:
    """sha256 of an encoder's weights."""
    if isinstance(encoder, PretrainedEncoder):
        return encoder.digest
    digest = hashlib.sha256()
    for name, value in sorted(encoder.state_dict().items()):
        digest.update(name.encode() + value.detach().float().cpu().numpy().tobytes())
    return digest.hexdigest()


def cached_features(
    episodes: Episodes,
    encoder: nn.Module,
    encode: Callable[[Tensor], Tensor],
    folder: Path,
    kind: str,
    device: torch.device,
    progress: bool = True,
) -> np.ndarray:
    """What ``encode`` makes of every frame: read from ``folder``, or computed and kept there.

    Args:
        episodes: The frames.
        encoder: Whose weights the features depend on.
        encode: Maps pictures ``(B, H, W, 3)`` uint8 to features ``(B, ...)``.
        folder: Where they are kept, a file for each data, encoder and kind.
        kind: Names what ``encode`` does with the encoder's tokens.
        device: Where the encoder is.
        progress: Whether to show a progress bar.

    Returns:
        ``(N, ...)`` float16, a read-only memory map.
    """
    wanted = {"data": episodes.digest, "encoder": encoder_digest(encoder), "kind": kind}
    name = hashlib.sha256(json.dumps(wanted, sort_keys=True).encode()).hexdigest()[:16]
    path, mark = folder / f"features-{name}.f16", folder / f"features-{name}.json"
    frames = episodes.frames
    if not mark.is_file():
        folder.mkdir(parents=True, exist_ok=True)
        silent = None if progress else True  # None shows bars on terminals only
        out: np.memmap | None = None
        for start in tqdm(range(0, len(frames), BATCH), "encoding", disable=silent):
            images = torch.from_numpy(np.array(frames[start : start + BATCH])).to(device)
            with torch.no_grad():
                made = encode(images).float().cpu().numpy()
            if out is None:
                wanted["shape"] = [len(frames), *made.shape[1:]]  # type: ignore[assignment]
                out = np.memmap(path, np.float16, "w+", shape=(len(frames), *made.shape[1:]))
            out[start : start + len(made)] = made
        assert out is not None
        out.flush()
        partial = mark.with_name(mark.name + ".tmp")
        partial.write_text(json.dumps(wanted))
        os.replace(partial, mark)
    shape = tuple(json.loads(mark.read_text())["shape"])
    return np.memmap(path, np.float16, "r", shape=shape)
