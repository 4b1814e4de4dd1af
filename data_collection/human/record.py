"""Records one session: somebody in a kitchen who does a few tasks, one a clip."""

from pathlib import Path
from typing import Any

import numpy as np

from dexbench.data_collection.store.egodex import TEST, TRAIN, EgoDexStore, HumanClip
from dexbench.utils.seeding import rng

from .body import joints
from .film import Film
from .grasp import NoGrasp
from .kitchen import Session, lay_out, open_session
from .objects import FREE
from .person_mjcf import intrinsic
from .skeleton import JOINTS, Array
from .stage import Stage
from .tasks import TASKS

CLIPS = 4
"""Clips a session."""
HELD_OUT = 10
"""One session in so many is for tests."""
DRAWS = 40
"""Tries of a clip before its session is given up."""
ARKIT = np.array([[1.0, 0, 0, 0], [0, 0, 1, 0], [0, -1, 0, 0], [0, 0, 0, 1]])
"""RoboCasa's world in EgoDex's, whose y is up and whose z points back to the person."""


def record_session(
    out: Path, seed: int, index: int, size: tuple[int, int]
) -> list[dict[str, Any]]:
    """Draw session ``index`` of a set, write its clips and return their manifest lines.

    Args:
        out: The set's folder.
        seed: Names the set's random streams.
        index: Number of the session, on which alone it depends besides the seed.
        size: Height and width of the pictures in px.
    """
    stream = rng("collect", "egohand", seed, index)
    store = EgoDexStore(out)
    tasks = [str(name) for name in stream.permutation(list(TASKS))[:CLIPS]]
    wanted, chosen = _objects(tasks, stream)
    session = open_session(stream, wanted)
    film = Film(session, size)
    part = TEST if index % HELD_OUT == HELD_OUT // 2 else TRAIN
    try:
        return [
            store.write_clip(
                index * CLIPS + number, part, _clip(session, film, task, chosen[number], size, stream)
            )
            | {"scene": index}
            for number, task in enumerate(tasks)
        ]
    finally:
        film.close()


def _objects(tasks: list[str], rng: np.random.Generator) -> tuple[list[str], list[list[int]]]:
    """Return categories of a session's objects, and the numbers of those in each clip."""
    wanted: list[str] = []
    chosen = []
    for task in tasks:
        pool = TASKS[task].categories or FREE
        own = [str(name) for name in rng.choice(pool, min(2, len(pool)), replace=False)]
        own += [str(name) for name in rng.choice(FREE, int(rng.integers(0, 3)), replace=False)]
        chosen.append(list(range(len(wanted), len(wanted) + len(own))))
        wanted += own
    return wanted, chosen


def _clip(
    session: Session,
    film: Film,
    task: str,
    shown: list[int],
    size: tuple[int, int],
    rng: np.random.Generator,
) -> HumanClip:
    """Play a task and film it."""
    stage = _play(session, task, shown, rng)
    n = stage.frames()
    hands, objects = stage.play(n)
    body, camera = joints(session.person, hands, rng)
    frames = film.render(body, camera, objects, shown)
    names = [session.categories[number] for number in shown]
    return HumanClip(frames, transforms(body, camera), intrinsic(size), task, {
        "task": task,
        "description": TASKS[task].sentence,
        "llm_description": TASKS[task].sentence,
        "llm_type": "none",
        "llm_objects": names,
        "llm_verbs": task.split("_")[:1],
        "environment": f"{session.layout} {session.style}",
        "session_name": "egohand",
    })  # fmt: skip


def _play(session: Session, task: str, shown: list[int], rng: np.random.Generator) -> Stage:
    for _ in range(DRAWS):
        solids = [session.solids[number] for number in shown]
        stage = Stage(session.person, solids, lay_out(session, shown, rng), rng)
        try:
            TASKS[task].script(stage)
        except NoGrasp:
            continue
        if stage.holds or task not in MOVING:
            return stage
    raise RuntimeError(f"no clip of {task} with {session.categories} in {DRAWS} draws")


MOVING = tuple(name for name in TASKS if name not in ("open_close_hands", "touch_point_objects"))
"""Tasks in which something moves."""


def transforms(body: Array, camera: Array) -> dict[str, Array]:
    """Return EgoDex's transforms (n, 4, 4) by name of joints (n, 68, 4, 4) and camera (n, 4, 4)."""
    named = {name: ARKIT @ body[:, number] for number, name in enumerate(JOINTS)}
    return {"camera": ARKIT @ camera} | named
