"""``dexbench data report``: writes one HTML file that needs nothing beside it, and no network."""

import base64
import io
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import tyro
from PIL import Image

from dexbench.data_collection.sets.preview import caption, frames, mosaic, sheet
from dexbench.data_collection.store.store import EpisodeStore
from dexbench.utils import pages
from dexbench.utils.errors import UserError
from dexbench.utils.video import write_video

HERE = Path(__file__).parent
VIDEO, SHEET = (4, 3), (6, 6)
"""Columns and rows: clips of a set's video; frames and clips of its contact sheet."""
MOST_SETS = 6
"""Sets on a page: as many as there are colours that can be told apart."""


@dataclass(frozen=True)
class CoverageConfig:
    """Write what episode sets cover, side by side, as one HTML page to look at."""

    sets: Annotated[tuple[Path, ...], tyro.conf.Positional]
    """Folders of sets, six at most."""
    out: Path = Path("coverage.html")
    """The page: FILE.html; it is replaced."""
    clips: int = 2000
    """Clips of a set that are measured at most, spread evenly over it."""


@dataclass(frozen=True)
class Look:
    """Clips of a set to look at, as data URIs."""

    video: str
    sheet: str


def main(config: CoverageConfig) -> None:
    """Write the page and say where.

    Raises:
        UserError: A folder holds no episode set, an empty or a damaged one, or is named twice; or
            the page cannot be written.
    """
    if config.out.suffix != ".html":
        raise UserError(f"--out {config.out} must end in .html")
    if config.clips < 1:
        raise UserError("--clips must be at least 1")
    if not 1 <= len(config.sets) <= MOST_SETS:
        raise UserError(f"name one to {MOST_SETS} episode sets, not {len(config.sets)}")
    stores = [EpisodeStore(root) for root in config.sets]
    for store in stores:
        store.refuse_slim()
    pages.write(config.out, render(stores, config.clips))


def render(stores: Sequence[EpisodeStore], clips: int) -> str:
    """Return the page.

    Args:
        stores: The sets, in the order of their colours.
        clips: Clips of a set to measure at most.

    Returns:
        HTML; the same sets give the same text.

    Raises:
        UserError: A set is empty, damaged or there twice.
    """
    from . import measures, plots

    names = label([store.root for store in stores])
    sets = [measures.measure(*pair, clips) for pair in zip(stores, names, strict=True)]
    return pages.render(
        HERE,
        sets=sets,
        table=columns([_listed(item.facts) | measures.summary(item) for item in sets]),
        rates=[measures.rates(item) for item in sets],
        looks=[look(store) for store in stores],
        workspaces=plots.workspaces(sets),
        joints=plots.joints(sets),
        errors=plots.errors(sets),
        speeds=plots.speed_histograms(sets),
        kitchens=plots.kitchens(sets),
        colours=plots.COLOURS,
    )


def label(roots: Sequence[Path]) -> list[str]:
    """Return the folders' names, or their paths where two have the same name.

    Raises:
        UserError: A folder is named twice.
    """
    full = [root.resolve() for root in roots]
    for root in full:
        if full.count(root) > 1:
            raise UserError(f"{root} is named twice; name every set once")
    names = [root.name for root in full]
    return names if len(set(names)) == len(names) else [str(root) for root in roots]


def columns(facts: Sequence[dict[str, str]]) -> dict[str, list[str]]:
    """Return what each set has of every fact, a dash if nothing, in the order of the facts."""
    names = dict.fromkeys(name for of_set in facts for name in of_set)
    return {name: [of_set.get(name, "–") for of_set in facts] for name in names}


def look(store: EpisodeStore) -> Look:
    """Return a video mosaic and a contact sheet of clips spread evenly over a set.

    Raises:
        UserError: A video is missing or damaged.
    """
    from .measures import spread

    rows = list(store.rows())
    shown, laid = spread(rows, VIDEO[0] * VIDEO[1]), spread(rows, SHEET[1])
    with tempfile.TemporaryDirectory(prefix="dexbench-") as folder:
        path = Path(folder) / "mosaic.mp4"
        clips = [frames(store, row) for row in shown]
        write_video(path, mosaic(clips, [caption(row) for row in shown], VIDEO[0]), crf=26)
        video = path.read_bytes()
    clips, file = [frames(store, row) for row in laid], io.BytesIO()
    picture = Image.fromarray(sheet(clips, [caption(row) for row in laid], SHEET[0]))
    picture.save(file, "JPEG", quality=85)
    return Look(_uri("video/mp4", video), _uri("image/jpeg", file.getvalue()))


def _listed(facts: dict[str, str]) -> dict[str, str]:
    """Return facts without those that the page draws."""
    return {k: v for k, v in facts.items() if not k.startswith(("clips ", "scenes with "))}


def _uri(kind: str, data: bytes) -> str:
    return f"data:{kind};base64,{base64.b64encode(data).decode()}"
