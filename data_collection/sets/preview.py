"""`dexbench data preview`: clips of a set at one glance, as a video mosaic or a contact sheet."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import tyro
from numpy.typing import NDArray
from PIL import Image, ImageDraw

from dexbench.data_collection.store.store import EpisodeStore
from dexbench.utils.errors import UserError
from dexbench.utils.files import atomic_file
from dexbench.utils.video import read_video, write_video

TILE = (112, 196)
"""Height and width of a picture in px: half the recorded size."""
LINE = 14
"""Height of a caption in px."""


@dataclass(frozen=True)
class PreviewConfig:
    """Draw clips spread evenly over a set: .mp4 plays them side by side, .png lays frames out."""

    set: Annotated[Path, tyro.conf.Positional]
    """Folder of the set."""
    out: Path
    """The picture: FILE.mp4 or FILE.png."""
    columns: int = 4
    """Clips in a row of the video; frames of a clip in the contact sheet."""
    rows: int = 3
    """Rows of clips in the video; clips in the contact sheet."""
    kind: str | None = None
    """Only clips of this kind, such as replay."""


def main(config: PreviewConfig) -> None:
    """Draw and write the preview.

    Raises:
        UserError: There is no such set or kind of clip, or --out is neither .mp4 nor .png.
    """
    if config.out.suffix not in (".mp4", ".png"):
        raise UserError(f"--out {config.out} must end in .mp4 or .png")
    if min(config.columns, config.rows) < 1:
        raise UserError("--columns and --rows must be at least 1")
    store = EpisodeStore(config.set)
    rows = [row for row in store.rows() if config.kind in (None, row["kind"])]
    if not rows:
        kinds = sorted({row["kind"] for row in store.rows()})
        raise UserError(f"{config.set} has no such clips; it has {', '.join(kinds) or 'none'}")
    video = config.out.suffix == ".mp4"
    wanted = config.rows * (config.columns if video else 1)
    spread = np.unique(np.linspace(0, len(rows) - 1, wanted).round().astype(int))
    chosen = [rows[i] for i in spread]
    clips = [frames(store, row) for row in chosen]
    captions = [caption(row) for row in chosen]
    try:
        if video:
            write_video(config.out, mosaic(clips, captions, config.columns), crf=23)
        else:
            page = Image.fromarray(sheet(clips, captions, config.columns))
            with atomic_file(config.out) as draft:
                page.save(draft, format="PNG", optimize=True)
    except OSError as error:
        raise UserError(f"cannot write {config.out} ({error}); choose another --out") from error
    print(f"wrote {config.out}: {len(clips)} of {len(rows)} clips")


def caption(row: dict[str, Any]) -> str:
    """Return number, kind and outcome of a clip."""
    facts = [name for name in ("touched", "lifted") if row.get(name)]
    return f"{row['id']} {row['kind']} {' '.join(facts)}".rstrip()


def mosaic(
    clips: Sequence[NDArray[np.uint8]], captions: Sequence[str], columns: int
) -> list[NDArray[np.uint8]]:
    """Return clips (T, height, width, 3) side by side; one that is over shows its last frame.

    Returns:
        As many pictures (H, W, 3) uint8, H and W even, as the longest clip has.
    """
    return [
        _page([clip[min(t, len(clip) - 1)] for clip in clips], captions, columns)
        for t in range(max(map(len, clips)))
    ]


def sheet(
    clips: Sequence[NDArray[np.uint8]], captions: Sequence[str], columns: int
) -> NDArray[np.uint8]:
    """Return a row a clip, of frames spread evenly from its first to its last; (H, W, 3) uint8."""
    pictures: list[NDArray[np.uint8]] = []
    texts: list[str] = []
    for clip, text in zip(clips, captions, strict=True):
        times = np.linspace(0, len(clip) - 1, columns).round().astype(int)
        pictures += [clip[t] for t in times]
        texts += [
            f"{text}  t={t / 10:.1f} s" if i == 0 else f"t={t / 10:.1f} s"
            for i, t in enumerate(times)
        ]
    return _page(pictures, texts, columns)


def _page(
    pictures: Sequence[NDArray[np.uint8]], texts: Sequence[str], columns: int
) -> NDArray[np.uint8]:
    height, width = TILE
    lines = -(-len(pictures) // columns)
    page = Image.new("RGB", (min(columns, len(pictures)) * width, lines * (height + LINE)), "white")
    draw = ImageDraw.Draw(page)
    for i, (picture, text) in enumerate(zip(pictures, texts, strict=True)):
        left, top = i % columns * width, i // columns * (height + LINE)
        draw.text((left + 3, top + 1), text, fill="black")
        page.paste(Image.fromarray(picture), (left, top + LINE))
    return np.asarray(page)


def frames(store: EpisodeStore, row: dict[str, Any]) -> NDArray[np.uint8]:
    """Return a clip's frames (T, *TILE, 3) uint8."""
    path = store.file(row, "mp4")
    try:
        pictures = read_video(path)
    except (OSError, ValueError) as error:
        raise store.damaged(path, error) from error
    size = TILE[::-1]
    small = [Image.fromarray(frame).resize(size, Image.Resampling.BOX) for frame in pictures]
    return np.stack([np.asarray(image) for image in small])
