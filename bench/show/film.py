"""Recorded plays as pictures: a sheet of start, goal and end, or a film of every step."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from dexbench.envs.trial import Trial

COLUMNS = ("start", "goal", "end")
MARGIN = 4
"""White space around every picture [px]."""
LINE = 26
"""Height of a line of text [px]."""
FONT, SMALL_FONT = 18, 13
"""Height of letters above pictures of full and of half size [px]."""
FEW = 2
"""So many plays are filmed in full size, one above the other; more in half size, two abreast."""
REST = 10
"""Steps for which a film shows its end."""


@dataclass(frozen=True)
class Play:
    """A trial and the actions to play on it."""

    task: str
    """Name of the trial's task. The trial's own word for it is not trusted: as module:name it would
    import a module."""
    title: str
    trial: Trial
    actions: NDArray[np.float32]
    """Joint targets (steps, 23) [rad]."""
    error: str | None = None
    """Why the recorded play ended early, if it did."""
    hide_robot: bool = False
    """Whether the goal picture was drawn without the robot."""


@dataclass(frozen=True)
class Film:
    """What a play looks like."""

    title: str
    goal: NDArray[np.uint8]
    """(224, 392, 3) uint8 RGB."""
    frames: tuple[NDArray[np.uint8], ...]
    """Start, then every step or the last one only; each as the goal."""
    holds: tuple[bool, ...]
    """Whether the criterion holds in each frame."""


def shoot(play: Play, every_step: bool) -> Film:
    """Play recorded actions and look on.

    Args:
        play: What to play.
        every_step: Whether to look at each step, or at start and end only.

    Returns:
        The film; its title says whether the criterion was held and the final distance.
    """
    from dexbench.envs.simulation import Simulation
    from dexbench.envs.tasks import Playback, find_task, goal_picture

    task = find_task(play.task)
    simulation = Simulation(play.trial.xml, play.trial.objects)
    try:
        goal = goal_picture(simulation, task, play.trial, play.hide_robot)
        playback = Playback(task, play.trial, simulation)
        frames, holds = [simulation.render()], [playback.outcome.holds]
        solved, error = False, play.error
        for action in play.actions:
            try:
                outcome = playback.step(action)
            except FloatingPointError as diverged:
                error = error or str(diverged)
                break
            solved |= playback.held
            if every_step:
                frames.append(simulation.render())
                holds.append(outcome.holds)
        if not every_step:
            frames.append(simulation.render())
            holds.append(playback.outcome.holds)
        result = "error" if error else "success" if solved else "failure"
        distance = 100 * playback.outcome.distance
    finally:
        simulation.close()
    title = f"{play.title}: {result}, {distance:.1f} cm at the end"
    return Film(title, goal, tuple(frames), tuple(holds))


def sheet(films: Sequence[Film]) -> NDArray[np.uint8]:
    """Put start, goal and end of each film into one picture.

    Args:
        films: At least one; all pictures of one size.

    Returns:
        (height, width, 3) uint8 RGB: a line of column names, then for each film its title and
        under it the three pictures.
    """
    from PIL import Image, ImageDraw

    height, width = films[0].goal.shape[:2]
    step, pitch = width + 2 * MARGIN, LINE + height + 2 * MARGIN
    page = Image.new("RGB", (len(COLUMNS) * step, LINE + len(films) * pitch), "white")
    draw = ImageDraw.Draw(page)
    for column, name in enumerate(COLUMNS):
        draw.text((column * step + MARGIN, MARGIN), name, fill="black", font_size=FONT)
    for index, film in enumerate(films):
        top = LINE + index * pitch
        draw.text((MARGIN, top + MARGIN), film.title, fill="black", font_size=FONT)
        for column, picture in enumerate((film.frames[0], film.goal, film.frames[-1])):
            page.paste(Image.fromarray(picture), (column * step + MARGIN, top + LINE + MARGIN))
    return np.asarray(page)


def moving(films: Sequence[Film]) -> list[NDArray[np.uint8]]:
    """Play films side by side, each beside its goal; a title is green while its criterion holds.

    Args:
        films: At least one; all pictures of one size, with even sides.

    Returns:
        Pictures (height, width, 3) uint8 RGB with even sides; a film that is over shows its end.
    """
    from PIL import Image, ImageDraw

    full_height, full_width = films[0].goal.shape[:2]
    few = len(films) <= FEW
    size = (full_width, full_height) if few else (full_width // 2, full_height // 2)
    across = 1 if few else 2
    step, pitch = 2 * size[0] + 2 * MARGIN, LINE + size[1] + MARGIN
    page = Image.new("RGB", (across * step, -(-len(films) // across) * pitch), "white")
    draw = ImageDraw.Draw(page)

    def paste(picture: NDArray[np.uint8], left: int, top: int) -> None:
        image = Image.fromarray(picture)
        page.paste(image if few else image.resize(size, Image.Resampling.BOX), (left, top))

    pictures = []
    for time in range(max(len(film.frames) for film in films) + REST):
        for index, film in enumerate(films):
            left, top = index % across * step + MARGIN, index // across * pitch
            now = min(time, len(film.frames) - 1)
            draw.rectangle((left, top, left + 2 * size[0], top + LINE - 1), "white")
            colour = "green" if film.holds[now] else "black"
            draw.text((left, top + 3), film.title, colour, font_size=FONT if few else SMALL_FONT)
            paste(film.frames[now], left, top + LINE)
            if time == 0:
                paste(film.goal, left + size[0], top + LINE)
        pictures.append(np.array(page))
    return pictures
