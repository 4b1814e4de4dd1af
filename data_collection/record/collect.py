"""`dexbench collect`: fills an episode store, scene by scene, on all cores."""

import os
import sys
from collections.abc import Callable, Generator, Iterator
from concurrent.futures import Executor, Future, ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from contextlib import closing, contextmanager
from dataclasses import dataclass
from math import isfinite
from multiprocessing import active_children, get_context
from pathlib import Path
from typing import Any, Literal

from tqdm import tqdm

from dexbench.data_collection.scripted.order import SessionOrder
from dexbench.data_collection.store.layouts import OTHERS
from dexbench.data_collection.store.manifest import INFO
from dexbench.data_collection.store.store import EpisodeStore
from dexbench.data_collection.store.verify import damaged
from dexbench.envs.assets.download import robocasa_root
from dexbench.envs.embodiment.robot import CONTROL_HZ
from dexbench.envs.motion.waypoints import RampConfig
from dexbench.utils.cores import usable_cores
from dexbench.utils.errors import UserError
from dexbench.utils.files import open_locked
from dexbench.utils.processes import die_with_parent
from dexbench.utils.video import parse_size

from .ray_executor import THREADS, RayExecutor
from .stand_ins import stand_in

SCENE_DRAWS = 20
"""Scenes drawn for one place in a set before giving up."""
PICTURES_HZ = {"waypoints": CONTROL_HZ / RampConfig().steps}
"""Pictures a second of strategies that do not take one each control step."""
LOSSES = 3
"""Times in a row that a process is lost, by a signal or in native code, before giving up."""


@dataclass(frozen=True)
class CollectConfig:
    """Record exploration data in training kitchens, by script."""

    out: Path
    """Folder of the set; a set that is there already is continued."""
    strategy: Literal[
        "lift", "lift-noise", "programmatic", "play", "waypoints", "egohand", "gripper"
    ] = "lift-noise"
    """How the robot is driven. lift-noise and programmatic are the paper's (4.5); lift, play and
    waypoints are other ways. Two are stand-ins for other people's data, in their layouts: egohand
    shows two human hands (EgoDex), gripper a Panda with a parallel gripper (DROID)."""
    episodes: int | None = None
    """Clips to record (rounded up to whole scenes)."""
    hours: float | None = None
    """Time to record, in h; give this or --episodes."""
    workers: int = 0
    """Processes; 0 means one a core that may be used. The data do not depend on it."""
    kitchen: Literal["generated", "robocasa"] = "generated"
    """Whose kitchens: generated ones, or RoboCasa's own, whose assets are a download of 10 GB."""
    seed: int = 0
    """Names the random streams; another seed gives another set."""
    size: str | None = None
    """Height and width of the pictures in px; by default 224x392, which models here are trained on,
    and 224x398 with egohand and gripper. All but these can be rendered again: data rerender."""
    executor: Literal["local", "ray"] = "local"
    """Where the workers are: on this machine, or on those of a Ray cluster. dexbench must be on all
    of them, and --out an absolute path to a folder that they share."""
    ray_address: str | None = None
    """Address of the Ray cluster; by default that in $RAY_ADDRESS, or one made of this machine."""


@dataclass(frozen=True)
class Recording:
    """How scenes are recorded: with dexbench's own strategies in processes, or as a test does."""

    record: Callable[[CollectConfig, int], list[dict[str, Any]]]
    """Writes the clips of scene ``index`` into the set and returns their rows."""
    pool: Callable[[CollectConfig, int], "Executor | RayExecutor"]
    """Makes what calls ``record``, with that many workers."""


def main(config: CollectConfig, recording: Recording | None = None) -> None:
    """Collect until the set has the clips or hours asked for; resumes where it stopped.

    What is there already is checked against its checksums; damaged scenes are made again.

    Args:
        config: What to record, and where.
        recording: How to record it; dexbench's own by default.

    Raises:
        UserError: Not exactly one of --episodes and --hours was given, or too little; --size makes
            no pictures; RoboCasa's assets are missing; or another run fills the set.
    """
    if (config.episodes is None) == (config.hours is None):
        raise UserError("give either --episodes or --hours")
    if config.workers < 0:
        raise UserError(f"--workers is {config.workers}; expected 0, one a core, or more")
    if not isfinite(config.hours or 0):
        raise UserError(f"--hours is {config.hours}; expected a number of hours")
    unit = "frame" if config.episodes is None else "episode"
    rate = PICTURES_HZ.get(config.strategy, CONTROL_HZ)
    goal = int((config.hours or 0) * 3600 * rate) if unit == "frame" else config.episodes
    if not goal or goal < 0:
        raise UserError("--episodes or --hours must be positive")
    if config.ray_address is not None and config.executor != "ray":
        raise UserError("--ray-address is of use with --executor ray only; give both or neither")
    if config.executor == "ray" and not config.out.is_absolute():
        raise UserError(f"with --executor ray, --out must be absolute; got {config.out}")
    facts: dict[str, Any] = {"strategy": config.strategy, "seed": config.seed, "control_hz": rate}
    if config.kitchen == "robocasa":
        if config.strategy in OTHERS:
            raise UserError(
                f"--strategy {config.strategy} has generated kitchens only; leave out --kitchen"
            )
        robocasa_root()
        facts["kitchen"] = config.kitchen
    layout = OTHERS.get(config.strategy, EpisodeStore)
    store = layout(config.out, facts | {"image_size": list(picture_size(config))})
    with _alone(config.out):
        _fill(config, store, goal, unit, recording or DEXBENCH)


def picture_size(config: CollectConfig) -> tuple[int, int]:
    """Return height and width in px of a set's pictures.

    Raises:
        UserError: --size makes no pictures.
    """
    return parse_size(config.size or ("224x398" if config.strategy in OTHERS else "224x392"))


@contextmanager
def _alone(out: Path) -> Iterator[None]:
    """Two runs that fill a set would delete each other's files and list episodes twice.

    Raises:
        UserError: Another run has the set.
    """
    try:
        lock = open_locked(out / INFO)
    except BlockingIOError as error:
        raise UserError(
            f"another run is filling {out}; wait for it, or choose another --out"
        ) from error
    try:
        yield
    finally:
        os.close(lock)


def _fill(
    config: CollectConfig, store: EpisodeStore, goal: int, unit: str, recording: Recording
) -> None:
    """Collect until the set has ``goal`` frames or episodes, and clear up."""
    done = _complete_scenes(store)
    known = max(done, default=-1) + 1  # damaged scenes before the last whole one are made again

    def amount(rows: list[dict[str, Any]]) -> int:
        return len(rows) if unit == "episode" else sum(row["frames"] for row in rows)

    with tqdm(total=goal, unit=unit, disable=None) as bar:
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
    for row, faults in tqdm(checks, "checking", len(listed), unit="episode", disable=None):
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


def open_pool(config: CollectConfig, workers: int) -> "Executor | RayExecutor":
    """Return workers on this machine, or on those of a Ray cluster."""
    if config.executor == "ray":
        return RayExecutor(workers, config.ray_address)
    return ProcessPoolExecutor(workers, get_context("spawn"), _prepare)


def _prepare() -> None:
    """Begin a worker; one that outlived its run would disturb the next."""
    die_with_parent()
    os.environ.update(THREADS)


def record_scene(config: CollectConfig, index: int) -> list[dict[str, Any]]:
    """Draw scene ``index``, play the strategy in it, write its clips; return their rows."""
    from .strategies import CLIPS

    if config.strategy in OTHERS:
        order = SessionOrder(config.out, config.seed, index, picture_size(config), CLIPS)
        return stand_in(config.strategy)(order)
    from dexbench.envs.robocasa.build import build_scene
    from dexbench.envs.robocasa.recipe import NoRoom
    from dexbench.envs.simulation import Simulation
    from dexbench.envs.tasks import Rejected
    from dexbench.envs.tasks.draw import KITCHENS
    from dexbench.utils.seeding import rng

    from .strategies import STRATEGIES

    store = EpisodeStore(config.out)
    for attempt in range(SCENE_DRAWS):
        stream = rng("collect", config.strategy, config.seed, index, attempt)
        try:
            scene = build_scene(KITCHENS[config.kitchen](stream, "train"))
        except NoRoom:
            continue
        simulation = Simulation(scene.xml, scene.objects, picture_size(config))
        try:
            clips = STRATEGIES[config.strategy](simulation, scene, stream)
        except (Rejected, FloatingPointError):
            continue
        finally:
            simulation.close()
        return [
            store.write(index * CLIPS + clip, episode) | {"scene": index}
            for clip, episode in enumerate(clips)
        ]
    raise RuntimeError(f"no scene for place {index} of the set in {SCENE_DRAWS} draws")


DEXBENCH = Recording(record_scene, open_pool)
"""dexbench's own strategies, in processes."""
