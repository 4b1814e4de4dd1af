"""Fills a set scene by scene, in order, by processes that may be lost."""

import sys
from collections.abc import Callable, Generator
from concurrent.futures import Executor, Future
from concurrent.futures.process import BrokenProcessPool
from contextlib import closing
from dataclasses import dataclass
from multiprocessing import active_children
from typing import Any

from tqdm import tqdm

from dexbench.data_collection.store.store import EpisodeStore
from dexbench.data_collection.store.verify import damaged
from dexbench.utils.cores import usable_cores
from dexbench.utils.errors import UserError
from dexbench.utils.progress import track

from .config import CollectConfig
from .ray_executor import RayExecutor

LOSSES = 3
"""Times in a row that a process is lost, by a signal or in native code, before giving up."""


@dataclass(frozen=True)
class Recording:
    """How scenes are recorded: with dexbench's own strategies in processes, or as a test does."""

    record: Callable[[CollectConfig, int], list[dict[str, Any]]]
    """Writes the clips of scene ``index`` into the set and returns their rows."""
    pool: Callable[[CollectConfig, int], "Executor | RayExecutor"]
    """Makes what calls ``record``, with that many workers."""


def fill_set(
    config: CollectConfig, store: EpisodeStore, goal: int, unit: str, recording: Recording
) -> None:
    """Collect until the set has enough, and clear up.

    Args:
        config: What to record.
        store: The set; no other run may fill it.
        goal: How many frames or episodes it shall have.
        unit: Which of the two: "frame" or "episode".
        recording: How to record a scene.

    Raises:
        UserError: Processes were lost `LOSSES` times in a row.
    """
    done = _complete_scenes(store)
    known = max(done, default=-1) + 1  # damaged scenes before the last whole one are made again

    def amount(rows: list[dict[str, Any]]) -> int:
        return len(rows) if unit == "episode" else sum(row["frames"] for row in rows)

    with track(total=goal, label="collecting", unit=unit) as bar:
        # The set is the shortest run of scenes 0, 1, 2, ... that is enough, whoever makes them.
        total = 0
        with closing(_in_order(config, store, done, recording)) as scenes:
            for count, rows in enumerate(scenes, 1):
                bar.update(amount(rows))
                total += amount(rows)
                if total >= goal and count >= known:
                    break
    store.keep(sorted(store.rows(), key=lambda row: row["id"]))  # those made again came last
    for path in store.unlisted():
        path.unlink(missing_ok=True)  # of scenes begun beyond the goal, or by a run that was killed


def _complete_scenes(store: EpisodeStore) -> dict[int, list[dict[str, Any]]]:
    """Manifest rows by scene; one with damaged files or without some rows is made again."""
    from .strategies import CLIPS

    listed = {row["id"]: row for row in store.lines() if row is not None}
    scenes: dict[int, list[dict[str, Any]]] = {}
    checks = damaged(store, [listed[index] for index in sorted(listed)])
    for row, faults in track(checks, "checking", len(listed), unit="episode"):
        if not faults:
            scenes.setdefault(row["scene"], []).append(row)
    whole = {scene: rows for scene, rows in scenes.items() if len(rows) == CLIPS}
    store.keep([row for scene in sorted(whole) for row in whole[scene]])
    return whole


def _in_order(
    config: CollectConfig,
    store: EpisodeStore,
    done: dict[int, list[dict[str, Any]]],
    recording: Recording,
) -> Generator[list[dict[str, Any]], None, None]:
    """Manifest rows of scene 0, 1, 2, ...; when a process is lost, new ones go on in its place."""
    scene = losses = 0
    while True:
        try:
            with closing(_made(config, store, done, recording, scene)) as made:
                for rows in made:
                    yield rows
                    scene, losses = scene + 1, 0
        except BrokenProcessPool as error:
            losses += 1
            if losses == LOSSES:
                raise UserError(
                    f"collecting processes were killed {LOSSES} times in a row, perhaps for want "
                    "of memory; give the same command again to continue, with fewer --workers "
                    "if memory was short"
                ) from error
            tqdm.write(f"a process was lost; scene {scene} is begun again", file=sys.stderr)


def _made(
    config: CollectConfig,
    store: EpisodeStore,
    done: dict[int, list[dict[str, Any]]],
    recording: Recording,
    scene: int,
) -> Generator[list[dict[str, Any]], None, None]:
    """Manifest rows from ``scene`` on: those that exist, then new ones as they are made."""
    while scene in done:
        yield done[scene]
        scene += 1
    workers = config.workers or usable_cores()
    others = active_children()
    pool = recording.pool(config, workers)
    pending: list[Future[list[dict[str, Any]]] | list[dict[str, Any]]] = []
    try:
        while True:
            while len(pending) < workers + 2:
                pending.append(done.get(scene) or pool.submit(recording.record, config, scene))
                scene += 1
            scene_rows = pending.pop(0)
            if isinstance(scene_rows, list):
                yield scene_rows
                continue
            rows = scene_rows.result()
            store.commit(rows)
            yield rows
    finally:
        # Scenes begun beyond the goal are not wanted.
        for child in active_children():
            if child not in others:
                child.terminate()
        pool.shutdown(cancel_futures=True)
