"""`dexbench data slim`: what training reads of a set, in a small part of the space.

A slim set holds pictures of the size that models here see, and joints, targets and keypoints
rounded to about 0.1 mrad and 0.1 mm. It is trained on, verified and merged like any other, but has
no states, so that it cannot be rendered or exported.
"""

import os
import shutil
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Annotated, Any

import h5py
import numpy as np
import tyro
from tqdm import tqdm

from ..envs.errors import UserError
from ..envs.video import downsample, parse_size, read_video, sync, write_video
from .merge import sources
from .store import EpisodeStore, file_sha256

KEPT = ("agent_pos", "action", "keypoints")
"""Arrays of an episode that training reads."""
STEP = 2.0**-13
"""What rad and m are rounded to, 0.12 mrad and mm; a power of two, so that it compresses."""


@dataclass(frozen=True)
class SlimConfig:
    """Make of a set a small one to train on, for instance to send it to a machine with a GPU.

    Episodes that are there already are not made again, so that an interrupted run goes on.
    """

    set: Annotated[Path, tyro.conf.Positional]
    """Folder of the set, which is left as it is."""
    out: Path
    """Folder of the small set."""
    size: str = "112x196"
    """Height x width in px; the set's must be a whole multiple. What compact models see."""
    crf: int = 26
    """x264's constant rate factor: lower is better and larger."""
    workers: int = 0
    """Threads; 0 means one a core."""


def main(config: SlimConfig) -> None:
    """Make the small set.

    Raises:
        UserError: There is no such set, it is damaged or small already, or --size or --crf are no
            such things; or --out holds another set.
    """
    size = parse_size(config.size)
    if not 0 <= config.crf <= 51 or config.workers < 0:
        raise UserError("--crf must be 0 to 51 and --workers, of which 0 is one a core, 0 or more")
    source = EpisodeStore(config.set)
    kept = ("schema", "control_hz", "assets", "dexbench")
    info = {key: source.info[key] for key in kept if key in source.info}
    info |= {"image_size": list(size), "sources": sources(source),
             "slim": {"crf": config.crf, "step": STEP}}  # fmt: skip
    target = EpisodeStore(config.out, info)
    done = {row["id"] for row in target.rows()}
    todo = [row for row in source.rows() if row["id"] not in done]
    made = _made(partial(_slim, source, target, size, config.crf), todo, config.workers)
    for row in tqdm(made, "slimming", len(todo), unit="episode", disable=None):
        target.commit([row])
    rows = list(target.rows())
    amount = sum(path.stat().st_size for path in target.files(rows)) / 1e6
    print(f"wrote {config.out}: {len(rows)} episodes, {amount:.1f} MB")


def _made(slim: partial, rows: list[dict[str, Any]], workers: int) -> Iterator[dict[str, Any]]:
    """New manifest rows in order; encoding leaves Python's lock, so that threads are enough."""
    with ThreadPoolExecutor(workers or os.cpu_count() or 1) as pool:
        try:
            yield from pool.map(slim, rows)
        finally:
            pool.shutdown(cancel_futures=True)


def _slim(
    source: EpisodeStore, target: EpisodeStore, size: tuple[int, int], crf: int, row: dict[str, Any]
) -> dict[str, Any]:
    """Write the small files of an episode; returns its manifest row."""
    video, arrays = source.file(row, "mp4"), source.file(row, "h5")
    try:
        frames = downsample(read_video(video), size)
    except (OSError, ValueError) as error:
        raise source.damaged(video, error) from error
    write_video(target.file(row, "mp4"), list(frames), crf=crf, preset="medium", gop=250,
                pixels="yuv444p")  # fmt: skip
    path = target.file(row, "h5")
    path.parent.mkdir(parents=True, exist_ok=True)
    draft = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    try:
        with h5py.File(arrays) as old, h5py.File(draft, "w", libver="latest") as new:
            for key in KEPT:
                new.create_dataset(key, data=np.round(old[key][()] / STEP) * STEP, shuffle=True,
                                   chunks=old[key].shape, compression="gzip",
                                   compression_opts=9)  # fmt: skip
            new.attrs["meta"] = old.attrs["meta"]
    except (OSError, KeyError) as error:
        draft.unlink(missing_ok=True)
        raise source.damaged(arrays, error) from error
    sync(draft)
    draft.replace(path)
    scene = target.file(row, "model_gz")
    scene.parent.mkdir(parents=True, exist_ok=True)
    if not scene.exists():
        part = scene.with_name(f".{scene.name}.{row['id']}.tmp")
        shutil.copyfile(source.file(row, "model_gz"), part)
        part.replace(scene)
    origin = row.get("source", [0, row["id"]])
    return row | {"source": origin, "h5": file_sha256(path),
                  "mp4": file_sha256(target.file(row, "mp4")),
                  "model_gz": file_sha256(scene)}  # fmt: skip
