"""``dexbench view``: a contact sheet or a film of trials, or trials in MuJoCo's viewer.

``--scenes`` shows kitchens or objects instead (:mod:`dexbench.bench.show.gallery`).
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from dexbench.bench.ledger.actions import actions_path
from dexbench.bench.ledger.ledger import ROWS_FILE, read_rows
from dexbench.bench.ledger.rows import Row, check_complete, hides_robot, play_key
from dexbench.bench.ledger.task_names import resolve
from dexbench.bench.verify.resimulation import recorded_actions
from dexbench.envs.embodiment.robot import CONTROL_HZ
from dexbench.envs.suite import Suite
from dexbench.envs.task_names import suite_of
from dexbench.envs.trial import Trial
from dexbench.utils.errors import UserError
from dexbench.utils.files import atomic_file
from dexbench.utils.video import write_video

from .film import Film, Play, moving, sheet, shoot
from .window import show

FILMS = (".mp4", ".webp")
"""Endings of files that move."""
MOST = 24
"""Trials that a film may hold: all their frames are in memory."""


@dataclass(frozen=True)
class ViewConfig:
    """Draws trials: start, goal and the end reached by recorded actions, or every step."""

    task: str = "all"
    """Which task: one of dexbench's, all of the suite's (all), or your own as module:name."""
    trials: tuple[int, ...] = (0,)
    """Numbers of the trials; a row each."""
    examples: bool = False
    """Instead of --trials: of each task the first trial that the agent solved, and the first that
    it did not."""
    seeds: tuple[int, ...] = ()
    """Instead of --trials: the training trials that `reset(seed=...)` draws, with the expert."""
    suite: str | None = None
    """Name of the frozen suite, or the path of its folder; by default v2 for push, pick, carry and
        avoid, else v1. So all is v1's tasks unless you give v2."""
    agent: str = "expert"
    """Whose actions lead to the end. The expert's are in the suite; others need a ledger."""
    ledgers: Path = Path("results")
    """Folder of ledgers: LEDGERS/SUITE/AGENT/TASK/trials.jsonl with the actions beside it."""
    scenes: Literal["kitchens", "objects", "held"] | None = None
    """Draw no trials but what scenes are made of: every layout in some styles, all objects, or the
    suite's objects in the hand."""
    window: bool = False
    """Draw nothing, but play the trials in MuJoCo's viewer, one after the other; needs a screen."""
    out: Path = Path("trials.png")
    """What to write: FILE.png, or a film of every step beside the goal as FILE.mp4 or FILE.webp."""


def _suite(config: ViewConfig) -> str:
    return config.suite or suite_of(config.task)


def find_plays(config: ViewConfig) -> Iterator[Play]:
    """Yield the plays that are asked for, in the order of tasks and trials.

    Raises:
        UserError: There is no such suite, trial or ledger row, or the settings contradict.
    """
    suite = Suite.load(_suite(config))
    tasks = resolve(config.task, suite.tasks)
    if config.seeds:
        from dexbench.envs.tasks import find_task
        from dexbench.envs.tasks.draw import training_trial

        if config.agent != "expert" or config.examples:
            raise UserError("no ledger holds --seeds: leave --agent and --examples out")
        for task in tasks:
            for seed in config.seeds:
                try:
                    trial = training_trial(find_task(task), seed)
                except RuntimeError as error:
                    raise UserError(f"{error}; choose another of --seeds") from error
                yield Play(task, f"{task}, seed {seed}, expert", trial, trial.expert_actions)
        return
    if not config.trials:
        raise UserError("--trials is empty, expected at least one number")
    for task in tasks:
        for index in _examples(config, task) if config.examples else config.trials:
            trial = suite.trial(task, index)
            yield find_play(config, task, trial, index)


def _examples(config: ViewConfig, task: str) -> list[int]:
    """Return the first trial of a task that the agent solved, and the first that it did not."""
    rows = _rows(config, task)
    indices = [
        [i for i in sorted(rows) if rows[i]["success"] is wanted] for wanted in (True, False)
    ]
    if not rows:
        raise UserError(f"{_folder(config, task)} holds no trials to show examples of")
    return [numbers[0] for numbers in indices if numbers]


def _folder(config: ViewConfig, task: str) -> Path:
    return config.ledgers / Path(_suite(config)).name / config.agent.replace(":", ".") / task


def _rows(config: ViewConfig, task: str) -> dict[int, Row]:
    """Return the ledger's rows by trial; repeats are left out."""
    path = _folder(config, task) / ROWS_FILE
    rows = read_rows(path)
    check_complete(rows, ("success", "trial_hash", "actions_hash", "error"), path)
    return {row["trial"]: row for row in rows if play_key(row)[1] == 0}


def find_play(config: ViewConfig, task: str, trial: Trial, index: int) -> Play:
    """Return a trial of a suite with its recorded actions.

    Args:
        config: Which agent, and where its ledgers are.
        task: The trial's task.
        trial: The trial.
        index: Its number.

    Raises:
        UserError: There is no such row, it was played on another trial, or its actions are missing
            or not those that it was scored with.
    """
    title = f"{task}, trial {index}, {config.agent}"
    if config.agent == "expert":
        return Play(task, title, trial, trial.expert_actions)
    folder, rows = _folder(config, task), _rows(config, task)
    if index not in rows or not (path := actions_path(folder, rows[index])).exists():
        asked = task if config.task == "all" else config.task
        command = f"dexbench run --agent {config.agent} --task {asked} --suite {_suite(config)}"
        raise UserError(
            f"{folder} holds no trial {index} of {config.agent}; `{command} --out "
            f"{config.ledgers}` plays it"
        )
    if rows[index]["trial_hash"] != trial.hash:
        raise UserError(
            f"trial {index} in {folder} was played on another build of suite {_suite(config)}"
        )
    actions = recorded_actions(path, rows[index])
    return Play(task, title, trial, actions, rows[index]["error"], hides_robot(rows[index]))


def main(config: ViewConfig) -> None:
    """Draw and write the picture or film, or play in the viewer.

    Raises:
        UserError: As `find_plays`; or the file cannot be written, or there is no screen.
    """
    if config.scenes is not None:
        if config.window or config.out.suffix != ".png":
            raise UserError("--scenes makes a picture: give --out FILE.png, and no --window")
        _draw_scenes(config)
        return
    if config.out.suffix not in (".png", *FILMS):
        raise UserError(f"--out {config.out} must end in .png, {' or '.join(FILMS)}")
    # All rows are looked up before anything is played, so that bad input is told at once.
    plays = list(find_plays(config))
    if config.out.suffix in FILMS and len(plays) > MOST and not config.window:
        raise UserError(f"a film holds {MOST} trials at most, not {len(plays)}; give fewer")
    if config.window:
        for play in plays:
            show(play)
        return
    films = [shoot(play, every_step=config.out.suffix in FILMS) for play in plays]
    try:
        config.out.parent.mkdir(parents=True, exist_ok=True)
        _save(films, config.out)
    except OSError as error:
        raise UserError(f"cannot write {config.out} ({error}); choose another --out") from error
    for film in films:
        print(film.title)
    print(f"wrote {config.out}")


def _save(films: Sequence[Film], path: Path) -> None:
    """Write a sheet or a film, by the file's ending."""
    from PIL import Image

    if path.suffix == ".mp4":
        write_video(path, moving(films), CONTROL_HZ)
        return
    with atomic_file(path) as draft:
        if path.suffix == ".png":
            Image.fromarray(sheet(films)).save(draft, format="PNG", optimize=True)
        else:
            first, *others = map(Image.fromarray, moving(films))
            timing: dict[str, Any] = {"duration": 1000 // CONTROL_HZ, "loop": 0}
            first.save(
                draft, format="WEBP", save_all=True, append_images=others, quality=60, **timing
            )


def _draw_scenes(config: ViewConfig) -> None:
    """Write the page of kitchens or objects."""
    from . import gallery

    if config.scenes == "held":
        suite = Suite.load(_suite(config))
        if not suite.trials("place"):
            raise UserError(
                f"suite {suite.name} has no place trials, which start with an object in the hand; "
                "choose another --suite"
            )
        page = gallery.held(suite)
    else:
        page = gallery.kitchens() if config.scenes == "kitchens" else gallery.objects()
    try:
        gallery.save(page, config.out)
    except OSError as error:
        raise UserError(f"cannot write {config.out} ({error}); choose another --out") from error
    print(f"wrote {config.out}")
