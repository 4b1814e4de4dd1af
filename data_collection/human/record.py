"""Records one session: somebody in a kitchen who does a few tasks, one a clip."""

from collections.abc import Sequence
from typing import Any

import numpy as np

from dexbench.data_collection.scripted.counter import lay_out
from dexbench.data_collection.scripted.objects import FREE, NoGrasp
from dexbench.data_collection.scripted.order import SessionOrder
from dexbench.data_collection.scripted.poses import Array
from dexbench.data_collection.store.egodex import TEST, TRAIN, EgoDexStore, HumanClip
from dexbench.utils.seeding import rng

from .body import joints
from .film import PersonFilm
from .person_mjcf import intrinsic
from .session import Session, open_session
from .skeleton import JOINTS
from .stage import Stage
from .tasks import TASKS

HELD_OUT = 10
"""One session in so many is for tests."""
DRAWS = 12
"""Plays of a task before its session is given up."""
SESSIONS = 20
"""Sessions drawn for one place in a set before giving up."""
STILL = ("open_close_hands", "touch_point_objects")
"""Tasks in which no object moves."""
ARKIT = np.array([[1.0, 0, 0, 0], [0, 0, 1, 0], [0, -1, 0, 0], [0, 0, 0, 1]])
"""RoboCasa's world in EgoDex's, whose y is up and whose z points back to the person."""


def record_session(order: SessionOrder) -> list[dict[str, Any]]:
    """Draw a session, write its clips, each of another task, and return their manifest lines."""
    for attempt in range(SESSIONS):
        stream = rng("collect", "egohand", order.seed, order.index, attempt)
        tasks = [str(name) for name in stream.permutation(list(TASKS))[: order.clips]]
        wanted, chosen = _objects(tasks, stream)
        session = open_session(stream, wanted)
        try:
            stages = [
                play(session, task, shown, stream)
                for task, shown in zip(tasks, chosen, strict=True)
            ]
            break
        except NoGrasp:
            continue
    else:
        raise RuntimeError(f"no session for place {order.index} of the set in {SESSIONS} draws")
    store, film = EgoDexStore(order.out), PersonFilm(session, order.size)
    part = TEST if order.index % HELD_OUT == HELD_OUT // 2 else TRAIN
    rows = []
    for number, (task, shown, stage) in enumerate(zip(tasks, chosen, stages, strict=True)):
        clip = _clip(session, film, task, shown, stage, stream)
        rows.append(store.write_clip(order.clip(number), part, clip) | {"scene": order.index})
    film.close()
    return rows


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


def play(session: Session, task: str, shown: list[int], rng: np.random.Generator) -> Stage:
    """Return the first of some plays of a task in which all grasps are possible.

    Args:
        session: Who does it, and where.
        task: Key of ``TASKS``.
        shown: Numbers of the objects that are on the counter.
        rng: The stream to draw from.

    Raises:
        NoGrasp: None was found.
    """
    stand, solids = session.person.stand, [session.solids[number] for number in shown]
    for _ in range(DRAWS):
        stage = Stage(stand, solids, lay_out(stand, solids, rng), rng, session.person)
        try:
            TASKS[task].script(stage)
        except NoGrasp:
            continue
        if stage.holds or task in STILL:
            return stage
    raise NoGrasp(f"no play of {task} in {DRAWS} draws")


def _clip(
    session: Session,
    film: PersonFilm,
    task: str,
    shown: list[int],
    stage: Stage,
    rng: np.random.Generator,
) -> HumanClip:
    hands, objects = stage.play(stage.frames())
    body, camera = joints(session.person, hands, rng)
    facts: dict[str, str | Sequence[str]] = {
        "task": task,
        "description": TASKS[task].sentence,
        "llm_description": TASKS[task].sentence,
        "llm_type": "none",
        "llm_objects": [session.categories[number] for number in shown],
        "llm_verbs": task.split("_")[:1],
        "environment": session.place,
        "session_name": "egohand",
    }
    frames = film.shoot(body, camera, objects, shown)
    return HumanClip(frames, transforms(body, camera), intrinsic(film.size), task, facts)


def transforms(body: Array, camera: Array) -> dict[str, Array]:
    """Return EgoDex's transforms (n, 4, 4) by name of joints (n, 68, 4, 4) and camera (n, 4, 4)."""
    named = {name: ARKIT @ body[:, number] for number, name in enumerate(JOINTS)}
    return {"camera": ARKIT @ camera} | named
