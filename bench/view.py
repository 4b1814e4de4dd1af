"""``dexbench view``: a contact sheet of trials: start, goal, and the end that an agent reached.

``--scenes`` shows kitchens or objects instead (:mod:`dexbench.bench.gallery`).
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np

from ..envs.errors import UserError
from ..envs.suite import DEFAULT, Suite
from ..envs.trial import Trial
from .ledger import ROWS_FILE, read_rows
from .resimulation import read_actions
from .tasks import resolve

COLUMNS = ("start", "goal", "end")
MARGIN = 4
"""White space around every picture [px]."""
LINE = 18
"""Height of a line of text [px]."""


@dataclass(frozen=True)
class ViewConfig:
    """Draws trials into one picture: start, goal and the end reached by recorded actions."""

    task: str = "all"
    """Which task: reach, grasp, place, all three (all), or your own as module:name."""
    trials: tuple[int, ...] = (0,)
    """Numbers of the trials; a row each."""
    suite: str = DEFAULT
    """Name of the frozen suite, or the path of its folder."""
    agent: str = "expert"
    """Whose actions lead to the end. The expert's are in the suite; others need a ledger."""
    ledgers: Path = Path("results")
    """Folder of ledgers: LEDGERS/SUITE/AGENT/TASK/trials.jsonl with the actions beside it."""
    scenes: Literal["kitchens", "objects", "held"] | None = None
    """Draw no trials but what scenes are made of: every layout in some styles, all objects, or the
    suite's objects in the hand."""
    out: Path = Path("trials.png")
    """The picture."""


@dataclass(frozen=True)
class Row:
    """A trial's pictures."""

    title: str
    pictures: tuple[np.ndarray, ...]
    """Start, goal and end, each (224, 392, 3) uint8 RGB."""


def actions_of(config: ViewConfig, task: str, trial: Trial, index: int) -> np.ndarray:
    """The recorded joint targets (steps, 23) [rad] of a trial.

    Args:
        config: Which agent, and where its ledgers are.
        task: The trial's task.
        trial: The trial.
        index: Its number.

    Raises:
        UserError: There is no such row or actions file, or it was played on another trial.
    """
    if config.agent == "expert":
        return trial.expert_actions
    folder = config.ledgers / Path(config.suite).name / config.agent.replace(":", ".") / task
    rows = {row["trial"]: row for row in read_rows(folder / ROWS_FILE)}
    path = folder / "actions" / f"{index:03d}.npz"
    if index not in rows or not path.exists():
        asked = task if config.task == "all" else config.task
        raise UserError(
            f"{folder} holds no trial {index} of {config.agent}; `dexbench run --agent "
            f"{config.agent} --task {asked} --suite {config.suite} --out {config.ledgers}` plays it"
        )
    if rows[index]["trial_hash"] != trial.hash:
        raise UserError(
            f"trial {index} in {folder} was played on another build of suite {config.suite}"
        )
    return read_actions(path)


def replay(task: str, trial: Trial, actions: np.ndarray) -> Row:
    """Plays recorded actions and looks at start, goal and end.

    Args:
        task: Name of the trial's task. The trial's own word for it is not trusted: as module:name
            it would import a module.
        trial: Where.
        actions: (steps, 23) joint targets [rad].

    Returns:
        The pictures; the title says whether the criterion was held and the final distance.
    """
    from ..envs.simulation import Simulation
    from ..envs.tasks import Playback, find_task

    simulation = Simulation(trial.xml, trial.objects)
    try:
        simulation.set_state(trial.goal_state)
        goal_picture = simulation.render()
        playback = Playback(find_task(task), trial, simulation)
        start_picture = simulation.render()
        result = "success" if playback.solves(actions) else "failure"
        title = f"{result}, {100 * playback.outcome.distance:.1f} cm at the end"
        return Row(title, (start_picture, goal_picture, simulation.render()))
    finally:
        simulation.close()


def sheet(rows: Sequence[Row]) -> np.ndarray:
    """Puts trials into one picture.

    Args:
        rows: At least one; all pictures of one size.

    Returns:
        (height, width, 3) uint8 RGB: a line of column names, then for each trial its title and
        under it start, goal and end.
    """
    from PIL import Image, ImageDraw

    height, width = rows[0].pictures[0].shape[:2]
    step, pitch = width + 2 * MARGIN, LINE + height + 2 * MARGIN
    page = Image.new("RGB", (len(COLUMNS) * step, LINE + len(rows) * pitch), "white")
    draw = ImageDraw.Draw(page)
    for column, name in enumerate(COLUMNS):
        draw.text((column * step + MARGIN, MARGIN), name, fill="black")
    for index, row in enumerate(rows):
        top = LINE + index * pitch
        draw.text((MARGIN, top + MARGIN), row.title, fill="black")
        for column, picture in enumerate(row.pictures):
            page.paste(Image.fromarray(picture), (column * step + MARGIN, top + LINE + MARGIN))
    return np.asarray(page)


def main(config: ViewConfig) -> None:
    """Draws and writes the PNG.

    Raises:
        UserError: There is no such suite, trial or ledger row, or the file cannot be written.
    """
    from PIL import Image

    if config.scenes is not None:
        _draw_scenes(config)
        return
    suite = Suite.load(config.suite)
    tasks = resolve(config.task)
    # All is looked up before anything is simulated, so that bad input is told at once.
    plays = []
    for task in tasks:
        for index in config.trials:
            trial = suite.trial(task, index)
            plays.append((task, index, trial, actions_of(config, task, trial, index)))
    if not plays:
        raise UserError("--trials is empty, expected at least one number")
    rows = []
    for task, index, trial, actions in plays:
        row = replay(task, trial, actions)
        title = f"{task}, trial {index}, {config.agent}: {row.title}"
        rows.append(Row(title, row.pictures))
    try:
        config.out.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(sheet(rows)).save(config.out, format="PNG", optimize=True)
    except OSError as error:
        raise UserError(f"cannot write {config.out} ({error}); choose another --out") from error
    for row in rows:
        print(row.title)
    print(f"wrote {config.out}")


def _draw_scenes(config: ViewConfig) -> None:
    """Writes the page of kitchens or objects."""
    from . import gallery

    if config.scenes == "held":
        page = gallery.held(Suite.load(config.suite))
    else:
        page = gallery.kitchens() if config.scenes == "kitchens" else gallery.objects()
    try:
        gallery.save(page, config.out)
    except OSError as error:
        raise UserError(f"cannot write {config.out} ({error}); choose another --out") from error
    print(f"wrote {config.out}")
