"""`dexbench data slim`: what training reads of a set, in a small part of the space.

A slim set holds pictures of the size that models here see, and joints, targets and keypoints
rounded to about 0.1 mrad and 0.1 mm. It is trained on, verified and merged like any other, but has
no states, so that it cannot be rendered or exported.
"""

from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Annotated, Any

import h5py
import numpy as np
import tyro

from dexbench.data_collection.store.store import FOLDERS, EpisodeStore, new_folder, refuse_existing
from dexbench.data_collection.store.verify import require_whole
from dexbench.utils.cores import usable_cores
from dexbench.utils.errors import UserError
from dexbench.utils.files import file_sha256
from dexbench.utils.progress import track
from dexbench.utils.sizes import show_size
from dexbench.utils.video import downsample, parse_size, read_video, write_video

from .merge import link, sources

KEPT = ("agent_pos", "action", "keypoints")
"""Arrays of an episode that training reads."""
STEP = 2.0**-13
"""What rad and m are rounded to, 0.12 mrad and mm; a power of two, so that it compresses."""


@dataclass(frozen=True)
class SlimConfig:
    """Make of a set a small one to train on, for instance to send it to a machine with a GPU."""

    set: Annotated[Path, tyro.conf.Positional]
    """Folder of the set, which is left as it is."""
    out: Path
    """Folder of the small set; must not exist."""
    size: str = "112x196"
    """Height x width in px, of which the set's is a whole multiple. What compact models see."""
    crf: int = 26
    """x264's constant rate factor: lower is better and larger."""
    workers: int = 0
    """Threads; 0 means one a core that may be used. The files do not depend on it."""


def main(config: SlimConfig) -> None:
    """Make the small set.

    Raises:
        UserError: There is no such set, it is damaged, empty or slim already; its pictures are no
            whole multiple of --size; or --out exists.
    """
    height, width = parse_size(config.size)
    if not 0 <= config.crf <= 51 or config.workers < 0:
        raise UserError("--crf must be 0 to 51 and --workers, of which 0 is one a core, 0 or more")
    refuse_existing(config.out)
    source = EpisodeStore(config.set)
    source.refuse_slim()
    rows, size = list(source.rows()), source.info["image_size"]
    if not rows:
        raise UserError(f"{config.set} holds no episode; collect some first")
    if size[0] % height or [height * (size[0] // height), width * (size[0] // height)] != size:
        raise UserError(f"--size {config.size} is no whole part of the set's {size[0]}x{size[1]}")
    require_whole(source)
    info = {
        "control_hz": source.info["control_hz"],
        "assets": source.info.get("assets", "1"),
        "dexbench": source.info["dexbench"],
        "image_size": [height, width],
        "sources": sources(source),
        **{key: source.info[key] for key in ("kitchen",) if key in source.info},
        "slim": {"crf": config.crf, "step": STEP},
    }
    with new_folder(config.out) as draft:
        target = EpisodeStore(draft, info)
        for folder in FOLDERS.values():
            (draft / folder).mkdir()
        slim = partial(_slim, source, target, (height, width), config.crf)
        # Encoding leaves Python's lock, so that threads are enough.
        with ThreadPoolExecutor(config.workers or usable_cores()) as pool:
            try:
                slimmed = pool.map(slim, rows)
                new = list(track(slimmed, "slimming", len(rows), unit="episode"))
            finally:
                pool.shutdown(cancel_futures=True)
        for row in new:
            link(source.file(row, "model_gz"), target.file(row, "model_gz"))
            row["model_gz"] = file_sha256(target.file(row, "model_gz"))
        target.keep(new)
        size = sum(path.stat().st_size for path in target.files(new))
    print(f"wrote {config.out}: {len(new)} episodes, {show_size(size)}")


def _slim(
    source: EpisodeStore, target: EpisodeStore, size: tuple[int, int], crf: int, row: dict[str, Any]
) -> dict[str, Any]:
    """Write the small video and arrays of an episode; return its manifest row."""
    frames = downsample(read_video(source.file(row, "mp4")), size)
    video, arrays = target.file(row, "mp4"), target.file(row, "h5")
    # Colours in full: at half the size half their resolution would show.
    write_video(video, list(frames), crf=crf, preset="medium", gop=250, pixels="yuv444p")
    with h5py.File(source.file(row, "h5")) as old, h5py.File(arrays, "w", libver="latest") as new:
        for key in KEPT:
            rounded = np.round(old[key][()] / STEP) * STEP
            new.create_dataset(
                key,
                data=rounded,
                chunks=rounded.shape,
                shuffle=True,
                compression="gzip",
                compression_opts=9,
            )
        new.attrs["meta"] = old.attrs["meta"]
    origin = row.get("source", [0, row["id"]])
    return row | {"source": origin, "h5": file_sha256(arrays), "mp4": file_sha256(video)}
