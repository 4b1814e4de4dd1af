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

from dexbench.data_collection.readers.index_file import Index
from dexbench.data_collection.readers.layouts import open_layout
from dexbench.data_collection.sets.info import facts
from dexbench.data_collection.sets.opened import open_set, robot_set
from dexbench.data_collection.sets.preview import FPS, film, mosaic, sheet
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
    """Write what sets of clips cover, side by side, as one HTML page to look at.

    Of all sets it shows clips, wrists before the camera, and speeds; of robot episodes also joints,
    contacts and kitchens, which other people's data lack.
    """

    sets: Annotated[tuple[Path, ...], tyro.conf.Positional]
    """Folders of sets in any layout that `dexbench data index` reads, or indexes that it wrote; six
    at most."""
    out: Path = Path("coverage.html")
    """The page: FILE.html; it is replaced."""
    clips: int = 2000
    """Clips of a set that are measured at most, spread evenly over it."""


@dataclass(frozen=True)
class Shown:
    """What the page says of a set beside its figures."""

    name: str
    total: int
    """Clips that are whole."""
    measured: int
    """Those that were measured."""
    damaged: int
    """Clips that are left out."""


@dataclass(frozen=True)
class Look:
    """Clips of a set to look at, as data URIs."""

    video: str
    sheet: str


def main(config: CoverageConfig) -> None:
    """Write the page and say where.

    Raises:
        UserError: A folder holds no clips that dexbench reads, or a damaged episode set, or is
            named twice; or the page cannot be written.
    """
    if config.out.suffix != ".html":
        raise UserError(f"--out {config.out} must end in .html")
    if config.clips < 1:
        raise UserError("--clips must be at least 1")
    if not 1 <= len(config.sets) <= MOST_SETS:
        raise UserError(f"name one to {MOST_SETS} sets, not {len(config.sets)}")
    found = [open_set(root) for root in config.sets]
    for index in found:
        if (store := robot_set(index)) is not None:
            store.refuse_slim()
    pages.write(config.out, render(found, config.clips))


def render(found: Sequence[Index], clips: int) -> str:
    """Return the page.

    Args:
        found: What the sets hold. Sets of robot episodes are shown first.
        clips: Clips of a set to measure at most.

    Returns:
        HTML; the same sets give the same text.

    Raises:
        UserError: A set is empty, damaged or there twice.
    """
    from . import measures, motion, motion_plots, plots

    # The first colours are the robots', so that a set has one colour throughout.
    found = sorted(found, key=lambda index: robot_set(index) is None)
    for index in found:
        index.require_clips()
    names = label([index.root for index in found])
    chosen = [measures.spread(index, clips) for index in found]
    stores = [store for index in found if (store := robot_set(index)) is not None]
    robots = [measures.measure(*one) for one in zip(stores, chosen, names, strict=False)]
    moved = [
        motion.measure(index.root, clips_of_set, name)
        for index, clips_of_set, name in zip(found, chosen, names, strict=True)
    ]
    table = [_listed(facts(index)) for index in found]
    measured = [moves.summary() for moves in moved]
    for figures, robot in zip(measured, robots, strict=False):
        figures |= measures.summary(robot)
    return pages.render(
        HERE,
        sets=[
            Shown(name, len(index.clips), len(some), len(index.problems))
            for name, index, some in zip(names, found, chosen, strict=True)
        ],
        robots=len(robots),
        table=columns([facts | more for facts, more in zip(table, measured, strict=True)]),
        rates=[measures.rates(item) for item in robots],
        looks=[look(index) for index in found],
        before_camera=motion_plots.before_camera(moved),
        motion=motion_plots.speeds(moved),
        workspaces=plots.workspaces(robots) if robots else [],
        joints=plots.joints(robots) if robots else "",
        errors=plots.errors(robots) if robots else "",
        speeds=plots.speed_histograms(robots) if robots else "",
        kitchens=plots.kitchens(robots) if robots else "",
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


def look(index: Index) -> Look:
    """Return a video mosaic and a contact sheet of clips spread evenly over a set.

    Raises:
        UserError: A video is missing or damaged.
    """
    from .measures import spread

    layout = open_layout(index.root)
    shown, laid = (
        [(layout.clip(facts.name), facts) for facts in spread(index, most)]
        for most in (VIDEO[0] * VIDEO[1], SHEET[1])
    )
    with tempfile.TemporaryDirectory(prefix="dexbench-") as folder:
        path = Path(folder) / "mosaic.mp4"
        films = [film(*clip) for clip in shown]
        tiles = mosaic(films, [clip.caption() for clip, _ in shown], VIDEO[0])
        write_video(path, tiles, fps=FPS, crf=26)
        video = path.read_bytes()
    file = io.BytesIO()
    Image.fromarray(sheet(laid, SHEET[0])).save(file, "JPEG", quality=85)
    return Look(_uri("video/mp4", video), _uri("image/jpeg", file.getvalue()))


def _listed(facts: dict[str, str]) -> dict[str, str]:
    """Return facts without those that the page draws."""
    return {k: v for k, v in facts.items() if not k.startswith(("clips ", "scenes with "))}


def _uri(kind: str, data: bytes) -> str:
    return f"data:{kind};base64,{base64.b64encode(data).decode()}"
