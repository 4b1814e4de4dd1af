"""`dexbench data preview`: clips of a set at one glance, as a video mosaic or a contact sheet.

Pictures are cut to the shape of a tile, as they are for models.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import numpy as np
import tyro
from numpy.typing import NDArray
from PIL import Image, ImageDraw

from dexbench.data_collection.readers.clip import Clip, ClipFacts
from dexbench.data_collection.readers.layouts import open_layout
from dexbench.utils.errors import UserError
from dexbench.utils.files import atomic_file
from dexbench.utils.video import write_video

from .opened import open_set

TILE = (112, 196)
"""Height and width of a picture in px: half the recorded size."""
LINE = 14
"""Height of a caption in px."""
LETTERS = 32
"""Letters of a caption that fit over a picture."""
FPS = 10
"""Frames a second of the video, in which all clips play in real time."""
LONGEST = 30.0
"""Time in s of a clip that is played at most."""


@dataclass(frozen=True)
class PreviewConfig:
    """Draw clips spread evenly over a set: .mp4 plays them side by side, .png lays frames out."""

    set: Annotated[Path, tyro.conf.Positional]
    """Folder of the set in any layout that `dexbench data index` reads, or an index of it."""
    out: Path
    """The picture: FILE.mp4 or FILE.png."""
    columns: int = 4
    """Clips in a row of the video; frames of a clip in the contact sheet."""
    rows: int = 3
    """Rows of clips in the video; clips in the contact sheet."""
    kind: str | None = None
    """Only clips that have this in their name or description, such as replay."""


def main(config: PreviewConfig) -> None:
    """Draw and write the preview.

    Raises:
        UserError: There is no such set or kind of clip, a video is damaged, or --out is neither
            .mp4 nor .png.
    """
    if config.out.suffix not in (".mp4", ".png"):
        raise UserError(f"--out {config.out} must end in .mp4 or .png")
    if min(config.columns, config.rows) < 1:
        raise UserError("--columns and --rows must be at least 1")
    index = open_set(config.set)
    of_kind = [c for c in index.clips if config.kind is None or config.kind in f"{c.name} {c.text}"]
    if not of_kind:
        kinds = sorted({clip.text or clip.name for clip in index.clips})[:10]
        raise UserError(f"{config.set} has no such clips; it has {', '.join(kinds) or 'none'}")
    video = config.out.suffix == ".mp4"
    wanted = config.rows * (config.columns if video else 1)
    spread = np.unique(np.linspace(0, len(of_kind) - 1, wanted).round().astype(int))
    layout = open_layout(index.root)
    clips = [(layout.clip(of_kind[i].name), of_kind[i]) for i in spread]
    try:
        if video:
            films = [film(*clip) for clip in clips]
            captions = [clip.caption() for clip, _ in clips]
            write_video(config.out, mosaic(films, captions, config.columns), fps=FPS, crf=23)
        else:
            page = Image.fromarray(sheet(clips, config.columns))
            with atomic_file(config.out) as draft:
                page.save(draft, format="PNG", optimize=True)
    except OSError as error:
        raise UserError(f"cannot write {config.out} ({error}); choose another --out") from error
    damaged = f"; {len(index.problems)} more are damaged" if index.problems else ""
    print(f"wrote {config.out}: {len(clips)} of {len(of_kind)} clips{damaged}")


def film(clip: Clip, facts: ClipFacts) -> NDArray[np.uint8]:
    """Return a clip's frames (T, *TILE, 3), at :data:`FPS` whatever its rate; 30 s at most.

    Raises:
        ClipError: Its video is missing or damaged.
    """
    seconds = min(facts.frames / facts.rate, LONGEST)
    times = np.arange(max(1, round(seconds * FPS))) / FPS
    index = np.minimum((times * facts.rate).round().astype(int), facts.frames - 1)
    return clip.pictures().read(index, TILE)


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


def sheet(clips: Sequence[tuple[Clip, ClipFacts]], columns: int) -> NDArray[np.uint8]:
    """Return a row a clip, of frames spread evenly from its first to its last; (H, W, 3) uint8.

    Raises:
        ClipError: A video is missing or damaged.
    """
    pictures: list[NDArray[np.uint8]] = []
    texts: list[str] = []
    for clip, facts in clips:
        index = np.linspace(0, facts.frames - 1, columns).round().astype(int)
        pictures += list(clip.pictures().read(index, TILE))
        times = [f"t={number / facts.rate:.1f} s" for number in index]
        texts += [f"{_short(clip.caption(), LETTERS - 10)}  {times[0]}", *times[1:]]
    return _page(pictures, texts, columns)


def _short(text: str, letters: int) -> str:
    """Return a text's beginning, if all of it does not fit."""
    return text if len(text) <= letters else f"{text[: letters - 3]}..."


def _page(
    pictures: Sequence[NDArray[np.uint8]], texts: Sequence[str], columns: int
) -> NDArray[np.uint8]:
    height, width = TILE
    lines = -(-len(pictures) // columns)
    page = Image.new("RGB", (min(columns, len(pictures)) * width, lines * (height + LINE)), "white")
    draw = ImageDraw.Draw(page)
    for i, (picture, text) in enumerate(zip(pictures, texts, strict=True)):
        left, top = i % columns * width, i // columns * (height + LINE)
        draw.text((left + 3, top + 1), _short(text, LETTERS), fill="black")
        page.paste(Image.fromarray(picture), (left, top + LINE))
    return np.asarray(page)
