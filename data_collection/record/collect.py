"""`dexbench collect`: fills an episode store, scene by scene, on all cores."""

import os
from collections.abc import Iterator
from concurrent.futures import Executor, ProcessPoolExecutor
from contextlib import contextmanager
from math import isfinite
from multiprocessing import get_context
from pathlib import Path
from typing import Any

from dexbench.data_collection.store.layouts import OTHERS
from dexbench.data_collection.store.manifest import INFO
from dexbench.data_collection.store.store import EpisodeStore
from dexbench.envs.assets.download import robocasa_root
from dexbench.envs.embodiment.robot import CONTROL_HZ
from dexbench.envs.motion.waypoints import RampConfig
from dexbench.utils.errors import UserError
from dexbench.utils.files import open_locked
from dexbench.utils.processes import die_with_parent

from .config import CollectConfig, picture_size
from .fill import Recording, fill_set
from .ray_executor import THREADS, RayExecutor
from .scene import record_scene

PICTURES_HZ = {"waypoints": CONTROL_HZ / RampConfig().steps}
"""Pictures a second of strategies that do not take one each control step."""


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
        fill_set(config, store, goal, unit, recording or DEXBENCH)


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


def open_pool(config: CollectConfig, workers: int) -> "Executor | RayExecutor":
    """Return workers on this machine, or on those of a Ray cluster."""
    if config.executor == "ray":
        return RayExecutor(workers, config.ray_address)
    return ProcessPoolExecutor(workers, get_context("spawn"), _prepare)


def _prepare() -> None:
    """Begin a worker; one that outlived its run would disturb the next."""
    die_with_parent()
    os.environ.update(THREADS)


DEXBENCH = Recording(record_scene, open_pool)
"""dexbench's own strategies, in processes."""
